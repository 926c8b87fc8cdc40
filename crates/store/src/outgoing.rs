//! A blob on its way from the disk to whoever reads it.
//!
//! While one chunk is being used the next is read on a blocking thread, so at most two are in memory; nothing is read
//! before the stream is polled, and no thread is held by a reader that is slow.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use futures_util::{FutureExt, StreamExt};
use gantri_core::{ByteStream, Error, ErrorKind, Result};

use super::blocking::blocking;
use super::stored::Stored;

/// The bytes `range` of a file, read from an open handle: removing the file's name does not disturb it (R8).
///
/// # Errors
/// The stream yields `Io`, also if the file is shorter than it was when it was opened (S1).
pub(crate) fn send(mut file: Stored, range: Range<u64>) -> ByteStream {
    file.skip_to(range.start);
    let cursor = Cursor { file, range };
    try_unfold(Next::Unread(cursor), |next| async move {
        let (chunk, cursor) = match next {
            Next::Unread(cursor) if cursor.range.is_empty() => return Ok(None),
            Next::Unread(cursor) => blocking(|| cursor.read()).await?,
            Next::Reading(reading) => reading.await?,
        };
        Ok(Some((chunk, Next::after(cursor))))
    })
    .boxed()
}

enum Next {
    Unread(Cursor),
    Reading(BoxFuture<'static, Result<(Bytes, Cursor)>>),
}

impl Next {
    /// Begins to read ahead, if there is more.
    fn after(cursor: Cursor) -> Self {
        if cursor.range.is_empty() { Self::Unread(cursor) } else { Self::Reading(blocking(|| cursor.read()).boxed()) }
    }
}

/// An open file, and what is still to be read of it.
struct Cursor {
    file: Stored,
    range: Range<u64>,
}

impl Cursor {
    /// The next chunk.
    fn read(mut self) -> Result<(Bytes, Self)> {
        let wanted = (self.range.end - self.range.start).min(CHUNK);
        let chunk = self.file.next(wanted)?;
        self.range.start += chunk.len() as u64;
        if (chunk.len() as u64) < wanted {
            return Err(self.too_short());
        }
        Ok((chunk, self))
    }

    fn too_short(&self) -> Error {
        let (path, at, size) = (self.file.path.display(), self.range.start, self.file.size);
        Error::new(ErrorKind::Io, format!("read {path}: ended at byte {at} of {size}"))
    }
}

/// Bytes read at a time.
const CHUNK: u64 = 256 * 1024;
