//! Uploads in pieces: sessions that live in the registry, and the handles that write to them.
//!
//! A session outlives its handles, so a dropped upload can be resumed by id; it ends with the first commit, right or
//! wrong, or with a cancel (R4). Each has a lock of its own, so hashing one chunk holds up nobody else.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use gantri_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType, RepositoryName};

use super::Memory;
use super::push::joined;
use crate::{BlobUpload, Error, ErrorKind, Result, UploadSession};

/// Where a session's bytes are kept: empty once it is committed or cancelled, whoever still holds a handle.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    repo: RepositoryName,
    algorithm: Algorithm,
    pieces: Arc<Mutex<Option<Pieces>>>,
}

#[derive(Debug)]
struct Pieces {
    chunks: Vec<Bytes>,
    length: u64,
    hasher: Hasher,
}

/// A handle on a session, at the offset it knows of.
#[derive(Debug)]
struct MemoryUpload {
    registry: Memory,
    id: String,
    slot: Slot,
    offset: u64,
}

impl Memory {
    pub(super) fn open_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        let hasher = hasher(algorithm)?;
        let pieces = Pieces { chunks: Vec::new(), length: 0, hasher };
        let slot = Slot { repo: repo.clone(), algorithm, pieces: Arc::new(Mutex::new(Some(pieces))) };
        let mut state = self.lock();
        state.started += 1;
        let id = state.started.to_string();
        state.uploads.insert(id.clone(), slot.clone());
        Ok(Box::new(MemoryUpload { registry: self.clone(), id, slot, offset: 0 }))
    }

    /// A new handle on a session, at the offset the registry has; what the session claims is not looked at.
    pub(super) fn find_upload(&self, repo: &RepositoryName, session: &UploadSession) -> Result<Box<dyn BlobUpload>> {
        let found = self.lock().uploads.get(&session.id).filter(|slot| slot.repo == *repo).cloned();
        let slot = found.ok_or_else(|| unknown_upload(repo, &session.id))?;
        let mut upload = MemoryUpload { registry: self.clone(), id: session.id.clone(), slot, offset: 0 };
        upload.offset = upload.with_pieces(|pieces| Ok(pieces.length))?;
        Ok(Box::new(upload))
    }
}

#[async_trait]
impl BlobUpload for MemoryUpload {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn session(&self) -> UploadSession {
        UploadSession { id: self.id.clone(), offset: self.offset, algorithm: self.slot.algorithm }
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let (repo, offset) = (&self.slot.repo, self.offset);
        self.offset = self.with_pieces(|pieces| {
            if pieces.length != offset {
                // Somebody else wrote to the session: going on would put the chunk where it does not belong (R4).
                let what = format!("push blob to {repo}: chunk at {offset}, upload is at {}", pieces.length);
                return Err(Error::new(ErrorKind::RangeInvalid, what));
            }
            pieces.push(chunk);
            Ok(pieces.length)
        })?;
        Ok(())
    }

    async fn commit(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        let pieces = self.finish()?;
        let length = pieces.length;
        let repo = &self.slot.repo;
        let (bytes, actual) = pieces.seal(digest.algorithm())?;
        if actual != *digest {
            let what = format!("push blob to {repo}: digest {digest} expected, {actual} received");
            return Err(Error::new(ErrorKind::DigestMismatch, what));
        }
        self.registry.lock().repository(repo).put_blob(actual.clone(), bytes);
        Ok(Descriptor::new(MediaType::OCTET_STREAM, actual, length))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.finish().map(drop)
    }
}

impl MemoryUpload {
    /// Ends the session and takes what it holds: of several who try, one succeeds.
    fn finish(&self) -> Result<Pieces> {
        self.registry.lock().uploads.remove(&self.id);
        let taken = self.slot.pieces.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| self.unknown())
    }

    fn with_pieces<T>(&self, work: impl FnOnce(&mut Pieces) -> Result<T>) -> Result<T> {
        let mut slot = self.slot.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        work(slot.as_mut().ok_or_else(|| self.unknown())?)
    }

    fn unknown(&self) -> Error {
        unknown_upload(&self.slot.repo, &self.id)
    }
}

impl Pieces {
    fn push(&mut self, chunk: Bytes) {
        self.hasher.update(&chunk);
        self.length += chunk.len() as u64;
        self.chunks.push(chunk);
    }

    /// The whole, and its digest by `algorithm`: hashed again only if that is not the one the upload began with (M3).
    fn seal(self, algorithm: Algorithm) -> Result<(Bytes, Digest)> {
        if self.hasher.algorithm() == algorithm {
            return Ok((joined(self.chunks), self.hasher.finish()));
        }
        let mut hasher = hasher(algorithm)?;
        for chunk in &self.chunks {
            hasher.update(chunk);
        }
        Ok((joined(self.chunks), hasher.finish()))
    }
}

/// An algorithm we can't compute names content that we could never vouch for.
fn hasher(algorithm: Algorithm) -> Result<Hasher> {
    algorithm.hasher().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("push blob: digest algorithm {} can't be verified", algorithm.as_str()),
        )
    })
}

fn unknown_upload(repo: &RepositoryName, id: &str) -> Error {
    Error::new(ErrorKind::UploadUnknown, format!("push blob to {repo}: upload {id} unknown"))
}
