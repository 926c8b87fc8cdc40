//! Upload sessions that outlive their process: where they are kept is the caller's, when they are kept, and when one is
//! gone on with, is decided here.
//!
//! A session is written down when it is opened, and again whenever the registry names another place for it. The next
//! process asks the registry where it stands and sends what is missing; one that the registry does not know, or says
//! nothing of, is forgotten.

use std::fmt::Debug;

use async_trait::async_trait;
use gantri_core::{Error, ErrorKind, UploadSession};
use gantri_spec::wire::UploadRange;
use gantri_spec::{Descriptor, Host, RepositoryName};

use super::session::Session;
use crate::remote::Remote;

/// Where upload sessions are kept, so that a process can go on with what another one began.
///
/// Nothing is kept by default; see [`RemoteBuilder::upload_sessions`](crate::RemoteBuilder::upload_sessions). Keeping is a
/// courtesy: what goes wrong with it is for the implementation to tell of, and stops no upload.
#[async_trait]
pub trait UploadSessions: Debug + Send + Sync + 'static {
    /// The place of one blob's session, for the caller alone until it is dropped. `None` if somebody else has it in hand,
    /// or it is not to be kept: a small blob is sent again sooner.
    async fn open(&self, registry: &Host, repo: &RepositoryName, blob: &Descriptor) -> Option<Box<dyn KeptSession>>;
}

/// The place of one session.
#[async_trait]
pub trait KeptSession: Debug + Send {
    /// What was put here last, by whomever. It may hold what only its owner should know.
    fn session(&self) -> Option<UploadSession>;

    /// Puts it here, in place of what was.
    async fn keep(&mut self, session: UploadSession);

    /// Takes away what is here: that upload has ended, or is lost. Another one of the same blob may be put here after it.
    async fn forget(&mut self);
}

/// The place for the session of one put.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<Box<dyn KeptSession>>);

impl Kept {
    pub(super) async fn open(remote: &Remote, repo: &RepositoryName, blob: &Descriptor) -> Self {
        match remote.upload_sessions() {
            Some(sessions) => Self(sessions.open(remote.host(), repo, blob).await),
            None => Self::default(),
        }
    }

    /// The session that another process left, and where the registry says that it stands.
    pub(super) async fn take_up(
        &mut self,
        remote: &Remote,
        repo: &RepositoryName,
    ) -> Option<(Session, Option<UploadRange>)> {
        let left = self.0.as_ref()?.session()?;
        let outcome = match Session::read_back(remote, repo, &left) {
            Ok(mut session) => session.ask(1).await.map(|stands| (session, stands)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::debug!(%error, "the upload of an earlier process is not gone on with");
                if !may_pass(&error) {
                    self.forget().await;
                }
                None
            }
        }
    }

    pub(super) async fn keep(&mut self, session: &Session, offset: u64, blob: &Descriptor) {
        if let Some(kept) = &mut self.0 {
            let session = session.write_down(offset, blob.digest.algorithm());
            if kept.session().is_none_or(|known| known.id != session.id) {
                kept.keep(session).await;
            }
        }
    }

    pub(super) async fn forget(&mut self) {
        if let Some(kept) = &mut self.0 {
            kept.forget().await;
        }
    }

    /// Whether an upload that failed so is left to be gone on with.
    pub(super) fn outlives(&self, error: &Error) -> bool {
        may_pass(error) && self.0.as_ref().is_some_and(|kept| kept.session().is_some())
    }
}

fn may_pass(error: &Error) -> bool {
    use ErrorKind::{Connect, RateLimited, Timeout, Unavailable};
    matches!(error.kind(), Connect | RateLimited | Timeout | Unavailable)
}
