//! A staging directory that is filled layer after layer and finished once.
//!
//! Decides what is kept in mind between entries and between layers. What one entry does is in `entry.rs`, what a whiteout
//! does in `whiteout.rs`, how a path becomes a handle in `root.rs`.

use std::collections::HashSet;
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantri_core::{Error, Limits, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::directories::{Directories, Finish, IMPLIED};
use super::discard::{Removed, discard};
use super::folding::Collisions;
use super::marks::Marks;
use super::metadata::{Made, Restorer, set_mode};
use super::path::{self, shown};
use super::root::Root;
use super::tar::{Archive, Member};

pub(crate) use super::metadata::Privilege;
pub(crate) use super::root::Resolver;

/// How a tree is filled.
#[derive(Clone, Debug)]
pub(crate) struct TreeOptions {
    pub(crate) limits: Limits,
    pub(crate) privilege: Privilege,
    pub(crate) resolver: Resolver,
}

impl TreeOptions {
    /// What this process and this kernel can do.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, privilege: Privilege::detect(), resolver: Resolver::detect() }
    }
}

/// What came of all layers.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// Archive entries that were applied, whiteouts included.
    pub(crate) entries: u64,
    /// Bytes of the files that were written, holes included.
    pub(crate) bytes: u64,
    /// What could not be restored, each kind once.
    pub(crate) notices: Vec<String>,
}

/// A staging directory being filled.
pub(crate) struct Tree {
    pub(super) limits: Limits,
    pub(super) root: Root,
    pub(super) restorer: Restorer,
    pub(super) directories: Directories,
    pub(super) marks: Marks,
    /// Only where the file system folds names.
    pub(super) collisions: Option<Collisions>,
    /// Devices that this user could not make, and links to them.
    pub(super) unmade: HashSet<Vec<u8>>,
    pub(super) plain: Vec<u8>,
    entries: u64,
    /// Entries of the current layer, and directories made on the way to them.
    pub(super) layer_made: u64,
    pub(super) bytes: u64,
    pub(super) layer_bytes: u64,
    /// Names looked at to hide or remove something (T9).
    pub(super) visited: u64,
}

impl Tree {
    /// Takes over an empty directory that is open to nobody else.
    pub(crate) fn open(root: OwnedFd, options: TreeOptions) -> Result<Self> {
        let TreeOptions { limits, privilege, resolver } = options;
        let failed = |errno: Errno| Error::io("prepare the staging directory", errno.into());
        // Neither a group nor an ACL of the directory it lies in may reach what is made in it.
        rustix::fs::fchmod(&root, Mode::RWXU).map_err(failed)?;
        match rustix::fs::fremovexattr(&root, "system.posix_acl_default") {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let (made, folds) = probe(root.as_fd()).map_err(failed)?;
        let made = Made::learn(&made)?;
        Ok(Self {
            root: Root::new(root, resolver, limits.unpack_path),
            restorer: Restorer::new(privilege, made),
            limits,
            directories: Directories::default(),
            marks: Marks::default(),
            collisions: folds.then(Collisions::default),
            unmade: HashSet::new(),
            plain: Vec::new(),
            entries: 0,
            layer_made: 0,
            bytes: 0,
            layer_bytes: 0,
            visited: 0,
        })
    }

    /// Applies one layer, which is read to its end. After an error the tree is of no use any more.
    ///
    /// # Errors
    /// `LayerInvalid`, with entry, offset and rule, for what no layer may hold; `LimitExceeded`; `Io`; or what the reader
    /// brings. Which layer it was is the caller's to say.
    pub(crate) fn apply(&mut self, layer: &mut dyn BufRead) -> Result<()> {
        self.marks.clear();
        (self.layer_made, self.layer_bytes) = (0, 0);
        if let Some(collisions) = &mut self.collisions {
            collisions.clear();
        }
        let limits = self.limits.clone();
        let mut archive = Archive::new(layer, &limits);
        let mut member = Member::default();
        while archive.next(&mut member)? {
            self.entries += 1;
            self.place(&mut archive, &mut member).map_err(|error| {
                error.during(format_args!("entry {} at byte {}", shown(&member.path), member.offset))
            })?;
        }
        Ok(())
    }

    /// Gives every directory, the root last, what was kept for it.
    pub(crate) fn finish(mut self) -> Result<Summary> {
        tracing::debug!(entries = self.entries, bytes = self.bytes, visited = self.visited, "layers applied");
        let mut directories = std::mem::take(&mut self.directories);
        directories.imply_if_absent(b"");
        for (plain, finish) in directories.innermost_first() {
            let opened = self.root.open_plain(&plain);
            let finished = match opened {
                // Something else is there by now, and it is not what the entry spoke of (T5).
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => Err(Error::io("open it", errno.into())),
                Ok(directory) => self.finish_directory(directory.as_fd(), &plain, &finish),
            };
            finished.map_err(|error| error.during(format_args!("directory {}", shown(&plain))))?;
        }
        Ok(Summary { entries: self.entries, bytes: self.bytes, notices: self.restorer.into_notices() })
    }

    /// Removes what stands in the way or was hidden, and all that is known of it.
    pub(super) fn take_away(&mut self, directory: BorrowedFd<'_>, name: &[u8], plain: &[u8]) -> Result<()> {
        let removed =
            discard(directory, name).map_err(|errno| Error::io(format!("remove {}", shown(plain)), errno.into()))?;
        match removed {
            Removed::Nothing => return Ok(()),
            Removed::Leaf => self.visited += 1,
            Removed::Directory { names } => self.visited += 1 + names,
        }
        self.root.forget(plain);
        Ok(())
    }

    fn finish_directory(&mut self, directory: BorrowedFd<'_>, plain: &[u8], finish: &Finish) -> Result<()> {
        match finish {
            Finish::As(metadata) => self.restorer.set_open(directory, plain, metadata, None),
            Finish::Implied => set_mode(directory, IMPLIED),
        }
    }
}

/// Makes a file to see what new files get, and whether its name can be told from its capital twin (T14).
fn probe(root: BorrowedFd<'_>) -> rustix::io::Result<(rustix::fs::Stat, bool)> {
    let (name, twin) = (".gantri-probe", ".GANTRI-PROBE");
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, name, flags, Mode::from_raw_mode(0o777))?;
    let made = rustix::fs::fstat(&file)?;
    let folds = rustix::fs::statat(root, twin, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    rustix::fs::unlinkat(root, name, AtFlags::empty())?;
    Ok((made, folds))
}

/// A path in a directory that is held open.
pub(super) fn child(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(directory.len() + 1 + name.len());
    plain.extend_from_slice(directory);
    path::join(&mut plain, name);
    plain
}

#[cfg(test)]
mod tests;
