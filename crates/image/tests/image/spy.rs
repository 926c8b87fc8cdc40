//! A registry around [`Memory`] that writes down what it is asked for, and can serve wrong or unfinished blobs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use gantri_core::{
    BlobBody, BlobReader, BlobUpload, Discover, Error, ErrorKind, Manage, Memory, Mount, Pull, Push, PutManifest,
    Result, UploadSession,
};
use gantri_spec::wire::{ErrorBody, ErrorCode};
use gantri_spec::{Algorithm, ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use tokio::sync::{Barrier, Notify};

/// How one blob is served instead of as it is.
#[derive(Clone, Debug)]
pub(crate) enum Served {
    /// These bytes, whatever the digest says.
    As(Bytes),
    /// The first half, and then nothing for ever.
    Half,
}

/// How a mount is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mounts {
    Done,
    /// With a session to upload the blob in.
    Session,
    /// Not at all.
    Refused,
}

#[derive(Clone, Debug)]
pub(crate) struct Spy {
    inner: Memory,
    calls: Arc<Mutex<Vec<String>>>,
    served: HashMap<Digest, Served>,
    /// Blobs are answered only when so many were asked for.
    together: Option<Arc<Barrier>>,
    mounts: Mounts,
    /// What tags name, whatever is there.
    said: Option<RawManifest>,
    refused: Vec<Digest>,
    /// Children that are gone when a manifest that names them is put: each once for every mention.
    collected: Arc<Mutex<Vec<Digest>>>,
    listed: HashMap<Digest, Vec<Descriptor>>,
    /// Whether its word on manifests is to be taken.
    guards: bool,
    /// Whether nobody learns from it which manifests it has.
    mute: bool,
    /// Told when a half-served blob was asked for more.
    pub(crate) stalled: Arc<Notify>,
}

impl Spy {
    pub(crate) fn new(inner: Memory) -> Self {
        Self {
            inner,
            calls: Arc::default(),
            served: HashMap::new(),
            together: None,
            mounts: Mounts::Done,
            said: None,
            refused: Vec::new(),
            collected: Arc::default(),
            listed: HashMap::new(),
            guards: true,
            mute: false,
            stalled: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn mounting(self, mounts: Mounts) -> Self {
        Self { mounts, ..self }
    }

    /// Gives this for every tag.
    pub(crate) fn saying(self, manifest: RawManifest) -> Self {
        Self { said: Some(manifest), ..self }
    }

    /// Takes no blob and no manifest of this digest.
    pub(crate) fn refusing(mut self, digest: &Digest) -> Self {
        self.refused.push(digest.clone());
        self
    }

    /// Loses this, so many times, when a manifest that names it is put.
    pub(crate) fn collecting(self, digest: &Digest, times: usize) -> Self {
        self.collected.lock().unwrap().extend(vec![digest.clone(); times]);
        self
    }

    /// Lists these as the referrers of that.
    pub(crate) fn listing(mut self, subject: &Digest, referrers: Vec<Descriptor>) -> Self {
        self.listed.insert(subject.clone(), referrers);
        self
    }

    /// Like a directory that others write to.
    pub(crate) fn unguarded(self) -> Self {
        Self { guards: false, ..self }
    }

    /// Never answers which manifests it has.
    pub(crate) fn mute(self) -> Self {
        Self { mute: true, ..self }
    }

    pub(crate) fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }

    pub(crate) fn serving(mut self, digest: &Digest, served: Served) -> Self {
        self.served.insert(digest.clone(), served);
        self
    }

    pub(crate) fn answering_blobs_together(mut self, count: usize) -> Self {
        self.together = Some(Arc::new(Barrier::new(count)));
        self
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// How often a call was made that begins like this.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.calls().iter().filter(|call| call.starts_with(beginning)).count()
    }

    fn allow(&self, digest: &Digest) -> Result<()> {
        if self.refused.contains(digest) {
            return Err(Error::new(ErrorKind::Denied, "nobody may"));
        }
        Ok(())
    }

    fn note(&self, call: &str, what: impl std::fmt::Display) {
        self.calls.lock().unwrap().push(format!("{call} {what}"));
    }
}

#[async_trait]
impl Pull for Spy {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.note("resolve_manifest", at);
        if self.mute {
            std::future::pending::<()>().await;
        }
        self.inner.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.note("manifest", at);
        if let (Some(said), Selector::Tag(_)) = (&self.said, at) {
            return Ok(said.clone());
        }
        self.inner.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.note("resolve_blob", digest);
        self.inner.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.note("blob", digest);
        if let Some(together) = &self.together {
            together.wait().await;
        }
        let real = self.inner.blob(repo, digest, range).await?;
        let descriptor = real.descriptor().clone();
        let raw = match self.served.get(digest) {
            None => return Ok(real),
            Some(Served::As(bytes)) => stream::iter([Ok(bytes.clone())]).boxed(),
            Some(Served::Half) => {
                let all = real.bytes(u64::MAX).await?;
                let stalled = Arc::clone(&self.stalled);
                let half = stream::iter([Ok(all.slice(..all.len() / 2))]);
                let never = stream::once(async move {
                    stalled.notify_one();
                    std::future::pending().await
                });
                half.chain(never).boxed()
            }
        };
        Ok(BlobReader::new(descriptor, range, raw))
    }

