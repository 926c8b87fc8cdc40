//! One repository that is called otherwise at a mirror.

use std::sync::Arc;

use async_trait::async_trait;
use gantri_core::{BlobReader, Pull, Registry, Result};
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest, RepositoryName, Selector};

/// A mirror of one repository: whatever that is called where it is mirrored from, here it has one name.
#[derive(Debug)]
pub(super) struct Elsewhere {
    registry: Arc<dyn Registry>,
    repository: RepositoryName,
}

impl Elsewhere {
    pub(super) fn new(registry: Arc<dyn Registry>, repository: RepositoryName) -> Self {
        Self { registry, repository }
    }
}

#[async_trait]
impl Pull for Elsewhere {
    async fn resolve_manifest(&self, _repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.registry.resolve_manifest(&self.repository, at).await
    }

    async fn manifest(&self, _repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.registry.manifest(&self.repository, at).await
    }

    async fn resolve_blob(&self, _repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.registry.resolve_blob(&self.repository, digest).await
    }

    async fn blob(&self, _repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.registry.blob(&self.repository, digest, range).await
    }

    fn guards_content(&self) -> bool {
        self.registry.guards_content()
    }
}
