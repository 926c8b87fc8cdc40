//! What one entry does to the tree.
//!
//! Whatever is made is made new, with `O_EXCL` or its like, and what stood there before is removed first: no file of a
//! lower layer is ever written to, so hard links to it keep its contents (T12). A directory over a directory is the one
//! exception; it only changes what the directory gets in the end. A path through something that is neither directory nor
//! link is an error, as with GNU tar and containerd.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::marks::Mark;
use super::metadata::{Privilege, Restorer};
use super::notices::Loss;
use super::path::{self, shown};
use super::root::{Directory, Missing};
use super::tar::{Archive, Kind, Member};
use super::tree::{Tree, child};
use super::whiteout::{self, Name};
use super::xattr::{self, Admitted};

/// Where an entry goes.
struct At<'a> {
    directory: Arc<Directory>,
    name: &'a [u8],
    plain: Vec<u8>,
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

    fn place_symlink(&mut self, at: &At<'_>, member: &Member) -> Result<()> {
        let target = member.link.as_slice();
        if target.is_empty() {
            return Err(invalid("a symbolic link to nothing"));
        }
        // The kernel counts the NUL at the end.
        if target.len() >= self.limits.unpack_path.min(4096) {
            return Err(Error::limit("a link's target", "unpack_path", self.limits.unpack_path));
        }
        self.make(at, |directory, name| rustix::fs::symlinkat(target, directory, name))?;
        self.restorer.set_link(at.directory.as_fd(), at.name, &at.plain, &member.metadata)
    }

    /// Another name for what this tree already holds. The target is found like every path, within the root and without
    /// following its last component (T4). Its metadata is the target's, whatever the entry says.
    fn place_hard_link(&mut self, at: &At<'_>, member: &Member) -> Result<()> {
        let mut target = Vec::new();
        path::normalize(&member.link, &self.limits, &mut target)
            .map_err(|error| error.during(format_args!("hard link to {}", shown(&member.link))))?;
        let (parent, name) = path::split(&target);
        let absent = || invalid(format!("a hard link to {}, which is not there", shown(&member.link)));
        let directory = self.root.directory(parent, Missing::Report)?.ok_or_else(absent)?;
        let plain = child(&directory.path, name);
        if name.is_empty() {
            return Err(invalid("a hard link to the root"));
        }
        if plain == at.plain {
            return Self::check_link_to_itself(at);
        }
        match self.attempt(at, |to, to_name| rustix::fs::linkat(&*directory, name, to, to_name, AtFlags::empty()))? {
            Ok(()) => Ok(()),
            Err(Errno::PERM) if is_directory(&directory, name, &plain)? => {
                Err(invalid(format!("a hard link to {}, which is a directory", shown(&member.link))))
            }
            Err(Errno::NOENT) if self.unmade.contains(&plain) => {
                self.restorer.note(Loss::LinkToDevice, &at.plain);
                self.leave_unmade(at)
            }
            Err(Errno::NOENT) => Err(absent()),
            Err(errno) => Err(Error::io(format!("link it to {}", shown(&target)), errno.into())),
        }
    }

    /// Nothing is to be done, and what stands there must not be removed first; but it must be there.
    fn check_link_to_itself(at: &At<'_>) -> Result<()> {
        match kind_of(&at.directory, at.name, &at.plain)? {
            None => Err(invalid("a hard link to itself, which is not there")),
            Some(FileType::Directory) => Err(invalid("a hard link to itself, which is a directory")),
            Some(_) => Ok(()),
        }
    }

    fn place_node(&mut self, at: &At<'_>, member: &Member) -> Result<()> {
        let kind = match member.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        if kind != FileType::Fifo && self.restorer.privilege() == Privilege::User {
            self.restorer.note(Loss::Device, &at.plain);
            return self.leave_unmade(at);
        }
        let (mode, device) = (Mode::from_raw_mode(member.metadata.mode), makedev(member.device.0, member.device.1));
        let outcome = self.attempt(at, |directory, name| rustix::fs::mknodat(directory, name, kind, mode, device))?;
        match outcome {
            Ok(()) => self.restorer.set_node(at.directory.as_fd(), at.name, &at.plain, &member.metadata),
            // Root in name only: a container without the capability.
            Err(Errno::PERM) if kind != FileType::Fifo => {
                self.restorer.note(Loss::Device, &at.plain);
                self.leave_unmade(at)
            }
            Err(errno) => Err(Error::io("make the device or fifo", errno.into())),
        }
    }

    /// What was there is gone all the same, for the layer put something else in its place.
    fn leave_unmade(&mut self, at: &At<'_>) -> Result<()> {
        self.take_away(at.directory.as_fd(), at.name, &at.plain)?;
        self.unmade.insert(at.plain.clone());
        Ok(())
    }

    /// Makes something new at a place, after removing what is there.
    fn make<T>(&mut self, at: &At<'_>, make: impl Fn(&Directory, &[u8]) -> rustix::io::Result<T>) -> Result<T> {
        self.attempt(at, make)?.map_err(|errno| Error::io("make it", errno.into()))
    }

    /// As `make`, with the kernel's last word left to the caller.
    fn attempt<T>(
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

fn write_contents(mut file: &File, archive: &mut Archive<'_>, member: &Member) -> Result<()> {
    let failed = |error| Error::io("write it", error);
    let Some(sparse) = &member.sparse else {
        return write_piece(file, archive, member.size);
    };
    for chunk in sparse.chunks.iter().filter(|chunk| chunk.length > 0) {
        file.seek(SeekFrom::Start(chunk.offset)).map_err(failed)?;
        write_piece(file, archive, chunk.length)?;
    }
    file.set_len(sparse.size).map_err(failed)
}

fn write_piece(mut file: &File, archive: &mut Archive<'_>, mut length: u64) -> Result<()> {
    while length > 0 {
        let piece = archive.contents(length)?;
        if piece.is_empty() {
            return Err(invalid("its contents end too early"));
        }
        file.write_all(piece).map_err(|error| Error::io("write it", error))?;
        length -= piece.len() as u64;
    }
    Ok(())
}

fn is_directory(directory: &Directory, name: &[u8], plain: &[u8]) -> Result<bool> {
    Ok(kind_of(directory, name, plain)? == Some(FileType::Directory))
}

/// What stands at a name, links not followed.
fn kind_of(directory: &Directory, name: &[u8], plain: &[u8]) -> Result<Option<FileType>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io(format!("look at {}", shown(plain)), errno.into())),
    }
}

fn invalid(rule: impl Into<String>) -> Error {
    Error::new(ErrorKind::LayerInvalid, rule)
}
