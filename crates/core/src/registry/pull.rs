//! Reading what a registry holds.

use std::fmt::Debug;

use async_trait::async_trait;
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest, RepositoryName, Selector};

use crate::blob::BlobReader;
use crate::error::Result;

/// Reading what a registry holds. Spec: [Pull](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull).
///
/// # Errors
/// `RepositoryUnknown` where the backend can tell, else `ManifestUnknown` or `BlobUnknown`.
///
/// # Cancel safety
/// Every method only reads: dropping its future leaves nothing.
#[async_trait]
pub trait Pull: Debug + Send + Sync + 'static {
    /// What a tag or digest names, without its bytes (end-3, HEAD).
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor>;

    /// A manifest's bytes as they were pushed (end-3, GET). Asked by digest, they have that digest.
    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest>;

    /// A blob's size (end-2, HEAD). The media type is a registry's guess and means nothing.
    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor>;

    /// A blob, or a part of it (end-2, GET).
    ///
    /// # Errors
    /// `RangeInvalid` if the range starts at or past the end, or is empty. A range that ends past the end is cut.
    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader>;

    /// Whether nobody but the registry itself writes what it holds: a manifest that it has, has its content then, whole, and
    /// a job need not look below it. A directory that other tools write to can't say so.
    fn guards_content(&self) -> bool;
}
