//! How many requests one registry sees at a time, and the gate that its `Retry-After` closes for all of them.
//!
//! Two lanes: whoever holds a permit of the light lane waits for nothing else; a request that streams a body may be waiting
//! for the light lane (a copy within one host reads while it writes), never the other way round, so no circle of waiting
//! can close. A permit ends when the head of the answer is in: how many bodies are open is the job's business.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until};

use super::retry::roll;

/// Which lane a request takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    /// No body, or one that lies in memory.
    Light,
    /// A body that is read from somewhere while it is sent.
    Streamed,
}

/// The lanes and the gate of one registry.
#[derive(Debug)]
pub(super) struct Throttle {
    light: Semaphore,
    streamed: Semaphore,
    closed_until: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(super) fn new(requests: usize) -> Self {
        let requests = requests.clamp(1, Semaphore::MAX_PERMITS);
        Self { light: Semaphore::new(requests), streamed: Semaphore::new(requests), closed_until: Mutex::default() }
    }

    /// Waits for a place in the lane and for the gate. `None` only if the lane is gone, which it never is.
    pub(super) async fn enter(&self, lane: Lane) -> Option<SemaphorePermit<'_>> {
        let lane = match lane {
            Lane::Light => &self.light,
            Lane::Streamed => &self.streamed,
        };
        loop {
            self.gate().await;
            let permit = lane.acquire().await.ok();
            if self.closed().is_none() {
                return permit;
            }
        }
    }

    /// Closes the gate for everybody (H8).
    pub(super) fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(closed.map_or(until, |already| already.max(until)));
    }

    /// Waits until the gate is open, and then a little: whoever waited there must not start together.
    async fn gate(&self) {
        const SPREAD: u64 = 250;
        while let Some(until) = self.closed() {
            sleep_until(until).await;
            sleep(Duration::from_millis(roll() % SPREAD)).await;
        }
    }

    fn closed(&self) -> Option<Instant> {
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.is_some_and(|until| until <= Instant::now()) {
            *closed = None;
        }
        *closed
    }
}
