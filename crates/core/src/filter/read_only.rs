//! `ReadOnly`: reads are handed on, writes are refused before the registry behind sees them.
//!
//! They are refused as `Unsupported`, not as `Denied`: no credential would change the answer, and a client that is told
//! `DENIED` sends its user to log in. On the wire that is 405 `UNSUPPORTED`, which is what the spec wants of a registry
//! that deletes nothing and what distribution answers in its read-only mode.

use std::fmt::Debug;

use async_trait::async_trait;
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};

use crate::{BlobBody, BlobUpload, Error, ErrorKind, Manage, Mount, Push, PutManifest, Result, UploadSession, forward};

/// A registry that can be read and not changed: whatever would change it is `Unsupported`.
#[derive(Clone, Debug)]
pub struct ReadOnly<R> {
    inner: R,
}

impl<R> ReadOnly<R> {
    /// The same content, to be read.
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

forward!(ReadOnly<R>, inner: Pull, Discover);

#[async_trait]
impl<R: Debug + Send + Sync + 'static> Push for ReadOnly<R> {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, _: BlobBody) -> Result<()> {
        refused(format_args!("push blob {repo}@{}", blob.digest))
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, _: Option<&RepositoryName>) -> Result<Mount> {
        refused(format_args!("mount blob {repo}@{digest}"))
    }

    async fn start_upload(&self, repo: &RepositoryName, _: Algorithm) -> Result<Box<dyn BlobUpload>> {
        refused(format_args!("push blob to {repo}"))
    }

    async fn resume_upload(&self, repo: &RepositoryName, _: UploadSession) -> Result<Box<dyn BlobUpload>> {
        refused(format_args!("push blob to {repo}"))
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, _: &[Tag]) -> Result<PutManifest> {
        refused(format_args!("push manifest {repo}@{}", manifest.digest()))
    }
}

#[async_trait]
impl<R: Debug + Send + Sync + 'static> Manage for ReadOnly<R> {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        refused(format_args!("delete tag {repo}:{tag}"))
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        refused(format_args!("delete manifest {repo}@{digest}"))
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        refused(format_args!("delete blob {repo}@{digest}"))
    }
}

fn refused<T>(what: std::fmt::Arguments<'_>) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, format!("{what}: this registry is read-only")))
}
