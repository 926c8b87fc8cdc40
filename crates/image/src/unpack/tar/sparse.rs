//! Files with holes, in the four spellings of GNU tar: the old header, and PAX 0.0, 0.1 and 1.0.
//!
//! All end as one [`Sparse`]: ascending pieces that do not overlap, lie within the file and add up to what the archive
//! stores. A map that is anything else is refused, so that a reader can't lose its place in the archive (T18).

use super::number::{self, Rule};
use super::pax::{given, once, text};

/// Where the stored bytes of a file with holes belong.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::unpack) struct Sparse {
    /// Size of the whole file.
    pub(in crate::unpack) size: u64,
    pub(in crate::unpack) chunks: Vec<Chunk>,
}

/// A piece of a file with contents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::unpack) struct Chunk {
    pub(in crate::unpack) offset: u64,
    pub(in crate::unpack) length: u64,
}

impl Sparse {
    /// Checks a map against the file's size and the bytes that the archive stores for it.
    pub(super) fn new(size: u64, chunks: Vec<Chunk>, stored: u64) -> Result<Self, Rule> {
        let mut end = 0_u64;
        let mut total = 0_u64;
        for chunk in &chunks {
            if chunk.offset < end {
                return Err("the map of a sparse file goes backwards");
            }
            end = chunk
                .offset
                .checked_add(chunk.length)
                .filter(|end| *end <= size)
                .ok_or("the map of a sparse file goes beyond its size")?;
            total += chunk.length;
        }
        if total != stored {
            return Err("the map of a sparse file does not cover what is stored");
        }
        Ok(Self { size, chunks })
    }
}

/// The `GNU.sparse.*` records of one extended header.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// The map, if the records hold it (0.0 and 0.1).
    pub(super) chunks: Option<Vec<Chunk>>,
    major: Option<u64>,
    minor: Option<u64>,
    blocks: Option<u64>,
    /// An offset that waits for its length (0.0).
    offset: Option<u64>,
}

/// Where the map of a PAX sparse file stands.
pub(super) enum MapPlace {
    /// The file has no holes.
    None,
    /// In the records.
    Records,
    /// Before the contents (1.0).
    Contents,
}

impl PaxSparse {
    /// Takes a record; `key` is without its `GNU.sparse.`.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Rule> {
        match key {
            b"name" => once(&mut self.name, text(value)?),
            b"size" | b"realsize" => once(&mut self.size, given(value, number::decimal)?),
            b"major" => once(&mut self.major, given(value, number::decimal)?),
            b"minor" => once(&mut self.minor, given(value, number::decimal)?),
            b"numblocks" => once(&mut self.blocks, given(value, number::decimal)?),
            b"offset" => once(&mut self.offset, Some(number::decimal(value)?)),
            b"numbytes" => {
                let offset = self.offset.take().ok_or("has no offset before it")?;
                let chunk = Chunk { offset, length: number::decimal(value)? };
                self.chunks.get_or_insert_default().push(chunk);
                Ok(())
            }
            b"map" => once(&mut self.chunks, Some(map(value)?)),
            _ => Err("is not known"),
        }
    }

    /// Checks what only the last record shows.
    pub(super) fn end(&self) -> Result<(), Rule> {
        let counted = self.chunks.as_ref().map(|chunks| chunks.len() as u64);
        match (self.offset, self.blocks) {
            (Some(_), _) => Err("the map of a sparse file ends with an offset"),
            (None, Some(blocks)) if blocks != counted.unwrap_or(0) => {
                Err("the map of a sparse file has another number of pieces than it says")
            }
            _ => Ok(()),
        }
    }

    /// Tells the versions apart; one that does not exist is refused.
    pub(super) fn map_place(&self) -> Result<MapPlace, Rule> {
        match (self.major, self.minor, &self.chunks) {
            (Some(1), Some(0), None) => Ok(MapPlace::Contents),
            (None, None, Some(_)) | (Some(0), Some(0 | 1), Some(_)) => Ok(MapPlace::Records),
            (None, None, None) if self.size.is_none() && self.name.is_none() => Ok(MapPlace::None),
            (None, None, None) => Err("a sparse file without a map"),
            _ => Err("a sparse file of an unknown version"),
        }
    }
}

/// The map of version 0.1: `offset,length,offset,length`.
fn map(value: &[u8]) -> Result<Vec<Chunk>, Rule> {
    let mut chunks = Vec::new();
    if value.is_empty() {
        return Ok(chunks);
    }
    let mut numbers = value.split(|byte| *byte == b',');
    while let Some(offset) = numbers.next() {
        let length = numbers.next().ok_or("has an offset without a length")?;
        chunks.push(Chunk { offset: number::decimal(offset)?, length: number::decimal(length)? });
    }
    Ok(chunks)
}

/// Reads the map of version 1.0 from the blocks before the contents: the number of pieces, then offsets and lengths, each
/// on a line of its own.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    expected: Option<u64>,
    offset: Option<u64>,
    chunks: Vec<Chunk>,
    line: Vec<u8>,
}

impl MapReader {
    /// Takes a block; `true` once the map is complete. The rest of that block is padding.
    pub(super) fn take(&mut self, block: &[u8]) -> Result<bool, Rule> {
        for byte in block {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > 20 {
                    return Err("the map of a sparse file is not made of numbers");
                }
                continue;
            }
            let value = number::decimal(&self.line).map_err(|_| "the map of a sparse file is not made of numbers")?;
            self.line.clear();
            if self.accept(value) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    fn accept(&mut self, value: u64) -> bool {
        match (self.expected, self.offset.take()) {
            (None, _) => self.expected = Some(value),
            (Some(_), None) => self.offset = Some(value),
            (Some(_), Some(offset)) => self.chunks.push(Chunk { offset, length: value }),
        }
        self.offset.is_none() && self.expected == Some(self.chunks.len() as u64)
    }
}
