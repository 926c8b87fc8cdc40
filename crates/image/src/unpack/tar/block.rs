//! One block of 512 bytes as a header: its checksum, its dialect, its fields.
//!
//! Decides nothing about what the entry means; `archive.rs` composes that from the block and the records before it.

use gantri_core::Result;

use super::{invalid, number};

/// The unit of tar.
pub(super) const BLOCK: usize = 512;

pub(super) struct Block(pub(super) [u8; BLOCK]);

/// Who wrote the header; it decides what the last third of the block holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    /// Before any standard: no prefix, few kinds.
    V7,
    /// `ustar` and PAX: a prefix to the name.
    Posix,
    /// `ustar` by star: a shorter prefix.
    Star,
    /// GNU: times and the map of a sparse file.
    Gnu,
}

impl Block {
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// Refuses a header whose sum is not what its field says (T6). Old writers summed signed bytes; both are taken.
    pub(super) fn check(&self, offset: u64) -> Result<()> {
        let stated =
            number::field(&self.0[148..156]).map_err(|rule| invalid(offset, format!("the checksum {rule}")))?;
        let summed = || self.0[..148].iter().chain(&[b' '; 8]).chain(&self.0[156..]);
        let unsigned: i64 = summed().map(|byte| i64::from(*byte)).sum();
        let signed: i64 = summed().map(|byte| i64::from(byte.cast_signed())).sum();
        if stated == unsigned || stated == signed {
            return Ok(());
        }
        Err(invalid(offset, format!("a header says its checksum is {stated}, but it sums up to {unsigned}")))
    }

    pub(super) fn dialect(&self) -> Dialect {
        match (&self.0[257..263], &self.0[263..265]) {
            (b"ustar\0", _) if &self.0[508..] == b"tar\0" => Dialect::Star,
            (b"ustar\0", _) => Dialect::Posix,
            (b"ustar ", b" \0") => Dialect::Gnu,
            _ => Dialect::V7,
        }
    }

    pub(super) fn flag(&self) -> u8 {
        self.0[156]
    }

    /// Appends the name with its prefix.
    pub(super) fn name_into(&self, path: &mut Vec<u8>) {
        let prefix = match self.dialect() {
            Dialect::Posix => text(&self.0[345..500]),
            Dialect::Star => text(&self.0[345..476]),
            Dialect::V7 | Dialect::Gnu => &[],
        };
        if !prefix.is_empty() {
            path.extend_from_slice(prefix);
            path.push(b'/');
        }
        path.extend_from_slice(text(&self.0[..100]));
    }

    pub(super) fn link_name(&self) -> &[u8] {
        text(&self.0[157..257])
    }

    pub(super) fn mode(&self, offset: u64) -> Result<i64> {
        self.number(offset, "mode", 100..108)
    }

    pub(super) fn uid(&self, offset: u64) -> Result<i64> {
        self.number(offset, "uid", 108..116)
    }

    pub(super) fn gid(&self, offset: u64) -> Result<i64> {
        self.number(offset, "gid", 116..124)
    }

    pub(super) fn size(&self, offset: u64) -> Result<u64> {
        let size = self.number(offset, "size", 124..136)?;
        u64::try_from(size).map_err(|_| invalid(offset, "the field size is negative"))
    }

    pub(super) fn modified(&self, offset: u64) -> Result<i64> {
        self.number(offset, "mtime", 136..148)
    }

    pub(super) fn device(&self, offset: u64) -> Result<(i64, i64)> {
        Ok((self.number(offset, "devmajor", 329..337)?, self.number(offset, "devminor", 337..345)?))
    }

    /// A number at a place that the dialect defines, named in the error.
    pub(super) fn number(&self, offset: u64, name: &str, at: std::ops::Range<usize>) -> Result<i64> {
        number::field(&self.0[at]).map_err(|rule| invalid(offset, format!("the field {name} {rule}")))
    }
}

/// A field of text: up to its first NUL, or all of it.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}
