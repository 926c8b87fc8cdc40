//! Owner, mode, attributes and times: what to set on a new file, in which order, and what to leave.
//!
//! Each is a system call for each of many files, so what a file has already by its making is not set again. The order
//! matters: changing the owner takes setuid bits and capabilities away, changing the mode rewrites an ACL, and all but
//! the times change the times. Everything goes by handle, or by name without following it (T5).

use std::os::fd::{AsRawFd, BorrowedFd};

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timestamps, Uid};
use rustix::io::Errno;

use super::notices::{Loss, Notices};
use super::tar::{Metadata, Xattr};
use super::xattr::{self, Outcome};

/// What is tried. What the kernel then refuses is left out with a notice, whoever asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Privilege {
    /// Owners and devices are restored, as far as this root may: in a user namespace, or without the capabilities, it is
    /// refused like anybody else.
    Root,
    /// Owners and devices are not even tried: for most images that would be a refusal for each file.
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

impl Target<'_> {
    fn set_owner(self, uid: u32, gid: u32) -> rustix::io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match self {
            Target::Open(fd) => rustix::fs::fchown(fd, uid, gid),
            Target::Named(fd, name) => rustix::fs::chownat(fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    fn set_xattr(self, xattr: &Xattr) -> Result<Outcome> {
        match self {
            Target::Open(fd) => xattr::set(fd, xattr),
            Target::Named(fd, name) => xattr::set_at(fd, name, xattr),
        }
    }

    fn set_mode(self, mode: u32) -> Result<()> {
        match self {
            Target::Open(fd) => set_mode(fd, mode),
            Target::Named(fd, name) => set_mode_at(fd, name, mode),
        }
    }

    fn set_times(self, metadata: &Metadata) -> Result<()> {
        let times = Timestamps { last_access: metadata.accessed, last_modification: metadata.modified };
        let set = match self {
            Target::Open(fd) => rustix::fs::futimens(fd, &times),
            Target::Named(fd, name) => rustix::fs::utimensat(fd, name, &times, AtFlags::SYMLINK_NOFOLLOW),
        };
        set.map_err(|errno| Error::io("set its times", errno.into()))
    }
}

/// Whose a file is in the end.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Owner {
    /// The one that the image says.
    Right,
    /// The ordinary user who unpacks; setuid then gives nobody anything.
    NotTried,
    /// A root who may not give it away.
    Refused,
}

const SET_ID: u32 = 0o6000;

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
        let mode = self.mode_to_set(metadata.mode, made_with);
        self.set(Target::Open(fd), path, metadata, mode)
    }

    /// Sets all on a link, which has no mode.
    pub(super) fn set_link(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        metadata: &Metadata,
    ) -> Result<()> {
        self.set(Target::Named(directory, name), path, metadata, None)
    }

    /// Sets all on a device or fifo just made with its permission bits, without opening it: that may block, or do
    /// something (T13).
    pub(super) fn set_node(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        metadata: &Metadata,
    ) -> Result<()> {
        let mode = self.mode_to_set(metadata.mode, Some(metadata.mode & 0o777));
        self.set(Target::Named(directory, name), path, metadata, mode)
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

    /// `None` if the file has it by its making.
    fn mode_to_set(&self, mode: u32, made_with: Option<u32>) -> Option<u32> {
        (made_with.map(|made| made & !self.made.umask) != Some(mode)).then_some(mode)
    }

    fn set(&mut self, target: Target<'_>, path: &[u8], metadata: &Metadata, mode: Option<u32>) -> Result<()> {
        let owner = self.set_owner(target, path, metadata)?;
        let mut outcome = Outcome::Set;
        for xattr in metadata.xattrs.iter().filter(|xattr| !xattr::is_acl(xattr)) {
            outcome = outcome.and(target.set_xattr(xattr)?);
        }
        if let Some(mode) = mode {
            // What runs as its owner must not run as somebody else: as root, whom the image never named.
            let bits = if owner == Owner::Refused { mode & !SET_ID } else { mode };
            if bits != mode {
                self.note(Loss::SetId, path);
            }
            target.set_mode(bits)?;
        }
        for xattr in metadata.xattrs.iter().filter(|xattr| xattr::is_acl(xattr)) {
            outcome = outcome.and(target.set_xattr(xattr)?);
        }
        if outcome == Outcome::Refused {
            self.note(Loss::Xattr, path);
        }
        target.set_times(metadata)
    }

    fn set_owner(&mut self, target: Target<'_>, path: &[u8], metadata: &Metadata) -> Result<Owner> {
        if (metadata.uid, metadata.gid) == (self.made.uid, self.made.gid) {
            return Ok(Owner::Right);
        }
        if self.privilege == Privilege::User {
            self.note(Loss::Owner, path);
            return Ok(Owner::NotTried);
        }
        match target.set_owner(metadata.uid, metadata.gid) {
            Ok(()) => Ok(Owner::Right),
            // The root of a user namespace that maps few ids, or one that was left without the capability.
            Err(Errno::PERM | Errno::INVAL) => {
                self.note(Loss::Owner, path);
                Ok(Owner::Refused)
            }
            Err(errno) => Err(Error::io(format!("set its owner to {}:{}", metadata.uid, metadata.gid), errno.into())),
        }
    }
}

pub(super) fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(|errno| Error::io("set its mode", errno.into()))
}

/// Kernels before 6.6 can't change a mode without following, so what is meant is pinned first.
fn set_mode_at(directory: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
        .and_then(|pinned| {
            let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))
        })
        .map_err(|errno| Error::io("set its mode", errno.into()))
}
