//! Extended attributes: which an image may set, and setting them.
//!
//! Capabilities and ACLs are attributes too; their order against owner and mode is `metadata.rs`'s business.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::path::shown;
use super::tar::Xattr;

/// What came of setting an attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Set,
    /// Not for this user, or not on this file system.
    Refused,
}

impl Outcome {
    /// `Refused` if either is.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::Refused { self } else { other }
    }
}

/// Whether an attribute set was taken whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admitted {
    All,
    /// Without overlayfs's own notes of an ordinary user.
    Filtered,
}

/// Checks what an image wants to set (T13). `trusted.overlay.` would steer an overlay mounted over the tree, so no layer may
/// hold it; its unprivileged twin `user.overlay.` is found in images made inside containers, and is dropped.
pub(super) fn admit(xattrs: &mut Vec<Xattr>) -> Result<Admitted> {
    if let Some(xattr) = xattrs.iter().find(|xattr| xattr.name.starts_with(b"trusted.overlay.")) {
        let rule = format!("the extended attribute {}, which no image may set", shown(&xattr.name));
        return Err(Error::new(ErrorKind::LayerInvalid, rule));
    }
    let before = xattrs.len();
    xattrs.retain(|xattr| !xattr.name.starts_with(b"user.overlay."));
    Ok(if xattrs.len() == before { Admitted::All } else { Admitted::Filtered })
}

/// Whether this is an ACL, which has to wait for the mode.
pub(super) fn is_acl(xattr: &Xattr) -> bool {
    xattr.name.starts_with(b"system.posix_acl_")
}

/// Sets an attribute on an open file.
pub(super) fn set(fd: BorrowedFd<'_>, xattr: &Xattr) -> Result<Outcome> {
    outcome(rustix::fs::fsetxattr(fd, xattr.name.as_slice(), &xattr.value, XattrFlags::empty()), xattr)
}

/// Sets an attribute on what can't be opened: a link, a device. There is no call that takes a directory's handle and a
/// name, so the handle is named by way of `/proc`; the name itself is not followed (T5).
pub(super) fn set_at(directory: BorrowedFd<'_>, name: &[u8], xattr: &Xattr) -> Result<Outcome> {
    let path = by_handle(directory, name);
    outcome(rustix::fs::lsetxattr(path.as_slice(), xattr.name.as_slice(), &xattr.value, XattrFlags::empty()), xattr)
}

/// `name` in an open directory as a path of its own.
pub(super) fn by_handle(directory: impl AsFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

fn outcome(result: rustix::io::Result<()>, xattr: &Xattr) -> Result<Outcome> {
    match result {
        Ok(()) => Ok(Outcome::Set),
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL | Errno::NODATA) => Ok(Outcome::Refused),
        Err(errno) => Err(Error::io(format!("set the extended attribute {}", shown(&xattr.name)), errno.into())),
    }
}
