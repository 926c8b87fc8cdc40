//! The members of a tar archive: which files there are, and where in the archive the contents of each begin.
//!
//! Only headers are read, contents are passed over. What two readers could understand differently is refused and never
//! skipped (T6), as are names that lead out of the archive, names that are there twice, and files below what is no
//! directory (T19). Nothing is unpacked, so modes, owners and times are not even looked at.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Result};
use tar_core::{EntryType, HEADER_SIZE, Header};

use super::records::{Records, long_text};
use crate::stored::Stored;

/// What is in an archive, by names without `./` in front.
pub(super) type Members = BTreeMap<String, Member>;

/// One member, but for directories: those say nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Member {
    /// A file, and where its contents are, in bytes from the beginning of the archive.
    File { start: u64, size: u64 },
    /// Another name for the file of this name.
    HardLink(String),
    /// A symbolic link, and what it says.
    Symlink(String),
}

/// Reads all headers of an archive.
///
/// # Errors
/// `NotARegistry` if it is no tar archive, or breaks a rule; `Unsupported` if it is compressed, or has files with holes;
/// `LimitExceeded` at [`Limits::archive_entries`], [`Limits::unpack_path`] and [`Limits::unpack_record`]; `Io`.
pub(super) fn members(archive: &Stored, limits: &Limits) -> Result<Members> {
    let mut scan = Scan { archive: archive.clone(), at: 0, entries: 0, limits, found: Members::new() };
    scan.refuse_compressed()?;
    while scan.next()? {}
    scan.refuse_hidden()?;
    Ok(scan.found)
}

struct Scan<'a> {
    archive: Stored,
    /// Where the next block begins.
    at: u64,
    entries: u64,
    limits: &'a Limits,
    found: Members,
}

impl Scan<'_> {
    /// Takes one member with the extended headers before it; `false` at the end of the archive.
    fn next(&mut self) -> Result<bool> {
        let mut records = Records::default();
        loop {
            let offset = self.at;
            let Some(header) = self.header()? else {
                if !records.is_empty() {
                    return Err(self.broken(offset, "no entry follows an extended header"));
                }
                return self.read_to_end().map(|()| false);
            };
            let size = size(&header).ok_or_else(|| self.broken(offset, "the field size is no number"))?;
            let kind = header.entry_type();
            if is_extension(kind) && !header.is_ustar() && !header.is_gnu() {
                return Err(self.broken(offset, "an extended header in an archive too old to have any"));
            }
            let rule = match kind {
                EntryType::XHeader => records.pax(&self.extension(size)?),
                EntryType::XGlobalHeader => Records::check_global(&self.extension(size)?),
                EntryType::GnuLongName => records.long_name(long_text(&self.extension(size)?)),
                EntryType::GnuLongLink => records.long_link(long_text(&self.extension(size)?)),
                _ => return self.member(offset, &header, kind, size, &records).map(|()| true),
            };
            rule.map_err(|rule| self.broken(offset, rule))?;
        }
    }

    /// The next block as a header; none if it is of zeros, which ends the archive.
    fn header(&mut self) -> Result<Option<Header>> {
        let offset = self.at;
        let block = self.read(HEADER_SIZE as u64)?;
        let Ok(block) = <&[u8; HEADER_SIZE]>::try_from(&*block) else {
            return Err(self.broken(offset, "it ends without an end mark: it was cut off"));
        };
        let header = *Header::from_bytes(block);
        if header.is_empty() {
            return Ok(None);
        }
        self.entries += 1;
        if self.entries > self.limits.archive_entries {
            let what = format_args!("read {}", self.archive.path.display());
            return Err(Error::limit(what, "archive_entries", self.limits.archive_entries));
        }
        header.verify_checksum().map_err(|_| {
            self.broken(offset, if offset == 0 { "not a tar archive" } else { "a header with a wrong checksum" })
        })?;
        Ok(Some(header))
    }

    fn member(&mut self, offset: u64, header: &Header, kind: EntryType, stated: u64, records: &Records) -> Result<()> {
        let broken = |rule: &str| broken(&self.archive, offset, rule);
        let (name, link) = records.names(header).map_err(broken)?;
        let limit = self.limits.unpack_path;
        if name.len().max(link.len()) > limit {
            return Err(Error::limit(
                format_args!("read a name in {}", self.archive.path.display()),
                "unpack_path",
                limit,
            ));
        }
        let size = records.size.unwrap_or(stated);
        let (name, is_directory) = inside(&name).map_err(broken)?;
        let member = match kind {
            _ if records.is_sparse || kind == EntryType::GnuSparse => {
                let what = format!("read {}: {name} is a file with holes", self.archive.path.display());
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            EntryType::Regular | EntryType::Continuous if is_directory => None,
            EntryType::Regular | EntryType::Continuous => Some(Member::File { start: self.at, size }),
            EntryType::Link => Some(Member::HardLink(inside(&link).map_err(broken)?.0)),
            EntryType::Symlink => Some(Member::Symlink(link)),
            EntryType::Directory => None,
            _ => return Err(broken("neither a file nor a directory nor a link")),
        };
        if size > 0 && !matches!(member, Some(Member::File { .. })) {
            return Err(broken("a size for what has no contents"));
        }
        self.pass(size)?;
        match member {
            Some(member) => self.enter(offset, name, member),
            None => Ok(()),
        }
    }

    fn enter(&mut self, offset: u64, name: String, member: Member) -> Result<()> {
        if name.is_empty() {
            return Err(self.broken(offset, "a file without a name"));
        }
        match self.found.entry(name) {
            Entry::Vacant(free) => {
                free.insert(member);
                Ok(())
            }
            Entry::Occupied(taken) => {
                let rule = format!("a second {}", taken.key());
                Err(broken(&self.archive, offset, &rule))
            }
        }
    }

    /// A file below a file or below a link is one that some readers see and others do not.
    fn refuse_hidden(&self) -> Result<()> {
        for name in self.found.keys() {
            let above = name.match_indices('/').map(|(end, _)| &name[..end]);
            if let Some(above) = above.into_iter().find(|above| self.found.contains_key(*above)) {
                return Err(broken(&self.archive, 0, &format!("{name} is there, though {above} is not a directory")));
            }
        }
        Ok(())
    }

    fn refuse_compressed(&self) -> Result<()> {
        let start = self.archive.clone().next(6)?;
        let Some((name, _)) = MAGICS.iter().find(|(_, magic)| start.starts_with(magic)) else { return Ok(()) };
        let what = format!("read {}: the archive is compressed with {name}", self.archive.path.display());
        let hint = "decompress it first; only the layers inside an archive may be compressed";
        Err(Error::new(ErrorKind::Unsupported, what).with_hint(hint))
    }

    /// The data of an extended header.
    fn extension(&mut self, size: u64) -> Result<Bytes> {
        let limit = self.limits.unpack_record;
        if size > limit as u64 {
            let what = format_args!("read an extended header in {}", self.archive.path.display());
            return Err(Error::limit(what, "unpack_record", limit));
        }
        let start = self.at;
        self.pass(size)?;
        self.archive.skip_to(start);
        self.archive.next(size)
    }

    /// Passes over contents and what fills their last block.
    fn pass(&mut self, size: u64) -> Result<()> {
        let next = size.checked_next_multiple_of(HEADER_SIZE as u64).and_then(|size| self.at.checked_add(size));
        match next.filter(|next| *next <= self.archive.size) {
            Some(next) => {
                self.at = next;
                Ok(())
            }
            None => Err(self.broken(self.at, "it ends in the middle of an entry: it was cut off")),
        }
    }

    /// After the first block of zeros there may only be zeros, whatever their number (T7).
    fn read_to_end(&mut self) -> Result<()> {
        loop {
            let offset = self.at;
            let rest = self.read(BUFFER)?;
            if rest.is_empty() {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                return Err(self.broken(offset, "data after the end of the archive"));
            }
        }
    }

    fn read(&mut self, wanted: u64) -> Result<Bytes> {
        self.archive.skip_to(self.at);
        let bytes = self.archive.next(wanted)?;
        self.at += bytes.len() as u64;
        Ok(bytes)
    }

    fn broken(&self, offset: u64, rule: &str) -> Error {
        broken(&self.archive, offset, rule)
    }
}

