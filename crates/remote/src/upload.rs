//! A blob that arrives at a registry in steps: `PATCH` by `PATCH`, at the offset that the registry has acknowledged.
//!
//! Where it goes on is the registry's own and is taken as given (A5). A step whose answer never came leaves the upload *in
//! doubt*: the next one asks where it stands before it sends a byte.

use async_trait::async_trait;
use bytes::Bytes;
use gantri_core::{BlobUpload, Error, ErrorKind, Result, UploadSession};
use gantri_spec::wire::{Scope, UploadRange};
use gantri_spec::{Algorithm, Descriptor, Digest, MediaType, RepositoryName};
use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};

use crate::http::policy::{Admitted, Purpose};
use crate::remote::{Remote, header};
use crate::transport::{Replay, Request, Response};

/// An upload session at a registry.
#[derive(Debug)]
pub(crate) struct RemoteUpload {
    remote: Remote,
    repo: RepositoryName,
    at: Admitted,
    offset: u64,
    algorithm: Algorithm,
    doubt: Doubt,
}

/// Whether we know where the upload stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    None,
    /// A step was sent and never answered.
    Sent,
}

impl RemoteUpload {
    pub(crate) fn new(remote: Remote, repo: RepositoryName, at: Admitted, algorithm: Algorithm) -> Self {
        Self { remote, repo, at, offset: 0, algorithm, doubt: Doubt::None }
    }

    /// Takes up a session; asks the registry where it stands (end-13).
    pub(crate) async fn resume(remote: Remote, repo: RepositoryName, session: UploadSession) -> Result<Self> {
        let base = remote.request(&gantri_spec::wire::Endpoint::Ping, "").url().clone();
        let at = remote.admit(Purpose::Upload, &base, &session.id)?;
        let mut upload =
            Self { remote, repo, at, offset: session.offset, algorithm: session.algorithm, doubt: Doubt::None };
        upload.offset = upload.probe().await?;
        Ok(upload)
    }

    fn request(&self, method: Method, at: Admitted) -> Request {
        let what = format!("upload to {}", self.remote.repository_name(&self.repo));
        Request::to(method, at, Scope::push(&self.repo), what).absent(ErrorKind::UploadUnknown)
    }

    /// The bytes that the registry says it holds.
    async fn probe(&mut self) -> Result<u64> {
        let mut request = self.request(Method::GET, self.at.clone());
        let response = self.remote.transport().send(&mut request).await?;
        self.relocate(&response)?;
        match response.text(&RANGE).map(str::parse::<UploadRange>) {
            None => Ok(0),
            // Distribution says `0-0` for an empty upload (H15).
            Some(Ok(range)) if range.may_be_empty() && self.offset == 0 => Ok(0),
            Some(Ok(range)) => Ok(range.end),
            Some(Err(error)) => Err(Error::new(ErrorKind::Protocol, "upload status").with_source(error)),
        }
    }

    /// Finds out where the upload stands after a step whose answer never came.
    async fn settle(&mut self) -> Result<()> {
        if self.doubt == Doubt::None {
            return Ok(());
        }
        let offset = self.probe().await?;
        self.doubt = Doubt::None;
        if offset == self.offset {
            return Ok(());
        }
        let what = format!("upload to {}: stands at {offset}, not at {}", self.repo, self.offset);
        self.offset = offset;
        Err(Error::new(ErrorKind::RangeInvalid, what))
    }

    /// Sends one chunk and gives the offset that the registry acknowledges.
    async fn send(&mut self, chunk: &Bytes) -> Result<u64> {
        let end = self.offset + chunk.len() as u64;
        let range = UploadRange { start: self.offset, end };
        let mut request = self
            .request(Method::PATCH, self.at.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .header(CONTENT_RANGE, header(&range.to_string())?)
            .bytes(chunk.clone());
        self.doubt = Doubt::Sent;
        let response = self.remote.transport().send(&mut request).await?;
        self.relocate(&response)?;
        let said = response.text(&RANGE).and_then(|text| text.parse::<UploadRange>().ok());
        let acknowledged = match said {
            Some(said) if said.end != end => {
                // Some registries count only this chunk, or the one before: what they say of the whole decides (H15).
                let told = self.probe().await?;
                if told == said.end { told } else { end }
            }
            _ => end,
        };
        self.doubt = Doubt::None;
        Ok(acknowledged)
    }

    fn relocate(&mut self, response: &Response) -> Result<()> {
        if response.text(&LOCATION).is_some() {
            self.at = self.remote.location(response)?;
        }
        Ok(())
    }
}

#[async_trait]
impl BlobUpload for RemoteUpload {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn session(&self) -> UploadSession {
        UploadSession::new(self.at.url.as_str(), self.offset, self.algorithm)
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.settle().await?;
        let mut rest = chunk;
        while !rest.is_empty() {
            let acknowledged = self.send(&rest).await?;
            let taken = acknowledged.checked_sub(self.offset).and_then(|taken| usize::try_from(taken).ok());
            match taken {
                Some(taken) if taken > 0 && taken <= rest.len() => {
                    self.offset = acknowledged;
                    rest = rest.split_off(taken);
                }
                _ => {
                    let what = format!("upload to {}: {acknowledged} acknowledged at {}", self.repo, self.offset);
                    return Err(Error::new(ErrorKind::Protocol, what));
                }
            }
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        self.settle().await?;
        let mut request = self.request(Method::PUT, with_digest(&self.at, digest)).replay(Replay::Never);
        self.remote.transport().send(&mut request).await?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), self.offset))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let mut request = self.request(Method::DELETE, self.at.clone());
        self.remote.transport().send(&mut request).await.map(drop)
    }
}

/// The location with the digest added to whatever its query holds (end-6).
pub(crate) fn with_digest(at: &Admitted, digest: &Digest) -> Admitted {
    let mut at = at.clone();
    at.url.query_pairs_mut().append_pair("digest", digest.as_str());
    at
}
