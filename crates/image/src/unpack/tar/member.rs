//! What the archive says about one member, all records applied; the names are as written, for `path.rs` to judge.

use rustix::fs::Timespec;

use super::sparse::Sparse;

/// One member of the archive. The reader fills the same value again and again, so that its buffers are kept.
#[derive(Debug)]
pub(in crate::unpack) struct Member {
    /// Where its first header begins.
    pub(in crate::unpack) offset: u64,
    pub(in crate::unpack) kind: Kind,
    pub(in crate::unpack) path: Vec<u8>,
    /// Where a link points; empty for other kinds.
    pub(in crate::unpack) link: Vec<u8>,
    pub(in crate::unpack) metadata: Metadata,
    /// Major and minor number; 0 for what is no device.
    pub(in crate::unpack) device: (u32, u32),
    /// Bytes of contents in the archive.
    pub(in crate::unpack) size: u64,
    /// Where the contents go in a file with holes.
    pub(in crate::unpack) sparse: Option<Sparse>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::unpack) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// What is set on a file once it is there.
#[derive(Clone, Debug)]
pub(in crate::unpack) struct Metadata {
    /// The permission bits, with setuid, setgid and sticky.
    pub(in crate::unpack) mode: u32,
    pub(in crate::unpack) uid: u32,
    pub(in crate::unpack) gid: u32,
    pub(in crate::unpack) modified: Timespec,
    /// As `modified` where the archive does not say.
    pub(in crate::unpack) accessed: Timespec,
    pub(in crate::unpack) xattrs: Vec<Xattr>,
}

/// One extended attribute.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::unpack) struct Xattr {
    pub(in crate::unpack) name: Vec<u8>,
    pub(in crate::unpack) value: Vec<u8>,
}

impl Member {
    /// The size that the file will have, holes included.
    pub(in crate::unpack) fn full_size(&self) -> u64 {
        self.sparse.as_ref().map_or(self.size, |sparse| sparse.size)
    }
}

impl Default for Member {
    fn default() -> Self {
        let epoch = Timespec { tv_sec: 0, tv_nsec: 0 };
        Self {
            offset: 0,
            kind: Kind::File,
            path: Vec::new(),
            link: Vec::new(),
            metadata: Metadata { mode: 0, uid: 0, gid: 0, modified: epoch, accessed: epoch, xattrs: Vec::new() },
            device: (0, 0),
            size: 0,
            sparse: None,
        }
    }
}
