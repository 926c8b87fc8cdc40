//! One at a time: the first who wants something gets it for all who wait, and fails for them too (H25).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantri_core::{Error, Result};
use tokio::sync::Mutex;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Held while it is taken; how the last one failed, if it did.
    last: Mutex<Option<Failure>>,
    /// How many have failed.
    failures: AtomicU64,
}

/// A failure, for all who waited.
#[derive(Clone, Debug)]
struct Failure(Arc<Error>);

impl Turn {
    /// What is `there` when the turn comes, else what `get` gives.
    pub(super) async fn take<T, F>(&self, there: impl Fn() -> Option<T>, get: impl FnOnce() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let failures = || self.failures.load(Ordering::Relaxed);
        let before = failures();
        let mut last = self.last.lock().await;
        if let Some(found) = there() {
            return Ok(found);
        }
        // Whoever waited for a turn that failed would only fail again; whoever came after that, perhaps with something
        // better, would not.
        if let (true, Some(failure)) = (failures() != before, &*last) {
            return Err(failure.told());
        }
        // Until this turn is over it has not failed: dropped half-way, it leaves no verdict to the next.
        *last = None;
        get().await.map_err(|error| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            last.insert(Failure(Arc::new(error))).told()
        })
    }
}

impl Failure {
    /// The error once more, with all that is known about it.
    fn told(&self) -> Error {
        let Self(error) = self;
        let mut told =
            Error::new(error.kind(), error.words()).with_retry(error.retry()).with_codes(error.codes().to_vec());
        if let Some(status) = error.status() {
            told = told.with_status(status);
        }
        if let Some(hint) = error.hint() {
            told = told.with_hint(hint);
        }
        if error.source().is_some() {
            told = told.with_source(Cause(Arc::clone(error)));
        }
        told
    }
}

/// What is behind an error that several hold.
#[derive(Debug)]
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |cause| fmt::Display::fmt(cause, f))
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()?.source()
    }
}