fn broken(archive: &Stored, offset: u64, rule: &str) -> Error {
    let rule = gantri_core::error::display_untrusted(rule);
    Error::new(ErrorKind::NotARegistry, format!("read {}: byte {offset}: {rule}", archive.path.display()))
}

/// A name as others are compared with, and whether it is written as that of a directory.
///
/// # Errors
/// The rule that it breaks: it leads out of the archive, or is no text.
pub(super) fn inside(name: &str) -> Result<(String, bool), &'static str> {
    if name.starts_with('/') {
        return Err("a name that begins at the root");
    }
    if name.contains('\0') {
        return Err("a name with a NUL");
    }
    let mut components = Vec::new();
    for component in name.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err("a name that leads out of the archive"),
            _ => components.push(component),
        }
    }
    Ok((components.join("/"), name.ends_with('/')))
}

fn is_extension(kind: EntryType) -> bool {
    use EntryType::{GnuLongLink, GnuLongName, XGlobalHeader, XHeader};
    matches!(kind, XHeader | XGlobalHeader | GnuLongName | GnuLongLink)
}

/// The size that a header states: octal, or base-256 where the first bit is set. `tar_core` takes signs, and whatever
/// follows a NUL, which others do not (T6).
fn size(header: &Header) -> Option<u64> {
    let field = &header.as_ustar().size;
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| !matches!(byte, b'0'..=b'7')).unwrap_or(digits.len());
    let is_octal = digits[end..].iter().all(|byte| matches!(byte, b' ' | 0));
    let is_number = is_octal || field[0] & 0x80 != 0;
    header.entry_size().ok().filter(|_| is_number)
}

/// How files begin that are compressed, and by what.
const MAGICS: [(&str, &[u8]); 4] =
    [("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"), ("xz", b"\xfd7zXZ\0"), ("bzip2", b"BZh")];
const BUFFER: u64 = 64 * 1024;
