//! Docker's `manifest.json` for a new archive: what `docker load` of any version, and skopeo, find the images by.
//!
//! It names files of the image layout that the archive is, so nothing is in it twice. Only images of one platform have a
//! place in it: an index has, if it holds one image, as `BuildKit` makes them for one platform with its attestations.

use std::collections::BTreeSet;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Digest, ImageManifest, Index, Manifest, MediaType, Reference};

use super::docker::Item;
use super::names::Named;
use crate::graph;
use crate::layout::scratch::BLOBS;
use crate::reading::Shelf;

/// The list for an index.
///
/// # Errors
/// `Unsupported` if an image that has a name can't be in it, or nothing can; those of reading manifests.
pub(super) fn list(shelf: &dyn Shelf, index: &Index, limits: &Limits) -> Result<Bytes> {
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for entry in &index.manifests {
        if !seen.insert(&entry.digest) {
            continue;
        }
        let called: Vec<Named> =
            index.manifests.iter().filter(|other| other.digest == entry.digest).map(Named::of).collect();
        let has_name = called.iter().any(|named| named.tag.is_some());
        match image(shelf, entry, limits) {
            Ok(Some(image)) if is_container(&image) => items.push(item(shelf, &image, &called)?),
            // What is there without a name came with an image: a signature, say. Docker need not see it.
            Ok(_) => {}
            Err(error) if !has_name && error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
    }
    if items.is_empty() {
        return Err(unsupported(shelf, "no image in it that Docker could load"));
    }
    let written = serde_json::to_vec(&items)
        .map_err(|error| Error::new(ErrorKind::ManifestInvalid, "write the list of images").with_source(error))?;
    Ok(written.into())
}

/// The one image that an entry leads to; none if it is not known what it is, or not there.
fn image(shelf: &dyn Shelf, entry: &Descriptor, limits: &Limits) -> Result<Option<ImageManifest>> {
    match parsed(shelf, entry, limits)? {
        Some(Manifest::Image(image)) => Ok(Some(image)),
        Some(Manifest::Index(index)) => {
            let mut images = Vec::new();
            for child in index.manifests.iter().filter(|child| !is_attestation(child)) {
                if let Some(Manifest::Image(image)) = parsed(shelf, child, limits)? {
                    images.push(image);
                }
            }
            match images.len() {
                0 | 1 => Ok(images.pop()),
                count => {
                    let what = format!("{} is an index of {count} images, and Docker loads one", entry.digest);
                    Err(unsupported(shelf, &what).with_hint("choose a platform, or an oci-archive"))
                }
            }
        }
        _ => Ok(None),
    }
}

fn parsed(shelf: &dyn Shelf, manifest: &Descriptor, limits: &Limits) -> Result<Option<Manifest>> {
    Ok(graph::read(shelf, limits, manifest)?.and_then(|raw| raw.parse().ok()))
}

fn item(shelf: &dyn Shelf, image: &ImageManifest, called: &[Named]) -> Result<Item> {
    for blob in std::iter::once(&image.config).chain(&image.layers) {
        if shelf.stored(&blob.digest)?.is_none() {
            let what = format!("{} {} is not in it, and Docker loads whole images", blob.media_type, blob.digest);
            return Err(unsupported(shelf, &what));
        }
    }
    let mut tags: Vec<String> =
        called.iter().filter_map(|named| named.reference.as_ref()).map(Reference::familiar).collect();
    tags.sort_unstable();
    Ok(Item {
        config: file_of(&image.config.digest),
        repo_tags: (!tags.is_empty()).then_some(tags),
        layers: Some(image.layers.iter().map(|layer| file_of(&layer.digest)).collect()),
    })
}

/// The name of a blob's file in an archive.
pub(super) fn file_of(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm_name(), digest.encoded())
}

fn is_container(image: &ImageManifest) -> bool {
    [MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG].contains(&image.config.media_type)
}

/// `BuildKit` lists attestations among the images of an index, as images for no platform.
fn is_attestation(child: &Descriptor) -> bool {
    child.platform.as_ref().is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown")
}

fn unsupported(shelf: &dyn Shelf, why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("write docker-archive {}: {why}", shelf.place().display()))
}
