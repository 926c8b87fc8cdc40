//! Image archives, one file each: `oci-archive` and `docker-archive`.
//!
//! This file decides what an [`Archive`] is, how it is opened, and which image a name means. `tar.rs` finds the members,
//! `contents.rs` and `docker.rs` what they mean, `draft.rs` and `write.rs` make new archives.

mod contents;
mod discover;
mod docker;
mod draft;
mod load;
mod merge;
mod names;
mod pull;
mod records;
mod tar;
mod workshop;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Index, Reference, Selector, Tag};

use self::contents::Contents;
pub use self::draft::{ArchiveDraft, Existing};
use self::names::Named;
use crate::blocking::blocking;
use crate::dir::{Dir, Opened};
use crate::reading::Held;

/// Which tools an archive is for.
#[expect(clippy::exhaustive_enums, reason = "a third kind would be another type of file")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArchiveKind {
    /// An OCI image layout in a tar archive, as `skopeo`, `podman` and `buildx` exchange it.
    Oci,
    /// The same, and Docker's `manifest.json`, so that `docker load` of any version takes it.
    Docker,
}

/// An image archive as a registry of one repository, to read from.
///
/// Opening reads the headers of the archive; content is then read from where it lies in the file, and nothing is unpacked.
/// The file is held open: one that is put in its place meanwhile is not seen.
///
/// An archive of Docker before version 25, or of `skopeo`, names layers and no manifests. Its images appear as Docker
/// schema 2 manifests made here, always the same for the same archive.
///
/// Needs a tokio runtime: the disk is used from its blocking threads.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

struct Inner {
    contents: Contents,
    /// The index by which manifests are found: each entry with its tag.
    index: Index,
    images: Vec<ArchiveImage>,
    limits: Limits,
}

/// An image of an archive, under one of its names.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ArchiveImage {
    /// Its full name, if the archive gives it one. It has a tag.
    pub reference: Option<Reference>,
    /// Its tag, if it has one.
    pub tag: Option<Tag>,
    /// Its manifest.
    pub manifest: Descriptor,
}

impl ArchiveKind {
    /// How users name it: `oci-archive` or `docker-archive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci-archive",
            Self::Docker => "docker-archive",
        }
    }
}

impl Archive {
    /// Opens the archive at `path`, of either kind.
    ///
    /// # Errors
    /// `NotARegistry` if it is no image archive, or breaks a rule of the format; `Unsupported` if it is compressed as a
    /// whole, or of a later version; `ManifestInvalid` if a document in it makes no sense; `LimitExceeded`; `Io`, also if
    /// there is no such file.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        blocking(move || Self::read(Dir::open_archive(&path)?)).await
    }

    /// Which tools it is for.
    pub fn kind(&self) -> ArchiveKind {
        self.0.contents.kind
    }

    /// All images that are listed, in the order of the archive; one with several names comes several times.
    pub fn images(&self) -> &[ArchiveImage] {
        &self.0.images
    }

    /// Which image a user means by a tag, a full name (`app:v1`, `ghcr.io/a/b:v1`) or a digest; without a name, the only
    /// image.
    ///
    /// # Errors
    /// `ManifestUnknown` if there is none; `Conflict` if the name means several images, or if there is no name and there
    /// are several. Both say what there is.
    pub fn select(&self, name: Option<&str>) -> Result<Selector> {
        let images = self.images();
        let mut found: Vec<&ArchiveImage> = match name {
            Some(name) => images.iter().filter(|image| image.is_called(name)).collect(),
            None => images.iter().filter(|image| image.tag.is_some()).collect(),
        };
        if name.is_none() && found.is_empty() {
            found = images.iter().collect();
        }
        match found.as_slice() {
            [] => Err(self.choice(ErrorKind::ManifestUnknown, name, "no such image")),
            [first, others @ ..] if others.iter().all(|other| other.manifest.digest == first.manifest.digest) => {
                Ok(Selector::Digest(first.manifest.digest.clone()))
            }
            _ => Err(self.choice(ErrorKind::Conflict, name, "several images")),
        }
    }

    fn read(opened: Opened) -> Result<Self> {
        let limits = Limits::default();
        let contents = Contents::read(opened.file, opened.size, &opened.path, &limits)?;
        let index = names::by_tags(contents.index.clone());
        let images = contents.index.manifests.iter().map(ArchiveImage::of).collect();
        Ok(Self(Arc::new(Inner { contents, index, images, limits })))
    }

    /// A tag that means several images is not taken for the first of them.
    fn refuse_ambiguous(&self, at: &Selector) -> Result<()> {
        match at {
            Selector::Tag(tag) if self.images().iter().any(|image| image.tag.as_ref() == Some(tag)) => {
                self.select(Some(tag.as_str())).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn held(&self) -> Held<'_> {
        let Inner { contents, index, limits, .. } = &*self.0;
        Held { shelf: contents, index, limits }
    }

    fn choice(&self, kind: ErrorKind, name: Option<&str>, why: &str) -> Error {
        let images = self.images();
        let path = self.0.contents.source.path.display();
        let name = name.map(gantri_core::error::display_untrusted).map(|name| format!("{name}: ")).unwrap_or_default();
        let listed: Vec<String> = images.iter().take(SHOWN).map(ArchiveImage::shown).collect();
        let more = if images.len() > SHOWN { ", and more" } else { "" };
        Error::new(kind, format!("{path}: {name}{why}")).with_hint(format!("it holds {}{more}", listed.join(", ")))
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("path", &self.0.contents.source.path).finish_non_exhaustive()
    }
}

impl ArchiveImage {
    fn of(entry: &Descriptor) -> Self {
        let Named { tag, reference } = Named::of(entry);
        let Descriptor { media_type, digest, size, .. } = entry.clone();
        Self { reference, tag, manifest: Descriptor::new(media_type, digest, size) }
    }

    fn is_called(&self, name: &str) -> bool {
        let is_tag = || self.tag.as_ref().is_some_and(|tag| tag.as_str() == name);
        let is_digest = || self.manifest.digest.as_str() == name;
        let is_reference = || {
            let named: Option<Reference> = name.parse().ok();
            let tagged = named.map(|named| match named.tag() {
                Some(_) => named,
                None => named.with_tag(Tag::latest()),
            });
            tagged.is_some() && tagged == self.reference
        };
        is_tag() || is_digest() || is_reference()
    }

    fn shown(&self) -> String {
        match (&self.reference, &self.tag) {
            (Some(reference), _) => reference.familiar(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => self.manifest.digest.to_string(),
        }
    }
}

/// Names that an error lists.
const SHOWN: usize = 8;
