//! Finds directories in the tree and never leaves it (T2, T5, T15, T17).
//!
//! Every access is relative to a handle of the root. A path without symbolic links, which is nearly every one, costs one
//! `openat2` that refuses to follow any. All others, and all paths where the kernel has no `openat2`, are walked name by
//! name with `O_NOFOLLOW`; links are read and resolved here, so that an absolute target and a `..` end at the root. Both
//! ways give the same directory, and both know its *plain* path, free of links, which is the key of all bookkeeping.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::path;

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
    longest: usize,
    /// The directories found last, latest first: archives go through a directory file by file.
    recent: Vec<Arc<Directory>>,
    created: Vec<Vec<u8>>,
}

/// How many directories are kept open.
const RECENT: usize = 8;
/// As many links in one path as the kernel follows.
const LINKS: u32 = 40;
/// Directories opened for one path at most, so that links full of `..` can't cost more than long paths do (T9).
const STEPS: u32 = 16_384;

const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
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
        let walk = Walk { root: self, missing, path: Vec::new(), at: None, rest: named.to_vec(), links: 0, steps: 0 };
        let Some((fd, path)) = walk.run()? else { return Ok(None) };
        Ok(Some(Directory { fd, named: named.to_vec(), path }))
    }

    /// Opens a plain path that is not empty.
    fn open(&self, plain: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
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

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One path being resolved.
struct Walk<'r> {
    root: &'r mut Root,
    missing: Missing,
    /// Where we are, without links.
    path: Vec<u8>,
    /// The handle of `path`; `None` for the root, and after a `..` until it is needed again.
    at: Option<OwnedFd>,
    /// What is still to be resolved.
    rest: Vec<u8>,
    links: u32,
    steps: u32,
}

enum Step {
    Taken,
    /// There is nothing, or no directory, and it is not to be made.
    Absent,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Option<(OwnedFd, Vec<u8>)>> {
        let mut cursor = 0;
        while let Some((from, to)) = next_component(&self.rest, cursor) {
            cursor = to;
            if &self.rest[from..to] == b".." {
                let parent = path::split(&self.path).0.len();
                self.path.truncate(parent);
                self.at = None;
                continue;
            }
            let component = self.rest[from..to].to_vec();
            match self.enter(&component, &mut cursor)? {
                Step::Taken => {}
                Step::Absent => return Ok(None),
            }
        }
        self.reach()?;
        let fd = match self.at {
            Some(fd) => fd,
            None => self.root.open_plain(&[]).map_err(|errno| moved(&[], errno))?,
        };
        Ok(Some((fd, self.path)))
    }

    /// Goes into a directory, or turns to where a link points.
    fn enter(&mut self, component: &[u8], cursor: &mut usize) -> Result<Step> {
        self.reach()?;
        self.count_steps(1)?;
        if self.path.len() + 1 + component.len() > self.root.longest {
            return Err(Error::limit("a path with its links resolved", "unpack_path", self.root.longest));
        }
        let opened = rustix::fs::openat(self.here(), component, PATH, Mode::empty());
        match opened {
            Ok(fd) => self.entered(component, fd),
            Err(Errno::NOENT) if self.missing == Missing::Report => return Ok(Step::Absent),
            Err(Errno::NOENT) => self.create(component)?,
            Err(Errno::NOTDIR | Errno::LOOP) => return self.follow(component, cursor),
            Err(errno) => return Err(self.failed("open", component, errno)),
        }
        Ok(Step::Taken)
    }

    fn create(&mut self, component: &[u8]) -> Result<()> {
        rustix::fs::mkdirat(self.here(), component, Mode::from_raw_mode(0o755))
            .map_err(|errno| self.failed("make", component, errno))?;
        let fd = rustix::fs::openat(self.here(), component, PATH, Mode::empty())
            .map_err(|errno| self.failed("open", component, errno))?;
        self.entered(component, fd);
        self.root.created.push(self.path.clone());
        Ok(())
    }

    fn follow(&mut self, component: &[u8], cursor: &mut usize) -> Result<Step> {
        let target = match rustix::fs::readlinkat(self.here(), component, Vec::new()) {
            Ok(target) => target.into_bytes(),
            Err(Errno::INVAL) if self.missing == Missing::Report => return Ok(Step::Absent),
            Err(Errno::INVAL) => {
                path::join(&mut self.path, component);
                let rule = format!("{} is in its path and no directory", path::shown(&self.path));
                return Err(Error::new(ErrorKind::LayerInvalid, rule));
            }
            Err(errno) => return Err(self.failed("read the link", component, errno)),
        };
        self.links += 1;
        if self.links > LINKS {
            let rule = format!("more than {LINKS} symbolic links in its path");
            return Err(Error::new(ErrorKind::LayerInvalid, rule));
        }
        if target.starts_with(b"/") {
            self.path.clear();
            self.at = None;
        }
        let mut rest = target;
        rest.push(b'/');
        rest.extend_from_slice(&self.rest[*cursor..]);
        (self.rest, *cursor) = (rest, 0);
        Ok(Step::Taken)
    }

    fn entered(&mut self, component: &[u8], fd: OwnedFd) {
        path::join(&mut self.path, component);
        self.at = Some(fd);
    }

    /// Opens `path` again after a jump.
    fn reach(&mut self) -> Result<()> {
        if self.at.is_some() || self.path.is_empty() {
            return Ok(());
        }
        let depth = self.path.split(|byte| *byte == b'/').count();
        self.count_steps(u32::try_from(depth).unwrap_or(u32::MAX))?;
        self.at = Some(self.root.open(&self.path, PATH).map_err(|errno| moved(&self.path, errno))?);
        Ok(())
    }

    fn count_steps(&mut self, steps: u32) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS {
            let rule = format!("more than {STEPS} steps to resolve the links in its path");
            return Err(Error::new(ErrorKind::LayerInvalid, rule));
        }
        Ok(())
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.at.as_ref().map_or(self.root.fd.as_fd(), AsFd::as_fd)
    }

    fn failed(&self, what: &str, component: &[u8], errno: Errno) -> Error {
        let mut path = self.path.clone();
        path::join(&mut path, component);
        match errno {
            // Only a link's target can bring these in.
            Errno::NAMETOOLONG => {
                Error::new(ErrorKind::LayerInvalid, "a link in its path names what no file can be named")
            }
            _ => Error::io(format!("{what} {}", path::shown(&path)), errno.into()),
        }
    }
}

/// The bounds of the next component that is not empty or `.`.
fn next_component(path: &[u8], mut from: usize) -> Option<(usize, usize)> {
    while from < path.len() {
        let length = path[from..].iter().position(|byte| *byte == b'/').unwrap_or(path.len() - from);
        match &path[from..from + length] {
            b"" | b"." => from += length + 1,
            _ => return Some((from, from + length)),
        }
    }
    None
}

/// A directory that was there a moment ago is not: somebody else is at work in the tree (T15).
fn moved(path: &[u8], errno: Errno) -> Error {
    Error::io(format!("open {} again, which was changed meanwhile", path::shown(path)), errno.into())
}
