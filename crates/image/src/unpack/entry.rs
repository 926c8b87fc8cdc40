//! What one entry does to the tree.
//!
//! Whatever is made is made new, with `O_EXCL` or its like, and what stood there before is removed first: no file of a
//! lower layer is ever written to, so hard links to it keep its contents (T12). A directory over a directory is the one
//! exception; it only changes what the directory gets in the end. A path through something that is neither directory nor
//! link is an error, as with GNU tar and containerd.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::contents::write_contents;
use super::marks::Mark;
use super::metadata::Restorer;
use super::notices::Loss;
use super::path::{self, shown};
use super::root::{Directory, Missing};
use super::tar::{Archive, Kind, Member};
use super::tree::{Tree, child};
use super::whiteout::{self, Name};
use super::xattr::{self, Admitted};

/// Where an entry goes.
pub(super) struct At<'a> {
    pub(super) directory: Arc<Directory>,
    pub(super) name: &'a [u8],
    /// Its path without links.
    pub(super) plain: Vec<u8>,
}

/// Not open to others, and to the owner for all that comes beneath it.
const DIRECTORY_MODE: Mode = Mode::RWXU;
/// Never opens what is there, so it neither follows a link nor waits for a fifo (T13).
const NEW_FILE: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::WRONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Tree {
    /// Puts one member of the archive where it belongs.
    pub(super) fn place(&mut self, archive: &mut Archive<'_>, member: &mut Member) -> Result<()> {
        let mut plain = std::mem::take(&mut self.plain);
        let placed = self
            .count_made(1)
            .and_then(|()| path::normalize(&member.path, &self.limits, &mut plain))
            .and_then(|()| self.place_plain(&plain, archive, member));
        self.plain = plain;
        placed
    }

    fn place_plain(&mut self, plain: &[u8], archive: &mut Archive<'_>, member: &mut Member) -> Result<()> {
        let (parent, name) = path::split(plain);
        match whiteout::read(plain)? {
            Name::Plain => {}
            Name::Whiteout(hidden) => return self.hide(parent, hidden),
            Name::Opaque => return self.hide_contents(parent),
            Name::Bookkeeping => return Ok(()),
        }
        if xattr::admit(&mut member.metadata.xattrs)? == Admitted::Filtered {
            self.restorer.note(Loss::OverlayXattr, plain);
        }
        if plain.is_empty() {
            return self.place_root(member);
        }
        let at = self.locate(parent, name)?;
        match member.kind {
            Kind::File => self.place_file(&at, archive, member)?,
            Kind::Directory => self.place_directory(&at, member)?,
            Kind::Symlink => self.place_symlink(&at, member)?,
            Kind::HardLink => self.place_hard_link(&at, member)?,
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => self.place_node(&at, member)?,
        }
        self.marks.bring(&at.plain);
        self.remember(&at)
    }

    /// The root is what everything else is relative to, so it can only be what it is (T3).
    fn place_root(&mut self, member: &mut Member) -> Result<()> {
        if member.kind != Kind::Directory {
            return Err(invalid("the root of the tree can only be a directory"));
        }
        self.describe(b"", member);
        Ok(())
    }

    /// Finds or makes the directory that the entry goes to.
    fn locate<'n>(&mut self, parent: &[u8], name: &'n [u8]) -> Result<At<'n>> {
        let found = self.root.directory(parent, Missing::Create)?;
        let directory = found.ok_or_else(|| invalid("its directory is not there"))?;
        for made in self.root.take_created() {
            self.count_made(1)?;
            self.directories.imply(&made);
            self.marks.set(Mark::Pure, &made);
            if let Some(collisions) = &mut self.collisions {
                let (parent, name) = path::split(&made);
                if let Some(parent) = self.root.directory(parent, Missing::Report)? {
                    collisions.remember(parent.as_fd(), name, &made)?;
                }
            }
        }
        let plain = child(&directory.path, name);
        if plain.len() > self.limits.unpack_path {
            return Err(Error::limit("a path with its links resolved", "unpack_path", self.limits.unpack_path));
        }
        Ok(At { directory, name, plain })
    }

    fn place_file(&mut self, at: &At<'_>, archive: &mut Archive<'_>, member: &Member) -> Result<()> {
        self.count_bytes(member.full_size())?;
        let mode = Restorer::creation_mode(&member.metadata);
        let file =
            self.make(at, |directory, name| rustix::fs::openat(directory, name, NEW_FILE, Mode::from_raw_mode(mode)))?;
        let file = File::from(file);
        write_contents(&file, archive, member)?;
        self.restorer.set_open(file.as_fd(), &at.plain, &member.metadata, Some(mode))
    }

    fn place_directory(&mut self, at: &At<'_>, member: &mut Member) -> Result<()> {
        match rustix::fs::mkdirat(&*at.directory, at.name, DIRECTORY_MODE) {
            Ok(()) => {
                self.marks.set(Mark::Pure, &at.plain);
            }
            Err(Errno::EXIST) if is_directory(&at.directory, at.name, &at.plain)? => self.check_collision(at)?,
            Err(Errno::EXIST) => {
                self.make(at, |directory, name| rustix::fs::mkdirat(directory, name, DIRECTORY_MODE))?;
                self.marks.set(Mark::Pure, &at.plain);
            }
            Err(errno) => return Err(Error::io("make the directory", errno.into())),
        }
        self.describe(&at.plain, member);
        Ok(())
    }

    /// Makes something new at a place, after removing what is there.
    pub(super) fn make<T>(
        &mut self,
        at: &At<'_>,
        make: impl Fn(&Directory, &[u8]) -> rustix::io::Result<T>,
    ) -> Result<T> {
        self.attempt(at, make)?.map_err(|errno| Error::io("make it", errno.into()))
    }

    /// As `make`, with the kernel's last word left to the caller.
    pub(super) fn attempt<T>(
        &mut self,
        at: &At<'_>,
        make: impl Fn(&Directory, &[u8]) -> rustix::io::Result<T>,
    ) -> Result<rustix::io::Result<T>> {
        match make(&at.directory, at.name) {
            Err(Errno::EXIST) => {
                self.check_collision(at)?;
                self.take_away(at.directory.as_fd(), at.name, &at.plain)?;
                Ok(make(&at.directory, at.name))
            }
            outcome => Ok(outcome),
        }
    }

    /// Keeps a directory's metadata for the end.
    fn describe(&mut self, plain: &[u8], member: &mut Member) {
        let xattrs = std::mem::take(&mut member.metadata.xattrs);
        let mut metadata = member.metadata.clone();
        metadata.xattrs = xattrs;
        self.directories.describe(plain, metadata);
    }

    /// One short entry can make two thousand directories on its way, so these count, too (T10).
    fn count_made(&mut self, names: u64) -> Result<()> {
        self.layer_made += names;
        if self.layer_made > self.limits.unpack_entries {
            return Err(Error::limit("entries of one layer", "unpack_entries", self.limits.unpack_entries));
        }
        Ok(())
    }

    fn count_bytes(&mut self, bytes: u64) -> Result<()> {
        self.layer_bytes = self.layer_bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.layer_bytes > self.limits.unpack_layer_bytes {
            return Err(Error::limit("files of one layer", "unpack_layer_bytes", self.limits.unpack_layer_bytes));
        }
        if self.bytes > self.limits.unpack_bytes {
            return Err(Error::limit("files of one image", "unpack_bytes", self.limits.unpack_bytes));
        }
        Ok(())
    }

    /// Refuses a second name for a file of this layer, where names fold (T14).
    fn check_collision(&self, at: &At<'_>) -> Result<()> {
        match &self.collisions {
            Some(collisions) if !self.marks.has(Mark::Brought, &at.plain) => {
                collisions.check(at.directory.as_fd(), at.name, &at.plain)
            }
            _ => Ok(()),
        }
    }

    fn remember(&mut self, at: &At<'_>) -> Result<()> {
        match &mut self.collisions {
            Some(collisions) => collisions.remember(at.directory.as_fd(), at.name, &at.plain),
            None => Ok(()),
        }
    }
}

pub(super) fn is_directory(directory: &Directory, name: &[u8], plain: &[u8]) -> Result<bool> {
    Ok(kind_of(directory, name, plain)? == Some(FileType::Directory))
}

/// What stands at a name, links not followed.
pub(super) fn kind_of(directory: &Directory, name: &[u8], plain: &[u8]) -> Result<Option<FileType>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io(format!("look at {}", shown(plain)), errno.into())),
    }
}

pub(super) fn invalid(rule: impl Into<String>) -> Error {
    Error::new(ErrorKind::LayerInvalid, rule)
}
