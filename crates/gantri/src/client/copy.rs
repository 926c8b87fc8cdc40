//! Images, indexes and artifacts from any place to any other.
//!
//! Decides which places of a job are one place, so that it is opened once, and what is called how at the target. The
//! copying itself is [`gantri_image::copy`](mod@gantri_image::copy)'s business.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use gantri_core::{Error, ErrorKind, Result};
use gantri_image::{Copied, CopyItem, CopyOptions, Extent, Place, Plan, Platforms, copy, plan};
use gantri_spec::{Descriptor, Reference, Selector, Tag};

use super::Client;
use super::places::{Opened, Store};
use crate::location::Location;

impl Client {
    /// Copies each image from its first location to its second, many at once, and what they share once; says what became of
    /// each, in the order given.
    ///
    /// An image is tagged as the target says; where that says nothing, with `latest` in a registry, and in a layout or an
    /// archive as at the source. A digest at the target is held against what is copied. A layout is made if it is not there;
    /// an archive is added to if it is there.
    ///
    /// # Errors
    /// Those of [`copy`](gantri_image::copy()), which say which side; `DigestMismatch` if the target names another digest;
    /// those of opening layouts and archives.
    ///
    /// # Cancel safety
    /// Blobs that arrived stay; a manifest is there with all its content, or not at all; tags move last. A layout that was
    /// not there, and an archive, appear complete or not at all.
    pub async fn copy(&self, copies: &[(Location, Location)], extent: &Extent) -> Result<Vec<Copied>> {
        let mut sources = HashMap::new();
        let mut stores: HashMap<String, Store> = HashMap::new();
        let mut items = Vec::with_capacity(copies.len());
        for (from, to) in copies {
            let during = |error: Error| error.during(format_args!("copy {from} -> {to}"));
            let mut opened = self.open_once(from, &mut sources).await.map_err(during)?;
            let key = to.repository().to_string();
            if !stores.contains_key(&key) {
                let store = self.store(to).await.map_err(during)?;
                stores.insert(key.clone(), store);
            }
            let Some(store) = stores.get_mut(&key) else { continue };
            store.call(to, opened.name.as_ref());
            if matches!(from, Location::Layout(_)) && from.repository() == to.repository() {
                // One layout, which need not be read to be written again.
                opened.place = store.place.clone();
            }
            items.push(item(opened, store.place.clone(), to, extent).await.map_err(during)?);
        }
        let outcome = copy(items, &self.copy_options(extent)).await?;
        for (name, store) in stores {
            store.publish().await.map_err(|error| error.during(format_args!("copy to {name}")))?;
        }
        Ok(outcome)
    }

    /// What [`copy`](Self::copy) would do now. Writes nothing; where nothing is yet, all would be sent.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn plan(&self, copies: &[(Location, Location)], extent: &Extent) -> Result<Plan> {
        let mut sources = HashMap::new();
        let mut targets: HashMap<String, Place> = HashMap::new();
        let mut items = Vec::with_capacity(copies.len());
        for (from, to) in copies {
            let during = |error: Error| error.during(format_args!("copy {from} -> {to}"));
            let opened = self.open_once(from, &mut sources).await.map_err(during)?;
            let key = to.repository().to_string();
            let target = match targets.get(&key) {
                Some(target) => target.clone(),
                None => self.outlook(to).await.map_err(during)?,
            };
            targets.insert(key, target.clone());
            items.push(item(opened, target, to, extent).await.map_err(during)?);
        }
        plan(&items, &self.copy_options(extent)).await
    }

    /// Every tag of the source's repository, and where it goes in the target's: what [`copy`](Self::copy) takes.
    ///
    /// # Errors
    /// Those of [`tags`](Self::tags).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn every_tag(&self, source: &Location, target: &Location) -> Result<Vec<(Location, Location)>> {
        let tags: Vec<Tag> = self.tags(source).await?.try_collect().await?;
        Ok(tags.into_iter().map(|tag| (source.at_tag(tag.clone()), target.at_tag(tag))).collect())
    }

    /// Pushes an image, or an index whole, from a layout or an archive to a registry, under the reference's tag (`latest` if
    /// it names none). What the registry has is not sent.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    ///
    /// # Cancel safety
    /// As [`copy`](Self::copy).
    pub async fn push(&self, source: &Location, target: &Reference) -> Result<Descriptor> {
        let copied = self.copy(&[(source.clone(), target.clone().into())], &Extent::default()).await?;
        let pushed = copied.into_iter().next().map(|copied| copied.manifest);
        pushed.ok_or_else(|| Error::new(ErrorKind::Protocol, format!("push {target}: nothing was copied")))
    }
}

impl Client {
    /// What several copies read from is opened once, so that it counts as one registry.
    async fn open_once(&self, location: &Location, opened: &mut HashMap<String, Place>) -> Result<Opened> {
        let mut found = self.open(location).await?;
        let place = opened.entry(location.repository().to_string()).or_insert_with(|| found.place.clone());
        found.place = place.clone();
        Ok(found)
    }

    fn copy_options(&self, extent: &Extent) -> CopyOptions {
        CopyOptions::default().limits(self.limits.clone()).observer(Arc::clone(&self.observer)).extent(extent.clone())
    }
}

async fn item(source: Opened, target: Place, to: &Location, extent: &Extent) -> Result<CopyItem> {
    let Opened { place, selector, tag, .. } = source;
    let (tag, selector) = match (to.tag(), to.digest(), to) {
        (tag, Some(digest), _) => (tag.cloned(), held_against(&place, &selector, digest, extent).await?),
        (Some(tag), None, _) => (Some(tag.clone()), selector),
        (None, None, Location::Registry(_)) => (Some(Tag::latest()), selector),
        (None, None, _) => (tag, selector),
    };
    Ok(CopyItem::new(place, selector, target, tag.into_iter().collect()))
}

/// What is at the source has to be what the target calls it.
async fn held_against(
    place: &Place,
    at: &Selector,
    expected: &gantri_spec::Digest,
    extent: &Extent,
) -> Result<Selector> {
    if extent.platforms != Platforms::All {
        let what = "the target names a digest, which no choice of platforms can be held against";
        return Err(Error::new(ErrorKind::NameInvalid, what));
    }
    let found = place.registry.resolve_manifest(&place.repo, at).await.map_err(|error| error.during("source"))?;
    if found.digest == *expected {
        return Ok(Selector::Digest(found.digest));
    }
    Err(Error::new(ErrorKind::DigestMismatch, format!("source: its digest is {}, not {expected}", found.digest)))
}
