//! A directory held open, and everything that is done to the file system below it.
//!
//! This is the one file that makes system calls on names. Names are single components that come from parsed types, and
//! no symbolic link is followed (T19): only the root, which the user named, is opened by path. Every error says what
//! was being done to which path.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::stored::Stored;

/// An open directory. Clones share the handle.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    fd: Arc<OwnedFd>,
    path: Arc<Path>,
}

/// A regular file opened for reading, with its size in bytes when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
    pub(crate) path: PathBuf,
}

impl Dir {
    /// The directory that the user named, if it is there; its path may lead through symbolic links.
    pub(crate) fn open_root(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd: Arc::new(fd), path: path.into() })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("open", path, errno)),
        }
    }

    /// The file that the user named, to read; its path may lead through symbolic links.
    ///
    /// # Errors
    /// `Io` if it is not there, or anything but a regular file.
    pub(crate) fn open_archive(path: &Path) -> Result<Opened> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed("open", path, errno))?;
        let stat = look_at(&fd, path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(opened(fd, path.to_owned(), &stat)),
            FileType::Directory => {
                Err(not_regular(path).with_hint("an archive is one file; an image layout in a directory is oci:DIR"))
            }
            _ => Err(not_regular(path).with_hint("an archive is read from a file, not from a pipe or a device")),
        }
    }

    /// The directory that the user named, made with its parents and put on disk if it is not there.
    pub(crate) fn make_root(path: &Path) -> Result<Self> {
        let missing = path.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists());
        let parents: Vec<&Path> = missing.filter_map(Path::parent).collect();
        fs::create_dir_all(path).map_err(|error| uncreated(path, error))?;
        for parent in parents {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            if let Some(parent) = Self::open_root(parent)? {
                parent.sync()?;
            }
        }
        Self::open_root(path)?.ok_or_else(|| failed("open", path, Errno::NOENT))
    }

    /// A sub-directory, if it is there.
    ///
    /// # Errors
    /// `Io` if it is a symbolic link, or no directory.
    pub(crate) fn dir(&self, name: &str) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd: Arc::new(fd), path: self.path_of(name).into() })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(refused(unlike(&self.path_of(name), "not a directory"))),
            Err(errno) => Err(self.failed("open", name, errno)),
        }
    }

    /// A sub-directory, made and put on disk if it is not there yet.
    pub(crate) fn make_dir(&self, name: &str) -> Result<Self> {
        self.make_dir_for(name, Mode::RWXU | Mode::RWXG | Mode::RWXO)
    }

    /// The same, but one that is new is for us alone, whatever the umask says: what grows in there is nobody's to meddle
    /// with before it is published (S7).
    pub(crate) fn make_private_dir(&self, name: &str) -> Result<Self> {
        self.make_dir_for(name, Mode::RWXU)
    }

    fn make_dir_for(&self, name: &str, mode: Mode) -> Result<Self> {
        match rustix::fs::mkdirat(&self.fd, name, mode) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.failed("create", name, errno)),
        }
        let dir = self.dir(name)?;
        dir.ok_or_else(|| self.failed("open", name, Errno::NOENT))
    }

    /// A file to read, if it is there. Opening never waits, whatever it is.
    ///
    /// # Errors
    /// `Io` if it is anything but a regular file (T19).
    pub(crate) fn file(&self, name: &str) -> Result<Option<Opened>> {
        self.open_file(name, OFlags::RDONLY)
    }

    /// A file to read and write, if it is there; as [`file`](Self::file).
    pub(crate) fn file_to_write(&self, name: &str) -> Result<Option<Opened>> {
        self.open_file(name, OFlags::RDWR)
    }

    /// A new, empty file; none if the name is taken.
    pub(crate) fn create(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(self.failed("create", name, errno)),
        }
    }

    /// The bytes of a small file, at most `limit` of them; none if it is not there.
    pub(crate) fn read(&self, name: &str, limit: u64, limit_name: &str) -> Result<Option<Bytes>> {
        self.file(name)?.map(|opened| Stored::from(opened).read(limit, limit_name)).transpose()
    }

    /// Moves a file over whatever has the name at the target, which keeps it across a power cut.
    pub(crate) fn rename(&self, from: &str, to: &Self, name: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, from, &to.fd, name).map_err(|errno| to.failed("rename to", name, errno))?;
        to.sync()
    }

    /// Moves a file to a name that is free, which keeps it across a power cut; whether the name was free.
    pub(crate) fn rename_new(&self, from: &str, to: &Self, name: &str) -> Result<bool> {
        match rustix::fs::renameat_with(&self.fd, from, &to.fd, name, RenameFlags::NOREPLACE) {
            Ok(()) => to.sync().map(|()| true),
            Err(Errno::EXIST) => Ok(false),
            // Some file systems can't: then two that come at once may still take the name from each other.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let free = matches!(rustix::fs::statat(&to.fd, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT));
                if free { self.rename(from, to, name).map(|()| true) } else { Ok(false) }
            }
            Err(errno) => Err(to.failed("rename to", name, errno)),
        }
    }

    /// Gives a file a second name in another directory, which keeps it across a power cut. Whether this file system can
    /// do that; a name that is taken already is left as it is.
    pub(crate) fn link(&self, from: &str, to: &Self, name: &str) -> Result<bool> {
        match rustix::fs::linkat(&self.fd, from, &to.fd, name, AtFlags::empty()) {
            Ok(()) => to.sync().map(|()| true),
            Err(Errno::EXIST) => Ok(true),
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(to.failed("link", name, errno)),
        }
    }

    /// Removes a file; whether it was there.
    pub(crate) fn remove(&self, name: &str) -> Result<bool> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.failed("remove", name, errno)),
        }
    }

    /// The permissions of the regular file that has this name, if there is one.
    pub(crate) fn permissions_of(&self, name: &str) -> Result<Option<Mode>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if FileType::from_raw_mode(there.st_mode).is_file() => {
                Ok(Some(Mode::from_raw_mode(there.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO)))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("look at", name, errno)),
        }
    }

    /// Gives a file in here these permissions.
    pub(crate) fn permit(&self, name: &str, file: &File, permissions: Mode) -> Result<()> {
        rustix::fs::fchmod(file, permissions).map_err(|errno| self.failed("set the mode of", name, errno))
    }

    /// Whether `file`, or directory, is what `name` names at this moment.
    pub(crate) fn is_at(&self, file: &impl AsFd, name: &str) -> Result<bool> {
        let own = rustix::fs::fstat(file).map_err(|errno| self.failed("look at", name, errno))?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) => Ok((there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.failed("look at", name, errno)),
        }
    }

    /// The names of what is in here, in no order; those that are not UTF-8 are not ours and left out.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        self.list(|_| true)
    }

    /// The names of the directories in here, in no order.
    pub(crate) fn dir_names(&self) -> Result<Vec<String>> {
        self.list(|kind| kind == FileType::Directory)
    }

    /// Puts the names in here on disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(|errno| failed("sync", &self.path, errno))
    }

    /// Locks it for as long as it is held open, if nobody else has; whether it is locked now.
    pub(crate) fn try_lock(&self) -> Result<bool> {
        match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(failed("lock", &self.path, errno)),
        }
    }

    /// The same directory, called otherwise in messages.
    pub(crate) fn shown_as(self, path: &Path) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Where this is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a name in here is, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn open_file(&self, name: &str, access: OFlags) -> Result<Option<Opened>> {
        // Without NONBLOCK, opening a fifo would wait for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = self.path_of(name);
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(refused(not_regular(&path))),
            Err(errno) => return Err(failed("open", &path, errno)),
        };
        let stat = look_at(&fd, &path)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(refused(not_regular(&path)));
        }
        Ok(Some(opened(fd, path, &stat)))
    }

    fn list(&self, wanted: impl Fn(FileType) -> bool) -> Result<Vec<String>> {
        let listing = rustix::fs::Dir::read_from(&self.fd).map_err(|errno| failed("list", &self.path, errno))?;
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry.map_err(|errno| failed("list", &self.path, errno))?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) if wanted(self.kind_of(&entry)?) => names.push(name.to_owned()),
                Ok(_) => {}
            }
        }
        Ok(names)
    }

    /// Some file systems list names without kinds.
    fn kind_of(&self, entry: &rustix::fs::DirEntry) -> Result<FileType> {
        match entry.file_type() {
            FileType::Unknown => match rustix::fs::statat(&self.fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
                Err(Errno::NOENT) => Ok(FileType::Unknown),
                Err(errno) => Err(failed("look into", &self.path, errno)),
            },
            known => Ok(known),
        }
    }

    fn failed(&self, action: &str, name: &str, errno: Errno) -> Error {
        failed(action, &self.path_of(name), errno)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Opened {
    /// The same file with the size it has now.
    pub(crate) fn measured(self) -> Result<Self> {
        let stat = self.file.metadata().map_err(|error| io_error("look at", &self.path, error))?;
        Ok(Self { size: stat.len(), ..self })
    }
}

fn look_at(fd: &OwnedFd, path: &Path) -> Result<Stat> {
    rustix::fs::fstat(fd).map_err(|errno| failed("look at", path, errno))
}

/// A regular file.
fn opened(fd: OwnedFd, path: PathBuf, stat: &Stat) -> Opened {
    Opened { file: Arc::new(File::from(fd)), size: u64::try_from(stat.st_size).unwrap_or(0), path }
}

/// A failure of the file system: what was being done to which path (S2).
pub(crate) fn io_error(action: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("{action} {}", path.display()), error)
}

/// Whether a directory vanished while it was being made or used: somebody else took it for abandoned, or dropped the draft
/// it was made for.
pub(crate) fn is_overtaken(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    // `AlreadyExists` is what `create_dir_all` says of a directory that is there, and gone when it looks again.
    cause.is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists))
}

fn failed(action: &str, path: &Path, errno: Errno) -> Error {
    io_error(action, path, errno.into())
}

/// Another directory helps only where something else is in the way of this one.
fn uncreated(path: &Path, error: io::Error) -> Error {
    let is_in_the_way = matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory);
    let error = io_error("create", path, error);
    if is_in_the_way {
        return error.with_hint("choose a directory that is an image layout, is empty or does not exist yet");
    }
    error
}

fn refused(error: Error) -> Error {
    error.with_hint("links and special files inside an image layout are never followed")
}

fn not_regular(path: &Path) -> Error {
    unlike(path, "not a regular file")
}

/// What was opened is not what was wanted.
fn unlike(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Io, format!("open {}: refused, {why}", path.display()))
}
