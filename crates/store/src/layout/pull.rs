//! Reading from a layout: what is served is held to its digest, and files that are no regular files are refused.

use async_trait::async_trait;
use gantri_core::{BlobReader, Error, Pull, Result};
use gantri_spec::{ByteRange, Descriptor, Digest, Index, RawManifest, RepositoryName, Selector};

use super::{Layout, Repository, lease};
use crate::reading;
use crate::stored::Stored;

#[async_trait]
impl Pull for Layout {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        let at = at.clone();
        self.on(repo, move |here| here.resolve_manifest(&at)).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        let at = at.clone();
        self.on(repo, move |here| here.manifest(&at)).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        let wanted = digest.clone();
        let stored = self.on(repo, move |here| here.resolve_blob(&wanted)).await?;
        Ok(reading::describe(digest, &stored))
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let wanted = digest.clone();
        let stored = self.on(repo, move |here| reading::blob(&here.dir, &wanted)).await?;
        // Nothing gets its name in here before it is verified (files.rs); another tool's damage is the far end's to see.
        Ok(reading::reader(digest, stored, range)?.vouched())
    }

    fn guards_content(&self) -> bool {
        false
    }
}

impl Repository {
    fn resolve_manifest(&self, at: &Selector) -> Result<Descriptor> {
        self.held(&self.index()?).resolve(at)
    }

    /// A job that finds a blob will lead to it, and need not put it: so it is kept for that.
    fn resolve_blob(&self, digest: &Digest) -> Result<Stored> {
        match self.layout.0.lease {
            Some(_) => lease::keep(&self.dir, digest)?.ok_or_else(|| self.unknown_blob(digest)),
            None => reading::blob(&self.dir, digest),
        }
    }

    fn manifest(&self, at: &Selector) -> Result<RawManifest> {
        self.held(&self.index()?).manifest(at)
    }

    /// What leads to a manifest, whether or not its file is there.
    pub(super) fn find_manifest(&self, index: &Index, at: &Selector) -> Result<Option<Descriptor>> {
        self.held(index).find(at)
    }

    pub(super) fn unknown_manifest(&self, at: &Selector) -> Error {
        reading::unknown_manifest(self.dir.path(), at)
    }

    pub(super) fn unknown_blob(&self, digest: &Digest) -> Error {
        reading::unknown_blob(self.dir.path(), digest)
    }
}
