//! Puts a member together from its header and the records before it.
//!
//! Where two of them speak, the PAX record wins over the header, and two records that contradict each other are an error
//! (T6).

use gantri_core::{Error, Result};
use rustix::fs::Timespec;

use super::archive::{Archive, Pending, padding};
use super::block::{BLOCK, Block, Dialect};
use super::invalid;
use super::member::{Kind, Member};
use super::pax::Records;
use super::sparse::{Chunk, MapPlace, MapReader, Sparse};

impl Archive<'_> {
    /// Fills in the member whose header this is, and leaves the reader at its contents.
    pub(super) fn compose(&mut self, block: &Block, offset: u64, pending: Pending, member: &mut Member) -> Result<()> {
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
