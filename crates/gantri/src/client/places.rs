//! Locations, opened: where a job reads, and where it writes.

use std::path::Path;
use std::sync::Arc;

use gantri_core::filter::ReadOnly;
use gantri_core::{Error, ErrorKind, Memory, Registry, Result};
use gantri_image::Place;
use gantri_spec::{Reference, RepositoryName, Selector, Tag};
use gantri_store::{Archive, ArchiveDraft, ArchiveKind, Draft, Existing, Layout};

use super::Client;
use crate::location::{ArchivePath, Location};
use crate::registries::ToRead;

/// A location to read from.
pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) selector: Selector,
    /// The tag that it has there, as far as that is known.
    pub(super) tag: Option<Tag>,
    /// Its full name, with a tag, if it has one.
    pub(super) name: Option<Reference>,
}

/// A location to write to. What is new in a local one becomes visible with [`publish`](Self::publish).
pub(super) struct Store {
    pub(super) place: Place,
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
                let ToRead { registry, origin, repository } = self.registries.to_read(reference)?;
                let place = placed((registry, repository), reference).at_home_in(origin);
                Ok(Opened { place, selector, tag, name })
            }
            Location::Layout(path) => {
                let place = local(location, Arc::new(Layout::open(path.dir()).await?))?;
                let selector = path.selector();
                Ok(Opened { place, tag: tag_of(&selector), selector, name: None })
            }
            Location::Archive(path) => open_archive(location, path).await,
        }
    }

    /// What is there, to change it.
    pub(super) async fn open_to_change(&self, location: &Location) -> Result<Opened> {
        refuse_archive(location)?;
        let mut opened = self.open(location).await?;
        if let Location::Registry(reference) = location {
            opened.place = self.target(reference)?;
        }
        Ok(opened)
    }

    /// Where to write single things. A layout is made if it is not there.
    pub(super) async fn store_single(&self, location: &Location) -> Result<Store> {
        refuse_archive(location)?;
        self.store(location).await
    }

    /// Where to write. A layout is made if it is not there, an archive is added to if it is there.
    pub(super) async fn store(&self, location: &Location) -> Result<Store> {
        match location {
            Location::Registry(reference) => Ok(Store { place: self.target(reference)?, draft: Growing::Nothing }),
            Location::Layout(path) => {
                let draft = Layout::draft(path.dir()).await?;
                let place = local(location, Arc::new(draft.layout().clone()))?;
                Ok(Store { place, draft: Growing::Layout(draft) })
            }
            Location::Archive(path) => {
                let draft = Archive::draft(path.file(), path.kind(), Existing::Add).await?;
                let place = local(location, Arc::new(draft.layout().clone()))?;
                Ok(Store { place, draft: Growing::Archive(draft) })
            }
        }
    }

    /// What is there where one might write, to look at only. Where nothing is yet, and where all is written anew, that is
    /// nothing.
    pub(super) async fn outlook(&self, location: &Location) -> Result<Place> {
        match location {
            Location::Registry(reference) => self.target(reference),
            Location::Layout(path) => match Layout::open(path.dir()).await {
                Ok(layout) => local(location, Arc::new(layout)),
                Err(error) if error.kind() == ErrorKind::NotARegistry => local(location, Arc::new(Memory::new())),
                Err(error) => Err(error),
            },
            Location::Archive(_) => local(location, Arc::new(Memory::new())),
        }
    }

    fn target(&self, reference: &Reference) -> Result<Place> {
        Ok(placed(self.registries.to_write(reference)?, reference))
    }
}

/// A repository of a registry, by the name that it was asked for.
fn placed((registry, repository): (Arc<dyn Registry>, RepositoryName), reference: &Reference) -> Place {
    Place::new(registry, repository).named(bare(reference).to_string())
}

/// An archive is written whole or not at all.
fn refuse_archive(location: &Location) -> Result<()> {
    match location {
        Location::Archive(path) => {
            let what = format!("{}: an archive is written whole", path.file().display());
            Err(Error::new(ErrorKind::Unsupported, what).with_hint("gantri copy writes images to archives"))
        }
        _ => Ok(()),
    }
}

/// A local place is a registry of one repository, whose name nobody sees.
fn local(location: &Location, registry: Arc<dyn Registry>) -> Result<Place> {
    let name = "layout".parse::<RepositoryName>();
    let name =
        name.map_err(|error| Error::new(ErrorKind::NameInvalid, "the layout's repository").with_source(error))?;
    Ok(Place::new(registry, name).named(location.repository().to_string()))
}

/// An archive is read as a whole: its images, whichever is meant.
async fn open_archive(location: &Location, path: &ArchivePath) -> Result<Opened> {
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
    Ok(Opened { place: local(location, Arc::new(ReadOnly::new(archive)))?, selector, tag, name })
}

impl Store {
    /// Says what an image is called in full where that matters, in an archive: as its path says. Where that says nothing
    /// beyond a tag, the source's name stands in in an archive of Docker's, which is of little use without.
    pub(super) fn call(&mut self, target: &Location, source: Option<&Reference>) {
        let (Growing::Archive(draft), Location::Archive(path)) = (&mut self.draft, target) else { return };
        let fits = |name: &&Reference| path.tag().is_none() || path.tag() == name.tag();
        let of_source = source.filter(|_| path.kind() == ArchiveKind::Docker).filter(fits);
        if let Some(name) = path.reference().or(of_source) {
            draft.name(name.clone());
        }
    }

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

fn tag_of(selector: &Selector) -> Option<Tag> {
    match selector {
        Selector::Tag(tag) => Some(tag.clone()),
        Selector::Digest(_) => None,
    }
}

fn bare(reference: &Reference) -> Reference {
    Reference::new(reference.host().clone(), reference.repository().clone())
}
