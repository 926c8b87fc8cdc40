//! A blob's bytes on their way into a registry, and whether they can be sent again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt, TryStreamExt, once};
use gantri_spec::{ByteRange, Descriptor};

use super::verify::measure;
use super::{BlobReader, ByteStream, Seams, verify};
use crate::error::{Error, ErrorKind, Result};

/// What to upload.
///
/// It knows whether it can be sent again ([`replayable`](Self::replayable)), so that a retry never guesses. Nothing is
/// opened before it is asked for, and where the bytes came from vouches for nothing: whoever stores them holds them to the
/// descriptor they are put as.
pub struct BlobBody(Source);

enum Source {
    Bytes(Bytes),
    Reopen(Arc<dyn Fn(u64) -> ByteStream + Send + Sync>),
    Read(Arc<Open>, Opened),
    Once(Option<ByteStream>),
}

/// The seams of the reader that was opened last.
type Opened = Arc<Mutex<Seams>>;

type Open = dyn Fn(ByteRange) -> BoxFuture<'static, Result<BlobReader>> + Send + Sync;

impl BlobBody {
    /// Bytes that lie in memory; can be sent again.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// A source that can be opened as often as needed, at any byte.
    pub fn reopen(open: impl Fn(u64) -> ByteStream + Send + Sync + 'static) -> Self {
        Self(Source::Reopen(Arc::new(open)))
    }

    /// A blob that is read from a registry whenever it is needed ([`body_of`](crate::registry::body_of)).
    pub fn read(open: impl Fn(ByteRange) -> BoxFuture<'static, Result<BlobReader>> + Send + Sync + 'static) -> Self {
        Self(Source::Read(Arc::new(open), Opened::default()))
    }

    /// A stream that can be read once.
    pub fn once(stream: ByteStream) -> Self {
        Self(Source::Once(Some(stream)))
    }

    /// Another body of the same bytes; `None` if they can be read once only.
    pub fn duplicate(&self) -> Option<Self> {
        match &self.0 {
            Source::Bytes(bytes) => Some(Self(Source::Bytes(bytes.clone()))),
            Source::Reopen(open) => Some(Self(Source::Reopen(Arc::clone(open)))),
            Source::Read(open, _) => Some(Self(Source::Read(Arc::clone(open), Opened::default()))),
            Source::Once(_) => None,
        }
    }

    /// The chunks from the byte at `offset` on, **not verified**: for a sink that verifies what it is given before it lets
    /// anyone see it.
    ///
    /// # Errors
    /// `UploadInvalid` if the body can be read once only, and was. The stream yields those of the source.
    pub fn open(&mut self, offset: u64) -> Result<ByteStream> {
        match &mut self.0 {
            Source::Bytes(bytes) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let bytes = bytes.slice(offset..);
                Ok(once(async move { Ok(bytes) }).boxed())
            }
            Source::Reopen(open) => Ok(open(offset)),
            Source::Read(open, opened) => {
                let (reader, opened) = (open(from(offset)), Arc::clone(opened));
                let chunks = async move {
                    let reader = reader.await?;
                    *opened.lock().unwrap_or_else(PoisonError::into_inner) = reader.seams().clone();
                    Ok(reader.into_unverified())
                };
                Ok(once(chunks).try_flatten().boxed())
            }
            Source::Once(stream) => opened_once(stream, offset),
        }
    }

    /// The chunks from the byte at `offset` on, for a sink whose far end verifies the whole: a registry that is told the
    /// digest. Read from the first byte, they are verified here too, so that a wrong body is never sent whole - unless a
    /// store vouches for them ([`BlobReader::vouched`]), which spares a second hash of the same bytes.
    ///
    /// # Errors
    /// As [`open`](Self::open); the stream yields `SizeMismatch` and `DigestMismatch`.
    pub fn open_to_send(&mut self, descriptor: &Descriptor, offset: u64) -> Result<ByteStream> {
        match &self.0 {
            Source::Read(open, _) => {
                let (reader, descriptor) = (open(from(offset)), descriptor.clone());
                let chunks = async move {
                    let reader = reader.await?;
                    // A store vouches for the blob that it stored, under whatever name it is sent now.
                    let vouched = reader.is_vouched() && reader.descriptor().digest == descriptor.digest;
                    let chunks = reader.into_unverified();
                    let whole = offset == 0 && !vouched;
                    Ok(if whole { verify(&descriptor, chunks) } else { measure(&descriptor, offset, chunks) })
                };
                Ok(once(chunks).try_flatten().boxed())
            }
            _ if offset == 0 => Ok(verify(descriptor, self.open(0)?)),
            _ => Ok(measure(descriptor, offset, self.open(offset)?)),
        }
    }

    /// Whether what was read since it was last opened had to be joined of several answers ([`Seams`]).
    pub fn has_seams(&self) -> bool {
        match &self.0 {
            Source::Read(_, opened) => opened.lock().unwrap_or_else(PoisonError::into_inner).any(),
            _ => false,
        }
    }

    /// Whether it can be opened again.
    pub fn replayable(&self) -> bool {
        !matches!(self.0, Source::Once(_))
    }
}

