//! How one test runs: its runtime, its time limit, and what it says when it breaks off.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Builder;

use super::{Feature, Profile, Subject};
use crate::Error;

/// A case that takes longer hangs; it is a bound, nothing waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// What a rule ends with: it held, or the backend failed where it should not have.
pub type Outcome = Result<(), Broken>;

/// One run of one rule: a profile, and a subject still to be made.
pub struct Trial {
    profile: Profile,
    subject: BoxFuture<'static, Subject>,
}

impl Trial {
    /// A run on the subject that `subject` will make, inside the runtime of the test.
    pub fn new(profile: Profile, subject: impl Future<Output = Subject> + Send + 'static) -> Self {
        Self { profile, subject: subject.boxed() }
    }

    /// Runs the rule, or, if the backend lacks what it needs, tests that it says so.
    ///
    /// # Panics
    /// If the rule does not hold: that is its purpose.
    pub fn run<F: Future<Output = Outcome>>(self, needs: &[Feature], rule: impl FnOnce(Subject) -> F) {
        // Two workers: a server in the same process must not wait for its client, and races must be able to happen.
        let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("no runtime: {error}"),
        };
        let outcome = runtime.block_on(async {
            tokio::time::timeout(LIMIT, async {
                let subject = self.subject.await;
                match needs.iter().find(|feature| !self.profile.has(**feature)) {
                    Some(lacking) => lacking.is_lacked_by(&subject).await,
                    None => rule(subject).await,
                }
            })
            .await
        });
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(broken)) => panic!("{broken:?}"),
            Err(elapsed) => panic!("not done after {LIMIT:?}: {elapsed}"),
        }
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// A step of a rule that failed though nothing about it was wrong, and where in the suite it stands.
pub struct Broken {
    error: Error,
    at: &'static Location<'static>,
}

impl From<Error> for Broken {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self { error, at: Location::caller() }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {:?}: {}", self.at, self.error.kind(), self.error)?;
        let mut source = std::error::Error::source(&self.error);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
