//! Upload sessions that were left open by work that was dropped in the middle (H24): kept in mind, so that whoever stops can
//! cancel them, which a drop can't.
//!
//! A session that was written down belongs to whoever wrote it down, and is not kept here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use gantri_spec::RepositoryName;
use tokio::sync::Notify;

use super::session::Session;
use crate::http::policy::Admitted;
use crate::remote::Remote;

/// The sessions that one registry was left with.
#[derive(Debug, Default)]
pub(crate) struct Left {
    state: Mutex<State>,
    /// Told when work ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    at_work: usize,
    sessions: Vec<(RepositoryName, Admitted)>,
}

/// Somebody fills a session. While it lives, what he leaves behind is not known.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Left>);

impl Left {
    /// More sessions than this are left to the registry: nobody has cancelled for long.
    const MANY: usize = 256;

    pub(super) fn begin(self: &Arc<Self>) -> AtWork {
        self.lock().at_work += 1;
        AtWork(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtWork {
    /// The session stays open, and nobody will fill it.
    pub(super) fn leave(&self, session: &Session) {
        let mut state = self.0.lock();
        if !session.is_written_down() && state.sessions.len() < Left::MANY {
            state.sessions.push(session.place());
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.lock().at_work -= 1;
        self.0.ended.notify_waiters();
    }
}

/// Cancels what was left, once nobody is at work any more: best effort.
pub(crate) async fn cancel_left(remote: &Remote) {
    let left = remote.left();
    loop {
        let mut ended = std::pin::pin!(left.ended.notified());
        ended.as_mut().enable();
        if left.lock().at_work == 0 {
            break;
        }
        ended.await;
    }
    let sessions = std::mem::take(&mut left.lock().sessions);
    join_all(sessions.into_iter().map(async |(repo, at)| {
        Session::at(remote, &repo, at).abandon(remote.limits()).await;
    }))
    .await;
}
