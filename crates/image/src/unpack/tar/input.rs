//! The bytes of one layer, through one buffer, with the offset of the next one.
//!
//! Contents of files are handed out as slices of the buffer, so they go from here to the disk without a copy.

use std::io::{ErrorKind, Read};

use gantri_core::{Error, Result};

use super::block::{BLOCK, Block};
use super::invalid;

/// What is read at once: large, for each read and each write costs a system call.
const BUFFER: usize = 256 << 10;

pub(super) struct Input<'r> {
    source: &'r mut dyn Read,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    position: u64,
}

impl<'r> Input<'r> {
    pub(super) fn new(source: &'r mut dyn Read) -> Self {
        Self { source, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0, position: 0 }
    }

    /// Offset of the next byte in the layer.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next block; `None` at the end of the layer. An end within a block is an error (T7).
    pub(super) fn block(&mut self) -> Result<Option<Block>> {
        while self.end - self.start < BLOCK {
            if self.fill()? == 0 {
                return match self.end - self.start {
                    0 => Ok(None),
                    _ => Err(self.truncated()),
                };
            }
        }
        let mut block = [0; BLOCK];
        block.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        self.advance(BLOCK);
        Ok(Some(Block(block)))
    }

    /// Between one and `most` bytes, as many as are at hand; none at the end of the layer.
    pub(super) fn take(&mut self, most: u64) -> Result<&[u8]> {
        if self.start == self.end && self.fill()? == 0 {
            return Ok(&[]);
        }
        let at_hand = self.end - self.start;
        let length = usize::try_from(most).map_or(at_hand, |most| most.min(at_hand));
        let start = self.start;
        self.advance(length);
        Ok(&self.buffer[start..start + length])
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
        let end = self.position + (self.end - self.start) as u64;
        invalid(end, "the archive ends in the middle of an entry")
    }

    fn advance(&mut self, length: usize) {
        self.start += length;
        self.position += length as u64;
    }

    /// Reads once, behind what is in the buffer; 0 at the end of the layer.
    fn fill(&mut self) -> Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source_error(error, self.position)),
            }
        }
    }
}

/// An error of ours that came through `Read` keeps its kind.
fn source_error(error: std::io::Error, position: u64) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::io(format!("read the layer at byte {position}"), error),
    }
}
