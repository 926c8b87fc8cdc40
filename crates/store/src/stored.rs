//! Bytes at rest while they are read: a file, a piece of one, or a document made in memory.
//!
//! Reads name their place in the file, so several readers share one handle. Nothing is read past the size that was known
//! at the opening, and nothing here is checked: whoever asked by digest holds the bytes to it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use gantri_core::{Error, Result};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::dir::{Opened, io_error};

/// Content that can be read from its beginning on.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    source: Source,
    /// Where the next read begins, from the beginning of this content on.
    at: u64,
    /// In bytes, when it was opened.
    pub(crate) size: u64,
    /// For messages: a file's path, or what stands in an archive of that path.
    pub(crate) path: PathBuf,
}

#[derive(Clone, Debug)]
enum Source {
    /// Content that begins at this offset of a file.
    File(Arc<File>, u64),
    Memory(Bytes),
}

impl Stored {
    /// A piece of a file.
    pub(crate) fn piece(file: Arc<File>, start: u64, size: u64, path: PathBuf) -> Self {
        Self { source: Source::File(file, start), at: 0, size, path }
    }

    /// A document that has no file.
    pub(crate) fn made(bytes: Bytes, path: PathBuf) -> Self {
        Self { size: bytes.len() as u64, source: Source::Memory(bytes), at: 0, path }
    }

    /// Where it begins in its file.
    pub(crate) fn start(&self) -> u64 {
        match self.source {
            Source::File(_, start) => start,
            Source::Memory(_) => 0,
        }
    }

    /// The next bytes, as many as wanted but at the end.
    pub(crate) fn next(&mut self, wanted: u64) -> Result<Bytes> {
        let wanted = wanted.min(self.size.saturating_sub(self.at));
        let bytes = self.read_at(self.at, usize::try_from(wanted).unwrap_or(usize::MAX))?;
        self.at += bytes.len() as u64;
        Ok(bytes)
    }

    /// Goes on reading at `offset`.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.at = offset;
    }

    /// All of it, at most `limit` bytes.
    pub(crate) fn read(mut self, limit: u64, limit_name: &str) -> Result<Bytes> {
        if self.size > limit {
            return Err(Error::limit(format_args!("read {}", self.path.display()), limit_name, limit));
        }
        self.at = 0;
        self.next(self.size)
    }

    fn read_at(&self, at: u64, wanted: usize) -> Result<Bytes> {
        let (file, start) = match &self.source {
            Source::File(file, start) => (file, *start),
            Source::Memory(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                return Ok(bytes.slice(at..at.saturating_add(wanted).min(bytes.len())));
            }
        };
        let mut bytes = Vec::with_capacity(wanted);
        while bytes.len() < wanted {
            let from = start + at + bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(&mut bytes), from) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(io_error("read", &self.path, errno.into())),
            }
        }
        // The allocator may have given more room than was asked for, and so the file more bytes.
        bytes.truncate(wanted);
        Ok(bytes.into())
    }
}

impl From<&Opened> for Stored {
    fn from(opened: &Opened) -> Self {
        Self::piece(Arc::clone(&opened.file), 0, opened.size, opened.path.clone())
    }
}

impl From<Opened> for Stored {
    fn from(opened: Opened) -> Self {
        Self::piece(opened.file, 0, opened.size, opened.path)
    }
}
