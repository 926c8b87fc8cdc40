//! Writes the tar archive of a layer: ustar headers, with PAX records for what does not fit them.
//!
//! Knows entries and bytes; which files there are, and in which order, is [`layer`](super::layer)'s business.

use std::io::{self, Read, Write};

use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

/// A tar block.
const BLOCK: usize = 512;

/// What all entries have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    /// Permission bits, setuid, setgid and sticky among them.
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) mtime: u64,
}

#[derive(Debug)]
pub(super) struct TarWriter<W> {
    inner: W,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner }
    }

    pub(super) fn directory(&mut self, path: &[u8], attributes: Attributes) -> io::Result<()> {
        self.header(&[path, b"/"].concat(), EntryType::Directory, attributes, 0, &[])
    }

    pub(super) fn symlink(&mut self, path: &[u8], target: &[u8], attributes: Attributes) -> io::Result<()> {
        self.header(path, EntryType::Symlink, attributes, 0, target)
    }

    /// Another name for a file that was written before.
    pub(super) fn hard_link(&mut self, path: &[u8], first: &[u8], attributes: Attributes) -> io::Result<()> {
        self.header(path, EntryType::Link, attributes, 0, first)
    }

    pub(super) fn fifo(&mut self, path: &[u8], attributes: Attributes) -> io::Result<()> {
        self.header(path, EntryType::Fifo, attributes, 0, &[])
    }

    /// A file of exactly `size` bytes; fails if `content` has fewer, and leaves what is more.
    pub(super) fn file(
        &mut self,
        path: &[u8],
        size: u64,
        content: &mut dyn Read,
        attributes: Attributes,
    ) -> io::Result<()> {
        self.header(path, EntryType::Regular, attributes, size, &[])?;
        let copied = io::copy(&mut content.take(size), &mut self.inner)?;
        if copied < size {
            let what = format!("it shrank from {size} to {copied} bytes while it was read");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        io::copy(&mut io::repeat(0).take(padding), &mut self.inner)?;
        Ok(())
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK])?;
        Ok(self.inner)
    }

    fn header(
        &mut self,
        path: &[u8],
        kind: EntryType,
        attributes: Attributes,
        size: u64,
        target: &[u8],
    ) -> io::Result<()> {
        let mut entry = EntryBuilder::new_ustar();
        entry.path(path).entry_type(kind).link_name(target);
        // Numbers that do not fit become PAX records; owners are always root and have no names.
        let filled = entry.mode(attributes.mode).and_then(|entry| entry.uid(0)).and_then(|entry| entry.gid(0));
        let filled = filled.and_then(|entry| entry.size(size)).and_then(|entry| entry.mtime(attributes.mtime));
        filled.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        self.inner.write_all(&entry.finish_bytes())
    }
}
