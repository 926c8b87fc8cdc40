//! A whole blob into a registry: what the machine of [`state`](super::state) says, done over the transport.
//!
//! The blob is asked for first: one that is there already is not opened. Then a session that an earlier process left is gone
//! on with where it stands. Else small ones go with the first request where the
//! registry knows that, larger ones in one more, and what is larger than `Limits::monolithic_put` in a session that can be
//! taken up where it stands.

use gantri_core::{BlobBody, Error, ErrorKind, Result, Retry};
use gantri_spec::wire::{Endpoint, Scope};
use gantri_spec::{Descriptor, RepositoryName};
use http::{Method, StatusCode};

use super::feed::Feed;
use super::kept::Kept;
use super::left::AtWork;
use super::session::{Session, Started};
use super::state::{Action, Chunks, Event, Machine, Party, Refusal, Stop};
use super::{failed, stands, stopped};
use crate::manifest::confirm;
use crate::remote::Remote;
use crate::transport::{Payload, Request};

/// Blobs up to this size are sent with the first request to a registry that is not known to refuse that: it costs less than
/// the request that it saves.
const WITH_THE_START: u64 = 4 << 10;

/// Stores a blob. See [`Push::put_blob`](gantri_core::Push::put_blob).
pub(crate) async fn put(remote: &Remote, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
    let what = format!("push {}", remote.blob_name(repo, &blob.digest));
    if holds(remote, repo, blob, &what).await? {
        return Ok(());
    }
    let mut put = Put::new(remote, repo, blob, body, what);
    put.take_up().await;
    let outcome = put.run().await;
    put.leave(outcome.as_ref().err()).await;
    outcome.map_err(|error| error.during(&put.what))
}

/// Whether the blob is there, as far as the registry can be believed: under another digest or with another size it is not.
/// Whoever may push but not pull is not told; then it is taken for missing.
async fn holds(remote: &Remote, repo: &RepositoryName, blob: &Descriptor, what: &str) -> Result<bool> {
    let endpoint = Endpoint::ResolveBlob { repo: repo.clone(), digest: blob.digest.clone() };
    let at = remote.request(&endpoint, what).into_home();
    // By the scope of the push that follows, so that one token does for both.
    let mut request = Request::to(Method::HEAD, at, Scope::push(repo), what).absent(ErrorKind::BlobUnknown);
    match remote.transport().send(&mut request).await {
        Ok(response) => Ok(response.head.status == StatusCode::OK
            && !response.is_web_page()
            && confirm(&response, &blob.digest).is_ok()
            && response.length().is_none_or(|length| length == blob.size)),
        Err(error) if error.retry() == Retry::Never => Ok(false),
        Err(error) => Err(error),
    }
}

/// One blob on its way.
struct Put<'a> {
    remote: &'a Remote,
    repo: &'a RepositoryName,
    blob: &'a Descriptor,
    what: String,
    feed: Feed,
    machine: Machine,
    session: Option<Session>,
    /// Where the session is kept for whoever comes after.
    kept: Kept,
    at_work: AtWork,
    /// What went wrong last.
    last: Option<Error>,
}

impl<'a> Put<'a> {
    fn new(remote: &'a Remote, repo: &'a RepositoryName, blob: &'a Descriptor, body: BlobBody, what: String) -> Self {
        let limits = remote.limits();
        let feed = Feed::new(blob, body, limits);
        let chunks = Chunks::new(limits, remote.lessons().chunk());
        let chunks = if feed.party() == Party::Alone { chunks } else { chunks.held() };
        let machine = Machine::whole(feed.party(), blob.size, chunks, limits.resume_tries);
        let (kept, at_work) = (Kept::default(), remote.left().begin());
        Self { remote, repo, blob, what, feed, machine, session: None, kept, at_work, last: None }
    }

    /// Goes on with what an earlier process left, if the body can be read from any byte.
    async fn take_up(&mut self) {
        if self.feed.party() != Party::Alone {
            return;
        }
        self.kept = Kept::open(self.remote, self.repo, self.blob).await;
        if let Some((session, stands)) = self.kept.take_up(self.remote, self.repo).await {
            tracing::debug!(blob = %self.blob.digest, ?stands, "goes on with the upload of an earlier process");
            // Whatever it says, there is a way on from here: a new session at the worst.
            let _ = self.machine.inherit(stands);
            self.session = Some(session);
        }
    }