fn opened_once(stream: &mut Option<ByteStream>, offset: u64) -> Result<ByteStream> {
    match stream.take() {
        Some(stream) if offset == 0 => Ok(stream),
        _ => Err(Error::new(ErrorKind::UploadInvalid, "a body that can be read once was read already")),
    }
}

fn from(offset: u64) -> ByteRange {
    if offset == 0 { ByteRange::Full } else { ByteRange::From(offset) }
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Bytes(bytes) => write!(f, "BlobBody({} bytes)", bytes.len()),
            Source::Reopen(_) => f.write_str("BlobBody(reopen)"),
            Source::Read(..) => f.write_str("BlobBody(read)"),
            Source::Once(_) => f.write_str("BlobBody(once)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use gantri_spec::MediaType;

    use super::*;

    const TEXT: &[u8] = b"abcdef";

    fn descriptor() -> Descriptor {
        Descriptor::of(MediaType::OCTET_STREAM, TEXT)
    }

    fn stream(bytes: &'static [u8]) -> ByteStream {
        once(async move { Ok(Bytes::from_static(bytes)) }).boxed()
    }

    /// A body that is read from a registry that holds `bytes` under the name of [`TEXT`].
    fn read_from(bytes: &'static [u8], vouched: bool) -> BlobBody {
        BlobBody::read(move |range| {
            let offset = if let ByteRange::From(offset) = range { usize::try_from(offset).unwrap() } else { 0 };
            let reader = BlobReader::new(descriptor(), range, stream(&bytes[offset..]));
            async move { Ok(if vouched { reader.vouched() } else { reader }) }.boxed()
        })
    }

    async fn text(chunks: Result<ByteStream>) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = chunks?.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_replayable_body_gives_the_same_bytes_again_from_anywhere() {
        let reopen = BlobBody::reopen(|offset| stream(&TEXT[usize::try_from(offset).unwrap()..]));
        for mut body in [BlobBody::bytes(TEXT), reopen, read_from(TEXT, false)] {
            assert!(body.replayable());
            for (offset, rest) in [(0, "abcdef"), (0, "abcdef"), (4, "ef"), (6, "")] {
                assert_eq!(text(body.open(offset)).await.unwrap(), rest.as_bytes(), "{body:?}");
                assert_eq!(text(body.open_to_send(&descriptor(), offset)).await.unwrap(), rest.as_bytes(), "{body:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_read_once_says_so() {
        let mut body = BlobBody::once(stream(TEXT));
        assert!(!body.replayable());
        assert_eq!(text(body.open(0)).await.unwrap(), TEXT);
        assert_eq!(text(body.open(0)).await.unwrap_err().kind(), ErrorKind::UploadInvalid);
        assert_eq!(text(BlobBody::once(stream(TEXT)).open(1)).await.unwrap_err().kind(), ErrorKind::UploadInvalid);
    }

    /// What a store verified when it wrote it is not hashed again on its way to a registry; anything else is.
    #[tokio::test]
    async fn a_body_is_hashed_before_it_is_sent_unless_a_store_vouches_for_it() {
        let reopen = BlobBody::reopen(|_| stream(b"abcdeX"));
        let once = BlobBody::once(stream(b"abcdeX"));
        for mut body in [BlobBody::bytes("abcdeX"), reopen, once, read_from(b"abcdeX", false)] {
            let error = text(body.open_to_send(&descriptor(), 0)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{body:?}");
        }
        let mut vouched = read_from(b"abcdeX", true);
        assert_eq!(text(vouched.open_to_send(&descriptor(), 0)).await.unwrap(), b"abcdeX");
        // Not under another name, and never in another size.
        let other = Descriptor::of(MediaType::OCTET_STREAM, b"ABCDEF");
        assert_eq!(text(vouched.open_to_send(&other, 0)).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
        let mut short = read_from(b"abc", true);
        for offset in [0, 2] {
            let error = text(short.open_to_send(&descriptor(), offset)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SizeMismatch, "from {offset}");
        }
    }
}
