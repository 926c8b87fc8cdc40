//! Images that are made here, into registries: content before names.
//!
//! Decides what is sent and in which order: config and layers at the same time, and the manifest with its tags only when
//! all of them are there. How a blob arrives, each once, is `transfer.rs`'s business. What lies in a registry
//! already, a layout say, is [`copy`](mod@crate::copy)'s.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::{BlobBody, Error, ErrorKind, Event, Limits, NoObserver, Observer, PutManifest, Result};
use gantri_spec::{Descriptor, Digest, RawManifest, Tag};

use crate::lost::Lost;
use crate::place::Place;
use crate::transfer::{Mode, Supply, Transfers, Turn, at_side};

/// An image ready to be sent: a manifest, and the blobs that it names.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image {
    /// The manifest, sent last.
    pub manifest: RawManifest,
    /// The config first, then the layers from the bottom up.
    pub blobs: Vec<Blob>,
}

impl Image {
    /// An image of these blobs, the config first.
    pub fn new(manifest: RawManifest, blobs: Vec<Blob>) -> Self {
        Self { manifest, blobs }
    }
}

/// A blob ready to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Blob {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub body: BlobBody,
}

impl Blob {
    /// These bytes under this name.
    pub fn new(descriptor: Descriptor, body: BlobBody) -> Self {
        Self { descriptor, body }
    }
}

/// An image, and where it goes.
#[derive(Debug)]
#[non_exhaustive]
pub struct PushItem {
    /// What is sent.
    pub image: Image,
    /// Where to.
    pub target: Place,
    /// The tags that point at it there. Without any it is there under its digest.
    pub tags: Vec<Tag>,
}

impl PushItem {
    /// Sends `image` to `target`, under these tags.
    pub fn new(image: Image, target: Place, tags: Vec<Tag>) -> Self {
        Self { image, target, tags }
    }
}

/// How an image is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PushOptions {
    /// Bounds; `concurrent_layers` and `concurrent_requests` are read here.
    pub limits: Limits,
    /// Hears of each blob and of the manifest.
    pub observer: Arc<dyn Observer>,
}

impl PushOptions {
    /// These bounds and this observer.
    pub fn new(limits: Limits, observer: Arc<dyn Observer>) -> Self {
        Self { limits, observer }
    }
}

impl Default for PushOptions {
    fn default() -> Self {
        Self::new(Limits::default(), Arc::new(NoObserver))
    }
}

/// Puts an image into a repository and moves `tags` to it. What is there is not sent.
///
/// # Errors
/// `ManifestInvalid` if one digest is named with two sizes; `Config` for a bound that [can't be kept](Limits::check);
/// whatever the registry says.
///
/// # Cancel safety
/// Blobs that were sent stay; the manifest is there with all its content, or not at all.
pub async fn push(image: Image, target: &Place, tags: &[Tag], options: &PushOptions) -> Result<PutManifest> {
    options.limits.check()?;
    let transfers = Transfers::new(options.limits.clone(), Arc::clone(&options.observer), Mode::Write);
    put(&transfers, image, target, tags).await
}

/// Puts many images at once; a blob that several share is sent once to each registry, and from there mounted into its other
/// repositories. The answers come in the order of the items.
///
/// # Errors
/// As [`push`].
///
/// # Cancel safety
/// As [`push`], image by image.
pub async fn push_all(items: Vec<PushItem>, options: &PushOptions) -> Result<Vec<PutManifest>> {
    options.limits.check()?;
    let transfers = &Transfers::new(options.limits.clone(), Arc::clone(&options.observer), Mode::Write);
    let puts = items.into_iter().map(async |PushItem { image, target, tags }| {
        put(transfers, image, &target, &tags).await.map_err(|error| error.during(format_args!("push {target}")))
    });
    stream::iter(puts).buffered(options.limits.concurrent_requests).try_collect().await
}

async fn put(transfers: &Transfers, image: Image, target: &Place, tags: &[Tag]) -> Result<PutManifest> {
    let Image { manifest, blobs } = image;
    let blobs = once_each(blobs)?;
    // What can be read again can be sent again (H20).
    let copies: Vec<_> =
        blobs.iter().map(|Blob { descriptor, body }| (descriptor.digest.clone(), body.duplicate())).collect();
    let blobs = blobs.into_iter().enumerate().map(async |(at, Blob { descriptor, body })| {
        // The config travels beside the layers, never behind them.
        let turn = if at == 0 { Turn::Passes } else { Turn::Waits };
        transfers.bring(&descriptor, Supply::Body(body), target, turn).await
    });
    try_join_all(blobs).await?;
    transfers.observer().event(&Event::Started(manifest.descriptor()));
    let mut lost = Lost::default();
    let put = loop {
        let error = match target.registry.put_manifest(&target.repo, &manifest, tags).await {
            Ok(put) => break put,
            Err(error) => at_side("target", "manifest", manifest.digest(), error),
        };
        let Some(child) = lost.child(&error, &manifest) else { return Err(error) };
        let copy = copies.iter().find(|(digest, _)| *digest == child.digest);
        let Some(body) = copy.and_then(|(_, body)| body.as_ref()?.duplicate()) else { return Err(error) };
        transfers.bring_again(&child, Supply::Body(body), target).await?;
    };
    transfers.observer().event(&Event::Finished(manifest.descriptor()));
    Ok(put)
}

/// Each digest once, in the order of the first mention (M12).
fn once_each(blobs: Vec<Blob>) -> Result<Vec<Blob>> {
    let mut sizes: HashMap<Digest, u64> = HashMap::new();
    let mut once = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let Descriptor { digest, size, .. } = &blob.descriptor;
        match sizes.insert(digest.clone(), *size) {
            None => once.push(blob),
            Some(before) if before == *size => {}
            Some(before) => {
                let what = format!("digest {digest}: named with size {before} and with size {size}");
                return Err(Error::new(ErrorKind::ManifestInvalid, what));
            }
        }
    }
    Ok(once)
}
