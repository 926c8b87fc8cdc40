//! What a job tells while it runs.
//!
//! Bytes are counted where they pass, not in backends; an observer is told, and decides nothing.

use std::fmt::Debug;
use std::time::Duration;

use gantri_spec::Descriptor;

/// Hears about a job's progress.
///
/// Called from whatever task or thread does the work: it must be quick, must not block and must not panic.
pub trait Observer: Debug + Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// One thing that happened.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Work on this blob or manifest began.
    Started(&'a Descriptor),
    /// So many more bytes of it passed.
    Bytes {
        /// What they belong to.
        of: &'a Descriptor,
        /// How many bytes passed since the last event.
        count: u64,
    },
    /// It was at the target already.
    Skipped(&'a Descriptor),
    /// Another repository of the target had it, and it was made available from there: no byte passed.
    Mounted(&'a Descriptor),
    /// It is done and verified.
    Finished(&'a Descriptor),
    /// The user should know this; the job goes on. It may quote what a registry says, and must be made harmless before it
    /// is shown.
    Notice(&'a str),
    /// A registry asks to be left alone for a while, and so it is.
    Waiting {
        /// Its host.
        host: &'a str,
        /// For how long, from now.
        pause: Duration,
    },
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _event: &Event<'_>) {}
}
