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
use super::throttle::Queue;

/// What one operation has been through: one request, or several that have brought it no further (H25).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// Which try this is, from 1.
    pub(super) tries: u32,
    /// How many of them count.
    pub(super) counted: u32,
    /// Fresh authorizations so far (A8).
    pub(super) authorizations: u32,
    /// Whether a connection that died before the answer has been replaced once already (H23).
    pub(super) replaced: bool,
    /// When it was first sent.
    pub(super) started: Option<Instant>,
    /// How many requests had got through to the host then.
    pub(super) passed: u64,
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// At once, on another connection, and not counted (H23).
    Replace,
    /// After this pause.
    Again(Duration),
    /// After this pause, which holds for everybody who asks this host (H8).
    Hold(Duration),
    /// Not at all.
    Stop,
}

/// What the user has to say about it.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    /// Statuses that may pass, beside those that everybody takes for such.
    pub(super) statuses: Vec<StatusCode>,
}

impl Attempt {
    pub(crate) fn first() -> Self {
        Self { tries: 1, counted: 1, authorizations: 0, replaced: false, started: None, passed: 0 }
    }

    /// Whether a challenge may still be met: one fresh token and one replay for each request (A8).
    pub(super) fn may_authorize(&self) -> bool {
        self.authorizations == 0
    }

    /// One more try, if there is one left.
    pub(super) fn again(&mut self) {
        self.tries += 1;
        self.counted += 1;
    }

    /// A body broke off, which is a try that failed; the time counts from when the rest is asked for.
    pub(crate) fn broke_off(&mut self) {
        self.again();
        self.asks_anew();
    }

    /// The time counts from the next request on; the tries go on counting.
    pub(crate) fn asks_anew(&mut self) {
        self.started = None;
    }

    /// Who was told to wait, and hears that again while others get through, is in a queue and has not failed: the count
    /// starts anew. Time and the host's budget bound it.
    pub(super) fn queued(&mut self, trouble: Trouble, passed: u64) {
        let told = matches!(trouble, Trouble::Status(StatusCode::TOO_MANY_REQUESTS, Some(_)));
        if told && passed > self.passed {
            self.counted = 1;
        }
        self.passed = passed;
    }

    /// Whose time runs goes before those whose has not begun.
    pub(super) fn queue(&self) -> Queue {
        if self.started.is_some() { Queue::Front } else { Queue::Back }
    }

    fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }
}

impl Policy {
    /// Whether this status may be another one the next time.
    pub(super) fn is_passing(&self, status: StatusCode) -> bool {
        is_passing(status) || self.statuses.contains(&status)
    }
}

/// `roll` is a fresh random number; `wait`, how long the host's budget has to be waited for.
pub(super) fn decide(
    limits: &Limits,
    policy: &Policy,
    trouble: Trouble,
    attempt: &Attempt,
    replay: Replay,
    roll: u64,
    wait: Duration,
) -> Decision {
    if replay == Replay::Never && !certainly_not_done(trouble) {
        return Decision::Stop;
    }
    if matches!(trouble, Trouble::Closed | Trouble::Unsent) && !attempt.replaced {
        return Decision::Replace;
    }
    if attempt.counted >= limits.request_tries {
        return Decision::Stop;
    }
    let retry = match trouble {
        // The resolver has tried for itself: once more for the one that was busy, and no more for the name that is wrong.
        Trouble::Nowhere if attempt.tries > 1 => Retry::Never,
        Trouble::Closed | Trouble::Unsent | Trouble::Unreached | Trouble::Nowhere => Retry::Backoff,
        Trouble::Unready(retry) | Trouble::Failed(retry) => retry,
        Trouble::Status(status, _) if !policy.is_passing(status) => Retry::Never,
        Trouble::Status(_, pause) => pause.map_or(Retry::Backoff, Retry::After),
    };
    let decision = match retry {
        Retry::Backoff => Decision::Again(backoff(limits, attempt.tries, roll).max(wait)),
        // As long as the other side says, unless that is longer than anybody waits (H8).
        Retry::After(pause) if pause <= limits.retry_after => Decision::Hold(pause.max(wait)),
        Retry::After(_) | Retry::Never => Decision::Stop,
    };
    match decision {
        Decision::Again(pause) | Decision::Hold(pause)
            if attempt.elapsed().saturating_add(pause) > limits.retry_total =>
        {
            Decision::Stop
        }
        // A token server speaks for itself, and not for the registry: it is its own gate that is closed.
        Decision::Hold(_) if matches!(trouble, Trouble::Unready(_)) => {
            Decision::Again(backoff(limits, attempt.tries, roll).max(wait))
        }
        decision => decision,
    }
}

