//! Reading from an archive: what is served is held to its digest, and lies in the file that was opened.

use async_trait::async_trait;
use gantri_core::{BlobReader, Pull, Result};
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest, RepositoryName, Selector};

use super::Archive;
use crate::blocking::blocking;
use crate::reading;

/// The repository may have any name. A tag that several images have is `Conflict`.
#[async_trait]
impl Pull for Archive {
    async fn resolve_manifest(&self, _: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        let (archive, at) = (self.clone(), at.clone());
        blocking(move || {
            archive.refuse_ambiguous(&at)?;
            archive.held().resolve(&at)
        })
        .await
    }

    async fn manifest(&self, _: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        let (archive, at) = (self.clone(), at.clone());
        blocking(move || {
            archive.refuse_ambiguous(&at)?;
            archive.held().manifest(&at)
        })
        .await
    }

    async fn resolve_blob(&self, _: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        let stored = reading::blob(&self.0.contents, digest)?;
        Ok(reading::describe(digest, &stored))
    }

    async fn blob(&self, _: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        reading::reader(digest, reading::blob(&self.0.contents, digest)?, range)
    }

    fn guards_content(&self) -> bool {
        false
    }
}
