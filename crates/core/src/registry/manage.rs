//! Taking away from what a registry holds.

use std::fmt::Debug;

use async_trait::async_trait;
use gantri_spec::{Digest, RepositoryName, Tag};

use crate::error::Result;

/// Taking away from what a registry holds. Spec:
/// [Content Management](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-management).
///
/// # Errors
/// `ManifestUnknown`, `BlobUnknown` or `RepositoryUnknown` if it is not there; `Unsupported` if the registry deletes
/// nothing.
///
/// # Cancel safety
/// Atomic: it happened or it did not.
#[async_trait]
pub trait Manage: Debug + Send + Sync + 'static {
    /// Removes a tag and nothing else (end-9).
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()>;

    /// Removes a manifest and every tag that points at it (end-9).
    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()>;

    /// Removes a blob (end-10).
    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()>;
}
