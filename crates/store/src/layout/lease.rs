//! What keeps content that nothing leads to yet: its age, and the leases of jobs that are under way.
//!
//! A job puts blobs long before the manifest that leads to them, and finds others there already. So content is young from
//! the moment it is put, or found by whoever will lead to it, and a job that holds a lease has it count from the job's
//! beginning (S5). A lease is a scratch file: it names its process, and is free when that is dead.

use std::fs::FileTimes;
use std::io::Write;
use std::process;
use std::time::SystemTime;

use gantri_core::Result;
use gantri_spec::Digest;

use super::files;
use super::lock::patiently;
use super::scratch::{BLOBS, PREFIX, Scratch};
use crate::dir::{Dir, Opened, io_error};
use crate::stored::Stored;

/// Keeps what was put or found since it was taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    _scratch: Scratch,
}

impl Lease {
    pub(super) fn take(root: &Dir) -> Result<Self> {
        let scratch = Scratch::create(root)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        // For people: what counts is the lock, and the time of this write.
        writeln!(scratch.file(), "lease of process {} since {since}", process::id())
            .map_err(|error| io_error("write", &scratch.place().path(), error))?;
        Ok(Self { _scratch: scratch })
    }
}

/// A blob that somebody is about to lead to, made young; none if it is not there, or is being collected.
pub(super) fn keep(root: &Dir, digest: &Digest) -> Result<Option<Stored>> {
    let Some(home) = files::home(root, digest)? else { return Ok(None) };
    let Some(found) = home.file(digest.encoded())? else { return Ok(None) };
    // A collector holds the lock for the moment between its last look and the removal.
    let locked = patiently(|| Ok(found.file.try_lock_shared().is_ok().then_some(())))?;
    if let Err(error) = found.file.set_times(FileTimes::new().set_modified(SystemTime::now())) {
        tracing::debug!(%error, path = %found.path.display(), "its age stays as it is");
    }
    let is_there = home.is_at(&found.file, digest.encoded())?;
    if locked.is_some() {
        let _ = found.file.unlock();
    }
    Ok(is_there.then(|| Stored::from(found)))
}

/// When the oldest job began that is under way now.
pub(super) fn oldest(root: &Dir) -> Result<Option<SystemTime>> {
    let Some(blobs) = root.dir(BLOBS)? else { return Ok(None) };
    let mut oldest = None;
    for name in blobs.names()?.iter().filter(|name| name.starts_with(PREFIX)) {
        let Ok(Some(found)) = blobs.file(name) else { continue };
        if found.file.try_lock_shared().is_err() {
            let began = modified(&found)?;
            oldest = Some(oldest.map_or(began, |oldest: SystemTime| oldest.min(began)));
        }
    }
    Ok(oldest)
}

/// When a file was last written, or made young.
pub(super) fn modified(found: &Opened) -> Result<SystemTime> {
    let modified = found.file.metadata().and_then(|metadata| metadata.modified());
    modified.map_err(|error| io_error("look at", &found.path, error))
}
