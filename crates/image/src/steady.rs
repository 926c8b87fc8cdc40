//! Files that must not change while they are read: what is packed is what was there, or an error.
//!
//! A change shows in size or times before and after; one that leaves both is found out by the digest when it is sent.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::OFlags;

/// A regular file, open for reading, and what it looked like then.
#[derive(Debug)]
pub(crate) struct Steady {
    file: File,
    path: PathBuf,
    before: Stamp,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Steady {
    /// Opens a file, links followed.
    ///
    /// # Errors
    /// `Unsupported` if it is not a regular file; `Io`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::empty())
    }

    /// Opens what was a regular file when it was looked at.
    ///
    /// # Errors
    /// `Conflict` if it is another by now; as [`open`](Self::open).
    pub(crate) fn open_seen(path: &Path, seen: &Metadata) -> Result<Self> {
        let steady = Self::open_with(path, OFlags::NOFOLLOW)?;
        let now = steady.file.metadata().map_err(|error| unreadable(path, error))?;
        if (now.dev(), now.ino()) != (seen.dev(), seen.ino()) || Stamp::of(&now) != Stamp::of(seen) {
            return Err(changed(path, "another file took its place"));
        }
        Ok(steady)
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self> {
        // To open a fifo must not wait for somebody who writes to it.
        let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| unreadable(path, error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Unsupported, format!("pack {}: it is no file", path.display())));
        }
        Ok(Self { file, path: path.to_owned(), before: Stamp::of(&metadata) })
    }

    /// Its size in bytes, when it was opened.
    pub(crate) fn size(&self) -> u64 {
        self.before.size
    }

    /// Bytes at an offset, as many as there are and as fit.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| unreadable(&self.path, error)),
            }
        }
    }

    /// Its bytes from the first on.
    pub(crate) fn reader(&self) -> impl io::Read + '_ {
        &self.file
    }

    /// Whether it is still as it was.
    ///
    /// # Errors
    /// `Conflict` if it is not; `Io`.
    pub(crate) fn check(&self) -> Result<()> {
        let now = Stamp::of(&self.file.metadata().map_err(|error| unreadable(&self.path, error))?);
        if now == self.before {
            return Ok(());
        }
        let what = match (self.before.size, now.size) {
            (before, now) if before != now => format!("from {before} to {now} bytes"),
            _ => "in place".to_owned(),
        };
        Err(changed(&self.path, &what))
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::io(format!("pack {}", path.display()), error)
}

fn changed(path: &Path, how: &str) -> Error {
    let what = format!("pack {}: it changed while it was read: {how}", path.display());
    Error::new(ErrorKind::Conflict, what).with_hint("pack it again when nobody writes to it")
}
