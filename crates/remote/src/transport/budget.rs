//! The tries beyond their first that the requests to one host have left: a bucket that empties by one a try, and fills up by
//! time and by every answer. It never refuses; it says how long to wait (H25).

use std::time::Duration;

use tokio::time::Instant;

/// A try: as many thousandths as a second has milliseconds, so that one comes back every second.
const TRY: i64 = 1_000;
/// What an answer gives back of one.
const ANSWER: i64 = TRY / 2;
/// Thousandths of tries; below zero, as many as were taken in advance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    most: i64,
    left: i64,
    at: Instant,
}

impl Budget {
    pub(super) fn full(tries: u32, now: Instant) -> Self {
        let most = i64::from(tries) * TRY;
        Self { most, left: most, at: now }
    }

    /// How long a try taken now would have to wait.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_millis(u64::try_from(TRY - self.left).unwrap_or(0))
    }

    /// Takes one, if need be in advance.
    pub(super) fn take(&mut self, now: Instant) {
        self.fill(now);
        self.left -= TRY;
    }

    pub(super) fn answered(&mut self) {
        self.left = (self.left + ANSWER).min(self.most);
    }

    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left == self.most
    }

    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.at);
        let whole = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(i64::try_from(whole).unwrap_or(i64::MAX)).min(self.most);
        self.at += Duration::from_millis(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H25: so many at once, then one a second, and half of one more for every answer.
    #[test]
    fn a_budget_empties_by_tries_and_fills_by_time_and_answers() {
        let start = Instant::now();
        let mut budget = Budget::full(3, start);
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(budget.wait(start).as_millis());
            budget.take(start);
        }
        assert_eq!(waits, [0, 0, 0, 1_000, 2_000]);
        assert_eq!(budget.wait(start + Duration::from_secs(2)).as_millis(), 1_000);
        budget.answered();
        budget.answered();
        assert_eq!(budget.wait(start + Duration::from_secs(2)), Duration::ZERO);
        assert!(!budget.is_full(start + Duration::from_secs(3)));
        assert!(budget.is_full(start + Duration::from_hours(1)));
        assert_eq!(Budget::full(0, start).wait(start), Duration::from_secs(1), "nothing is left, but time goes on");
    }
}
