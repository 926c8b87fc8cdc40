//! Blobs into a registry over HTTP: whole ([`put()`]), from another repository ([`mount()`]), or in steps ([`RemoteUpload`]).
//!
//! | file | decides |
//! | --- | --- |
//! | `state` | what is done next: the state machine, without a socket |
//! | `session` | how each step is said in HTTP, and where (A5) |
//! | `feed` | where the bytes of a blob come from, and what is held of them |
//! | `kept` | what of it outlives the process |
//! | `lessons` | what is remembered of a registry's ways |
//! | `left` | which sessions are left open by work that was dropped |
//! | `put`, `mount` | one blob, whole |

mod feed;
mod kept;
mod left;
mod lessons;
mod mount;
mod put;
mod session;
mod state;

use async_trait::async_trait;
use bytes::Bytes;
use gantri_core::{BlobUpload, Error, ErrorKind, Pull, Result, UploadSession};
use gantri_spec::wire::UploadRange;
use gantri_spec::{Algorithm, Descriptor, Digest, MediaType, RepositoryName};

pub use self::kept::{KeptSession, UploadSessions};
use self::left::AtWork;
pub(crate) use self::left::{Left, cancel_left};
pub(crate) use self::lessons::Lessons;
pub(crate) use self::mount::mount;
pub(crate) use self::put::put;
use self::session::Session;
use self::state::{Action, Chunks, Event, Machine, Refusal, Stop};
use crate::remote::Remote;
use crate::transport::{Payload, Response};

/// Starts an upload and drops it again: whether one may be started is all that is asked.
pub(crate) async fn check(remote: &Remote, repo: &RepositoryName) -> Result<()> {
    let what = format!("push to {}", remote.repository_name(repo));
    let (session, _) = Session::start(remote, repo, Algorithm::Sha256, &what).await?;
    session.abandon(remote.limits()).await;
    Ok(())
}

/// A blob that arrives at a registry in steps, at the offset that the registry has acknowledged.
///
/// A step whose answer never came leaves the upload *in doubt*: the next one asks where it stands before it sends a byte.
#[derive(Debug)]
pub(crate) struct RemoteUpload {
    remote: Remote,
    repo: RepositoryName,
    session: Session,
    algorithm: Algorithm,
    machine: Machine,
    at_work: AtWork,
    is_cancelled: bool,
    /// What went wrong last.
    last: Option<Error>,
}

impl RemoteUpload {
    /// Opens a session.
    pub(crate) async fn start(remote: &Remote, repo: &RepositoryName, algorithm: Algorithm) -> Result<Self> {
        let what = format!("upload to {}", remote.repository_name(repo));
        let (session, _) = Session::start(remote, repo, algorithm, &what).await?;
        Ok(Self::at(remote, repo, session, algorithm, fresh(remote)))
    }

    /// Takes up a session; asks the registry where it stands (end-13).
    pub(crate) async fn resume(remote: &Remote, repo: &RepositoryName, session: &UploadSession) -> Result<Self> {
        let limits = remote.limits();
        let machine =
            Machine::resumed(session.offset, Chunks::new(limits, remote.lessons().chunk()), limits.resume_tries);
        let place = Session::read_back(remote, repo, session)?;
        let mut upload = Self::at(remote, repo, place, session.algorithm, machine);
        let stands = upload.ask().await;
        upload.take_in(stands)?;
        Ok(upload)
    }

    /// The session that a registry opened instead of what it was asked for.
    fn answered(remote: &Remote, repo: &RepositoryName, algorithm: Algorithm, response: &Response) -> Result<Self> {
        let (session, _) = Session::of(remote, repo, response)?;
        Ok(Self::at(remote, repo, session, algorithm, fresh(remote)))
    }

    fn at(remote: &Remote, repo: &RepositoryName, session: Session, algorithm: Algorithm, machine: Machine) -> Self {
        let (remote, repo, at_work) = (remote.clone(), repo.clone(), remote.left().begin());
        Self { remote, repo, session, algorithm, machine, at_work, is_cancelled: false, last: None }
    }

    /// Finds out where the upload stands after a step whose answer never came.
    async fn settle(&mut self) -> Result<()> {
        if !self.machine.in_doubt() {
            return Ok(());
        }
        let before = self.machine.offset();
        let stands = self.ask().await;
        self.take_in(stands)?;
        match self.machine.offset() {
            after if after == before => Ok(()),
            after => Err(stopped(Stop::Elsewhere(after), &self.session.name(), before)),
        }
    }

