//! The requests of one upload session, at the place where the registry says it goes on (A5): absolute or relative, its
//! query kept, the digest added to it.

use std::sync::atomic::{AtomicBool, Ordering};

use gantri_core::{ErrorKind, Limits, Result, UploadSession};
use gantri_spec::wire::{Endpoint, Scope, UploadRange};
use gantri_spec::{Algorithm, Digest, RepositoryName};
use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};

use crate::http::Destination;
use crate::http::policy::{Admitted, Purpose, Speaker};
use crate::manifest::{DIGEST_HEADER, confirm};
use crate::remote::{Remote, header};
use crate::transport::{Attempt, Payload, Replay, Request, Response};

const LEAST_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What marks a session that was written down as one of [`Destination::Outside`] (A7): a fragment, which is never sent and
/// which no URL has that was admitted.
const OUTSIDE: &str = "outside";

/// Where an upload goes on.
#[derive(Debug)]
pub(super) struct Session {
    remote: Remote,
    repo: RepositoryName,
    at: Admitted,
    /// What asking where it stands has been through since something was taken (H25).
    attempt: Attempt,
    /// The most that the registry said it holds when that was worth another set of tries.
    stood: u64,
    /// Whether somebody may come back to it.
    written_down: AtomicBool,
}

/// What a registry answers to the start of an upload.
pub(super) enum Started {
    /// A session, and the least size of its chunks if the registry asks for one.
    Session(Session, Option<u64>),
    /// The blob, there already.
    Stored,
}

impl Session {
    /// Opens a session (end-4a, end-4c).
    pub(super) async fn start(
        remote: &Remote,
        repo: &RepositoryName,
        algorithm: Algorithm,
        what: &str,
    ) -> Result<(Self, Option<u64>)> {
        let algorithm = Some(algorithm).filter(|algorithm| *algorithm != Algorithm::Sha256);
        let endpoint = Endpoint::StartUpload { repo: repo.clone(), algorithm };
        // A session that nobody uses costs nobody anything.
        let mut request = remote.request(&endpoint, what).replay(Replay::Safe);
        let response = remote.transport().send(&mut request).await?;
        Self::of(remote, repo, &response).map_err(|error| error.during(what))
    }

    /// Sends a small blob with the first request (end-4b): 201 if the registry knows that, else a session.
    pub(super) async fn start_with(
        remote: &Remote,
        repo: &RepositoryName,
        digest: &Digest,
        payload: Payload,
        what: &str,
    ) -> Result<Started> {
        let endpoint = Endpoint::PutBlobAtOnce { repo: repo.clone(), digest: digest.clone() };
        let mut request = remote.request(&endpoint, what).header(CONTENT_TYPE, OCTETS).payload(payload);
        request = request.replay(Replay::Safe);
        let response = remote.transport().send(&mut request).await?;
        // Only what is confirmed by its digest is there: other success is other registries' way to open a session (H16).
        if response.text(&DIGEST_HEADER).is_some_and(|named| named == digest.as_str()) {
            return Ok(Started::Stored);
        }
        let (session, least) = Self::of(remote, repo, &response).map_err(|error| error.during(what))?;
        Ok(Started::Session(session, least))
    }

    /// The session that an answer names, and the least chunk that it asks for.
    pub(super) fn of(remote: &Remote, repo: &RepositoryName, response: &Response) -> Result<(Self, Option<u64>)> {
        let at = remote.location(response)?;
        let least = response.text(&LEAST_CHUNK).and_then(|bytes| bytes.parse().ok());
        Ok((Self::at(remote, repo, at), least))
    }

    /// A session that was written down.
    ///
    /// # Errors
    /// `Protocol` if it leads where this registry may not lead.
    pub(super) fn read_back(remote: &Remote, repo: &RepositoryName, session: &UploadSession) -> Result<Self> {
        let base = remote.request(&Endpoint::Ping, "").url().clone();
        let outside = session.id.split_once('#').is_some_and(|(_, mark)| mark == OUTSIDE);
        let at = remote.admit(Purpose::Upload, Speaker { url: &base, outside }, &session.id)?;
        let session = Self::at(remote, repo, at);
        session.written_down.store(true, Ordering::Relaxed);
        Ok(session)
    }

