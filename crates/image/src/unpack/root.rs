//! Finds directories in the tree and never leaves it (T2, T5, T15, T17).
//!
//! Every access is relative to a handle of the root. A path without symbolic links, which is nearly every one, costs one
//! `openat2` that refuses to follow any. All others, and all paths where the kernel has no `openat2`, are walked name by
//! name in `walk.rs`, which follows links within the root. Both ways give the same directory, and both know its *plain*
//! path, free of links, which is the key of all bookkeeping.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use gantri_core::Result;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::path;
use super::walk::Walk;

/// How directories are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resolver {
    /// By `openat2` where no link is in the way.
    Openat2,
    /// Name by name.
    Walk,
}

/// What to do about a directory that is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    /// Make it.
    Create,
    /// Report that there is none.
    Report,
}

/// A directory of the tree, held open.
pub(super) struct Directory {
    fd: OwnedFd,
    /// The path that led here, links and all.
    named: Vec<u8>,
    /// The path without links.
    pub(super) path: Vec<u8>,
}

pub(super) struct Root {
    fd: Arc<Directory>,
    resolver: Resolver,
    /// Bytes of a plain path at most.
    pub(super) longest: usize,
    /// The directories found last, latest first: archives go through a directory file by file.
    recent: Vec<Arc<Directory>>,
    created: Vec<Vec<u8>>,
}

/// How many directories are kept open.
const RECENT: usize = 8;

/// To stand in a directory; no right to read it is needed.
pub(super) const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const WITHIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

impl Resolver {
    /// What this kernel, and whatever filters its calls, offers.
    pub(crate) fn detect() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), WITHIN) {
            Ok(_) => Self::Openat2,
            Err(_) => Self::Walk,
        }
    }
}

impl Root {
    /// `longest` bounds the plain paths.
    pub(super) fn new(fd: OwnedFd, resolver: Resolver, longest: usize) -> Self {
        let fd = Arc::new(Directory { fd, named: Vec::new(), path: Vec::new() });
        Self { fd, resolver, longest, recent: Vec::with_capacity(RECENT), created: Vec::new() }
    }

    /// The directory at `named`, links followed within the root; `None` if there is none and it is not to be made.
    pub(super) fn directory(&mut self, named: &[u8], missing: Missing) -> Result<Option<Arc<Directory>>> {
        if named.is_empty() {
            return Ok(Some(Arc::clone(&self.fd)));
        }
        if let Some(at) = self.recent.iter().position(|directory| directory.named == named) {
            self.recent[..=at].rotate_right(1);
            return Ok(Some(Arc::clone(&self.recent[0])));
        }
        let Some(directory) = self.find(named, missing)? else { return Ok(None) };
        let directory = Arc::new(directory);
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, Arc::clone(&directory));
        Ok(Some(directory))
    }

    /// Opens the directory with this plain path for reading; nothing on the way may be a link.
    pub(super) fn open_plain(&self, plain: &[u8]) -> rustix::io::Result<OwnedFd> {
        match plain {
            [] => rustix::fs::openat(self.fd.as_fd(), ".", READ, Mode::empty()),
            _ => self.open(plain, READ),
        }
    }

    /// The plain paths of the directories made since the last call, in the order of making.
    pub(super) fn take_created(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.created)
    }

    /// Forgets what was found by way of something that is no longer there.
    pub(super) fn forget(&mut self, removed: &[u8]) {
        // A path with links may have led through the removed name unseen.
        self.recent.retain(|directory| directory.named == directory.path && !path::is_within(&directory.path, removed));
    }

    fn find(&mut self, named: &[u8], missing: Missing) -> Result<Option<Directory>> {
        if self.resolver == Resolver::Openat2
            && let Ok(fd) = self.open(named, PATH)
        {
            return Ok(Some(Directory { fd, named: named.to_vec(), path: named.to_vec() }));
        }
        let mut created = Vec::new();
        let found = Walk::new(self, named, missing, &mut created).run();
        self.created.append(&mut created);
        Ok(found?.map(|(fd, path)| Directory { fd, named: named.to_vec(), path }))
    }

    /// Opens a plain path that is not empty.
    pub(super) fn open(&self, plain: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        match self.resolver {
            Resolver::Openat2 => rustix::fs::openat2(self.fd.as_fd(), plain, flags, Mode::empty(), WITHIN),
            Resolver::Walk => self.open_stepwise(plain, flags),
        }
    }

    fn open_stepwise(&self, plain: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let (parent, name) = path::split(plain);
        let mut at: Option<OwnedFd> = None;
        for component in parent.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            let from = at.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
            at = Some(rustix::fs::openat(from, component, PATH, Mode::empty())?);
        }
        let from = at.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
        rustix::fs::openat(from, name, flags, Mode::empty())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
