//! A directory as a reproducible gzip layer.
//!
//! Decides what of a directory goes into the archive and in which order: names sorted by their bytes, parents first;
//! owner root; times no later than asked for; links as links. What depends on the machine (owners, inode numbers, times
//! of access) stays out. Extended attributes are not packed.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_util::stream::{StreamExt, try_unfold};
use gantri_core::{BlobBody, ByteStream, Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Digest, MediaType};
use tokio::task;

use super::hashing::Hashing;
use super::tar::{Attributes, TarWriter};
use crate::steady::Steady;
use crate::stop::{Stop, StopOnDrop};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// How a directory is packed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackOptions {
    /// The latest time, in seconds since 1970, that an entry may have; later ones are set to it. Default 0: no entry says
    /// when it was written.
    pub latest_mtime: u64,
    /// How hard gzip tries, from 0 to 9. Default 6.
    pub level: u32,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self { latest_mtime: 0, level: 6 }
    }
}

/// A packed layer, in a temporary file without a name.
#[derive(Clone, Debug)]
pub struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
    file: Arc<File>,
}

impl Layer {
    /// Packs what is in `directory` (not the directory itself) into a temporary file on the file system of `scratch`.
    ///
    /// # Errors
    /// `Conflict` if a file changes while it is read; `Unsupported` for devices and sockets; `Io`; each names the path.
    ///
    /// # Cancel safety
    /// Leaves nothing: the file has no name.
    pub async fn pack(
        directory: impl Into<PathBuf>,
        scratch: impl Into<PathBuf>,
        options: PackOptions,
    ) -> Result<Self> {
        Self::pack_as(directory.into(), None, scratch.into(), options).await
    }

    /// The same, with the directory itself in the archive, under this path.
    pub(crate) async fn pack_below(
        directory: PathBuf,
        name: String,
        scratch: PathBuf,
        options: PackOptions,
    ) -> Result<Self> {
        Self::pack_as(directory, Some(PathBuf::from(name)), scratch, options).await
    }

    async fn pack_as(
        directory: PathBuf,
        name: Option<PathBuf>,
        scratch: PathBuf,
        options: PackOptions,
    ) -> Result<Self> {
        let stop = Stop::default();
        let _guard = StopOnDrop(stop.clone());
        let packed = task::spawn_blocking(move || pack(&directory, name.as_deref(), &scratch, &options, &stop)).await;
        packed.map_err(|error| Error::new(ErrorKind::Io, format!("pack a layer: {error}")))?
    }

    /// What the packed layer is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The digest of its archive before compression.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Its bytes, as often as needed.
    pub fn body(&self) -> BlobBody {
        let file = Arc::clone(&self.file);
        BlobBody::reopen(move |offset| chunks(Arc::clone(&file), offset))
    }
}

fn chunks(file: Arc<File>, offset: u64) -> ByteStream {
    try_unfold((file, offset), |(file, offset)| async move {
        let read = task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let read = file.read_at(&mut chunk, offset)?;
            chunk.truncate(read);
            Ok((Bytes::from(chunk), file))
        });
        let read = read.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        let (chunk, file) = read.map_err(|error| Error::io("read a packed layer", error))?;
        let next = offset + chunk.len() as u64;
        Ok((!chunk.is_empty()).then_some((chunk, (file, next))))
    })
    .boxed()
}

fn pack(directory: &Path, name: Option<&Path>, scratch: &Path, options: &PackOptions, stop: &Stop) -> Result<Layer> {
    let scratch_io = |error| Error::io(format!("temporary file in {}", scratch.display()), error);
    let file = tempfile::tempfile_in(scratch).map_err(scratch_io)?;
    let compressed = Hashing::new(BufWriter::with_capacity(CHUNK, file));
    // No name, no time and no system in the gzip header.
    let gzip = GzEncoder::new(compressed, flate2::Compression::new(options.level.min(9)));
    let below = name.unwrap_or(Path::new("")).to_owned();
    let mut packer = Packer { tar: TarWriter::new(Hashing::new(gzip)), options, below, links: HashMap::new() };
    packer.top(directory)?;
    packer.tree(directory, stop)?;
    let archive = packer.tar.finish().map_err(scratch_io)?;
    let (gzip, diff_id, _) = archive.finish();
    let (buffered, digest, size) = gzip.finish().map_err(scratch_io)?.finish();
    let file = buffered.into_inner().map_err(|error| scratch_io(error.into_error()))?;
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, size);
    Ok(Layer { descriptor, diff_id, file: Arc::new(file) })
}

