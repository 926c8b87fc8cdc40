//! Where a tree grows before anyone can see it: a private directory beside the target, renamed to it at the end.
//!
//! Decides what may be a target ([`Target::check`]) and that nothing stays behind: a [`Staging`] that is dropped before
//! it was published removes itself, and is locked as long as its process lives; those of dead processes are swept away by
//! whoever makes the next one beside them.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::discard::discard;

/// A place where a tree may appear.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    path: PathBuf,
    parent: PathBuf,
}

impl Target {
    /// A directory that is not there yet or is empty, below one that is there. Blocking, if briefly.
    pub(crate) fn check(dir: &Path) -> Result<Self> {
        match fs::symlink_metadata(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::to_be_made(dir),
            Err(error) => Err(Error::io(format!("target {}", dir.display()), error)),
            Ok(_) => Self::to_be_replaced(dir),
        }
    }

    /// The directory that holds the target, the staging directory and the spools: one file system.
    pub(crate) fn parent(&self) -> &Path {
        &self.parent
    }

    fn to_be_made(dir: &Path) -> Result<Self> {
        let Some(name) = dir.file_name() else {
            return Err(conflict(dir, "no directory can have this name"));
        };
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent =
            fs::canonicalize(parent).map_err(|error| Error::io(format!("directory {}", parent.display()), error))?;
        Ok(Self { path: parent.join(name), parent })
    }

    fn to_be_replaced(dir: &Path) -> Result<Self> {
        let unreadable = |error| Error::io(format!("target {}", dir.display()), error);
        let path = fs::canonicalize(dir).map_err(unreadable)?;
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if !metadata.is_dir() {
            return Err(conflict(dir, "it is not a directory"));
        }
        if fs::read_dir(&path).map_err(unreadable)?.next().is_some() {
            return Err(conflict(dir, "it is not empty"));
        }
        let Some(parent) = path.parent().map(Path::to_path_buf) else {
            return Err(conflict(dir, "it is the root directory"));
        };
        // Found out now and not after the last layer: a mount point can't be replaced by a rename.
        if fs::metadata(&parent).map_err(unreadable)?.dev() != metadata.dev() {
            return Err(conflict(dir, "it is a mount point"));
        }
        Ok(Self { path, parent })
    }
}

fn conflict(dir: &Path, because: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("target {}: {because}", dir.display()))
        .with_hint("choose a directory that does not exist yet or is empty")
}

/// A tree in the making, `.gantri-unpack-XXXXXX` beside its target, open to nobody else (T15).
#[derive(Debug)]
pub(crate) struct Staging {
    target: Target,
    path: PathBuf,
    published: bool,
    /// Keeps it locked.
    _lock: OwnedFd,
}

impl Staging {
    pub(crate) fn create(target: Target) -> Result<Self> {
        if let Err(error) = sweep(&target.parent) {
            tracing::debug!(%error, "what dead processes left stays behind");
        }
        let failed = |error| Error::io(format!("staging directory in {}", target.parent.display()), error);
        for _ in 0..MAX_TRIES {
            let made = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(&target.parent);
            let made = made.map_err(failed)?;
            // A sweep may take it for abandoned before it is locked: then it is gone, or about to be.
            if let Some(lock) = lock(made.path()).map_err(failed)? {
                // From here on this guard removes it, not the temporary directory's own.
                return Ok(Self { path: made.keep(), target, published: false, _lock: lock });
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle on it, to unpack relative to.
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty())
            .map_err(|error| Error::io(format!("staging directory {}", self.path.display()), error.into()))
    }

    fn remove(&self) -> io::Result<()> {
        let parent = File::open(&self.target.parent)?;
        let name = self.path.file_name().unwrap_or_default();
        discard(parent.as_fd(), name.as_bytes())?;
        Ok(())
    }

    /// Makes it the target, in one step.
    pub(crate) fn publish(mut self) -> Result<()> {
        let path = &self.target.path;
        fs::rename(&self.path, path).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                conflict(path, "something else appeared there meanwhile").with_source(error)
            }
            _ => Error::io(format!("rename the unpacked tree to {}", path.display()), error),
        })?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = self.remove() {
            tracing::warn!(path = %self.path.display(), %error, "the staging directory could not be removed");
        }
    }
}

/// Removes what dead processes were making in a directory: their locks are free.
fn sweep(parent: &Path) -> io::Result<()> {
    let handle = File::open(parent)?;
    let is_ours = |name: &str| name.len() == PREFIX.len() + RANDOM && name.starts_with(PREFIX);
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
        if lock(&parent.join(name))?.is_some() {
            discard(handle.as_fd(), name.as_bytes())?;
        }
    }
    Ok(())
}

