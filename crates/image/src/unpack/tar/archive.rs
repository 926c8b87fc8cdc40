//! Walks an archive from header to header and hands out the contents of each member.
//!
//! Decides what belongs together and where the archive ends; what a member is, is put together in `compose.rs`.

use std::io::BufRead;

use gantri_core::{Error, Limits, Result};

use super::block::{BLOCK, Block, Dialect};
use super::input::Input;
use super::invalid;
use super::member::Member;
use super::pax::{Records, check_global};

/// One archive being read.
pub(in crate::unpack) struct Archive<'r> {
    pub(super) input: Input<'r>,
    pub(super) limits: &'r Limits,
    /// Contents of the current member that nobody took yet.
    pub(super) remaining: u64,
    /// What fills the last block of those contents.
    pub(super) padding: u64,
    headers: u64,
    extension: Vec<u8>,
}

/// What stands before a member and belongs to it.
#[derive(Default)]
pub(super) struct Pending {
    /// Where the first of them begins.
    pub(super) start: Option<u64>,
    pub(super) records: Option<Records>,
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
    bytes: usize,
}

impl<'r> Archive<'r> {
    pub(in crate::unpack) fn new(layer: &'r mut dyn BufRead, limits: &'r Limits) -> Self {
        Self { input: Input::new(layer), limits, remaining: 0, padding: 0, headers: 0, extension: Vec::new() }
    }

    /// Passes over what is left of the current member and fills in the next one; `false` at the end of the layer, which
    /// has then been read to its last byte.
    pub(in crate::unpack) fn next(&mut self, member: &mut Member) -> Result<bool> {
        self.input.skip(self.remaining)?;
        self.input.skip(self.padding)?;
        (self.remaining, self.padding) = (0, 0);
        let mut pending = Pending::default();
        loop {
            let offset = self.input.position();
            let Some(block) = self.input.block()?.filter(|block| !block.is_zero()) else {
                pending.nothing_follows(offset)?;
                self.read_to_end(offset)?;
                return Ok(false);
            };
            block.check(offset)?;
            self.count_header()?;
            if !self.extends(&block, offset, &mut pending)? {
                self.compose(&block, offset, pending, member)?;
                return Ok(true);
            }
        }
    }

    /// The next piece of the current member's contents, of `most` bytes at most; empty at their end.
    pub(in crate::unpack) fn contents(&mut self, most: u64) -> Result<&[u8]> {
        let most = most.min(self.remaining);
        if most == 0 {
            return Ok(&[]);
        }
        let position = self.input.position();
        let piece = self.input.take(most)?;
        if piece.is_empty() {
            return Err(invalid(position, "the archive ends in the middle of an entry"));
        }
        self.remaining -= piece.len() as u64;
        Ok(piece)
    }

    /// After the first block of zeros there may only be zeros, whatever their number (T7).
    fn read_to_end(&mut self, offset: u64) -> Result<()> {
        loop {
            let position = self.input.position();
            let piece = self.input.take(u64::MAX)?;
            if piece.is_empty() {
                return Ok(());
            }
            if let Some(at) = piece.iter().position(|byte| *byte != 0) {
                let rule = format!("data after the end of the archive, which is at byte {offset}");
                return Err(invalid(position + at as u64, rule));
            }
        }
    }

    fn count_header(&mut self) -> Result<()> {
        self.headers += 1;
        // An entry has three extended headers at most; headers alone must not go on for ever either.
        if self.headers > self.limits.unpack_entries.saturating_mul(4) {
            return Err(Error::limit("headers of one layer", "unpack_entries", self.limits.unpack_entries));
        }
        Ok(())
    }

    /// Takes a header that says something about the next one; `false` if this is a member itself.
    fn extends(&mut self, block: &Block, offset: u64, pending: &mut Pending) -> Result<bool> {
        let flag = block.flag();
        if !matches!(flag, b'x' | b'g' | b'L' | b'K') {
            return Ok(false);
        }
        if block.dialect() == Dialect::V7 {
            return Err(invalid(offset, "an extended header in an archive too old to have any"));
        }
        self.read_extension(block.size(offset)?, pending.bytes)?;
        if flag == b'g' {
            check_global(&self.extension, offset + BLOCK as u64)?;
            return Ok(true);
        }
        pending.start.get_or_insert(offset);
        pending.bytes += self.extension.len();
        match flag {
            b'x' if pending.records.is_none() => {
                pending.records = Some(Records::parse(&self.extension, offset + BLOCK as u64, self.limits)?);
            }
            b'L' if pending.long_name.is_none() => pending.long_name = Some(long_text(&self.extension, offset)?),
            b'K' if pending.long_link.is_none() => pending.long_link = Some(long_text(&self.extension, offset)?),
            _ => return Err(invalid(offset, "two extended headers of one kind for one entry")),
        }
        Ok(true)
    }

    /// Reads the data of an extended header. The buffer grows by what is read, never by what is declared.
    fn read_extension(&mut self, size: u64, before: usize) -> Result<()> {
        let limit = self.limits.unpack_record;
        if usize::try_from(size).is_ok_and(|size| size.saturating_add(before) <= limit) {
            self.extension.clear();
        } else {
            return Err(Error::limit("an extended header", "unpack_record", limit));
        }
        let mut remaining = size;
        while remaining > 0 {
            let piece = self.input.take(remaining)?;
            if piece.is_empty() {
                return Err(self.input.truncated());
            }
            self.extension.extend_from_slice(piece);
            remaining -= piece.len() as u64;
        }
        self.input.skip(padding(size))
    }
}

impl Pending {
    /// Records that nothing follows would be lost without a word (T6).
    fn nothing_follows(&self, offset: u64) -> Result<()> {
        match self.start {
            Some(start) => Err(invalid(offset, format!("no entry follows the extended header at byte {start}"))),
            None => Ok(()),
        }
    }
}

/// The text of a GNU long name: NULs may only end it.
fn long_text(data: &[u8], offset: u64) -> Result<Vec<u8>> {
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = &data[..end];
    if text.is_empty() || text.contains(&0) {
        return Err(invalid(offset, "a long name that is empty or holds a NUL"));
    }
    Ok(text.to_vec())
}

pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
