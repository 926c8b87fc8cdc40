//! Finding out what a registry holds.

use std::fmt::Debug;

use futures_util::stream::BoxStream;
use gantri_spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};

use crate::error::Result;

/// Finding out what a registry holds. Spec:
/// [Content Discovery](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery).
///
/// Listings are in lexical order where the backend can promise it; `after` is exclusive and need not exist. A listing ends
/// at its first error.
///
/// # Cancel safety
/// A dropped listing stops between two pages.
pub trait Discover: Debug + Send + Sync + 'static {
    /// Names of repositories (`_catalog`).
    ///
    /// # Errors
    /// `Unsupported` where there is no catalog.
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>>;

    /// Tags of a repository (end-8).
    ///
    /// # Errors
    /// `RepositoryUnknown`.
    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>>;

    /// Manifests whose subject is `subject`, of one artifact type or of all (end-12). The subject need not exist.
    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>>;
}
