//! Resolves one path name by name, following links within the root.
//!
//! No link is left to the kernel: each name is opened with `O_NOFOLLOW`, and where that shows a link, its target is read and
//! takes the name's place. `..` takes back the last name of a path that has no links in it, and ends at the root, as does
//! an absolute target.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::path;
use super::root::{Missing, PATH, Root};

/// As many links in one path as the kernel follows.
const LINKS: u32 = 40;
/// Directories opened for one path at most, so that links full of `..` can't cost more than long paths do (T9).
const STEPS: u32 = 16_384;

/// One path being resolved.
pub(super) struct Walk<'r> {
    root: &'r Root,
    missing: Missing,
    /// The plain paths of directories that were made.
    created: &'r mut Vec<Vec<u8>>,
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

impl<'r> Walk<'r> {
    pub(super) fn new(root: &'r Root, named: &[u8], missing: Missing, created: &'r mut Vec<Vec<u8>>) -> Self {
        Self { root, missing, created, path: Vec::new(), at: None, rest: named.to_vec(), links: 0, steps: 0 }
    }

    /// The directory and its plain path.
    pub(super) fn run(mut self) -> Result<Option<(OwnedFd, Vec<u8>)>> {
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
        self.created.push(self.path.clone());
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
        self.at.as_ref().map_or(self.root.as_fd(), AsFd::as_fd)
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
