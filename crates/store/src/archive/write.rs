//! Writes an archive: what goes in is decided first, then everything is written in one order.
//!
//! The order is the mark, the index, Docker's list, then blobs by digest; all times are 0 and all owners root, so the same
//! content makes the same bytes. Only what the index leads to is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Digest, Index, Reference};
use tar_core::HEADER_SIZE;
use tar_core::builder::EntryBuilder;

use super::load::{self, file_of};
use super::merge::{Both, merge};
use super::{Archive, ArchiveKind, docker};
use crate::dir::io_error;
use crate::graph::{self, Deeper};
use crate::layout::Layout;
use crate::layout::files::{hasher, wrong_digest};
use crate::layout::index::{self, INDEX, MARK};
use crate::reading::Shelf;
use crate::stored::Stored;

/// What an archive is to hold.
#[derive(Debug)]
pub(super) struct Plan {
    documents: Vec<(&'static str, Bytes)>,
    blobs: BTreeMap<Digest, Part>,
}

/// A blob, and whether it was checked when it was put where it is.
#[derive(Debug)]
struct Part {
    stored: Stored,
    is_checked: bool,
}

impl Plan {
    /// What a draft holds, under these names, and what is left of an older archive.
    pub(super) fn new(draft: &Layout, old: Option<&Archive>, names: &[Reference], kind: ArchiveKind) -> Result<Self> {
        let limits = draft.limits();
        let old = old.map(|archive| &archive.0.contents);
        let both = Both { new: draft.root(), old };
        let index = merge(old.map(|old| &old.index), &index::read(draft.root(), limits)?, names);
        let mut documents = vec![(MARK, index::mark()?), (INDEX, index::to_bytes(&index)?)];
        if kind == ArchiveKind::Docker {
            documents.push((docker::MANIFEST, load::list(&both, &index, limits)?));
        }
        Ok(Self { documents, blobs: reached(&both, &index, limits)? })
    }
}

/// All content that an index leads to. What is not there is left out: an index may name images that were not fetched.
fn reached(both: &Both<'_>, index: &Index, limits: &Limits) -> Result<BTreeMap<Digest, Part>> {
    let mut blobs = BTreeMap::new();
    graph::walk(both, limits, index, Deeper::Refuse, |manifest| {
        let Some(raw) = graph::read(both, limits, manifest)? else { return Ok(ControlFlow::Continue(Vec::new())) };
        take(both, manifest, &mut blobs)?;
        // What can't be parsed is kept as it is, and leads nowhere.
        let Ok(parsed) = raw.parse() else { return Ok(ControlFlow::Continue(Vec::new())) };
        parsed.children().into_iter().try_for_each(|child| take(both, child, &mut blobs))?;
        Ok(ControlFlow::Continue(graph::listed(&parsed)))
    })?;
    Ok(blobs)
}

fn take(both: &Both<'_>, blob: &Descriptor, blobs: &mut BTreeMap<Digest, Part>) -> Result<()> {
    if blobs.contains_key(&blob.digest) {
        return Ok(());
    }
    let is_checked = both.new.stored(&blob.digest)?.is_some();
    let Some(stored) = both.stored(&blob.digest)? else { return Ok(()) };
    if stored.size != blob.size {
        let (path, size) = (stored.path.display(), stored.size);
        let what = format!("read {path}: size {} expected, {size} found", blob.size);
        return Err(Error::new(ErrorKind::SizeMismatch, what));
    }
    blobs.insert(blob.digest.clone(), Part { stored, is_checked });
    Ok(())
}

/// Writes the archive.
///
/// # Errors
/// `Io`, naming the target; `DigestMismatch`, `SizeMismatch` if a blob is not what it should be.
pub(super) fn write(plan: &Plan, to: &File, target: &Path) -> Result<()> {
    let mut writer = Writer { file: BufWriter::with_capacity(HEADER_BUFFER, to), target };
    for (name, bytes) in &plan.documents {
        writer.header(name, bytes.len() as u64)?;
        writer.bytes(bytes)?;
        writer.pad(bytes.len() as u64)?;
    }
    for (digest, part) in &plan.blobs {
        writer.header(&file_of(digest), part.stored.size)?;
        writer.blob(digest, part)?;
        writer.pad(part.stored.size)?;
    }
    writer.bytes(&[0; 2 * HEADER_SIZE])?;
    writer.file.flush().map_err(|error| refused(target, error))
}

struct Writer<'a> {
    file: BufWriter<&'a File>,
    target: &'a Path,
}

impl Writer<'_> {
    fn header(&mut self, name: &str, size: u64) -> Result<()> {
        let mut entry = EntryBuilder::new_ustar();
        entry.path(name);
        // Numbers that do not fit become PAX records.
        let filled = entry.mode(0o644).and_then(|entry| entry.uid(0)).and_then(|entry| entry.gid(0));
        let filled = filled.and_then(|entry| entry.size(size)).and_then(|entry| entry.mtime(0));
        filled.map_err(|error| {
            io_error("write", self.target, io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
        })?;
        self.bytes(&entry.finish_bytes())
    }

    fn blob(&mut self, digest: &Digest, part: &Part) -> Result<()> {
        let mut stored = part.stored.clone();
        let mut hasher = if part.is_checked { None } else { Some(hasher(digest)?) };
        let mut left = stored.size;
        while left > 0 {
            let chunk = stored.next(BUFFER)?;
            if chunk.is_empty() {
                let what = format!("read {}: it shrank while it was read", stored.path.display());
                return Err(Error::new(ErrorKind::SizeMismatch, what));
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&chunk);
            }
            left -= chunk.len() as u64;
            self.bytes(&chunk)?;
        }
        match hasher.map(gantri_spec::Hasher::finish) {
            Some(actual) if actual != *digest => Err(wrong_digest(digest, &actual)),
            _ => Ok(()),
        }
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = size.wrapping_neg() % HEADER_SIZE as u64;
        self.bytes(&[0; HEADER_SIZE][..usize::try_from(padding).unwrap_or_default()])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| refused(self.target, error))
    }
}

/// What the file system says to a write; a full one is told of the room that is needed.
fn refused(target: &Path, error: io::Error) -> Error {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let error = io_error("write", target, error);
    if is_full { error.with_hint("a new archive needs room for its content twice") } else { error }
}

/// Bytes of a blob in memory.
const BUFFER: u64 = 256 * 1024;
/// Headers and small blobs are gathered.
const HEADER_BUFFER: usize = 32 * 1024;
