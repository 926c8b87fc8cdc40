//! `Select`: of all repositories only some are to be seen, and the others look as if they were not there.
//!
//! This file decides what a closed repository looks like: always the same, whatever it holds and whether it is there at
//! all, and without asking the registry behind, so that neither the answer nor its time tells (R6).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt};
use gantri_spec::{Algorithm, ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};

use crate::{
    BlobBody, BlobReader, BlobUpload, Discover, Error, ErrorKind, Manage, Mount, Pull, Push, PutManifest, Result,
    UploadSession,
};

/// The repositories of a registry that a predicate admits.
///
/// Every other is `RepositoryUnknown` to whoever reads, writes or deletes, has no referrers, and is in no listing. Nothing
/// can be mounted out of it; nor can anything be mounted without a source, for which the registry would look in closed
/// repositories too. Both are [`Mount::Unavailable`].
///
/// ```
/// use gantri_core::filter::Select;
/// use gantri_core::Memory;
///
/// let public = Select::new(Memory::new(), |repo| repo.as_str().starts_with("public/"));
/// ```
#[derive(Clone)]
pub struct Select<R> {
    inner: R,
    admits: Arc<dyn Fn(&RepositoryName) -> bool + Send + Sync>,
}

impl<R> Select<R> {
    /// Those repositories of `inner` that `admits` says yes to.
    pub fn new(inner: R, admits: impl Fn(&RepositoryName) -> bool + Send + Sync + 'static) -> Self {
        Self { inner, admits: Arc::new(admits) }
    }

    /// The inner registry, for a repository that may be seen.
    fn at(&self, repo: &RepositoryName) -> Result<&R> {
        if (self.admits)(repo) { Ok(&self.inner) } else { Err(unknown(repo)) }
    }
}

impl<R: fmt::Debug> fmt::Debug for Select<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl<R: Pull> Pull for Select<R> {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.at(repo)?.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.at(repo)?.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.at(repo)?.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.at(repo)?.blob(repo, digest, range).await
    }

    fn guards_content(&self) -> bool {
        self.inner.guards_content()
    }
}

#[async_trait]
impl<R: Push> Push for Select<R> {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        self.at(repo)?.put_blob(repo, blob, body).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        let inner = self.at(repo)?;
        match from.filter(|from| (self.admits)(from)) {
            Some(from) => inner.mount_blob(repo, digest, Some(from)).await,
            None => Ok(Mount::Unavailable),
        }
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.at(repo)?.start_upload(repo, algorithm).await
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.at(repo)?.resume_upload(repo, session).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        self.at(repo)?.put_manifest(repo, manifest, tags).await
    }
}

impl<R: Discover> Discover for Select<R> {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let admits = self.admits.clone();
        let admitted = move |name: &Result<RepositoryName>| ready(name.as_ref().map_or(true, |name| admits(name)));
        self.inner.repositories(after).filter(admitted).boxed()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        match self.at(repo) {
            Ok(inner) => inner.tags(repo, after),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    /// A subject need not exist, so a closed repository has none of its referrers.
    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        match self.at(repo) {
            Ok(inner) => inner.referrers(repo, subject, artifact_type),
            Err(_) => stream::empty().boxed(),
        }
    }
}

#[async_trait]
impl<R: Manage> Manage for Select<R> {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        self.at(repo)?.delete_tag(repo, tag).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.at(repo)?.delete_manifest(repo, digest).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.at(repo)?.delete_blob(repo, digest).await
    }
}

fn unknown(repo: &RepositoryName) -> Error {
    Error::new(ErrorKind::RepositoryUnknown, format!("{repo}: repository unknown"))
}
