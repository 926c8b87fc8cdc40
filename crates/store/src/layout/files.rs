//! `blobs/<algorithm>/<encoded>`: the only place that spells where a blob lies, and the steps by which one gets there.
//!
//! The steps are: a scratch file, written and hashed as chunks come; size and digest compared; `fsync`; rename; `fsync`
//! of the directory. All of it blocks; `incoming.rs` keeps it off the reactor. Names come from a parsed [`Digest`] (M2),
//! whose grammar has no separators and no dots at the start.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Digest, Hasher, MediaType};

use super::scratch::{BLOBS, Place, Scratch};
use super::{index, lease};
use crate::dir::{Dir, io_error};
use crate::reading::Shelf;
use crate::stored::Stored;

/// A blob's file, if there is one. What it holds has not been looked at.
pub(super) fn open(root: &Dir, digest: &Digest) -> Result<Option<Stored>> {
    match home(root, digest)? {
        Some(home) => Ok(home.file(digest.encoded())?.map(Stored::from)),
        None => Ok(None),
    }
}

/// A layout's content is what its blobs are.
impl Shelf for Dir {
    fn stored(&self, digest: &Digest) -> Result<Option<Stored>> {
        open(self, digest)
    }

    fn place(&self) -> &Path {
        self.path()
    }
}

/// Removes a blob's file; whether there was one. Readers that are open keep their bytes (R8).
pub(super) fn remove(root: &Dir, digest: &Digest) -> Result<bool> {
    match home(root, digest)? {
        Some(home) => home.remove(digest.encoded()),
        None => Ok(false),
    }
}

/// All blobs of a layout.
pub(super) fn all(root: &Dir) -> Result<Vec<Digest>> {
    let Some(blobs) = root.dir(BLOBS)? else { return Ok(Vec::new()) };
    let mut digests = Vec::new();
    for algorithm in blobs.dir_names()? {
        let names = blobs.dir(&algorithm)?.map(|dir| dir.names()).transpose()?.unwrap_or_default();
        digests.extend(names.into_iter().filter_map(|name| format!("{algorithm}:{name}").parse::<Digest>().ok()));
    }
    Ok(digests)
}

/// The directory that a blob's file lies in, if it is there.
pub(super) fn home(root: &Dir, digest: &Digest) -> Result<Option<Dir>> {
    match root.dir(BLOBS)? {
        Some(blobs) => blobs.dir(digest.algorithm_name()),
        None => Ok(None),
    }
}

/// The directory that a blob's file is to lie in. It makes the root a layout: who asks has a blob that is checked.
pub(super) fn make_home(root: &Dir, digest: &Digest) -> Result<Dir> {
    index::establish(root)?;
    root.make_dir(BLOBS)?.make_dir(digest.algorithm_name())
}

/// Stores bytes whose digest is known to be right, unless they are there; whether they are new.
pub(super) fn put(root: &Dir, blob: &Descriptor, bytes: &Bytes) -> Result<bool> {
    let Some((scratch, sink)) = begin(root, blob)? else { return Ok(false) };
    sink.write(std::slice::from_ref(bytes))?.finish()?;
    drop(scratch);
    Ok(true)
}

/// Makes a blob of one layout available in another: by hard link, or by a copy where the file systems can't do that.
/// Whether there was one.
pub(super) fn link(from: &Dir, to: &Dir, digest: &Digest) -> Result<bool> {
    let (Some(home), Some(mut file)) = (home(from, digest)?, open(from, digest)?) else { return Ok(false) };
    let target = make_home(to, digest)?;
    if home.link(digest.encoded(), &target, digest.encoded())? && lease::keep(to, digest)?.is_some() {
        return Ok(true);
    }
    let blob = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), file.size);
    let Some((_scratch, mut sink)) = begin(to, &blob)? else { return Ok(true) };
    loop {
        let chunk = file.next(COPY_BUFFER)?;
        if chunk.is_empty() {
            return sink.finish().map(|()| true);
        }
        sink = sink.write(&[chunk])?;
    }
}

/// Makes ready to receive a blob; none if it is there already, and whole.
///
/// A file of the right name and size is read and hashed, since another tool, or a power cut under it, may have left
/// anything in it: what is broken is written anew (S1, S6). That costs far less than fetching it again.
///
/// # Errors
/// `Unsupported` if the digest's algorithm can't be computed (M3); `Io`.
pub(super) fn begin(root: &Dir, blob: &Descriptor) -> Result<Option<(Scratch, Sink)>> {
    let hasher = hasher(&blob.digest)?;
    if let Some(mut found) = open(root, &blob.digest)?
        && found.size == blob.size
        && hash(&mut found, hasher.clone())? == blob.digest
        && lease::keep(root, &blob.digest)?.is_some()
    {
        return Ok(None);
    }
    let (scratch, file) = Scratch::create(root)?;
    let (root, place) = (root.clone(), scratch.place().clone());
    let sink = Sink { root, file, place, hasher, written: 0, blob: blob.clone() };
    Ok(Some((scratch, sink)))
}

/// Where the chunks of one blob go, until it is whole.
#[derive(Debug)]
pub(super) struct Sink {
    root: Dir,
    file: File,
    place: Place,
    hasher: Hasher,
    written: u64,
    blob: Descriptor,
}

impl Sink {
    /// Adds chunks.
    ///
    /// # Errors
    /// `SizeMismatch` before a byte more than announced is written (M6); `Io`.
    pub(super) fn write(mut self, chunks: &[Bytes]) -> Result<Self> {
        for chunk in chunks {
            self.written += chunk.len() as u64;
            if self.written > self.blob.size {
                return Err(self.wrong_size("at least "));
            }
            self.hasher.update(chunk);
            self.file.write_all(chunk).map_err(|error| io_error("write", &self.place.path(), error))?;
        }
        Ok(self)
    }

    /// Ends the blob: what was written is compared with what was announced, put on disk, and gets its name.
    ///
    /// # Errors
    /// `SizeMismatch`, `DigestMismatch`; `Io`.
    pub(super) fn finish(self) -> Result<()> {
        if self.written != self.blob.size {
            return Err(self.wrong_size(""));
        }
        let Self { root, file, place, hasher, blob, .. } = self;
        let actual = hasher.finish();
        if actual != blob.digest {
            return Err(wrong_digest(&blob.digest, &actual));
        }
        // On disk first, then under its name (S1).
        file.sync_all().map_err(|error| io_error("sync", &place.path(), error))?;
        place.publish(&make_home(&root, &blob.digest)?, blob.digest.encoded())
    }

    fn wrong_size(&self, at_least: &str) -> Error {
        let Descriptor { digest, size, .. } = &self.blob;
        let what = format!("blob {digest}: size {size} expected, {at_least}{} received", self.written);
        Error::new(ErrorKind::SizeMismatch, what)
    }
}

/// Feeds all that is left of a file to a hasher.
pub(crate) fn hash(from: &mut Stored, mut hasher: Hasher) -> Result<Digest> {
    loop {
        let chunk = from.next(COPY_BUFFER)?;
        if chunk.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(&chunk);
    }
}

/// The hasher that can tell whether a blob is what it is called.
pub(crate) fn hasher(digest: &Digest) -> Result<Hasher> {
    digest
        .hasher()
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, format!("digest {digest}: this algorithm can't be verified")))
}

pub(crate) fn wrong_digest(expected: &Digest, actual: &Digest) -> Error {
    Error::new(ErrorKind::DigestMismatch, format!("blob {expected}: digest {actual} received"))
}

const COPY_BUFFER: u64 = 128 * 1024;
