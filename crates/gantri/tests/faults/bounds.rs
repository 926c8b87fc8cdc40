//! How much a cell may cost: requests beyond those of a clean run, time, and bytes that go twice.

use std::time::Duration;

use test_support::fault::{Detour, Mode, Operation, Pause, UploadMode};

use crate::cell::{Cell, Times};
use crate::expect::Class;

/// The bounds of one cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Beyond those of a clean run.
    pub(crate) requests: usize,
    /// By the clock that is paused.
    pub(crate) time: Duration,
    /// Bytes of a body that may go twice.
    pub(crate) twice: u64,
}

/// A chunk of the world's client: what was not acknowledged of one goes again.
const CHUNK: u64 = 16 << 10;

/// What was written and not yet read when the client had enough.
const UNDER_WAY: u64 = 1;

impl Bounds {
    pub(crate) fn of(cell: Cell, class: Class) -> Self {
        let Some(mode) = cell.mode else { return Self { requests: 0, time: Duration::ZERO, twice: 0 } };
        let twice = if cell.operation == Operation::PullBlob { UNDER_WAY } else { CHUNK };
        Self { requests: requests(mode, cell, class), time: time(mode, cell), twice }
    }
}

/// Once is made good by a step or three; always, by the five tries of a request, or of each step of an upload.
fn requests(mode: Mode, cell: Cell, class: Class) -> usize {
    let uploads =
        matches!(cell.operation, Operation::PushMonolithic | Operation::PushChunked | Operation::PushManifest);
    let hops = match mode {
        Mode::Redirect(Detour::Hops(hops)) => hops as usize,
        Mode::Redirect(Detour::Loop) => 5,
        // The way there goes with each try.
        Mode::Redirect(Detour::ExpiredPresign) if cell.times == Times::Always => 6,
        Mode::Redirect(_) => 1,
        _ => 0,
    };
    // Each of the chunks is led the same way.
    let hops = if cell.operation == Operation::PushChunked && cell.times == Times::Always { 4 * hops } else { hops };
    let mended = match (cell.times, class) {
        // The tag is looked up, and each of the three that it lists.
        (_, Class::Succeeds) if cell.operation == Operation::Referrers => 4,
        // Refused as a whole, it goes in as many pieces as there is nothing smaller than.
        (Times::Once, _) if matches!(mode, Mode::Status(413, _)) => 6,
        // Looked for, asked about, gone on with, committed.
        (Times::Once, _) if uploads => 4,
        (Times::Once, _) => 3,
        // Each chunk in two, with a question between them.
        (Times::Always, _) if mode == Mode::Upload(UploadMode::LaggingRange) => 8,
        (Times::Always, Class::Succeeds | Class::Resumes) => 4,
        (Times::Always, _) if uploads => 15,
        (Times::Always, _) => 6,
    };
    hops + mended
}

/// A pause before a second try is short; what is waited for in vain is waited for as long as the limits say.
fn time(mode: Mode, cell: Cell) -> Duration {
    const PAUSES: u64 = 8;
    let (each, tries) = match (mode, cell.times) {
        (Mode::Hang | Mode::StallAt(_) | Mode::Dribble, Times::Once) => (60, 1),
        // Two minutes are all that tries of one request may take together; five times may a body be taken up.
        (Mode::Hang | Mode::StallAt(_) | Mode::Dribble, Times::Always) => (60, 6),
        (Mode::RetryAfter(_, Pause::Seconds(seconds) | Pause::Date(seconds)), Times::Once) => (seconds, 1),
        (Mode::RetryAfter(_, Pause::Seconds(seconds) | Pause::Date(seconds)), Times::Always) => (seconds, 5),
        (Mode::Upload(UploadMode::CommitThen500 | UploadMode::CommitThenReset), _) => (1, 1),
        _ => (0, 0),
    };
    Duration::from_secs(each * tries + PAUSES)
}
