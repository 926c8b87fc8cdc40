//! Who waits to change a list of referrers: of one subject, one at a time, and whoever has the turn takes along the
//! changes of all who wait.
//!
//! A change stays in line until it has been made, so a turn that is dropped half-way takes none with it but its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gantri_core::{Error, Result};
use gantri_spec::{Digest, RepositoryName};

use super::merge::Change;

/// Which list.
type Key = (RepositoryName, Digest);

/// The lines of one registry, one for each list that is being changed.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<Key, Arc<Line>>>);

#[derive(Debug, Default)]
struct Line {
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Arc<Wish>>>,
}

/// A change, and what became of it.
#[derive(Debug)]
struct Wish {
    change: Change,
    outcome: OnceLock<Option<Arc<Error>>>,
}

impl Lines {
    /// Makes a change by `act`, which is given it together with those of all others who wait for the same list.
    ///
    /// # Errors
    /// As `act`'s, for all whose changes it was given.
    ///
    /// # Cancel safety
    /// Dropped before its turn, the change is not made; in its turn, as `act`. The others' are made by the next.
    pub(super) async fn change<F>(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        change: Change,
        act: impl FnOnce(Vec<Change>) -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let place = self.stand_in_line((repo.clone(), subject.clone()), change);
        let _turn = place.line.turn.lock().await;
        if let Some(outcome) = place.wish.outcome.get() {
            return outcome.as_ref().map_or(Ok(()), |error| Err(again(error)));
        }
        let batch = place.line.waiting().clone();
        let outcome = act(batch.iter().map(|wish| wish.change.clone()).collect()).await.map_err(Arc::new);
        place.line.waiting().retain(|wish| !batch.iter().any(|done| Arc::ptr_eq(wish, done)));
        for wish in batch {
            // Nobody else has the turn, so nobody else has set it.
            let _ = wish.outcome.set(outcome.as_ref().err().cloned());
        }
        outcome.map_err(|error| again(&error))
    }

    fn stand_in_line(&self, key: Key, change: Change) -> Place<'_> {
        let wish = Arc::new(Wish { change, outcome: OnceLock::new() });
        let line = Arc::clone(self.lock().entry(key.clone()).or_default());
        line.waiting().push(Arc::clone(&wish));
        Place { lines: self, key, line, wish }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<Wish>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in line; given up when it is dropped, and the line with the last.
struct Place<'a> {
    lines: &'a Lines,
    key: Key,
    line: Arc<Line>,
    wish: Arc<Wish>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.waiting().retain(|wish| !Arc::ptr_eq(wish, &self.wish));
        let mut lines = self.lines.lock();
        // The map's own, and ours.
        if Arc::strong_count(&self.line) <= 2 {
            lines.remove(&self.key);
        }
    }
}

/// The same error, for each whom it concerns.
fn again(error: &Arc<Error>) -> Error {
    let told = Error::new(error.kind(), error.to_string()).with_retry(error.retry());
    let told = match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    };
    told.with_source(Arc::clone(error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use gantri_core::ErrorKind;
    use tokio::time::{sleep, timeout};

    use super::*;

    fn key() -> (RepositoryName, Digest) {
        ("a/b".parse().unwrap(), Digest::of(b"subject"))
    }

    fn remove(name: usize) -> Change {
        Change::Remove(Digest::of(name.to_string().as_bytes()))
    }

    /// The first goes alone; all who come while it does go together.
    #[tokio::test(start_paused = true)]
    async fn who_waits_is_taken_along() {
        let (lines, batches) = (Lines::default(), Mutex::new(Vec::new()));
        let (repo, subject) = key();
        let act = |changes: Vec<Change>| {
            batches.lock().unwrap().push(changes.len());
            sleep(Duration::from_secs(1))
        };
        let outcomes = join_all((0..64).map(|name| {
            lines.change(&repo, &subject, remove(name), move |changes| {
                let done = act(changes);
                async move {
                    done.await;
                    Ok(())
                }
            })
        }))
        .await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(*batches.lock().unwrap(), [1, 63]);
        assert!(lines.lock().is_empty(), "no line is left behind");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_that_of_all_it_concerns_and_of_nobody_else() {
        let lines = Lines::default();
        let (repo, subject) = key();
        let fail = |_| async {
            sleep(Duration::from_secs(1)).await;
            Err(Error::new(ErrorKind::Denied, "no").with_hint("ask"))
        };
        let failed = join_all((0..3).map(|name| lines.change(&repo, &subject, remove(name), fail))).await;
        for outcome in failed {
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.hint()), (ErrorKind::Denied, Some("ask")));
        }
        lines.change(&repo, &subject, remove(9), |_| async { Ok(()) }).await.unwrap();
    }

    /// A turn that is dropped takes only its own change with it.
    #[tokio::test(start_paused = true)]
    async fn a_dropped_turn_loses_nobody_elses_change() {
        let lines = Lines::default();
        let (repo, subject) = key();
        let dropped = async {
            let stuck = lines.change(&repo, &subject, remove(0), |_| std::future::pending());
            assert!(timeout(Duration::from_secs(1), stuck).await.is_err());
        };
        let seen = Mutex::new(Vec::new());
        let next = lines.change(&repo, &subject, remove(1), |changes| {
            *seen.lock().unwrap() = changes;
            async { Ok(()) }
        });
        let (next, ()) = futures_util::future::join(next, dropped).await;
        next.unwrap();
        assert_eq!(*seen.lock().unwrap(), [remove(1)]);
        assert!(lines.lock().is_empty());
    }
}
