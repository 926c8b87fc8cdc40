//! The threads of one unpack, owned by the future that waits for them.
//!
//! They apply the layers below a staging directory and publish it. Dropping the crew stops them and waits until they are
//! gone and the staging directory with them: whoever drops an unpack finds nothing left behind.

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use gantri_core::{Error, Limits, Result};
use gantri_spec::Digest;
use tokio::sync::oneshot;

use super::pipeline::{Incoming, Pipeline};
use super::staging::{Staging, Target};
use super::tree::{Summary, Tree, TreeOptions};
use crate::stop::Stop;

/// What the crew is to do.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) target: Target,
    pub(super) incoming: Receiver<Incoming>,
    /// One for each layer that comes in.
    pub(super) diff_ids: Vec<Digest>,
    pub(super) limits: Limits,
}

#[derive(Debug)]
pub(super) struct Crew {
    stop: Stop,
    verdict: oneshot::Receiver<Result<Summary>>,
    thread: Option<JoinHandle<()>>,
}

impl Crew {
    pub(super) fn start(work: Work) -> Result<Self> {
        let (sender, verdict) = oneshot::channel();
        let stop = Stop::default();
        let seen = stop.clone();
        let thread = thread::Builder::new()
            .name("gantri-unpack".to_owned())
            .spawn(move || work.run(&seen, &Verdict(Mutex::new(Some(sender)))))
            .map_err(|error| Error::io("start a thread to unpack with", error))?;
        Ok(Self { stop, verdict, thread: Some(thread) })
    }

    /// What came of it; `None` if the crew ended because a download did.
    pub(super) async fn finished(&mut self) -> Option<Result<Summary>> {
        (&mut self.verdict).await.ok()
    }
}

impl Drop for Crew {
    /// Blocks for as long as removing what was unpacked so far takes. The threads end by themselves: they look at the
    /// flag between two blocks, and what they wait for breaks when the downloads are dropped, which must be before this.
    fn drop(&mut self) {
        self.stop.set();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The first word counts.
struct Verdict(Mutex<Option<oneshot::Sender<Result<Summary>>>>);

impl Verdict {
    fn give(&self, verdict: Result<Summary>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // A job that was dropped does not listen.
            let _ = sender.send(verdict);
        }
    }
}

impl Work {
    fn run(self, stop: &Stop, verdict: &Verdict) {
        match self.unpack(stop, verdict) {
            Ok(Some(summary)) => verdict.give(Ok(summary)),
            Ok(None) => {}
            Err(error) => verdict.give(Err(error)),
        }
    }

    /// `None` if it was interrupted, and the cause is known elsewhere.
    fn unpack(self, stop: &Stop, verdict: &Verdict) -> Result<Option<Summary>> {
        let Self { target, incoming, diff_ids, limits } = self;
        let staging = Staging::create(target)?;
        let mut tree = Tree::open(staging.open()?, TreeOptions::new(limits.clone()))?;
        let on_cause = |error| verdict.give(Err(error));
        let pipeline = Pipeline { diff_ids: &diff_ids, limits: &limits, stop, on_cause: &on_cause };
        let ran = pipeline.run(incoming, &mut |archive| tree.apply(archive));
        if ran.is_err() {
            return Ok(None);
        }
        let summary = tree.finish()?;
        if stop.is_set() {
            return Ok(None);
        }
        staging.publish()?;
        Ok(Some(summary))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_job_that_nobody_waits_for_publishes_nothing() {
        for stopped in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let target = Target::check(&dir.path().join("root")).unwrap();
            let stop = Stop::default();
            if stopped {
                stop.set();
            }
            let work = Work { target, incoming: channel().1, diff_ids: Vec::new(), limits: Limits::default() };
            work.run(&stop, &Verdict(Mutex::new(None)));
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(!stopped));
        }
    }
}
