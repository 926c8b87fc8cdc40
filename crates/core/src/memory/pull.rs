//! Reading from memory: what is asked for is cloned out under the lock, a handle and never the bytes.
//!
//! Ranges are answered by slices; verification of full reads is `BlobReader`'s, here as everywhere.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector};

use super::Memory;
use crate::{BlobReader, ByteStream, Error, ErrorKind, MissingChildren, Pull, Result};

/// Bytes a chunk of a blob's stream holds at most: small enough that hashing one does not hold up a reactor.
const CHUNK: usize = 256 * 1024;

#[async_trait]
impl Pull for Memory {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.stored_manifest(repo, at).map(|raw| raw.descriptor().clone())
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.stored_manifest(repo, at)
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.stored_blob(repo, digest).map(|bytes| blob_descriptor(digest, &bytes))
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let bytes = self.stored_blob(repo, digest)?;
        let descriptor = blob_descriptor(digest, &bytes);
        let Some(wanted) = range.resolve(descriptor.size) else {
            let what = format!("pull blob {repo}@{digest}: range {range:?} of {} bytes", descriptor.size);
            return Err(Error::new(ErrorKind::RangeInvalid, what));
        };
        Ok(BlobReader::new(descriptor, range, chunks(part(&bytes, wanted))))
    }

    fn guards_content(&self) -> bool {
        self.missing_children == MissingChildren::Refused
    }
}

impl Memory {
    fn stored_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.look(repo, |repository| repository.manifest(at).cloned().ok_or_else(|| unknown_manifest(repo, at)))
    }

    fn stored_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Bytes> {
        self.look(repo, |repository| repository.blob(digest).cloned().ok_or_else(|| unknown_blob(repo, digest)))
    }
}

pub(super) fn unknown_manifest(repo: &RepositoryName, at: &Selector) -> Error {
    Error::new(ErrorKind::ManifestUnknown, format!("{repo}: manifest {at} unknown"))
}

pub(super) fn unknown_blob(repo: &RepositoryName, digest: &Digest) -> Error {
    Error::new(ErrorKind::BlobUnknown, format!("{repo}: blob {digest} unknown"))
}

/// A registry knows no media type of a blob, only manifests do.
fn blob_descriptor(digest: &Digest, bytes: &Bytes) -> Descriptor {
    Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), bytes.len() as u64)
}

fn chunks(bytes: Bytes) -> ByteStream {
    let pieces = stream::unfold(bytes, |mut rest| async move {
        (!rest.is_empty()).then(|| {
            let chunk = rest.split_to(rest.len().min(CHUNK));
            (Ok(chunk), rest)
        })
    });
    pieces.boxed()
}

/// The part of `bytes` in that range, which `ByteRange::resolve` has cut to their length: it lies in memory, so it fits.
fn part(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let place = |offset| usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
    bytes.slice(place(range.start)..place(range.end))
}