/// A directory of our own, locked; none if somebody else has it, or it is gone or replaced.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::open(path, flags, Mode::empty()) else { return Ok(None) };
    let own = rustix::fs::fstat(&dir)?;
    if own.st_uid != rustix::process::geteuid().as_raw()
        || rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_err()
    {
        return Ok(None);
    }
    let there = fs::symlink_metadata(path).ok();
    Ok(there.filter(|there| (there.dev(), there.ino()) == (own.st_dev, own.st_ino)).map(|_| dir))
}

const PREFIX: &str = ".gantri-unpack-";
/// Letters and digits that follow.
const RANDOM: usize = 6;
/// How often somebody else may come first.
const MAX_TRIES: u32 = 100;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_target_is_absent_or_an_empty_directory() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("empty")).unwrap();
        fs::create_dir_all(at("full/x")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink("empty", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        let cases = [
            ("absent", Ok(())),
            ("empty", Ok(())),
            ("link", Ok(())),
            ("full", Err(ErrorKind::Conflict)),
            ("file", Err(ErrorKind::Conflict)),
            ("dangling", Err(ErrorKind::Io)),
            ("no/such/parent", Err(ErrorKind::Io)),
            ("file/below", Err(ErrorKind::Io)),
            ("absent/..", Err(ErrorKind::Conflict)),
        ];
        for (name, expected) in cases {
            let outcome = Target::check(&at(name)).map(drop).map_err(|error| error.kind());
            assert_eq!(outcome, expected, "{name}");
        }
    }

    #[test]
    fn a_mount_point_and_the_root_are_refused_before_anything_is_fetched() {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
        let empty = mounts.filter(|path| fs::read_dir(path).is_ok_and(|mut names| names.next().is_none()));
        for path in empty.chain([Path::new("/")]) {
            assert_eq!(Target::check(path).unwrap_err().kind(), ErrorKind::Conflict, "{}", path.display());
        }
    }

    #[test]
    fn staging_is_private_and_leaves_nothing_unless_published() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::check(&dir.path().join("target")).unwrap();
        let staging = Staging::create(target.clone()).unwrap();
        assert_eq!(fs::metadata(&staging.path).unwrap().mode() & 0o7777, 0o700);
        fs::create_dir_all(staging.path.join("a/b")).unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let staging = Staging::create(target).unwrap();
        fs::write(staging.path.join("file"), "x").unwrap();
        staging.publish().unwrap();
        assert_eq!(fs::read(dir.path().join("target/file")).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_tree_goes_whatever_is_in_it_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::create(Target::check(&dir.path().join("target")).unwrap()).unwrap();
        let (tree, bait) = (staging.path.clone(), dir.path().join("bait"));
        fs::create_dir_all(tree.join("a/b/c/d")).unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        fs::create_dir(&bait).unwrap();
        fs::write(bait.join("file"), "").unwrap();
        symlink(&bait, tree.join("link")).unwrap();
        symlink("../../bait", tree.join("a/link")).unwrap();
        // An ordinary user locks himself out of these.
        for (locked, mode) in [("a/b/c/d", 0o000), ("a/b/c", 0o500), ("a/b", 0o000), ("a", 0o500)] {
            fs::set_permissions(tree.join(locked), fs::Permissions::from_mode(mode)).unwrap();
        }
        drop(staging);
        assert!(!tree.exists() && bait.join("file").exists());
    }

    #[test]
    fn a_tree_deeper_than_any_stack_or_handle_table_goes() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::create(Target::check(&dir.path().join("target")).unwrap()).unwrap();
        let mut at = staging.open().unwrap();
        for _ in 0..20_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_appeared_at_the_target_meanwhile_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target");
        let staging = Staging::create(Target::check(&path).unwrap()).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("mine"), "x").unwrap();
        assert_eq!(staging.publish().unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(fs::read(path.join("mine")).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    /// (S1) The lock of a dead process is free.
    #[test]
    fn what_a_dead_process_left_is_swept_away_and_what_a_living_one_makes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at(".gantri-unpack-a1b2C3/etc")).unwrap();
        fs::write(at(".gantri-unpack-a1b2C3/etc/motd"), "half").unwrap();
        fs::create_dir(at(".gantri-unpack-of-mine")).unwrap();
        let target = || Target::check(&at("new")).unwrap();
        let living = Staging::create(target()).unwrap();
        let other = Staging::create(target()).unwrap();
        assert!(living.path().exists() && !at(".gantri-unpack-a1b2C3").exists());
        drop(other);
        living.publish().unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".gantri-unpack-of-mine", "new"]);
    }
}