    fn guards_content(&self) -> bool {
        self.guards
    }
}

#[async_trait]
impl Push for Spy {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        self.allow(&blob.digest)?;
        let opened = Arc::new(AtomicBool::new(false));
        let (seen, body) = (Arc::clone(&opened), Mutex::new(body));
        let watched = BlobBody::reopen(move |offset| {
            seen.store(true, Ordering::SeqCst);
            body.lock().unwrap().open(offset).unwrap()
        });
        let put = self.inner.put_blob(repo, blob, watched).await;
        self.note(if opened.load(Ordering::SeqCst) { "put_blob" } else { "has_blob" }, &blob.digest);
        put
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        self.note("mount_blob", digest);
        match self.mounts {
            Mounts::Done => self.inner.mount_blob(repo, digest, from).await,
            Mounts::Session => self.start_upload(repo, digest.algorithm()).await.map(Mount::Started),
            Mounts::Refused => Ok(Mount::Unavailable),
        }
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.note("start_upload", repo);
        self.inner.start_upload(repo, algorithm).await
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.note("resume_upload", repo);
        self.inner.resume_upload(repo, session).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        self.allow(manifest.digest())?;
        self.note("put_manifest", manifest.digest());
        let named: Vec<Digest> =
            manifest.parse().unwrap().children().iter().map(|child| child.digest.clone()).collect();
        let lost = {
            let mut collected = self.collected.lock().unwrap();
            collected.iter().position(|digest| named.contains(digest)).map(|at| collected.swap_remove(at))
        };
        if let Some(lost) = lost {
            let (as_blob, as_manifest) =
                (self.inner.delete_blob(repo, &lost).await, self.inner.delete_manifest(repo, &lost).await);
            assert!(as_blob.is_ok() || as_manifest.is_ok());
            let body = ErrorBody::one(ErrorCode::ManifestBlobUnknown, format!("{lost} unknown"));
            return Err(Error::from_wire(ErrorCode::ManifestBlobUnknown.status(), Some(body), "refused"));
        }
        self.inner.put_manifest(repo, manifest, tags).await
    }
}

impl Discover for Spy {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        self.inner.repositories(after)
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        self.inner.tags(repo, after)
    }

    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        match self.listed.get(subject) {
            Some(listed) => stream::iter(listed.clone()).map(Ok).boxed(),
            None => self.inner.referrers(repo, subject, artifact_type),
        }
    }
}

#[async_trait]
impl Manage for Spy {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        self.inner.delete_tag(repo, tag).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.inner.delete_manifest(repo, digest).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.inner.delete_blob(repo, digest).await
    }
}
