//! Walks an archive member by member and hands out the contents of each.
//!
//! Composes a member from its header and the records before it. Where two of them speak, the PAX record wins over the
//! header, and two records that contradict each other are an error (T6).

use std::io::BufRead;

use gantri_core::{Error, Limits, Result};
use rustix::fs::Timespec;

use super::block::{BLOCK, Block, Dialect};
use super::input::Input;
use super::invalid;
use super::member::{Kind, Member};
use super::pax::{Records, check_global};
use super::sparse::{Chunk, MapPlace, MapReader, Sparse};

/// One archive being read.
pub(in crate::unpack) struct Archive<'r> {
    input: Input<'r>,
    limits: &'r Limits,
    /// Contents of the current member that nobody took yet.
    remaining: u64,
    /// What fills the last block of those contents.
    padding: u64,
    headers: u64,
    extension: Vec<u8>,
}

/// What stands before a member and belongs to it.
#[derive(Default)]
struct Pending {
    /// Where the first of them begins.
    start: Option<u64>,
    records: Option<Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
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

    fn compose(&mut self, block: &Block, offset: u64, pending: Pending, member: &mut Member) -> Result<()> {
        let start = pending.start.unwrap_or(offset);
        let records = pending.records.unwrap_or_default();
        member.offset = start;
        member.path.clear();
        member.link.clear();
        let sparse_name = records.sparse.name.as_deref();
        match sparse_name.or(named(records.path.as_deref(), pending.long_name.as_deref(), start)?) {
            Some(name) => member.path.extend_from_slice(name),
            None => block.name_into(&mut member.path),
        }
        let link = named(records.link.as_deref(), pending.long_link.as_deref(), start)?;
        let stated = block.size(offset)?;
        member.size = records.size.unwrap_or(stated);
        member.kind = kind(block, &member.path, offset)?;
        if matches!(member.kind, Kind::Symlink | Kind::HardLink) {
            member.link.extend_from_slice(link.unwrap_or_else(|| block.link_name()));
        }
        // Where there can be no contents, readers disagree on whether a size means some (T6).
        if member.kind != Kind::File && member.size != 0 {
            return Err(invalid(offset, format!("a size of {} for what has no contents", member.size)));
        }
        set_metadata(block, offset, &records, member)?;
        self.remaining = member.size;
        self.padding = padding(member.size);
        member.sparse = self.sparse(block, offset, &records, member.kind)?;
        member.metadata.xattrs = records.xattrs;
        member.size = self.remaining;
        Ok(())
    }

    /// The map of a file with holes, in whichever spelling it stands.
    fn sparse(&mut self, block: &Block, offset: u64, records: &Records, kind: Kind) -> Result<Option<Sparse>> {
        let broken = |rule| invalid(offset, rule);
        let place = records.sparse.map_place().map_err(broken)?;
        if block.flag() == b'S' {
            return match place {
                MapPlace::None => self.old_sparse(block, offset).map(Some),
                _ => Err(broken("a sparse file with two maps")),
            };
        }
        let chunks = match place {
            MapPlace::None => return Ok(None),
            _ if kind != Kind::File => return Err(broken("a sparse map for what is no file")),
            MapPlace::Records => records.sparse.chunks.clone().unwrap_or_default(),
            MapPlace::Contents => self.leading_map(offset)?,
        };
        let size = records.sparse.size.ok_or_else(|| broken("a sparse file without its size"))?;
        Sparse::new(size, chunks, self.remaining).map(Some).map_err(broken)
    }

    /// PAX 1.0: the map fills the first blocks of the contents.
    fn leading_map(&mut self, offset: u64) -> Result<Vec<Chunk>> {
        let mut map = MapReader::default();
        for _ in 0..=self.limits.unpack_record / BLOCK {
            let block = match self.remaining.checked_sub(BLOCK as u64) {
                Some(remaining) => {
                    self.remaining = remaining;
                    self.input.block()?.ok_or_else(|| self.input.truncated())?
                }
                None => return Err(invalid(offset, "a sparse file whose contents end within its map")),
            };
            if map.take(&block.0).map_err(|rule| invalid(offset, rule))? {
                return Ok(map.into_chunks());
            }
        }
        Err(Error::limit("the map of a sparse file", "unpack_record", self.limits.unpack_record))
    }

