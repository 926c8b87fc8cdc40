//! A blob that arrives in steps.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use gantri_spec::{Algorithm, Descriptor, Digest};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A blob on its way in, in steps that may be far apart.
///
/// # Cancel safety
/// Resumable: dropping it, or a future of its, pauses the upload. A [`session`](Self::session) taken earlier resumes it
/// until the registry forgets it.
#[async_trait]
pub trait BlobUpload: Debug + Send {
    /// Bytes that the registry has acknowledged, not bytes sent.
    fn offset(&self) -> u64;

    /// What another process needs to go on.
    fn session(&self) -> UploadSession;

    /// Adds a chunk at the offset.
    ///
    /// # Errors
    /// `UploadUnknown` if the registry no longer knows the session, `RangeInvalid` if it stands elsewhere.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Ends the upload: the bytes so far are the blob `digest`.
    ///
    /// # Errors
    /// `DigestMismatch` if they are not; nothing is kept then.
    async fn commit(self: Box<Self>, digest: &Digest) -> Result<Descriptor>;

    /// Ends the upload and forgets its bytes.
    async fn cancel(self: Box<Self>) -> Result<()>;
}

/// Where an upload stands; survives the process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UploadSession {
    /// The backend's own name for it, opaque to everybody else. May hold what only its owner should know.
    pub id: String,
    /// Bytes acknowledged when it was taken.
    pub offset: u64,
    /// The algorithm that the upload was started for.
    pub algorithm: Algorithm,
}

impl UploadSession {
    /// A session of this name that stands at `offset`.
    pub fn new(id: impl Into<String>, offset: u64, algorithm: Algorithm) -> Self {
        Self { id: id.into(), offset, algorithm }
    }
}
