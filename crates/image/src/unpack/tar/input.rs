//! The bytes of one layer, with the offset of the next one.
//!
//! Contents of files are handed out as slices of the reader's own buffer, so they go from there to the disk without a
//! copy.

use std::io::{BufRead, ErrorKind};

use gantri_core::{Error, Result};

use super::block::{BLOCK, Block};
use super::invalid;

pub(super) struct Input<'r> {
    source: &'r mut dyn BufRead,
    /// What was handed out last and is still in the reader's buffer.
    taken: usize,
    position: u64,
}

impl<'r> Input<'r> {
    pub(super) fn new(source: &'r mut dyn BufRead) -> Self {
        Self { source, taken: 0, position: 0 }
    }

    /// Offset of the next byte in the layer.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next block; `None` at the end of the layer. An end within a block is an error (T7).
    pub(super) fn block(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let piece = self.take((BLOCK - filled) as u64)?;
            if piece.is_empty() {
                return if filled == 0 { Ok(None) } else { Err(self.truncated()) };
            }
            block[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        Ok(Some(Block(block)))
    }

    /// Between one and `most` bytes, as many as are at hand; none at the end of the layer.
    pub(super) fn take(&mut self, most: u64) -> Result<&[u8]> {
        self.source.consume(std::mem::take(&mut self.taken));
        self.fill()?;
        let at_hand = self.source.fill_buf().map_err(|error| source_error(error, self.position))?;
        let length = usize::try_from(most).map_or(at_hand.len(), |most| most.min(at_hand.len()));
        self.taken = length;
        self.position += length as u64;
        Ok(&at_hand[..length])
    }

    /// Passes over `length` bytes, all of which must be there.
    pub(super) fn skip(&mut self, mut length: u64) -> Result<()> {
        while length > 0 {
            match self.take(length)?.len() {
                0 => return Err(self.truncated()),
                taken => length -= taken as u64,
            }
        }
        Ok(())
    }

    pub(super) fn truncated(&self) -> Error {
        invalid(self.position, "the archive ends in the middle of an entry")
    }

    /// Waits until there is something in the reader's buffer, or its end.
    fn fill(&mut self) -> Result<()> {
        loop {
            match self.source.fill_buf() {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source_error(error, self.position)),
            }
        }
    }
}

/// An error of ours that came through the reader keeps its kind.
fn source_error(error: std::io::Error, position: u64) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::io(format!("read the layer at byte {position}"), error),
    }
}
