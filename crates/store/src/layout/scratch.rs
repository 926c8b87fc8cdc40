//! Files that are not finished: where they lie, who removes them, and how those of dead processes are told from live ones.
//!
//! A scratch file lies in `blobs/` under a name that no other tool looks at, and is moved to its final name when it is
//! whole. Its guard removes it otherwise. Its process holds a lock on it as long as it lives, so a scratch file whose
//! lock is free belongs to nobody: whoever makes the next one sweeps it away, whatever its age. Only a part of a blob that
//! somebody may go on with (`partial.rs`) has its time.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Result};

use super::partial;
use crate::dir::{Dir, Opened};

/// The directory of all blobs, by algorithm; scratch files lie here too, on the same file system.
pub(crate) const BLOBS: &str = "blobs";
/// Begins the name of every scratch file. Other tools list `blobs/<algorithm>/` at most.
pub(crate) const PREFIX: &str = ".gantri-";

/// Removes an unfinished file when it is dropped, at once and on the thread that drops it: whoever gives up a write and
/// then ends the process leaves nothing behind.
#[derive(Debug)]
pub(super) struct Scratch {
    place: Place,
    fate: Fate,
    /// Its lock ends with the last who has it open: with this guard at the earliest, when it is clear what became of it.
    file: Arc<File>,
}

/// What becomes of an unfinished file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Removed,
    /// It stays, if that is worth it, for whoever goes on with it.
    Kept,
}

/// Where an unfinished file lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    dir: Dir,
    name: String,
}

impl Scratch {
    /// A new, empty file in the layout `root`, locked by this process; scratch files of dead processes are swept away.
    pub(super) fn create(root: &Dir) -> Result<Self> {
        Self::make(root, "", Fate::Removed)
    }

    /// The same, with this at the end of its name, for bytes that somebody else may go on with.
    pub(super) fn create_as(root: &Dir, suffix: &str) -> Result<Self> {
        Self::make(root, suffix, Fate::Kept)
    }

    /// A file that another process left, and that this one has locked.
    pub(super) fn lasting(dir: Dir, name: String, file: Arc<File>) -> Self {
        Self { place: Place { dir, name }, fate: Fate::Kept, file }
    }

    fn make(root: &Dir, suffix: &str, fate: Fate) -> Result<Self> {
        let dir = root.make_dir(BLOBS)?;
        sweep(&dir)?;
        for _ in 0..MAX_TRIES {
            let name = format!("{PREFIX}{}{suffix}", random_id()?);
            let Some(file) = dir.create(&name)? else { continue };
            let scratch = Self { place: Place { dir: dir.clone(), name }, fate, file: Arc::new(file) };
            // A sweep between the two calls may have taken the file for abandoned: then it is gone, or locked by it.
            let is_taken = matches!(scratch.file.try_lock(), Err(TryLockError::WouldBlock));
            if !is_taken && dir.is_at(&scratch.file, &scratch.place.name)? {
                return Ok(scratch);
            }
        }
        let what = format!("create a temporary file in {}: {MAX_TRIES} names were taken", dir.path().display());
        Err(Error::new(ErrorKind::Io, what))
    }

    /// Where it is; what is published from there no longer is.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The file, to be written.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// A new one as something to go on with from its first byte.
    pub(super) fn opened(&self) -> Opened {
        Opened { file: Arc::clone(&self.file), size: 0, path: self.place.path() }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.fate == Fate::Kept && self.place.holds(partial::KEPT_FROM) {
            return;
        }
        // Once published the name is free, and as names are random nobody took it since: this finds nothing then.
        if let Err(error) = self.place.remove() {
            tracing::debug!(%error, "a temporary file stays behind until the next write");
        }
    }
}

impl Place {
    /// Gives the file its final name, and puts that on disk. The file's bytes must be on disk already.
    pub(super) fn publish(&self, to: &Dir, name: &str) -> Result<()> {
        self.dir.rename(&self.name, to, name)
    }

    /// Removes what is wrong or has no room, and is of no use to anybody.
    pub(super) fn remove(&self) -> Result<()> {
        self.dir.remove(&self.name).map(drop)
    }

    /// For messages.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path_of(&self.name)
    }

    fn holds(&self, bytes: u64) -> bool {
        self.dir.file(&self.name).is_ok_and(|file| file.is_some_and(|file| file.size >= bytes))
    }
}

/// Removes the scratch files in `dir` whose process is dead, but for parts of blobs that are not old.
fn sweep(dir: &Dir) -> Result<()> {
    for name in dir.names()?.iter().filter(|name| name.starts_with(PREFIX)) {
        // One that can't be opened is not ours to judge.
        let Ok(Some(found)) = dir.file_to_write(name) else { continue };
        if partial::is_part(name) && partial::is_kept(&found) {
            continue;
        }
        if found.file.try_lock().is_ok() {
            dir.remove(name)?;
        }
    }
    Ok(())
}

/// 128 random bits in hexadecimal: a name that nobody else has and nobody can guess (R2).
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(format!("{:032x}", u128::from_ne_bytes(bytes))),
        Err(error) => Err(Error::new(ErrorKind::Io, "make a random name: no randomness").with_source(error)),
    }
}

const MAX_TRIES: u32 = 100;
