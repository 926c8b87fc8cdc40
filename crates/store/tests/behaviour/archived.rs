//! An image layout that is read through an archive: packed anew, by the system's `tar`, whenever it is asked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use gantri_core::spec::{ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use gantri_core::{BlobReader, Discover, Pull, Result};
use gantri_store::Archive;

/// The archive of `layout` in this directory.
#[derive(Debug)]
pub(crate) struct Archived {
    dir: PathBuf,
    packed: AtomicU32,
}

impl Archived {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), packed: AtomicU32::new(0) }
    }

    fn archive(&self) -> impl Future<Output = Result<Archive>> + use<> {
        let path = self.dir.join(format!("{}.tar", self.packed.fetch_add(1, Ordering::Relaxed)));
        let tar = Command::new("tar").arg("-C").arg(self.dir.join("layout")).arg("-cf").arg(&path).arg(".").status();
        assert!(tar.unwrap().success(), "tar");
        Archive::open(path)
    }
}

#[async_trait]
impl Pull for Archived {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.archive().await?.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.archive().await?.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.archive().await?.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.archive().await?.blob(repo, digest, range).await
    }

    fn guards_content(&self) -> bool {
        false
    }
}

impl Discover for Archived {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let (archive, after) = (self.archive(), after.cloned());
        stream::once(archive).map_ok(move |archive| archive.repositories(after.as_ref())).try_flatten().boxed()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let (archive, repo, after) = (self.archive(), repo.clone(), after.cloned());
        stream::once(archive).map_ok(move |archive| archive.tags(&repo, after.as_ref())).try_flatten().boxed()
    }

    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let (archive, repo) = (self.archive(), repo.clone());
        let (subject, wanted) = (subject.clone(), artifact_type.cloned());
        let listed = move |archive: Archive| archive.referrers(&repo, &subject, wanted.as_ref());
        stream::once(archive).map_ok(listed).try_flatten().boxed()
    }
}