    async fn run(&mut self) -> Result<()> {
        loop {
            let event = match self.machine.next() {
                Action::Start => self.start().await?,
                Action::Send { from, to } => self.send(from, to).await?,
                Action::Commit { from } => self.commit(from).await?,
                Action::Ask => self.ask().await?,
                Action::Look if holds(self.remote, self.repo, self.blob, &self.what).await? => Event::Present,
                Action::Look => Event::Missing,
                Action::Rest => return Ok(()),
            };
            tracing::debug!(blob = %self.blob.digest, ?event, "upload");
            self.machine.on(event).map_err(|stop| self.stopped(stop))?;
            if self.machine.is_gone() {
                self.session = None;
            }
            if let Some(session) = self.session.as_ref().filter(|_| self.machine.session_is_open()) {
                self.kept.keep(session, self.machine.offset(), self.blob).await;
            }
        }
    }

    async fn start(&mut self) -> Result<Event> {
        if let Some(left) = self.session.take() {
            left.abandon(self.remote.limits()).await;
        }
        if self.blob.size <= WITH_THE_START && self.remote.lessons().takes_at_once() {
            match self.start_with_the_blob().await? {
                Some(Started::Stored) => return Ok(Event::Committed),
                Some(Started::Session(session, least)) => return Ok(self.started(session, least)),
                None => {}
            }
        }
        let algorithm = self.blob.digest.algorithm();
        let (session, least) = Session::start(self.remote, self.repo, algorithm, &self.what).await?;
        Ok(self.started(session, least))
    }

    /// `None` if the registry does not like it; it is not asked again, by nobody.
    async fn start_with_the_blob(&mut self) -> Result<Option<Started>> {
        let payload = self.feed.payload(0, self.blob.size).await?;
        let started = Session::start_with(self.remote, self.repo, &self.blob.digest, payload, &self.what).await;
        let failure = self.feed.failure();
        let lessons = self.remote.lessons();
        match started {
            Ok(started) => {
                if matches!(started, Started::Session(..)) {
                    lessons.learn_two_steps();
                }
                Ok(Some(started))
            }
            Err(error) if failure.is_some() || says_no_to_everything(&error) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "a blob is not taken with the first request");
                lessons.learn_two_steps();
                Ok(None)
            }
        }
    }

    fn started(&mut self, session: Session, least: Option<u64>) -> Event {
        if let Some(least) = least {
            self.machine.ask_least(least);
        }
        self.session = Some(session);
        Event::Started
    }

    async fn send(&mut self, from: u64, to: u64) -> Result<Event> {
        let payload = match self.feed.payload(from, to).await {
            Ok(payload) => payload,
            Err(error) => return self.refused(error).await,
        };
        let Some(session) = &mut self.session else { return Err(no_session()) };
        match session.send(from, payload).await {
            Ok(said) => {
                if let Some(size) = self.machine.learned() {
                    self.remote.lessons().learn_chunk(size);
                }
                Ok(Event::Accepted(said))
            }
            Err(error) => self.refused(error).await,
        }
    }

    async fn commit(&mut self, from: u64) -> Result<Event> {
        let payload = if from < self.blob.size || self.blob.size == 0 {
            match self.feed.payload(from, self.blob.size).await {
                Ok(payload) => payload,
                Err(error) => return self.refused(error).await,
            }
        } else {
            Payload::default()
        };
        let Some(session) = &mut self.session else { return Err(no_session()) };
        match session.commit(&self.blob.digest, payload).await {
            Ok(()) => Ok(Event::Committed),
            Err(error) => self.refused(error).await,
        }
    }

    async fn ask(&mut self) -> Result<Event> {
        let Some(session) = &mut self.session else { return Err(no_session()) };
        Ok(stands(session.ask(self.machine.worth()).await, &mut self.last))
    }

    /// What a failed step means. A body that has failed and will fail again is not the registry's fault.
    async fn refused(&mut self, error: Error) -> Result<Event> {
        let refusal = match self.feed.failure() {
            Some(Retry::Never) => return Err(error),
            Some(_) => Refusal::Lost,
            None => Refusal::of(&error),
        };
        failed(error, refusal, self.machine.stalls(), self.remote, &mut self.last).await
    }

    fn stopped(&mut self, stop: Stop) -> Error {
        self.last.take().unwrap_or_else(|| stopped(stop, &self.what, self.machine.offset()))
    }

    /// The end of it: nothing is kept of an upload that is over, and one that may yet be whole is left as it stands.
    async fn leave(&mut self, error: Option<&Error>) {
        if error.is_some_and(|error| self.kept.outlives(error)) {
            return;
        }
        self.kept.forget().await;
        let open = self.session.take().filter(|_| error.is_some() && self.machine.session_is_open());
        if let Some(session) = open {
            session.abandon(self.remote.limits()).await;
        }
    }
}

impl Drop for Put<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|_| self.machine.session_is_open()) {
            self.at_work.leave(&session);
        }
    }
}

/// Whether another way to ask would be answered alike.
fn says_no_to_everything(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied)
        || error.retry() != Retry::Never
        || error.status().is_none()
}

fn no_session() -> Error {
    Error::new(ErrorKind::UploadUnknown, "no upload session")
}
