//! Locations, opened: where a job reads, and where it writes.

use std::path::Path;
use std::sync::Arc;

use gantri_core::filter::ReadOnly;
use gantri_core::{Error, ErrorKind, Registry, Result};
use gantri_spec::{Reference, RepositoryName, Selector, Tag};
use gantri_store::{Archive, ArchiveDraft, ArchiveKind, Draft, Existing, Layout};

use super::Client;
use crate::location::{ArchivePath, Location};

/// A location to read from.
pub(super) struct Opened {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) repository: RepositoryName,
    pub(super) selector: Selector,
    /// The tag that it has there, as far as that is known.
    pub(super) tag: Option<Tag>,
    /// Its full name, with a tag, if it has one.
    pub(super) name: Option<Reference>,
}

/// A location to write to. What is new in a local one becomes visible with [`publish`](Self::publish).
pub(super) struct Store {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) repository: RepositoryName,
    draft: Growing,
}

enum Growing {
    /// A registry shows what is put as it is put.
    Nothing,
    Layout(Draft),
    Archive(ArchiveDraft),
}

impl Client {
    pub(super) async fn open(&self, location: &Location) -> Result<Opened> {
        match location {
            Location::Registry(reference) => {
                let selector = reference.selector();
                let tag = tag_of(&selector);
                let name = tag.clone().map(|tag| bare(reference).with_tag(tag));
                let registry = self.registries.at(reference.host())?;
                Ok(Opened { registry, repository: reference.repository().clone(), selector, tag, name })
            }
            Location::Layout(path) => {
                let registry = Arc::new(Layout::open(path.dir()).await?);
                let tag = tag_of(&path.selector());
                Ok(Opened { registry, repository: the_one()?, selector: path.selector(), tag, name: None })
            }
            Location::Archive(path) => open_archive(path).await,
        }
    }

    /// Where to write single things: an archive is written whole or not at all.
    pub(super) async fn writable(&self, location: &Location) -> Result<Store> {
        match location {
            Location::Archive(path) => {
                let what = format!("{}: an archive is written whole", path.file().display());
                Err(Error::new(ErrorKind::Unsupported, what).with_hint("gantri copy writes images to archives"))
            }
            _ => self.store(location, None).await,
        }
    }

    /// Where to write. A layout is made if it is not there, an archive is added to if it is there.
    ///
    /// In an archive, what is put under a tag gets the full name that the path gives it; where it gives none, that of the
    /// source stands in for an archive of Docker's, which is of little use without.
    pub(super) async fn store(&self, location: &Location, source: Option<&Reference>) -> Result<Store> {
        let local = |layout: &Layout| Ok::<_, Error>((Arc::new(layout.clone()), the_one()?));
        match location {
            Location::Registry(reference) => {
                let registry = self.registries.at(reference.host())?;
                Ok(Store { registry, repository: reference.repository().clone(), draft: Growing::Nothing })
            }
            Location::Layout(path) => {
                let draft = Layout::draft(path.dir()).await?;
                let (registry, repository) = local(draft.layout())?;
                Ok(Store { registry, repository, draft: Growing::Layout(draft) })
            }
            Location::Archive(path) => {
                let mut draft = Archive::draft(path.file(), path.kind(), Existing::Add).await?;
                let of_source = source.filter(|_| path.kind() == ArchiveKind::Docker && path.tag().is_none());
                if let Some(name) = path.reference().or(of_source) {
                    draft.name(name.clone());
                }
                let (registry, repository) = local(draft.layout())?;
                Ok(Store { registry, repository, draft: Growing::Archive(draft) })
            }
        }
    }
}

/// An archive is read as a whole: its images, whichever is meant.
async fn open_archive(path: &ArchivePath) -> Result<Opened> {
    let archive = Archive::open(path.file()).await?;
    let selector = match path.digest() {
        Some(digest) => Selector::Digest(digest.clone()),
        None => archive.select(path.wanted())?,
    };
    let is_it = |image: &&gantri_store::ArchiveImage| Selector::Digest(image.manifest.digest.clone()) == selector;
    let mut called = archive.images().iter().filter(is_it);
    let found = match path.tag() {
        Some(tag) => called.find(|image| image.tag.as_ref() == Some(tag)),
        None => called.find(|image| image.tag.is_some()),
    };
    let (tag, name) = found.map(|image| (image.tag.clone(), image.reference.clone())).unwrap_or_default();
    Ok(Opened { registry: Arc::new(ReadOnly::new(archive)), repository: the_one()?, selector, tag, name })
}

impl Store {
    /// Where files may be written that are moved into it; in a registry nowhere.
    pub(super) fn scratch_dir(&self) -> Option<&Path> {
        match &self.draft {
            Growing::Nothing => None,
            Growing::Layout(draft) => Some(draft.scratch_dir()),
            Growing::Archive(draft) => Some(draft.scratch_dir()),
        }
    }

    /// Makes what was written visible, where it is not yet.
    pub(super) async fn publish(self) -> Result<()> {
        match self.draft {
            Growing::Nothing => Ok(()),
            Growing::Layout(draft) => draft.publish().await,
            Growing::Archive(draft) => draft.publish().await,
        }
    }
}

/// A local place is a registry of one repository, whose name nobody sees.
fn the_one() -> Result<RepositoryName> {
    "layout".parse().map_err(|error| Error::new(ErrorKind::NameInvalid, "the layout's repository").with_source(error))
}

fn tag_of(selector: &Selector) -> Option<Tag> {
    match selector {
        Selector::Tag(tag) => Some(tag.clone()),
        Selector::Digest(_) => None,
    }
}

fn bare(reference: &Reference) -> Reference {
    Reference::new(reference.host().clone(), reference.repository().clone())
}
