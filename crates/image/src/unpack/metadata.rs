//! Owner, mode, attributes and times: what to set on a new file, in which order, and what to leave.
//!
//! Each is a system call for each of many files, so what a file has already by its making is not set again. The order
//! matters: changing the owner takes setuid bits and capabilities away, changing the mode rewrites an ACL, and all but
//! the times change the times. Everything goes by handle, or by name without following it (T5).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timestamps, Uid};
use rustix::io::Errno;

use super::notices::{Loss, Notices};
use super::tar::{Metadata, Xattr};
use super::xattr::{self, Outcome};

/// What this process may do to files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Privilege {
    /// Owners and devices are restored, or it is an error.
    Root,
    /// Owners and devices are left out with a notice.
    User,
}

impl Privilege {
    /// By the effective user.
    pub(crate) fn detect() -> Self {
        if rustix::process::geteuid().is_root() { Self::Root } else { Self::User }
    }
}

/// What a file has by its making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    uid: u32,
    gid: u32,
    umask: u32,
}

impl Made {
    /// Learned from a file made with all permissions.
    pub(super) fn learn(made: &rustix::fs::Stat) -> Result<Self> {
        let umask = !made.st_mode & 0o777;
        if umask & 0o700 != 0 {
            let what = format!("the umask {umask:03o} bars the owner from what is unpacked");
            return Err(Error::new(ErrorKind::Config, what).with_hint("set a umask such as 022"));
        }
        Ok(Self { uid: made.st_uid, gid: made.st_gid, umask })
    }
}

/// Where metadata is set: open, or by name in an open directory.
#[derive(Clone, Copy)]
enum Target<'a> {
    Open(BorrowedFd<'a>),
    Named(BorrowedFd<'a>, &'a [u8]),
}

pub(super) struct Restorer {
    privilege: Privilege,
    made: Made,
    notices: Notices,
}

impl Restorer {
    pub(super) fn new(privilege: Privilege, made: Made) -> Self {
        Self { privilege, made, notices: Notices::default() }
    }

    /// The mode to make a file with. Never more than it gets in the end but for its owner, who must be able to set
    /// attributes.
    pub(super) fn creation_mode(metadata: &Metadata) -> u32 {
        let writable = if metadata.xattrs.is_empty() { 0 } else { 0o200 };
        metadata.mode & 0o777 | writable
    }

    /// Sets all on an open file; `made_with` is the mode asked for at its making, if it is new.
    pub(super) fn set_open(
        &mut self,
        fd: BorrowedFd<'_>,
        path: &[u8],
        metadata: &Metadata,
        made_with: Option<u32>,
    ) -> Result<()> {
        let target = Target::Open(fd);
        self.set_owner(target, path, metadata)?;
        self.set_xattrs(target, path, metadata, |xattr| !xattr::is_acl(xattr))?;
        if made_with.map(|mode| mode & !self.made.umask) != Some(metadata.mode) {
            set_mode(fd, metadata.mode)?;
        }
        self.set_xattrs(target, path, metadata, xattr::is_acl)?;
        rustix::fs::futimens(fd, &times(metadata)).map_err(|errno| Error::io("set its times", errno.into()))
    }

    /// Sets all on a link, which has no mode.
    pub(super) fn set_link(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        metadata: &Metadata,
    ) -> Result<()> {
        let target = Target::Named(directory, name);
        self.set_owner(target, path, metadata)?;
        self.set_xattrs(target, path, metadata, |_| true)?;
        set_times_at(directory, name, metadata)
    }

    /// Sets all on a device or fifo just made, without opening it: that may block, or do something (T13).
    pub(super) fn set_node(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        metadata: &Metadata,
    ) -> Result<()> {
        let target = Target::Named(directory, name);
        self.set_owner(target, path, metadata)?;
        self.set_xattrs(target, path, metadata, |xattr| !xattr::is_acl(xattr))?;
        if metadata.mode & self.made.umask != 0 || metadata.mode & 0o7000 != 0 {
            set_mode_at(directory, name, metadata.mode)?;
        }
        self.set_xattrs(target, path, metadata, xattr::is_acl)?;
        set_times_at(directory, name, metadata)
    }

    pub(super) fn privilege(&self) -> Privilege {
        self.privilege
    }

    pub(super) fn note(&mut self, loss: Loss, path: &[u8]) {
        self.notices.note(loss, path);
    }

    pub(super) fn into_notices(self) -> Vec<String> {
        self.notices.into_lines()
    }

    fn set_owner(&mut self, target: Target<'_>, path: &[u8], metadata: &Metadata) -> Result<()> {
        if (metadata.uid, metadata.gid) == (self.made.uid, self.made.gid) {
            return Ok(());
        }
        if self.privilege == Privilege::User {
            self.note(Loss::Owner, path);
            return Ok(());
        }
        let (uid, gid) = (Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)));
        let set = match target {
            Target::Open(fd) => rustix::fs::fchown(fd, uid, gid),
            Target::Named(fd, name) => rustix::fs::chownat(fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
        };
        match set {
            Ok(()) => Ok(()),
            // The root of a user namespace that maps few ids, or one that was left without the capability.
            Err(Errno::PERM | Errno::INVAL) => {
                self.note(Loss::Owner, path);
                Ok(())
            }
            Err(errno) => Err(Error::io(format!("set its owner to {}:{}", metadata.uid, metadata.gid), errno.into())),
        }
    }

    fn set_xattrs(
        &mut self,
        target: Target<'_>,
        path: &[u8],
        metadata: &Metadata,
        which: fn(&Xattr) -> bool,
    ) -> Result<()> {
        let mut refused = false;
        for xattr in metadata.xattrs.iter().filter(|xattr| which(xattr)) {
            let outcome = match target {
                Target::Open(fd) => xattr::set(fd, xattr)?,
                Target::Named(fd, name) => xattr::set_at(fd, name, xattr)?,
            };
            refused |= outcome == Outcome::Refused;
        }
        if refused {
            self.note(Loss::Xattr, path);
        }
        Ok(())
    }
}

pub(super) fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(|errno| Error::io("set its mode", errno.into()))
}

fn times(metadata: &Metadata) -> Timestamps {
    Timestamps { last_access: metadata.accessed, last_modification: metadata.modified }
}

fn set_times_at(directory: BorrowedFd<'_>, name: &[u8], metadata: &Metadata) -> Result<()> {
    rustix::fs::utimensat(directory, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| Error::io("set its times", errno.into()))
}

/// Kernels before 6.6 can't change a mode without following, so what is meant is pinned first.
fn set_mode_at(directory: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned: rustix::io::Result<OwnedFd> = rustix::fs::openat(directory, name, flags, Mode::empty());
    pinned
        .and_then(|pinned| {
            let path = format!("/proc/self/fd/{}", pinned.as_fd().as_raw_fd());
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))
        })
        .map_err(|errno| Error::io("set its mode", errno.into()))
}