struct Packer<'a, W> {
    tar: TarWriter<W>,
    options: &'a PackOptions,
    /// What stands before every name.
    below: PathBuf,
    /// The first name of each file that has several, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<'_, W> {
    /// The directory itself, if it has a name in the archive.
    fn top(&mut self, top: &Path) -> Result<()> {
        let unreadable = |error| Error::io(format!("pack {}", top.display()), error);
        let metadata = fs::metadata(top).map_err(unreadable)?;
        if self.below.as_os_str().is_empty() || !metadata.is_dir() {
            return Ok(());
        }
        let attributes = self.attributes(&metadata);
        self.tar.directory(self.below.as_os_str().as_bytes(), attributes).map_err(unreadable)
    }

    fn tree(&mut self, top: &Path, stop: &Stop) -> Result<()> {
        let mut open = children(top, Path::new(""))?;
        while let Some(path) = open.pop() {
            if stop.is_set() {
                return Err(Error::new(ErrorKind::Io, "packing was stopped"));
            }
            let full = top.join(&path);
            let unreadable = |error| Error::io(format!("pack {}", full.display()), error);
            let metadata = fs::symlink_metadata(&full).map_err(unreadable)?;
            self.entry(&full, &path, &metadata)?;
            if metadata.is_dir() {
                open.extend(children(top, &path)?);
            }
        }
        Ok(())
    }

    fn entry(&mut self, full: &Path, path: &Path, metadata: &Metadata) -> Result<()> {
        let path = &self.below.join(path);
        let name = path.as_os_str().as_bytes();
        let attributes = self.attributes(metadata);
        let kind = metadata.file_type();
        let written = if kind.is_dir() {
            self.tar.directory(name, attributes)
        } else if kind.is_symlink() {
            fs::read_link(full).and_then(|to| self.tar.symlink(name, to.as_os_str().as_bytes(), attributes))
        } else if kind.is_fifo() {
            self.tar.fifo(name, attributes)
        } else if kind.is_file() {
            return self.file(full, path, metadata);
        } else {
            let what = format!("pack {}: only files, directories, links and fifos can be packed", full.display());
            return Err(Error::new(ErrorKind::Unsupported, what));
        };
        written.map_err(|error| Error::io(format!("pack {}", full.display()), error))
    }

    fn file(&mut self, full: &Path, path: &Path, metadata: &Metadata) -> Result<()> {
        let unwritten = |error| Error::io(format!("pack {}", full.display()), error);
        let name = path.as_os_str().as_bytes();
        let attributes = self.attributes(metadata);
        if metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.get(&inode) {
                let link = self.tar.hard_link(name, first.as_os_str().as_bytes(), attributes);
                return link.map_err(unwritten);
            }
            self.links.insert(inode, path.to_path_buf());
        }
        let file = Steady::open_seen(full, metadata)?;
        let mut content = BufReader::with_capacity(CHUNK, file.reader());
        let written = self.tar.file(name, metadata.len(), &mut content, attributes);
        // That it changed says more than that it came out too short.
        file.check()?;
        written.map_err(unwritten)
    }

    fn attributes(&self, metadata: &Metadata) -> Attributes {
        let mtime = u64::try_from(metadata.mtime()).unwrap_or(0).min(self.options.latest_mtime);
        Attributes { mode: metadata.mode() & 0o7777, mtime }
    }
}

/// What is directly in a directory, relative to `top`; the first name stands last, to be popped first.
fn children(top: &Path, below: &Path) -> Result<Vec<PathBuf>> {
    let full = top.join(below);
    let names = fs::read_dir(&full).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| below.join(entry.file_name()))).collect::<io::Result<Vec<_>>>()
    });
    let mut names = names.map_err(|error| Error::io(format!("pack {}", full.display()), error))?;
    names.sort_unstable_by(|a, b| b.as_os_str().as_bytes().cmp(a.as_os_str().as_bytes()));
    Ok(names)
}
