//! What a request carries: nothing, bytes, or a stream of known or unknown length.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{empty, once};
use gantri_core::{ByteStream, Error};
use hyper::body::{Frame, SizeHint};

/// The body of a request.
///
/// It is read once; whoever may have to send a request again makes it anew.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream {
        chunks: ByteStream,
        left: Option<u64>,
    },
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Bytes that lie in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// Chunks as they come; `length` is what they add up to, in bytes, if it is known.
    pub fn stream(chunks: ByteStream, length: Option<u64>) -> Self {
        Self(Kind::Stream { chunks, left: length })
    }

    /// How many bytes there are, if it is known.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Stream { left, .. } => *left,
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.0, Kind::Stream { .. })
    }

    /// The bytes that lie in memory, if there are any.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self.0 {
            Kind::Bytes(bytes) => Some(bytes),
            Kind::Empty | Kind::Stream { .. } => None,
        }
    }

    /// The chunks.
    pub fn into_stream(self) -> ByteStream {
        match self.0 {
            Kind::Empty => empty().boxed(),
            Kind::Bytes(bytes) => once(async move { Ok(bytes) }).boxed(),
            Kind::Stream { chunks, .. } => chunks,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream { chunks, left } => {
                let next = std::task::ready!(chunks.poll_next_unpin(context));
                if let (Some(Ok(chunk)), Some(left)) = (&next, left) {
                    *left = left.saturating_sub(chunk.len() as u64);
                }
                Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Bytes(bytes) => bytes.is_empty(),
            // Not even when nothing is left: the stream's own end is where its source is judged.
            Kind::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length()).finish_non_exhaustive()
    }
}
