//! The lock under which `index.json` changes.
//!
//! It is `flock` on `index.json.lock`, the name and the kind that BuildKit uses for the same end, so it also holds
//! between these two. The kernel frees it when its process dies, so a file left by a dead process blocks nobody (S3).
//! The file is removed while the lock is held, and so whoever gets the lock looks whether the file it locked is still
//! the one of that name.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use gantri_core::{Error, ErrorKind, Result};

use super::dir::{Dir, io_error};

const NAME: &str = "index.json.lock";

/// The right to change one layout's index, given back on drop.
#[derive(Debug)]
pub(super) struct Lock {
    dir: Dir,
    /// Closing it frees the lock.
    _file: File,
}

impl Lock {
    /// Waits for the lock, for a minute at most. Blocks the thread.
    ///
    /// # Errors
    /// `Timeout`, naming the process that holds it; `Io`.
    pub(super) fn acquire(dir: &Dir) -> Result<Self> {
        let deadline = Instant::now() + WAIT;
        let mut pause = SHORTEST_PAUSE;
        loop {
            if let Some(file) = attempt(dir)? {
                return Ok(Self { dir: dir.clone(), _file: file });
            }
            if Instant::now() >= deadline {
                return Err(held(dir));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.dir.remove(NAME) {
            tracing::debug!(%error, "an unlocked lock file stays behind");
        }
    }
}

fn attempt(dir: &Dir) -> Result<Option<File>> {
    let mut file = match dir.file_to_write(NAME)? {
        Some(found) => found.file,
        None => match dir.create(NAME)? {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(io_error("lock", &dir.path_of(NAME), error)),
    }
    // Its last owner may have removed it after we opened it: then somebody else may own the lock already.
    if !dir.is_at(&file, NAME)? {
        return Ok(None);
    }
    // Only a courtesy for whoever waits: a full disk must not stop a deletion.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", process::id()));
    Ok(Some(file))
}

fn held(dir: &Dir) -> Error {
    let owner = dir.read(NAME, 32, "bytes").ok().flatten().unwrap_or_default();
    let owner = String::from_utf8_lossy(&owner);
    let what = format!("lock {}: held by process {} for {WAIT:?}", dir.path_of(NAME).display(), owner.trim());
    Error::new(ErrorKind::Timeout, what)
}

const WAIT: Duration = Duration::from_mins(1);
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