    /// Does what the machine says until it rests: `chunk` lies at `start`, and `digest` is committed.
    async fn run(&mut self, start: u64, chunk: &Bytes, digest: Option<&Digest>) -> Result<()> {
        loop {
            let event = match (self.machine.next(), digest) {
                (Action::Send { from, to }, _) => self.send(from, part(chunk, from - start, to - start)).await?,
                (Action::Ask, _) => self.ask().await,
                (Action::Commit { .. }, Some(digest)) => self.commit(digest).await?,
                (Action::Look, Some(digest)) => match self.remote.resolve_blob(&self.repo, digest).await {
                    Ok(_) => Event::Present,
                    Err(error) if error.kind() == ErrorKind::BlobUnknown => Event::Missing,
                    Err(error) => return Err(error),
                },
                (Action::Rest, _) => return Ok(()),
                (Action::Start | Action::Commit { .. } | Action::Look, _) => {
                    return Err(stopped(Stop::Unknown, &self.session.name(), start));
                }
            };
            self.take_in(event)?;
        }
    }

    async fn send(&mut self, from: u64, chunk: Bytes) -> Result<Event> {
        match self.session.send(from, Payload::bytes(chunk)).await {
            Ok(said) => {
                if let Some(size) = self.machine.learned() {
                    self.remote.lessons().learn_chunk(size);
                }
                Ok(Event::Accepted(said))
            }
            Err(error) => self.refused(error).await,
        }
    }

    async fn commit(&mut self, digest: &Digest) -> Result<Event> {
        match self.session.commit(digest, Payload::default()).await {
            Ok(()) => Ok(Event::Committed),
            Err(error) => self.refused(error).await,
        }
    }

    async fn ask(&mut self) -> Event {
        stands(self.session.ask(self.machine.worth()).await, &mut self.last)
    }

    async fn refused(&mut self, error: Error) -> Result<Event> {
        let refusal = Refusal::of(&error);
        failed(error, refusal, self.machine.stalls(), &self.remote, &mut self.last).await
    }

    fn take_in(&mut self, event: Event) -> Result<()> {
        let before = self.machine.offset();
        self.machine.on(event).map_err(|stop| match (stop, self.last.take()) {
            (Stop::Final | Stop::Unknown, Some(error)) => error,
            _ => stopped(stop, &self.session.name(), before),
        })
    }
}

#[async_trait]
impl BlobUpload for RemoteUpload {
    fn offset(&self) -> u64 {
        self.machine.offset()
    }

    fn session(&self) -> UploadSession {
        self.session.write_down(self.machine.offset(), self.algorithm)
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.settle().await?;
        self.machine.extend(chunk.len() as u64);
        self.run(self.machine.offset(), &chunk, None).await
    }

    async fn commit(mut self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        self.settle().await?;
        self.machine.finish();
        let size = self.machine.offset();
        self.run(size, &Bytes::new(), Some(digest)).await?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size))
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        let cancelled = self.session.cancel().await;
        self.is_cancelled = cancelled.is_ok();
        cancelled
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if self.machine.session_is_open() && !self.is_cancelled {
            self.at_work.leave(&self.session);
        }
    }
}

fn fresh(remote: &Remote) -> Machine {
    let limits = remote.limits();
    Machine::shared(0, Chunks::new(limits, remote.lessons().chunk()), limits.resume_tries)
}

/// What came of asking where an upload stands; what went wrong with that is kept as the last that did.
fn stands(answer: Result<Option<UploadRange>>, last: &mut Option<Error>) -> Event {
    match answer {
        Ok(said) => Event::Stands(said),
        Err(error) => {
            let refusal = Refusal::of(&error);
            *last = Some(error);
            Event::Untold(refusal)
        }
    }
}

/// What came of a step that failed, once there was time for it to pass.
async fn failed(
    error: Error,
    refusal: Refusal,
    stalls: u32,
    remote: &Remote,
    last: &mut Option<Error>,
) -> Result<Event> {
    if refusal == Refusal::Lost && !remote.transport().rest_after(&error, stalls + 1).await {
        return Err(error);
    }
    *last = Some(error);
    Ok(Event::Refused(refusal))
}

/// The error for an upload that can't go on although nothing was refused.
fn stopped(stop: Stop, what: &str, expected: u64) -> Error {
    match stop {
        Stop::Final => Error::new(ErrorKind::Protocol, format!("{what}: it never gets beyond {expected}")),
        Stop::Unknown => Error::new(ErrorKind::UploadUnknown, format!("{what}: no such upload, or no longer")),
        Stop::Elsewhere(stands) => {
            Error::new(ErrorKind::RangeInvalid, format!("{what}: stands at {stands}, not at {expected}"))
        }
    }
}

fn part(chunk: &Bytes, from: u64, to: u64) -> Bytes {
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(chunk.len());
    chunk.slice(index(from)..index(to))
}
