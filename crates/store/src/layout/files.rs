//! `blobs/<algorithm>/<encoded>`: the only place that spells where a blob lies, and the steps by which one gets there.
//!
//! The steps are: a scratch file, new or left by somebody who did not finish (`partial.rs`), written and hashed as chunks
//! come; size and digest compared; `fsync`; rename; `fsync` of the directory. All of it blocks; `incoming.rs` keeps it off the reactor. Names come from a parsed [`Digest`] (M2),
//! whose grammar has no separators and no dots at the start.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Digest, Hasher, MediaType};

use super::scratch::{BLOBS, Place, Scratch};
use super::{index, lease, partial};
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
    let Some((scratch, sink)) = begin(root, blob, Reach::Start)? else { return Ok(false) };
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
    let Some((_scratch, mut sink)) = begin(to, &blob, Reach::Start)? else { return Ok(true) };
    loop {
        let chunk = file.next(COPY_BUFFER)?;
        if chunk.is_empty() {
            return sink.finish().map(|_| true);
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
pub(super) fn begin(root: &Dir, blob: &Descriptor, reach: Reach) -> Result<Option<(Scratch, Sink)>> {
    let hasher = hasher(&blob.digest)?;
    if let Some(mut found) = open(root, &blob.digest)?
        && found.size == blob.size
        && hash(&mut found, hasher.clone())? == blob.digest
        && lease::keep(root, &blob.digest)?.is_some()
    {
        return Ok(None);
    }
    let (scratch, here) = match reach {
        Reach::Anywhere => partial::take_up(root, blob)?,
        Reach::Start => {
            let scratch = Scratch::create(root)?;
            let empty = scratch.opened();
            (scratch, empty)
        }
    };
    let hasher = feed(&mut Stored::from(&here), hasher)?;
    let past = if here.size > 0 { Past::Continued } else { Past::Straight };
    let (root, place, written) = (root.clone(), scratch.place().clone(), here.size);
    let sink = Sink { root, file: here.file, place, hasher, written, past, blob: blob.clone() };
    Ok(Some((scratch, sink)))
}

/// From where on the bytes of a blob can be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// From the first, once.
    Start,
    /// From any byte on, as often as needed: what is here of it already need not come again.
    Anywhere,
}

/// Where the chunks of one blob go, until it is whole.
#[derive(Debug)]
pub(super) struct Sink {
    root: Dir,
    file: Arc<File>,
    place: Place,
    hasher: Hasher,
    written: u64,
    past: Past,
    blob: Descriptor,
}

/// How the bytes in a sink came together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Past {
    /// In one go.
    Straight,
    /// In several: they may be parts of different things.
    Continued,
    /// In one go, after parts that were not of one thing.
    Anew,
}

impl Sink {
    /// Bytes that are here.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether no byte is missing.
    pub(super) fn is_full(&self) -> bool {
        self.written == self.blob.size
    }

    /// Says that what was written came from several answers.
    pub(super) fn joined(self) -> Self {
        let past = if self.past == Past::Straight { Past::Continued } else { self.past };
        Self { past, ..self }
    }

    /// Adds chunks.
    ///
    /// # Errors
    /// `SizeMismatch` before a byte more than announced is written (M6); `Io`. Nothing is kept then.
    pub(super) fn write(mut self, chunks: &[Bytes]) -> Result<Self> {
        let outcome = chunks.iter().try_for_each(|chunk| self.add(chunk));
        match outcome {
            Ok(()) => Ok(self),
            Err(error) => Err(self.give_up(error)),
        }
    }

    /// Ends the blob: what was written is compared with what was announced, put on disk, and gets its name. If it was put
    /// together from parts that were not of one thing, gives the sink, empty, to be filled once more in one go (H6).
    ///
    /// # Errors
    /// `SizeMismatch`, `DigestMismatch`; `Io`. Nothing is kept then.
    pub(super) fn finish(self) -> Result<Option<Self>> {
        if self.written != self.blob.size {
            let error = self.wrong_size("");
            return Err(self.give_up(error));
        }
        let actual = self.hasher.clone().finish();
        if actual != self.blob.digest {
            let error = wrong_digest(&self.blob.digest, &actual);
            return self.mixed(error).map(Some);
        }
        // On disk first, then under its name (S1).
        self.file.sync_all().map_err(|error| io_error("sync", &self.place.path(), error))?;
        self.place.publish(&make_home(&self.root, &self.blob.digest)?, self.blob.digest.encoded())?;
        // From here on it is everybody's.
        let _ = self.file.unlock();
        Ok(None)
    }

    fn add(&mut self, chunk: &Bytes) -> Result<()> {
        let at = self.written;
        self.written += chunk.len() as u64;
        if self.written > self.blob.size {
            return Err(self.wrong_size("at least "));
        }
        self.hasher.update(chunk);
        self.file.write_all_at(chunk, at).map_err(|error| io_error("write", &self.place.path(), error))
    }

    fn mixed(self, error: Error) -> Result<Self> {
        if self.past != Past::Continued {
            return Err(self.give_up(error));
        }
        tracing::warn!(%error, "its parts were not of one blob: it is fetched once more");
        self.file.set_len(0).map_err(|error| io_error("empty", &self.place.path(), error))?;
        let hasher = hasher(&self.blob.digest)?;
        Ok(Self { hasher, written: 0, past: Past::Anew, ..self })
    }

    /// What can't become the blob is no part of it either.
    fn give_up(&self, error: Error) -> Error {
        if let Err(error) = self.place.remove() {
            tracing::debug!(%error, "a temporary file stays behind");
        }
        error
    }

    fn wrong_size(&self, at_least: &str) -> Error {
        let Descriptor { digest, size, .. } = &self.blob;
        let what = format!("blob {digest}: size {size} expected, {at_least}{} received", self.written);
        Error::new(ErrorKind::SizeMismatch, what)
    }
}

/// Feeds all that is left of a file to a hasher.
pub(crate) fn hash(from: &mut Stored, hasher: Hasher) -> Result<Digest> {
    feed(from, hasher).map(Hasher::finish)
}

fn feed(from: &mut Stored, mut hasher: Hasher) -> Result<Hasher> {
    loop {
        let chunk = from.next(COPY_BUFFER)?;
        if chunk.is_empty() {
            return Ok(hasher);
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
