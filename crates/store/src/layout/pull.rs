//! Reading from a layout: what is served is held to its digest, and files that are no regular files are refused.

use async_trait::async_trait;
use gantri_core::{BlobReader, Error, ErrorKind, Pull, Result};
use gantri_spec::{ByteRange, Descriptor, Digest, Index, MediaType, RawManifest, RepositoryName, Selector};

use super::dir::Opened;
use super::{Layout, Repository, entries, files, graph, outgoing};

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
        let file = self.on(repo, move |here| here.blob(&wanted)).await?;
        Ok(blob_descriptor(digest, &file))
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let wanted = digest.clone();
        let file = self.on(repo, move |here| here.blob(&wanted)).await?;
        let descriptor = blob_descriptor(digest, &file);
        let Some(span) = range.resolve(file.size) else {
            let what = format!("read blob {digest}: range {range:?} of {} bytes", file.size);
            return Err(Error::new(ErrorKind::RangeInvalid, what));
        };
        // Nothing gets its name in here before it is verified (files.rs); another tool's damage is the far end's to see.
        Ok(BlobReader::new(descriptor, range, outgoing::send(file, span)).vouched())
    }
}

impl Repository {
    /// The entry or child that leads to a manifest whose file is there with the size it should have (S1).
    fn resolve_manifest(&self, at: &Selector) -> Result<Descriptor> {
        let found = self.find_manifest(&self.index()?, at)?.ok_or_else(|| self.unknown_manifest(at))?;
        let Some(file) = files::open(&self.dir, &found.digest)? else { return Err(self.unknown_manifest(at)) };
        if file.size != found.size {
            let what = format!("read {}: size {} expected, {} found", file.path.display(), found.size, file.size);
            return Err(Error::new(ErrorKind::SizeMismatch, what));
        }
        Ok(Descriptor::new(found.media_type, found.digest, found.size))
    }

    fn manifest(&self, at: &Selector) -> Result<RawManifest> {
        let found = self.find_manifest(&self.index()?, at)?.ok_or_else(|| self.unknown_manifest(at))?;
        graph::read(&self.dir, self.limits(), &found)?.ok_or_else(|| self.unknown_manifest(at))
    }

    /// What leads to a manifest, whether or not its file is there.
    pub(super) fn find_manifest(&self, index: &Index, at: &Selector) -> Result<Option<Descriptor>> {
        match (entries::find(index, at), at) {
            (Some(entry), _) => Ok(Some(entry.clone())),
            (None, Selector::Digest(digest)) => graph::find(&self.dir, self.limits(), index, digest),
            (None, Selector::Tag(_)) => Ok(None),
        }
    }

    fn blob(&self, digest: &Digest) -> Result<Opened> {
        files::open(&self.dir, digest)?.ok_or_else(|| self.unknown_blob(digest))
    }

    pub(super) fn unknown_manifest(&self, at: &Selector) -> Error {
        Error::new(ErrorKind::ManifestUnknown, format!("{}: manifest {at} unknown", self.dir.path().display()))
    }

    pub(super) fn unknown_blob(&self, digest: &Digest) -> Error {
        Error::new(ErrorKind::BlobUnknown, format!("{}: blob {digest} unknown", self.dir.path().display()))
    }
}

/// A layout knows no media type of a blob, only manifests do.
fn blob_descriptor(digest: &Digest, file: &Opened) -> Descriptor {
    Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), file.size)
}
