//! Blobs that have come in part, and what becomes of them when whoever wrote them is gone.
//!
//! A blob whose body can be read from any byte is written to a scratch file that names its digest. Whoever gives it up, or
//! is killed, leaves that behind, and the next put of the blob takes it over: under its lock, so that it has one writer,
//! and only if it is a file of our own that nobody else has by another name. Its length is where the body goes on, and the
//! state of its hash is made anew from its bytes: reading them is also the check of what is there. What nobody takes over
//! for a day is swept away.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantri_core::Result;
use gantri_spec::{Descriptor, Digest};

use super::scratch::{BLOBS, PREFIX, Scratch, random_id};
use super::{files, lease};
use crate::dir::{Dir, Opened, io_error};

/// Fewer bytes than these are fetched again sooner than they are looked after.
pub(super) const KEPT_FROM: u64 = 1 << 20;
/// As long as nobody writes to it, so long is a part kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Digits of a scratch file's random name.
const ID: usize = 32;

/// The file to write a blob to: the longest part of it that somebody left behind, or a new one.
pub(super) fn take_up(root: &Dir, blob: &Descriptor) -> Result<(Scratch, Opened)> {
    let dir = root.make_dir(BLOBS)?;
    let mut longest: Option<(String, Opened)> = None;
    for name in dir.names()?.into_iter().filter(|name| names(name, &blob.digest)) {
        let Some(found) = take_over(&dir, &name)? else { continue };
        let is_longer = longest.as_ref().is_none_or(|(_, known)| found.size > known.size);
        let spare =
            if found.size > blob.size || !is_longer { Some((name, found)) } else { longest.replace((name, found)) };
        // Locked until it is gone: else somebody could begin to write to it.
        if let Some((spare, _locked)) = spare {
            dir.remove(&spare)?;
        }
    }
    if let Some((name, found)) = longest {
        tracing::debug!(digest = %blob.digest, at = found.size, "goes on with what is here of a blob");
        return Ok((Scratch::lasting(dir, name, Arc::clone(&found.file)), found));
    }
    let scratch = Scratch::create_as(root, &suffix(&blob.digest))?;
    let empty = scratch.opened();
    Ok((scratch, empty))
}

/// Whether it is the name of a part of some blob.
pub(super) fn is_part(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.as_bytes().get(ID) == Some(&b'-'))
}

/// Whether there is enough of a part, and it is young enough, to be left for whoever may go on with it.
pub(super) fn is_kept(part: &Opened) -> bool {
    part.size >= KEPT_FROM && !is_stale(part)
}

/// Moves all content of a layout that a dead process was making into another as parts: whole or not, it is looked at when
/// its blob is put there, and not before.
pub(super) fn inherit(from: &Dir, to: &Dir) -> Result<()> {
    let Some(blobs) = from.dir(BLOBS)? else { return Ok(()) };
    let target = to.make_dir(BLOBS)?;
    for name in blobs.names()?.iter().filter(|name| is_part(name)) {
        blobs.rename(name, &target, name)?;
    }
    for digest in files::all(from)? {
        if let Some(home) = files::home(from, &digest)? {
            home.rename(digest.encoded(), &target, &format!("{PREFIX}{}{}", random_id()?, suffix(&digest)))?;
        }
    }
    Ok(())
}

/// Whether a layout on its way holds enough to go on with.
pub(super) fn is_worth_keeping(root: &Dir) -> Result<bool> {
    let Some(blobs) = root.dir(BLOBS)? else { return Ok(false) };
    let mut bytes = 0;
    for name in blobs.names()?.iter().filter(|name| is_part(name)) {
        bytes += blobs.file(name)?.map_or(0, |part| part.size);
    }
    for digest in files::all(root)? {
        bytes += files::open(root, &digest)?.map_or(0, |blob| blob.size);
    }
    Ok(bytes >= KEPT_FROM)
}

/// Removes the parts in a layout that nobody has written to since; how many, and the bytes that this freed.
pub(super) fn collect(root: &Dir, since: SystemTime) -> Result<(u64, u64)> {
    let Some(blobs) = root.dir(BLOBS)? else { return Ok((0, 0)) };
    let (mut parts, mut bytes) = (0, 0);
    for name in blobs.names()?.iter().filter(|name| is_part(name)) {
        let Ok(Some(found)) = blobs.file_to_write(name) else { continue };
        if found.file.try_lock().is_ok() && lease::modified(&found)? < since && blobs.remove(name)? {
            (parts, bytes) = (parts + 1, bytes + found.size);
        }
    }
    Ok((parts, bytes))
}

/// A part whose writer is gone, for this process alone.
fn take_over(dir: &Dir, name: &str) -> Result<Option<Opened>> {
    // One that can't be opened is not ours to judge.
    let Ok(Some(found)) = dir.file_to_write(name) else { return Ok(None) };
    if found.file.try_lock().is_err() || !dir.is_at(&found.file, name)? {
        return Ok(None);
    }
    let metadata = found.file.metadata().map_err(|error| io_error("look at", &found.path, error))?;
    // Whoever else may write to it could do so after it was verified (S7).
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.nlink() != 1 || is_stale(&found) {
        return Ok(None);
    }
    found.measured().map(Some)
}

/// Whether nobody has written to a part for too long.
fn is_stale(part: &Opened) -> bool {
    let written = part.file.metadata().and_then(|metadata| metadata.modified());
    let age = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    age.is_some_and(|age| age > KEPT_FOR)
}

/// Whether it is the name of a part of this blob.
fn names(name: &str, digest: &Digest) -> bool {
    is_part(name) && name[PREFIX.len() + ID..] == suffix(digest)
}

fn suffix(digest: &Digest) -> String {
    format!("-{}-{}", digest.algorithm_name(), digest.encoded())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use gantri_spec::MediaType;

    use super::*;

    /// Whoever gives up a put has closed the file when its guard removes it.
    #[test]
    fn nobody_takes_over_a_part_that_is_about_to_be_removed() {
        let place = tempfile::tempdir().unwrap();
        let root = Dir::make_root(place.path()).unwrap();
        let blob = Descriptor::of(MediaType::OCTET_STREAM, b"all of it");
        let (given_up, file) = take_up(&root, &blob).unwrap();
        file.file.write_all_at(b"all", 0).unwrap();
        drop(file);
        let (taken, file) = take_up(&root, &blob).unwrap();
        assert_eq!(file.size, 0, "another file");
        drop(given_up);
        taken.place().publish(&root, "whole").unwrap();
    }
}