    /// The session at a place that was admitted.
    pub(super) fn at(remote: &Remote, repo: &RepositoryName, at: Admitted) -> Self {
        let written_down = AtomicBool::new(false);
        Self { remote: remote.clone(), repo: repo.clone(), at, attempt: Attempt::first(), stood: 0, written_down }
    }

    /// Where it goes on.
    pub(super) fn place(&self) -> (RepositoryName, Admitted) {
        (self.repo.clone(), self.at.clone())
    }

    /// Whether somebody may come back to it.
    pub(super) fn is_written_down(&self) -> bool {
        self.written_down.load(Ordering::Relaxed)
    }

    /// To be written down: whoever does so may come back to it, so it is not cancelled when work on it is dropped.
    pub(super) fn write_down(&self, offset: u64, algorithm: Algorithm) -> UploadSession {
        self.written_down.store(true, Ordering::Relaxed);
        let mut url = self.at.url.clone();
        url.set_fragment((self.at.destination == Destination::Outside).then_some(OUTSIDE));
        UploadSession::new(url, offset, algorithm)
    }

    /// What errors call it.
    pub(super) fn name(&self) -> String {
        format!("upload to {}", self.remote.repository_name(&self.repo))
    }

    /// Sends the bytes that begin at `from` (end-5). Gives what the registry says it holds, if it says so.
    pub(super) async fn send(&mut self, from: u64, payload: Payload) -> Result<Option<UploadRange>> {
        let range = UploadRange { start: from, end: from.saturating_add(payload.length()) };
        let mut request = self
            .request(Method::PATCH, self.at.clone())
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_RANGE, header(&range.to_string())?)
            .payload(payload);
        let response = self.remote.transport().send(&mut request).await?;
        self.attempt = Attempt::first();
        self.relocate(&response)?;
        Ok(response.text(&RANGE).and_then(|text| text.parse().ok()))
    }

    /// Asks where the upload stands (end-13). What can't be understood is not said.
    ///
    /// The time counts from each question on, for what was sent since the last one is none of its waiting. The tries count
    /// anew once the registry holds so much more that it is `worth` it.
    pub(super) async fn ask(&mut self, worth: u64) -> Result<Option<UploadRange>> {
        self.attempt.asks_anew();
        let mut request = self.request(Method::GET, self.at.clone());
        let response = self.remote.transport().send_within(&mut request, &mut self.attempt).await?;
        self.relocate(&response)?;
        let said: Option<UploadRange> = response.text(&RANGE).and_then(|text| text.parse().ok());
        let stands = said.filter(|said| !said.may_be_empty()).map_or(0, |said| said.end);
        if stands.saturating_sub(self.stood) >= worth {
            (self.attempt, self.stood) = (Attempt::first(), stands);
        }
        Ok(said)
    }

    /// Ends the upload (end-6), with the bytes that are left. A refused digest ends it too.
    pub(super) async fn commit(&mut self, digest: &Digest, payload: Payload) -> Result<()> {
        let mut at = self.at.clone();
        at.url.query_pairs_mut().append_pair("digest", digest.as_str());
        let mut request = self.request(Method::PUT, at).payload(payload).replay(Replay::Never);
        if !request.is_empty() {
            request = request.header(CONTENT_TYPE, OCTETS);
        }
        let response = self.remote.transport().send(&mut request).await?;
        confirm(&response, digest)
    }

    /// Drops the upload (end-14).
    pub(super) async fn cancel(&self) -> Result<()> {
        let mut request = self.request(Method::DELETE, self.at.clone());
        self.remote.transport().send(&mut request).await.map(drop)
    }

    /// Drops the upload if that can be done in a moment: for whoever has failed already.
    pub(super) async fn abandon(&self, limits: &Limits) {
        match tokio::time::timeout(limits.connect, self.cancel()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an upload session is left behind"),
            Err(_) => tracing::debug!("an upload session is left behind: no answer in time"),
        }
    }

    fn request(&self, method: Method, at: Admitted) -> Request {
        Request::to(method, at, Scope::push(&self.repo), self.name()).absent(ErrorKind::UploadUnknown)
    }

    fn relocate(&mut self, response: &Response) -> Result<()> {
        if response.text(&LOCATION).is_some() {
            self.at = self.remote.location(response)?;
        }
        Ok(())
    }
}