/// A pause before the next try: a random part of a time that doubles with every try.
pub(crate) fn backoff(limits: &Limits, tries: u32, roll: u64) -> Duration {
    let doubled = limits.retry_pause.saturating_mul(1 << tries.clamp(1, 16).saturating_sub(1));
    let millis = u64::try_from(doubled.min(limits.retry_pause_most).as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(roll % millis.saturating_add(1))
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
pub(super) fn certainly_not_done(trouble: Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Status(StatusCode::TOO_MANY_REQUESTS, _)
            | Trouble::Nowhere
            | Trouble::Unready(_)
            | Trouble::Unreached
            | Trouble::Unsent
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(tries: u32) -> Attempt {
        Attempt { tries, counted: tries, replaced: true, ..Attempt::first() }
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
            ("not sent", Trouble::Unsent, fresh, Replay::Never, Decision::Replace),
            ("not sent again", Trouble::Unsent, attempt(1), Replay::Never, again(100)),
            ("not reached", Trouble::Unreached, attempt(1), Replay::Never, again(100)),
            ("not reached, last try", Trouble::Unreached, attempt(5), Replay::Safe, Decision::Stop),
            ("the user's own status", status(418, None), attempt(1), Replay::Safe, again(100)),
            ("no address", Trouble::Nowhere, attempt(1), Replay::Never, again(100)),
            ("no address again", Trouble::Nowhere, attempt(2), Replay::Safe, Decision::Stop),
            ("no token yet", Trouble::Unready(Retry::Backoff), attempt(1), Replay::Never, again(100)),
            (
                "no token for a while",
                Trouble::Unready(Retry::After(Duration::from_secs(7))),
                attempt(1),
                Replay::Never,
                again(100),
            ),
            (
                "no token for too long",
                Trouble::Unready(Retry::After(Duration::from_secs(61))),
                attempt(1),
                Replay::Never,
                Decision::Stop,
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
            let policy = Policy { statuses: vec![StatusCode::IM_A_TEAPOT] };
            let decided = |wait| decide(&limits, &policy, trouble, &attempt, replay, longest, wait);
            assert_eq!(decided(Duration::ZERO), expected, "{name}");
            // H25: no try comes before its turn in the host's budget, nor when all the time is over by then.
            let late = match expected {
                Decision::Again(_) => again(30_000),
                Decision::Hold(_) => hold(30),
                other => other,
            };
            assert_eq!(decided(Duration::from_secs(30)), late, "{name}");
            let too_late = if expected == Decision::Replace { Decision::Replace } else { Decision::Stop };
            assert_eq!(decided(Duration::from_secs(121)), too_late, "{name}");
        }
    }

    /// H8: to be told to wait again counts only if nobody else got through.
    #[test]
    fn who_waits_in_a_queue_that_moves_has_not_failed() {
        let told = Trouble::Status(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(5)));
        let mut waiting = attempt(5);
        waiting.queued(told, 0);
        assert_eq!(waiting.counted, 5, "nobody got through");
        waiting.queued(Trouble::Closed, 1);
        assert_eq!(waiting.counted, 5, "another failure");
        waiting.queued(told, 2);
        assert_eq!((waiting.counted, waiting.tries), (1, 5));
        waiting.again();
        waiting.queued(told, 2);
        assert_eq!(waiting.counted, 2, "once for each time");
    }

    #[test]
    fn a_pause_is_random_and_bounded() {
        let limits = Limits::default();
        for tries in 1..40 {
            for roll in [0, 1, 99, u64::MAX] {
                assert!(backoff(&limits, tries, roll) <= limits.retry_pause_most, "{tries} {roll}");
            }
        }
        assert_ne!((0..64).map(|_| roll()).collect::<std::collections::HashSet<_>>().len(), 1);
    }
}
