//! One cell of the matrix: what it is, and what came of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gantri::Error;
use test_support::fault::{FaultProxy, Mode, Operation, Record, Route, UploadMode, When};
use tokio::time::{Instant, timeout};

use crate::play::play;
use crate::world::{CANARY, REGISTRY, World, scheme_of};

/// A mode, done to an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cell {
    pub(crate) mode: Option<Mode>,
    pub(crate) operation: Operation,
    pub(crate) times: Times,
}

/// How often it is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Times {
    Once,
    Always,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `Some` is what is wrong with what was given.
    pub(crate) result: Result<Option<&'static str>, Error>,
    pub(crate) records: Vec<Record>,
    pub(crate) took: Duration,
}

/// Nothing takes longer, by the clock that is paused: who is still at it hangs.
const HANGS: Duration = Duration::from_secs(24 * 60 * 60);

impl Cell {
    /// Runs it in a runtime of its own, whose clock stands still while anything is done.
    ///
    /// # Errors
    /// What it panicked with, or that it hangs.
    pub(crate) fn run(self) -> Result<Outcome, String> {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.map_err(|error| error.to_string())?.block_on(self.outcome())
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(format!("panicked: {}", said(&*panic))))
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        let mode = self.mode.map_or_else(|| "nothing".to_owned(), |mode| mode.to_string());
        format!("{mode}, {}, {:?}", self.operation.name(), self.times).to_lowercase()
    }

    async fn outcome(self) -> Result<Outcome, String> {
        let scheme = self.mode.map_or(crate::world::Scheme::Http, scheme_of);
        let world = World::new(scheme, |proxy| self.script(proxy)).await;
        let started = Instant::now();
        let result = timeout(HANGS, play(&world, self.operation)).await.map_err(|_| "hangs".to_owned())?;
        Ok(Outcome { result, records: world.records(), took: started.elapsed() })
    }

    fn script(self, proxy: FaultProxy) -> FaultProxy {
        let Some(mode) = self.mode else { return proxy };
        let when = match self.times {
            Times::Once => When::Nth(1),
            Times::Always => When::Always,
        };
        // Only who has lost some of a body asks for the rest.
        let proxy = match mode {
            Mode::Range(_) => proxy.fail(self.operation, When::Nth(1), Mode::TruncateAt(100)),
            _ => proxy,
        };
        proxy.fail(self.route(), when, mode)
    }

    /// The requests that it befalls: where an upload leads is said first when it is started.
    fn route(self) -> Route {
        use UploadMode::{LocationDowngrade, LocationElsewhere, NoLocation};
        match (self.mode, self.operation) {
            (Some(Mode::Upload(LocationDowngrade | LocationElsewhere | NoLocation)), Operation::PushMonolithic) => {
                Route::from(("POST", "/v2/*/blobs/uploads/"))
            }
            (_, operation) => operation.into(),
        }
    }
}

impl Outcome {
    /// Bytes of the body that the operation is about, as often as they went.
    pub(crate) fn bytes(&self, cell: Cell) -> u64 {
        let down = cell.operation == Operation::PullBlob;
        let its = self.records.iter().filter(|record| matches!(record.status, None | Some(200..=299)));
        its.filter(|record| record.target.contains("/blobs/"))
            .map(|record| if down { record.sent } else { record.received })
            .sum()
    }

    /// Where a secret was found that has no business there.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for record in &self.records {
            let at_home = record.header("host") == Some(REGISTRY);
            let told = format!("{} {:?} {}", record.target, record.headers, String::from_utf8_lossy(&record.beginning));
            let authorized = record.header("authorization").is_some();
            if !at_home && (authorized || is_secret(&told)) {
                leaks.push(format!("a secret at {}", record.header("host").unwrap_or("nowhere")));
            }
        }
        if let Err(error) = &self.result
            && is_secret(&format!("{error} {error:?}"))
        {
            leaks.push("a secret in the error".to_owned());
        }
        leaks
    }
}

/// The canary, plain or as Basic has it.
fn is_secret(text: &str) -> bool {
    // base64 of `ann:` and the canary.
    const BASIC: &str = "YW5uOmNhbmFyeS1vZi10aGUtbWF0cml4";
    text.contains(CANARY) || text.contains(BASIC)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}
