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
    let retry = match trouble {
        // The resolver has tried for itself: once more for the one that was busy, and no more for the name that is wrong.
        Trouble::Nowhere if attempt.tries > 1 => Retry::Never,
        Trouble::Closed | Trouble::Nowhere => Retry::Backoff,
        Trouble::Unready(retry) | Trouble::Failed(retry) => retry,
        Trouble::Status(status, _) if !is_passing(status) => Retry::Never,
        Trouble::Status(_, pause) => pause.map_or(Retry::Backoff, Retry::After),
    };
    let decision = match retry {
        Retry::Backoff => Decision::Again(backoff(attempt.tries, roll)),
        // As long as the other side says, unless that is longer than anybody waits (H8).
        Retry::After(pause) if pause <= limits.retry_after => match trouble {
            // A token server speaks for itself, and not for the registry.
            Trouble::Unready(_) => Decision::Again(pause),
            _ => Decision::Hold(pause),
        },
        Retry::After(_) | Retry::Never => Decision::Stop,
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
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 520..=524)
}

/// Whether the request can't have had an effect, so that even one that must not be sent twice may be sent again.
fn certainly_not_done(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::Status(StatusCode::TOO_MANY_REQUESTS, _) | Trouble::Nowhere | Trouble::Unready(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(tries: u32) -> Attempt {
        Attempt { tries, replaced: true, ..Attempt::first() }
    }

    /// H1, H8, H9, H23: one line a rule. The roll is so that every pause is the longest it can be.
    #[tokio::test]
    async fn what_is_done_after_a_failed_try() {
        let status = |status: u16, pause: Option<u64>| {
            Trouble::Status(StatusCode::from_u16(status).unwrap(), pause.map(Duration::from_secs))
        };
        let again = |millis| Decision::Again(Duration::from_millis(millis));
        let hold = |seconds| Decision::Hold(Duration::from_secs(seconds));
        let fresh = Attempt { replaced: false, ..attempt(1) };
        let cases = [
            ("first pause", status(503, None), attempt(1), Replay::Safe, again(100)),
            ("it doubles", status(503, None), attempt(4), Replay::Safe, again(800)),
            ("last try", status(503, None), attempt(5), Replay::Safe, Decision::Stop),
            ("not passing", status(404, None), attempt(1), Replay::Safe, Decision::Stop),
            ("not passing, whatever it says", status(404, Some(1)), attempt(1), Replay::Safe, Decision::Stop),
            ("told when", status(503, Some(7)), attempt(1), Replay::Safe, hold(7)),
            ("told too late", status(503, Some(61)), attempt(1), Replay::Safe, Decision::Stop),
            ("not safe", status(503, None), attempt(1), Replay::Never, Decision::Stop),
            ("certainly not done", status(429, Some(1)), attempt(1), Replay::Never, hold(1)),
            ("dead connection", Trouble::Closed, fresh, Replay::Safe, Decision::Replace),
            ("dead connection, not safe", Trouble::Closed, fresh, Replay::Never, Decision::Stop),
            ("dead again", Trouble::Closed, attempt(1), Replay::Safe, again(100)),
            ("no address", Trouble::Nowhere, attempt(1), Replay::Never, again(100)),
            ("no address again", Trouble::Nowhere, attempt(2), Replay::Safe, Decision::Stop),
            ("no token yet", Trouble::Unready(Retry::Backoff), attempt(1), Replay::Never, again(100)),
            (
                "no token for a while",
                Trouble::Unready(Retry::After(Duration::from_secs(7))),
                attempt(1),
                Replay::Never,
                again(7_000),
            ),
            ("no token", Trouble::Unready(Retry::Never), attempt(1), Replay::Safe, Decision::Stop),
            ("no token, last try", Trouble::Unready(Retry::Backoff), attempt(5), Replay::Safe, Decision::Stop),
            ("hopeless", Trouble::Failed(Retry::Never), attempt(1), Replay::Safe, Decision::Stop),
            ("hopeful", Trouble::Failed(Retry::Backoff), attempt(2), Replay::Safe, again(200)),
        ];
        for (name, trouble, attempt, replay, expected) in cases {
            let limits = Limits::default();
            // A roll below every pause plus one stays what it is only if it is the pause itself.
            let longest = match expected {
                Decision::Again(pause) => u64::try_from(pause.as_millis()).unwrap(),
                _ => 0,
            };
            assert_eq!(decide(&limits, trouble, &attempt, replay, longest), expected, "{name}");
        }
    }

    #[test]
    fn a_pause_is_random_and_bounded() {
        for tries in 1..40 {
            for roll in [0, 1, 99, u64::MAX] {
                assert!(backoff(tries, roll) <= LONGEST_PAUSE, "{tries} {roll}");
            }
        }
        assert_ne!((0..64).map(|_| roll()).collect::<std::collections::HashSet<_>>().len(), 1);
    }
}
