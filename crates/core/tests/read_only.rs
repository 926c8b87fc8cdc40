//! The behaviour suite over a registry that can only be read: what it lacks it has to refuse, and the suite has to see
//! that it does.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use gantri_core::spec::{
    Algorithm, ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag,
};
use gantri_core::testkit::{Feature, Profile, Subject};
use gantri_core::{
    BlobBody, BlobReader, BlobUpload, Discover, Error, ErrorKind, Manage, Memory, Mount, Pull, Push, PutManifest,
    Result, UploadSession, registry_suite,
};

registry_suite! {
    read_only => async {
        let behind = Memory::new();
        Subject::shared(Arc::new(ReadOnly(behind.clone()))).seeded_by(behind)
    };
    profile: Profile::FULL
        .without(Feature::Push)
        .without(Feature::Repositories)
        .without(Feature::Referrers)
        .without(Feature::DeleteTag)
        .without(Feature::DeleteManifest)
        .without(Feature::DeleteBlob);
}

#[derive(Debug)]
struct ReadOnly(Memory);

fn refused<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "this registry is read"))
}

#[async_trait]
impl Pull for ReadOnly {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.0.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.0.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.0.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.0.blob(repo, digest, range).await
    }
}

#[async_trait]
impl Push for ReadOnly {
    async fn put_blob(&self, _: &RepositoryName, _: &Descriptor, _: BlobBody) -> Result<()> {
        refused()
    }

    async fn mount_blob(&self, _: &RepositoryName, _: &Digest, _: Option<&RepositoryName>) -> Result<Mount> {
        refused()
    }

    async fn start_upload(&self, _: &RepositoryName, _: Algorithm) -> Result<Box<dyn BlobUpload>> {
        refused()
    }

    async fn resume_upload(&self, _: &RepositoryName, _: UploadSession) -> Result<Box<dyn BlobUpload>> {
        refused()
    }

    async fn put_manifest(&self, _: &RepositoryName, _: &RawManifest, _: &[Tag]) -> Result<PutManifest> {
        refused()
    }
}

impl Discover for ReadOnly {
    fn repositories(&self, _: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        stream::iter([refused()]).boxed()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        self.0.tags(repo, after)
    }

    fn referrers(
        &self,
        _: &RepositoryName,
        _: &Digest,
        _: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        stream::iter([refused()]).boxed()
    }
}

#[async_trait]
impl Manage for ReadOnly {
    async fn delete_tag(&self, _: &RepositoryName, _: &Tag) -> Result<()> {
        refused()
    }

    async fn delete_manifest(&self, _: &RepositoryName, _: &Digest) -> Result<()> {
        refused()
    }

    async fn delete_blob(&self, _: &RepositoryName, _: &Digest) -> Result<()> {
        refused()
    }
}
