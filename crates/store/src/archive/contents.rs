//! What an archive holds: an index, and content by digest that lies somewhere in the file.
//!
//! An archive with an `oci-layout` is an image layout, whether Docker's `manifest.json` stands beside it or not; one with
//! a `manifest.json` alone is read by `docker.rs`. Links where an image layout has files are refused (T19).

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Digest, Index};

use super::tar::{Member, Members, members};
use super::{ArchiveKind, docker};
use crate::layout::index::{self, INDEX, MARK};
use crate::layout::scratch::BLOBS;
use crate::reading::Shelf;
use crate::stored::Stored;

/// An archive's file, its members, and what they mean.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) source: Source,
    pub(super) kind: ArchiveKind,
    /// As it is written, names and all.
    pub(super) index: Index,
    pub(super) blobs: Blobs,
}

/// An archive's file and its members.
#[derive(Debug)]
pub(super) struct Source {
    file: Arc<File>,
    pub(super) path: PathBuf,
    members: Members,
}

/// Where content is.
pub(super) type Blobs = HashMap<Digest, Blob>;

#[derive(Clone, Debug)]
pub(super) enum Blob {
    /// Bytes of the archive.
    Piece { start: u64, size: u64 },
    /// A manifest that the archive does not spell out.
    Made(Bytes),
}

impl Contents {
    /// Reads the headers of an archive and the documents that say what is in it.
    pub(super) fn read(file: Arc<File>, size: u64, path: &Path, limits: &Limits) -> Result<Self> {
        let whole = Stored::piece(Arc::clone(&file), 0, size, path.to_owned());
        let source = Source { file, path: path.to_owned(), members: members(&whole, limits)? };
        let is_docker = source.members.contains_key(docker::MANIFEST);
        let kind = if is_docker { ArchiveKind::Docker } else { ArchiveKind::Oci };
        let (index, blobs) = if source.members.contains_key(MARK) {
            source.layout(limits)?
        } else if is_docker {
            docker::read(&source, limits)?
        } else {
            let what = format!("read {}: no image in it, neither {MARK} nor {}", path.display(), docker::MANIFEST);
            return Err(Error::new(ErrorKind::NotARegistry, what));
        };
        Ok(Self { source, kind, index, blobs })
    }
}

impl Shelf for Contents {
    fn stored(&self, digest: &Digest) -> Result<Option<Stored>> {
        let path = || self.source.path.join(BLOBS).join(digest.algorithm_name()).join(digest.encoded());
        Ok(self.blobs.get(digest).map(|blob| match blob {
            Blob::Piece { start, size } => Stored::piece(Arc::clone(&self.source.file), *start, *size, path()),
            Blob::Made(bytes) => Stored::made(bytes.clone(), path()),
        }))
    }

    fn place(&self) -> &Path {
        &self.source.path
    }
}

impl Source {
    /// The image layout that is in the archive.
    fn layout(&self, limits: &Limits) -> Result<(Index, Blobs)> {
        let mark = self.document(MARK, index::MARK_LIMIT, "mark")?;
        index::check_mark(&mark, &self.path.join(MARK))?;
        let index = index::parse(&self.document(INDEX, limits.manifest, "manifest")?, &self.path.join(INDEX))?;
        let mut blobs = Blobs::new();
        for (name, member) in self.members.range(format!("{BLOBS}/")..format!("{BLOBS}0")) {
            // Names that are no digests are left to the tools that wrote them.
            let Some(digest) = to_digest(name) else { continue };
            let Member::File { start, size } = *member else { return Err(self.no_file(name)) };
            blobs.insert(digest, Blob::Piece { start, size });
        }
        Ok((index, blobs))
    }

    /// The bytes of a small file that has to be there.
    pub(super) fn document(&self, name: &str, limit: u64, limit_name: &str) -> Result<Bytes> {
        match self.members.get(name) {
            Some(Member::File { start, size }) => self.piece(name, *start, *size).read(limit, limit_name),
            Some(_) => Err(self.no_file(name)),
            None => Err(self.missing(name)),
        }
    }

    /// The file of a name, through at most one link: old versions of Docker store a layer once and link to it.
    pub(super) fn file(&self, name: &str) -> Result<Stored> {
        let found = match self.members.get(name) {
            Some(Member::HardLink(target)) => self.members.get(target),
            Some(Member::Symlink(target)) => beside(name, target).and_then(|target| self.members.get(&target)),
            found => found,
        };
        match (found, self.members.get(name)) {
            (Some(Member::File { start, size }), _) => Ok(self.piece(name, *start, *size)),
            (_, Some(_)) => Err(self.no_file(name)),
            (_, None) => Err(self.missing(name)),
        }
    }

    fn piece(&self, name: &str, start: u64, size: u64) -> Stored {
        Stored::piece(Arc::clone(&self.file), start, size, self.path.join(name))
    }

    fn no_file(&self, name: &str) -> Error {
        let name = gantri_core::error::display_untrusted(name);
        let what = format!("read {}: {name} is a link, and not to a file of this archive", self.path.display());
        Error::new(ErrorKind::NotARegistry, what)
    }

    fn missing(&self, name: &str) -> Error {
        let name = gantri_core::error::display_untrusted(name);
        Error::new(ErrorKind::NotARegistry, format!("read {}: {name} is not there", self.path.display()))
    }
}

fn to_digest(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.strip_prefix(BLOBS)?.strip_prefix('/')?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}

/// What a symbolic link means that lies in the archive; none if it leads out of it.
fn beside(link: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = link.split('/').collect();
    path.pop();
    if target.starts_with('/') {
        return None;
    }
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(path.pop()?),
            _ => path.push(component),
        }
    }
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (T19) A link means something inside the archive, or nothing.
    #[test]
    fn links_stay_inside() {
        let cases = [
            ("a/layer.tar", "../b/layer.tar", Some("b/layer.tar")),
            ("a/layer.tar", "b.tar", Some("a/b.tar")),
            ("a/layer.tar", "./x//y", Some("a/x/y")),
            ("layer.tar", "../b/layer.tar", None),
            ("a/layer.tar", "../../etc/passwd", None),
            ("a/layer.tar", "/etc/passwd", None),
        ];
        for (link, target, expected) in cases {
            assert_eq!(beside(link, target).as_deref(), expected, "{link} -> {target}");
        }
    }
}
