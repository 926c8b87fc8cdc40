//! A blob's bytes on their way into a registry, and whether they can be sent again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{StreamExt, once};

use super::{BlobReader, ByteStream};
use crate::error::{Error, ErrorKind, Result};

/// What to upload.
///
/// It knows whether it can be sent again ([`replayable`](Self::replayable)), so that a retry never guesses, and whether
/// its stream fails by itself when the bytes are wrong ([`verified`](Self::verified)), so that no hop hashes in vain.
pub struct BlobBody {
    source: Source,
    verified: bool,
}

enum Source {
    Bytes(Bytes),
    Reopen(Arc<dyn Fn() -> ByteStream + Send + Sync>),
    Once(Option<ByteStream>),
}

impl BlobBody {
    /// Bytes that lie in memory; can be sent again.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Bytes(bytes.into()), verified: false }
    }

    /// A source that can be opened as often as needed.
    pub fn reopen(open: impl Fn() -> ByteStream + Send + Sync + 'static) -> Self {
        Self { source: Source::Reopen(Arc::new(open)), verified: false }
    }

    /// A stream that can be read once.
    pub fn once(stream: ByteStream) -> Self {
        Self { source: Source::Once(Some(stream)), verified: false }
    }

    /// What a registry hands out, read once; verified on the way if it is a whole blob.
    pub fn from_reader(reader: BlobReader) -> Self {
        let verified = matches!(reader.range(), gantri_spec::ByteRange::Full);
        Self { source: Source::Once(Some(reader.into_stream())), verified }
    }

    /// The chunks, from the first byte on.
    ///
    /// # Errors
    /// `UploadInvalid` if the body can be read once only, and was.
    pub fn open(&mut self) -> Result<ByteStream> {
        match &mut self.source {
            Source::Bytes(bytes) => {
                let bytes = bytes.clone();
                Ok(once(async move { Ok(bytes) }).boxed())
            }
            Source::Reopen(open) => Ok(open()),
            Source::Once(stream) => stream
                .take()
                .ok_or_else(|| Error::new(ErrorKind::UploadInvalid, "a body that can be read once was read already")),
        }
    }

    /// Whether it can be opened again.
    pub fn replayable(&self) -> bool {
        !matches!(self.source, Source::Once(_))
    }

    /// Whether its stream fails by itself if size or digest are wrong.
    pub fn verified(&self) -> bool {
        self.verified
    }
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Source::Reopen(_) => "reopen".to_owned(),
            Source::Once(_) => "once".to_owned(),
        };
        f.debug_struct("BlobBody").field("source", &source).field("verified", &self.verified).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use gantri_spec::{ByteRange, Descriptor, MediaType};

    use super::*;

    async fn read(body: &mut BlobBody) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = body.open()?.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_replayable_body_gives_the_same_bytes_again() {
        let stream = || once(async { Ok(Bytes::from_static(b"abc")) }).boxed();
        for mut body in [BlobBody::bytes("abc"), BlobBody::reopen(stream)] {
            assert!(body.replayable());
            assert_eq!(read(&mut body).await.unwrap(), b"abc");
            assert_eq!(read(&mut body).await.unwrap(), b"abc");
        }
    }

    #[tokio::test]
    async fn a_body_read_once_says_so() {
        let mut body = BlobBody::once(once(async { Ok(Bytes::from_static(b"abc")) }).boxed());
        assert!(!body.replayable());
        assert_eq!(read(&mut body).await.unwrap(), b"abc");
        assert_eq!(read(&mut body).await.unwrap_err().kind(), ErrorKind::UploadInvalid);
    }

    #[tokio::test]
    async fn a_body_from_a_reader_is_verified_only_as_a_whole() {
        let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"abc");
        let raw = || once(async { Ok(Bytes::from_static(b"abX")) }).boxed();
        let mut whole = BlobBody::from_reader(BlobReader::new(descriptor.clone(), ByteRange::Full, raw()));
        assert!(whole.verified());
        assert_eq!(read(&mut whole).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
        assert!(!BlobBody::from_reader(BlobReader::new(descriptor, ByteRange::From(0), raw())).verified());
    }
}