    /// The old GNU format: four pieces in the header, more in blocks that follow it.
    fn old_sparse(&mut self, block: &Block, offset: u64) -> Result<Sparse> {
        let mut chunks = Vec::new();
        let size = block.number(offset, "realsize", 483..495)?;
        let size = u64::try_from(size).map_err(|_| invalid(offset, "the field realsize is negative"))?;
        let mut complete = old_chunks(block, 386, 4, offset, &mut chunks)?;
        let mut extended = block.0[482] != 0;
        for _ in 0..=self.limits.unpack_record / BLOCK {
            if !extended {
                return Sparse::new(size, chunks, self.remaining).map_err(|rule| invalid(offset, rule));
            }
            let at = self.input.position();
            let more = self.input.block()?.ok_or_else(|| self.input.truncated())?;
            if complete {
                return Err(invalid(at, "a sparse map goes on after its end"));
            }
            complete = old_chunks(&more, 0, 21, at, &mut chunks)?;
            extended = more.0[504] != 0;
        }
        Err(Error::limit("the map of a sparse file", "unpack_record", self.limits.unpack_record))
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

/// Appends the pieces of one block of the old format; `true` if the map ended within it.
fn old_chunks(block: &Block, from: usize, count: usize, offset: u64, chunks: &mut Vec<Chunk>) -> Result<bool> {
    for at in (from..).step_by(24).take(count) {
        if block.0[at] == 0 {
            return Ok(true);
        }
        let part = |at: usize| {
            let value = block.number(offset, "sparse", at..at + 12)?;
            u64::try_from(value).map_err(|_| invalid(offset, "the map of a sparse file holds a negative number"))
        };
        chunks.push(Chunk { offset: part(at)?, length: part(at + 12)? });
    }
    Ok(false)
}

/// The name by record and by GNU header; both may stand there only if they agree, for readers rank them differently.
fn named<'a>(record: Option<&'a [u8]>, long: Option<&'a [u8]>, offset: u64) -> Result<Option<&'a [u8]>> {
    match (record, long) {
        (Some(record), Some(long)) if record != long => Err(invalid(offset, "two names for one entry")),
        (record, long) => Ok(record.or(long)),
    }
}

fn kind(block: &Block, path: &[u8], offset: u64) -> Result<Kind> {
    let dialect = block.dialect();
    Ok(match block.flag() {
        // Before there was a flag for directories, a slash at the end made one.
        b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'5' => Kind::Directory,
        b'3' if dialect != Dialect::V7 => Kind::CharDevice,
        b'4' if dialect != Dialect::V7 => Kind::BlockDevice,
        b'6' if dialect != Dialect::V7 => Kind::Fifo,
        b'7' if dialect != Dialect::V7 => Kind::File,
        b'S' if dialect == Dialect::Gnu => Kind::File,
        flag => return Err(invalid(offset, format!("an entry of the unknown type '{}'", flag.escape_ascii()))),
    })
}

fn set_metadata(block: &Block, offset: u64, records: &Records, member: &mut Member) -> Result<()> {
    let metadata = &mut member.metadata;
    let number = |value: i64, name| u32::try_from(value).map_err(|_| invalid(offset, out_of_range(name)));
    metadata.mode = number(block.mode(offset)?, "mode")? & 0o7777;
    metadata.uid = owner(block.uid(offset)?, records.uid, "uid", offset)?;
    metadata.gid = owner(block.gid(offset)?, records.gid, "gid", offset)?;
    let seconds = block.modified(offset)?;
    metadata.modified = records.modified.unwrap_or(Timespec { tv_sec: seconds, tv_nsec: 0 });
    metadata.accessed = records.accessed.unwrap_or(metadata.modified);
    member.device = match member.kind {
        Kind::CharDevice | Kind::BlockDevice => {
            let (major, minor) = block.device(offset)?;
            (number(major, "devmajor")?, number(minor, "devminor")?)
        }
        _ => (0, 0),
    };
    Ok(())
}

/// A user or group; the highest number means "leave it" to the kernel and so names nobody.
fn owner(field: i64, record: Option<u64>, name: &str, offset: u64) -> Result<u32> {
    let id = record.map_or_else(|| u32::try_from(field).ok(), |record| u32::try_from(record).ok());
    id.filter(|id| *id != u32::MAX).ok_or_else(|| invalid(offset, out_of_range(name)))
}

fn out_of_range(name: &str) -> String {
    format!("the {name} is out of range")
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

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
