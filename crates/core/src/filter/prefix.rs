//! `Prefix`: the repositories below one name as a registry of their own.
//!
//! This file decides how names are translated: inwards they gain the prefix, outwards they lose it. Content, tags and
//! upload sessions pass as they are; messages of errors are the inner registry's and name what *it* was asked.

use async_trait::async_trait;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt};
use gantri_spec::{Algorithm, ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};

use crate::{
    BlobBody, BlobReader, BlobUpload, Discover, Error, ErrorKind, Manage, Mount, Pull, Push, PutManifest, Result,
    UploadSession,
};

/// The sub-tree `<prefix>/..` of a registry, where `app` is what the registry calls `<prefix>/app`.
///
/// The repository that is called like the prefix itself is not part of it. Nothing outside can be reached: a mount
/// without a source, for which the registry would look everywhere, is [`Mount::Unavailable`].
///
/// # Errors
/// `NameInvalid` for a name that is too long with its prefix.
#[derive(Clone, Debug)]
pub struct Prefix<R> {
    inner: R,
    prefix: RepositoryName,
}

impl<R> Prefix<R> {
    /// The part of `inner` below `prefix`.
    pub fn new(inner: R, prefix: RepositoryName) -> Self {
        Self { inner, prefix }
    }

    fn inwards(&self, repo: &RepositoryName) -> Result<RepositoryName> {
        format!("{}/{repo}", self.prefix).parse().map_err(|source| {
            let what = format!("{repo}: no name of a repository below {}", self.prefix);
            Error::new(ErrorKind::NameInvalid, what).with_source(source)
        })
    }
}

/// The name without the prefix; `None` if it does not lie below it.
fn outwards(prefix: &RepositoryName, repo: &RepositoryName) -> Option<RepositoryName> {
    repo.as_str().strip_prefix(prefix.as_str())?.strip_prefix('/')?.parse().ok()
}

#[async_trait]
impl<R: Pull> Pull for Prefix<R> {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.inner.resolve_manifest(&self.inwards(repo)?, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.inner.manifest(&self.inwards(repo)?, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.inner.resolve_blob(&self.inwards(repo)?, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.inner.blob(&self.inwards(repo)?, digest, range).await
    }

    fn guards_content(&self) -> bool {
        self.inner.guards_content()
    }
}

#[async_trait]
impl<R: Push> Push for Prefix<R> {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        self.inner.put_blob(&self.inwards(repo)?, blob, body).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        let Some(from) = from else { return Ok(Mount::Unavailable) };
        self.inner.mount_blob(&self.inwards(repo)?, digest, Some(&self.inwards(from)?)).await
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.inner.start_upload(&self.inwards(repo)?, algorithm).await
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.inner.resume_upload(&self.inwards(repo)?, session).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        self.inner.put_manifest(&self.inwards(repo)?, manifest, tags).await
    }
}

impl<R: Discover> Discover for Prefix<R> {
    /// Every name of the registry is looked at: no order is promised by which the rest could be left out.
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let after = match after.map(|after| self.inwards(after)).transpose() {
            Ok(after) => after,
            Err(error) => return failed(error),
        };
        let prefix = self.prefix.clone();
        let below = move |name: Result<RepositoryName>| ready(name.map(|name| outwards(&prefix, &name)).transpose());
        self.inner.repositories(after.as_ref()).filter_map(below).boxed()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        match self.inwards(repo) {
            Ok(repo) => self.inner.tags(&repo, after),
            Err(error) => failed(error),
        }
    }

    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        match self.inwards(repo) {
            Ok(repo) => self.inner.referrers(&repo, subject, artifact_type),
            Err(error) => failed(error),
        }
    }
}

#[async_trait]
impl<R: Manage> Manage for Prefix<R> {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        self.inner.delete_tag(&self.inwards(repo)?, tag).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.inner.delete_manifest(&self.inwards(repo)?, digest).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.inner.delete_blob(&self.inwards(repo)?, digest).await
    }
}

/// The listing of which this error is all there is.
fn failed<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::iter([Err(error)]).boxed()
}
