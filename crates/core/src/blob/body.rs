//! A blob's bytes on their way into a registry, and whether they can be sent again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{StreamExt, once};

use super::ByteStream;
use crate::error::{Error, ErrorKind, Result};

/// What to upload.
///
/// It knows whether it can be sent again ([`replayable`](Self::replayable)), so that a retry never guesses. Where it came
/// from vouches for nothing: whoever stores or sends it holds it to the descriptor it is put as, so a stream that is yet
/// unverified ([`BlobReader::into_unverified`](super::BlobReader::into_unverified)) does as well.
pub struct BlobBody(Source);

enum Source {
    Bytes(Bytes),
    Reopen(Arc<dyn Fn() -> ByteStream + Send + Sync>),
    Once(Option<ByteStream>),
}

impl BlobBody {
    /// Bytes that lie in memory; can be sent again.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// A source that can be opened as often as needed.
    pub fn reopen(open: impl Fn() -> ByteStream + Send + Sync + 'static) -> Self {
        Self(Source::Reopen(Arc::new(open)))
    }

    /// A stream that can be read once.
    pub fn once(stream: ByteStream) -> Self {
        Self(Source::Once(Some(stream)))
    }

    /// The chunks, from the first byte on.
    ///
    /// # Errors
    /// `UploadInvalid` if the body can be read once only, and was.
    pub fn open(&mut self) -> Result<ByteStream> {
        match &mut self.0 {
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
        !matches!(self.0, Source::Once(_))
    }
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Bytes(bytes) => write!(f, "BlobBody({} bytes)", bytes.len()),
            Source::Reopen(_) => f.write_str("BlobBody(reopen)"),
            Source::Once(_) => f.write_str("BlobBody(once)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

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
}
