//! Takes a name out of a directory, with all that is beneath it.
//!
//! Without recursion and with two handles, whatever the depth (T10): directories within the one being removed are
//! renamed to its top, so that depth becomes breadth. Works on handles only, never follows a link, never goes up. A
//! directory whose mode locks its owner out is unlocked first: it is on its way out.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::{Errno, Result};

/// What was removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Removed {
    /// There was nothing.
    Nothing,
    /// What is no directory.
    Leaf,
    /// A directory, and this many names beneath it.
    Directory { names: u64 },
}

/// Room for the names that one system call returns.
const LISTING: usize = 32 << 10;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// As root.rs opens directories: no right to read it is needed.
const PINNED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes `name` from `parent`.
pub(super) fn discard(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Removed> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => return Ok(Removed::Leaf),
        Err(Errno::NOENT) => return Ok(Removed::Nothing),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => return Ok(Removed::Directory { names: 0 }),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let top = open(parent, &CString::new(name).map_err(|_| Errno::INVAL)?)?;
    let names = Flattening { top: top.as_fd(), hoisted: 0, names: 0 }.run()?;
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    Ok(Removed::Directory { names })
}

/// Shows `visit` each name of a directory and its type, which may be unknown.
pub(super) fn list(directory: BorrowedFd<'_>, mut visit: impl FnMut(&CStr, FileType) -> Result<()>) -> Result<()> {
    rustix::fs::seek(directory, SeekFrom::Start(0))?;
    let mut buffer = Vec::with_capacity(LISTING);
    let mut listing = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            visit(entry.file_name(), entry.file_type())?;
        }
    }
    Ok(())
}

struct Flattening<'t> {
    top: BorrowedFd<'t>,
    /// How many names were made up for hoisted directories.
    hoisted: u64,
    names: u64,
}

impl Flattening<'_> {
    fn run(mut self) -> Result<u64> {
        let top = self.top;
        empty(top, |name| match self.unlink(top, name)? {
            Unlinked::Gone => Ok(()),
            Unlinked::Occupied => self.dissolve(name),
        })?;
        Ok(self.names)
    }

    /// Empties a directory at the top by hoisting its own directories beside it, then removes it.
    fn dissolve(&mut self, name: &CStr) -> Result<()> {
        let directory = open(self.top, name)?;
        let directory = directory.as_fd();
        empty(directory, |child| match self.unlink(directory, child)? {
            Unlinked::Gone => Ok(()),
            Unlinked::Occupied => self.hoist(directory, child),
        })?;
        rustix::fs::unlinkat(self.top, name, AtFlags::REMOVEDIR)
    }

    /// Moves a directory to the top under a name that is free there.
    fn hoist(&mut self, from: BorrowedFd<'_>, child: &CStr) -> Result<()> {
        let mut unlocked = false;
        loop {
            self.hoisted += 1;
            match rustix::fs::renameat(from, child, self.top, format!(".gantri-{}", self.hoisted)) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                // Another parent is a change of its `..`, which needs leave to write to it.
                Err(Errno::ACCESS) if !unlocked => {
                    unlock(from, child)?;
                    unlocked = true;
                }
                outcome => return outcome,
            }
        }
    }

    fn unlink(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> Result<Unlinked> {
        self.names += 1;
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            // A listing may show a name again that was removed meanwhile.
            Ok(()) | Err(Errno::NOENT) => return Ok(Unlinked::Gone),
            Err(Errno::ISDIR) => {}
            Err(errno) => return Err(errno),
        }
        match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(Unlinked::Occupied),
            outcome => outcome.map(|()| Unlinked::Gone),
        }
    }
}

/// Opens a directory to empty it.
fn open(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let directory = match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            unlock(parent, name)?;
            rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?
        }
        opened => opened?,
    };
    if !Mode::from_raw_mode(rustix::fs::fstat(&directory)?.st_mode).contains(Mode::RWXU) {
        rustix::fs::fchmod(&directory, Mode::RWXU)?;
    }
    Ok(directory)
}

/// By way of a handle, for a mode set by name would be set through a link that takes the directory's place (T5).
fn unlock(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let pinned = rustix::fs::openat(parent, name, PINNED, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", pinned.as_raw_fd()), Mode::RWXU)
}

enum Unlinked {
    Gone,
    /// It is a directory that is not empty.
    Occupied,
}

/// Shows `take`, which must remove it, each name of a directory until there are none. A listing need not show what is
/// added while it runs, hence the repetition.
fn empty(directory: BorrowedFd<'_>, mut take: impl FnMut(&CStr) -> Result<()>) -> Result<()> {
    loop {
        let mut seen = false;
        list(directory, |name, _| {
            seen = true;
            take(name)
        })?;
        if !seen {
            return Ok(());
        }
    }
}
