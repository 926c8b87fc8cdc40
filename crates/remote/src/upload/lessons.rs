//! What a registry has taught about uploads, for as long as its [`Remote`](crate::Remote) lives; clones share it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    /// The largest chunk that was taken after a larger one was refused; 0 if none was.
    chunk: AtomicU64,
    two_steps: AtomicBool,
}

impl Lessons {
    /// The largest chunk that goes (H17); `None` as long as none was refused.
    pub(crate) fn chunk(&self) -> Option<u64> {
        Some(self.chunk.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    pub(crate) fn learn_chunk(&self, bytes: u64) {
        self.chunk.store(bytes, Ordering::Relaxed);
    }

    /// Whether a small blob may go with the first request (end-4b).
    pub(crate) fn takes_at_once(&self) -> bool {
        !self.two_steps.load(Ordering::Relaxed)
    }

    pub(crate) fn learn_two_steps(&self) {
        self.two_steps.store(true, Ordering::Relaxed);
    }
}
