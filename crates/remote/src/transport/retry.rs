//! Whether a request is sent again, and after what pause: pure, so that every rule is a line of a table.
//!
//! Trying again must both help ([`Trouble`] says so) and be safe ([`Replay`] says so). Full jitter: many tasks that failed
//! together do not come back together (H25).

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use gantri_core::{Limits, Retry};
use http::StatusCode;
use tokio::time::Instant;

use super::Replay;
use super::outcome::Trouble;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What one request has been through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// Which try this is, from 1.
    pub(super) tries: u32,
    /// Fresh authorizations so far (A8).
    pub(super) authorizations: u32,
    /// Whether a connection that died before the answer has been replaced once already (H23).
    pub(super) replaced: bool,
    pub(super) started: Instant,
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// At once, on another connection, and not counted (H23).
    Replace,
    /// After this pause.
    Again(Duration),
    /// After this pause, which holds for everybody who asks this host (H8).
    Hold(Duration),
    /// Not at all.
    Stop,
}

impl Attempt {
    pub(super) fn first() -> Self {
        Self { tries: 1, authorizations: 0, replaced: false, started: Instant::now() }
    }

    /// Whether a challenge may still be met: one fresh token and one replay for each request (A8).
    pub(super) fn may_authorize(&self) -> bool {
        self.authorizations == 0
    }
}

/// `roll` is a fresh random number.
pub(super) fn decide(limits: &Limits, trouble: Trouble, attempt: &Attempt, replay: Replay, roll: u64) -> Decision {
    if replay == Replay::Never && !certainly_not_done(trouble) {
        return Decision::Stop;
    }
    if trouble == Trouble::Closed && !attempt.replaced {
        return Decision::Replace;
    }
    if attempt.tries >= limits.request_tries {
        return Decision::Stop;
    }
    let decision = match trouble {
        Trouble::Closed | Trouble::Failed(Retry::Backoff) => Decision::Again(backoff(attempt.tries, roll)),
        Trouble::Failed(Retry::Never) => Decision::Stop,
        Trouble::Failed(Retry::After(pause)) => hold(limits, pause),
        Trouble::Status(status, _) if !is_passing(status) => Decision::Stop,
        Trouble::Status(_, Some(pause)) => hold(limits, pause),
        Trouble::Status(_, None) => Decision::Again(backoff(attempt.tries, roll)),
    };
    match decision {
        Decision::Again(pause) | Decision::Hold(pause) if attempt.started.elapsed() + pause > limits.retry_total => {
            Decision::Stop
        }
        decision => decision,
    }
}

/// A pause before the next try: a random part of a time that doubles with every try.
pub(crate) fn backoff(tries: u32, roll: u64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << tries.clamp(1, 16).saturating_sub(1)).min(LONGEST_PAUSE);
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(roll % (millis + 1))
}

/// A random number. Nothing secret hangs on it: the standard library's hash keys are random enough.
pub(crate) fn roll() -> u64 {
    RandomState::new().hash_one(())
}

/// Whether this status may be another one the next time (H9).
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524)
}

/// Whether the request can't have had an effect, so that even one that must not be sent twice may be sent again.
fn certainly_not_done(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::Status(StatusCode::TOO_MANY_REQUESTS, _))
}

/// As long as the other side says, unless that is longer than anybody waits (H8).
fn hold(limits: &Limits, pause: Duration) -> Decision {
    if pause <= limits.retry_after { Decision::Hold(pause) } else { Decision::Stop }
}
