//! All cells, each held to what is expected of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use test_support::fault::{Mode, Operation, Record};

use crate::bounds::Bounds;
use crate::cell::{Cell, Outcome, Times};
use crate::expect::{Class, expected};
use crate::options::Options;
use crate::world::Content;

/// A cell that was run: what was seen, and what is wrong with it.
pub(crate) struct Ran {
    pub(crate) cell: Cell,
    pub(crate) expected: Class,
    pub(crate) seen: String,
    pub(crate) wrong: Vec<String>,
    pub(crate) story: Vec<String>,
}

/// Every cell of the matrix that makes sense, with what is expected of it.
pub(crate) fn cells() -> Vec<(Cell, Class)> {
    let mut cells = Vec::new();
    for mode in Mode::all() {
        for operation in Operation::ALL {
            for times in [Times::Once, Times::Always] {
                let cell = Cell { mode: Some(mode), operation, times };
                cells.extend(expected(mode, operation, times).map(|class| (cell, class)));
            }
        }
    }
    cells
}

/// In earnest, nothing takes longer: who is still at it hangs.
const STUCK: Duration = Duration::from_secs(120);

thread_local! {
    /// What the last panic on this thread said: tasks keep theirs to themselves.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the cells that are wanted.
///
/// # Errors
/// If one of them hangs.
pub(crate) fn run(options: &Options) -> Result<Vec<Ran>, String> {
    std::panic::set_hook(Box::new(|panic| PANIC.set(Some(panic.to_string()))));
    let clean = clean()?;
    let wanted =
        cells().into_iter().filter(|(cell, _)| cell.mode.is_some_and(|mode| options.wants(mode, cell.operation)));
    let wanted: Arc<Vec<_>> = Arc::new(wanted.collect());
    let (next, clean) = (Arc::new(AtomicUsize::new(0)), Arc::new(clean));
    let (sender, receiver) = mpsc::channel();
    for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
        let (wanted, next, clean, sender) =
            (Arc::clone(&wanted), Arc::clone(&next), Arc::clone(&clean), sender.clone());
        thread::spawn(move || {
            while let Some((cell, class)) = wanted.get(next.fetch_add(1, Ordering::SeqCst)) {
                if sender.send(held(*cell, *class, clean[&cell.operation])).is_err() {
                    return;
                }
            }
        });
    }
    let deadline = |since: Instant| STUCK.saturating_sub(since.elapsed());
    let mut ran = Vec::new();
    while ran.len() < wanted.len() {
        let since = Instant::now();
        match receiver.recv_timeout(deadline(since)) {
            Ok(one) => ran.push(one),
            Err(_) => return Err(missing(&wanted, &ran)),
        }
    }
    Ok(ran)
}

/// How many requests each operation takes when nothing is wrong.
fn clean() -> Result<BTreeMap<Operation, usize>, String> {
    let count = |operation: Operation| {
        let outcome = Cell { mode: None, operation, times: Times::Once }.run()?;
        match outcome.result {
            Ok(None) => Ok((operation, outcome.records.len())),
            wrong => Err(format!("{}: {wrong:?} although nothing is wrong", operation.name())),
        }
    };
    Operation::ALL.into_iter().map(count).collect()
}

fn missing(wanted: &[(Cell, Class)], ran: &[Ran]) -> String {
    let is_missing = |cell: &Cell| !ran.iter().any(|ran| ran.cell == *cell);
    let missing = wanted.iter().map(|(cell, _)| cell).filter(|cell| is_missing(cell));
    let names: Vec<_> = missing.take(2).map(Cell::name).collect();
    format!("still at it after {STUCK:?}, by the clock on the wall: {}", names.join(", "))
}

/// A cell, run and held to what is expected.
fn held(cell: Cell, class: Class, clean: usize) -> Ran {
    PANIC.set(None);
    let outcome = cell.run();
    let panic = PANIC.take();
    let mut ran = Ran { cell, expected: class, seen: String::new(), wrong: Vec::new(), story: Vec::new() };
    match outcome {
        Ok(outcome) => {
            ran.seen = seen(&outcome);
            ran.story = story(&outcome);
            ran.wrong = judge(cell, class, clean, &outcome);
        }
        Err(why) => ran.wrong.push(why),
    }
    ran.wrong.extend(panic.map(|panic| format!("panicked: {panic}")));
    ran
}

fn seen(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(None) => "S".to_owned(),
        Ok(Some(wrong)) => (*wrong).to_owned(),
        Err(error) => format!("F {:?}", error.kind()),
    }
}

fn story(outcome: &Outcome) -> Vec<String> {
    let mut story: Vec<_> = outcome.records.iter().map(Record::line).collect();
    let end = match &outcome.result {
        Ok(_) => "ended well".to_owned(),
        Err(error) => error.to_string(),
    };
    story.push(format!("{:8.3}s {end}", outcome.took.as_secs_f64()));
    story
}

/// All that is not as expected.
fn judge(cell: Cell, class: Class, clean: usize, outcome: &Outcome) -> Vec<String> {
    let mut wrong = outcome.leaks();
    let is_as_classed = match (&outcome.result, class) {
        (Ok(None), Class::Succeeds | Class::Resumes) => true,
        (Err(error), Class::Fails(kind) | Class::Refuses(kind)) => error.kind() == kind,
        _ => false,
    };
    if !is_as_classed {
        wrong.push(format!("{} and not {class}", seen(outcome)));
    }
    let bounds = Bounds::of(cell, class);
    let requests = outcome.records.len();
    if requests > clean + bounds.requests {
        wrong.push(format!("{requests} requests and not {}", clean + bounds.requests));
    }
    if outcome.took > bounds.time {
        wrong.push(format!("{:?} and not {:?}", outcome.took, bounds.time));
    }
    if class == Class::Resumes {
        let (bytes, most) = (outcome.bytes(cell), Content::get().blob.len() as u64 + bounds.twice);
        if bytes > most {
            wrong.push(format!("{bytes} bytes and not {most}"));
        }
    }
    wrong
}
