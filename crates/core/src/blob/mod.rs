//! Blobs on their way: out of a registry ([`BlobReader`]), into one ([`BlobBody`], [`BlobUpload`]).
//!
//! Chunks are [`Bytes`] from socket to socket and are never gathered but by [`BlobReader::bytes`], which takes a bound.

mod body;
mod reader;
mod upload;
mod verify;

use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use self::body::BlobBody;
pub use self::reader::{BlobReader, Seams};
pub use self::upload::{BlobUpload, UploadSession};
pub use self::verify::verify;

use crate::error::Result;

/// Chunks of a blob, in order. After an error the stream is at its end.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;
