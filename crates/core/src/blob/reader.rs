//! A blob, or a part of it, on its way out of a registry.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use gantri_spec::{ByteRange, Descriptor};

use super::{ByteStream, verify};
use crate::error::{Error, ErrorKind, Result};

/// A blob that verifies itself as it is read.
///
/// The only way for a backend to hand out a blob. A read of the whole blob fails if size or digest are off, at the last
/// chunk at the latest; a read of a part cannot be verified, and is not.
///
/// # Cancel safety
/// Dropping it stops the read and leaves nothing behind.
pub struct BlobReader {
    descriptor: Descriptor,
    range: ByteRange,
    raw: ByteStream,
    vouched: bool,
    seams: Seams,
}

/// Whether a stream had to be joined of several answers: if it then turns out to be wrong, they may have been answers about
/// different things, and one more read from the start may be right (H6). Clones speak of the same stream.
#[derive(Clone, Debug, Default)]
pub struct Seams(Arc<AtomicBool>);

impl Seams {
    /// Says that here is one.
    pub fn add(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether there is one so far.
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl BlobReader {
    /// A reader over chunks as they come; `descriptor` is of the whole blob, `raw` holds just what `range` asks for.
    pub fn new(descriptor: Descriptor, range: ByteRange, raw: ByteStream) -> Self {
        Self { descriptor, range, raw, vouched: false, seams: Seams::default() }
    }

    /// Says that a store verified these bytes when it wrote them, and keeps them where nobody else writes: a registry that
    /// verifies what it takes may be sent them without a second hash. [`into_stream`](Self::into_stream) verifies all the
    /// same.
    pub fn vouched(self) -> Self {
        Self { vouched: true, ..self }
    }

    /// See [`vouched`](Self::vouched).
    pub fn is_vouched(&self) -> bool {
        self.vouched
    }

    /// Says who knows of the seams in these chunks. Without it there are none.
    pub fn with_seams(self, seams: Seams) -> Self {
        Self { seams, ..self }
    }

    /// Where the seams in these chunks are told of as they are read.
    pub fn seams(&self) -> &Seams {
        &self.seams
    }

    /// The same reader, with its chunks passed through `through`, which must not change them: to count them, say.
    pub fn map_chunks(self, through: impl FnOnce(ByteStream) -> ByteStream) -> Self {
        Self { raw: through(self.raw), ..self }
    }

    /// What the whole blob is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Which part of it this is.
    pub fn range(&self) -> ByteRange {
        self.range
    }

    /// The chunks, verified if they are the whole blob: the last of them is given only if all were right.
    pub fn into_stream(self) -> ByteStream {
        match self.range {
            ByteRange::Full => verify(&self.descriptor, self.raw),
            _ => self.raw,
        }
    }

    /// The chunks as they came, **not verified**: for a sink that verifies what it is given before it lets anyone see it,
    /// so that no byte is hashed twice. [`Push::put_blob`](crate::Push::put_blob) is one.
    pub fn into_unverified(self) -> ByteStream {
        self.raw
    }

    /// All of it, gathered in memory.
    ///
    /// # Errors
    /// `LimitExceeded` once there are more than `limit` bytes; `SizeMismatch`, `DigestMismatch`; whatever the backend says.
    pub async fn bytes(self, limit: u64) -> Result<Bytes> {
        let digest = self.descriptor.digest.clone();
        let mut chunks = self.into_stream();
        // Memory grows with what is really received, never with what was announced (rule 2).
        let mut gathered = BytesMut::new();
        while let Some(chunk) = chunks.try_next().await? {
            if gathered.len() as u64 + chunk.len() as u64 > limit {
                let what = format!("blob {digest} in memory: more than the {limit} bytes that were allowed");
                return Err(Error::new(ErrorKind::LimitExceeded, what));
            }
            gathered.extend_from_slice(&chunk);
        }
        Ok(gathered.freeze())
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("descriptor", &self.descriptor)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{StreamExt, iter};
    use gantri_spec::MediaType;

    use super::*;

    fn reader(range: ByteRange, text: &'static str) -> BlobReader {
        let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
        BlobReader::new(descriptor, range, iter([Ok(Bytes::from_static(text.as_bytes()))]).boxed())
    }

    #[tokio::test]
    async fn a_whole_read_is_verified_and_a_partial_one_is_not() {
        assert_eq!(reader(ByteRange::Full, "hello").bytes(5).await.unwrap(), "hello");
        assert_eq!(reader(ByteRange::Full, "hullo").bytes(5).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
        assert_eq!(reader(ByteRange::From(3), "lo").bytes(5).await.unwrap(), "lo");
    }

    #[tokio::test]
    async fn gathering_stops_at_its_bound() {
        assert_eq!(reader(ByteRange::Full, "hello").bytes(4).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
