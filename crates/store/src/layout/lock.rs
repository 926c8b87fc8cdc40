//! The lock under which `index.json` changes.
//!
//! It is `flock` on `index.json.lock`, the name and the kind that `BuildKit` uses for the same end, so it also holds
//! between these two. The kernel frees it when its process dies, so a file left by a dead process blocks nobody (S3).
//! The file is removed while the lock is held, and so whoever gets the lock looks whether the file it locked is still
//! the one of that name.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gantri_core::{Error, ErrorKind, Result};

use crate::dir::{Dir, io_error};

/// The file's name in the layout.
pub(super) const NAME: &str = "index.json.lock";

/// The right to change one layout's index, given back on drop.
#[derive(Debug)]
pub(super) struct Lock {
    dir: Dir,
    /// Closing it frees the lock.
    _file: Arc<File>,
}

impl Lock {
    /// Waits for the lock, for a minute at most. Blocks the thread.
    ///
    /// # Errors
    /// `Timeout`, naming the process that holds it; `Io`.
    pub(super) fn acquire(dir: &Dir) -> Result<Self> {
        let begun = Instant::now();
        let mut is_told = false;
        let file = patiently(|| {
            let file = attempt(dir)?;
            if file.is_none() && !is_told && begun.elapsed() > NOTICE {
                is_told = true;
                tracing::info!(lock = %dir.path_of(NAME).display(), process = holder(dir), "waits for a lock");
            }
            Ok(file)
        })?;
        let file = file.ok_or_else(|| held(dir))?;
        Ok(Self { dir: dir.clone(), _file: file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.dir.remove(NAME) {
            tracing::debug!(%error, "an unlocked lock file stays behind");
        }
    }
}

/// Tries again and again, for a minute at most: every wait has an end (rule 6). Blocks the thread.
pub(crate) fn patiently<T>(mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Instant::now() + WAIT;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let outcome = attempt()?;
        if outcome.is_some() || Instant::now() >= deadline {
            return Ok(outcome);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Locks a file, if nobody else has; whether it is locked now.
pub(crate) fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path, error)),
    }
}

fn attempt(dir: &Dir) -> Result<Option<Arc<File>>> {
    let file = match dir.file_to_write(NAME)? {
        Some(found) => found.file,
        None => match dir.create(NAME)? {
            Some(file) => Arc::new(file),
            None => return Ok(None),
        },
    };
    // Its last owner may have removed it after we opened it: then somebody else may own the lock already.
    if !try_lock(&file, &dir.path_of(NAME))? || !dir.is_at(&file, NAME)? {
        return Ok(None);
    }
    // Only a courtesy for whoever waits: a full disk must not stop a deletion.
    let _ = file.set_len(0).and_then(|()| writeln!(&*file, "{}", process::id()));
    Ok(Some(file))
}

fn held(dir: &Dir) -> Error {
    let what = format!("lock {}: held by process {} for {WAIT:?}", dir.path_of(NAME).display(), holder(dir));
    Error::new(ErrorKind::Timeout, what)
}

/// The process that holds the lock, as it says itself.
fn holder(dir: &Dir) -> String {
    let owner = dir.read(NAME, 32, "bytes").ok().flatten().unwrap_or_default();
    gantri_core::error::display_untrusted(String::from_utf8_lossy(&owner).trim())
}

/// The longest wait for a lock.
pub(crate) const WAIT: Duration = Duration::from_secs(60);
/// A wait longer than this is worth a word.
const NOTICE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// (S3) Many short holds, so that a file is often removed between its opening and its locking.
    #[test]
    fn two_never_hold_it_at_once() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::make_root(scratch.path()).unwrap();
        let holders = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let lock = Lock::acquire(&dir).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(dir.names().unwrap(), [""; 0]);
    }

    #[test]
    fn a_wait_says_who_holds_it() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::make_root(scratch.path()).unwrap();
        let _lock = Lock::acquire(&dir).unwrap();
        let error = held(&dir);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains(&format!("held by process {} ", process::id())), "{error}");
    }
}
