//! Docker's `manifest.json`: how `docker save` before version 25, skopeo and others say what is in an archive.
//!
//! It names a config and layers, and no manifest: one is made here, in the types of Docker's schema 2. A layer is mostly
//! a plain tar archive, whose digest is the `diff_id` that the config gives; whoever reads it finds out if that is a lie.
//! Some tools store layers compressed; those are hashed here, once, as nothing names them.

use std::collections::HashMap;

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Digest, Hasher, ImageConfig, ImageManifest, Index, MediaType};
use serde::{Deserialize, Serialize};

use super::contents::{Blob, Blobs, Source};
use super::names::Named;
use super::tar::inside;
use crate::layout::files::hash;
use crate::stored::Stored;

/// The file that lists the images of an archive.
pub(super) const MANIFEST: &str = "manifest.json";

/// One image in the list. Names are of files in the archive.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    pub(super) config: String,
    /// Docker writes `null` for an image without a name, and so do we.
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Option<Vec<String>>,
}

/// The images of an archive that has nothing but Docker's list.
pub(super) fn read(source: &Source, limits: &Limits) -> Result<(Index, Blobs)> {
    let path = source.path.join(MANIFEST);
    let bytes = source.document(MANIFEST, limits.manifest, "manifest")?;
    let items: Vec<Item> = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorKind::ManifestInvalid, format!("read {}: not Docker's list of images", path.display()))
            .with_source(error)
    })?;
    if items.len() as u64 > limits.graph_nodes {
        return Err(Error::limit(format_args!("read {}", path.display()), "graph_nodes", limits.graph_nodes));
    }
    let mut reader = Reader { source, limits, blobs: Blobs::new(), hashed: HashMap::new() };
    let mut entries = Vec::new();
    for item in &items {
        let manifest = reader.image(item)?;
        let names: Vec<Named> = item.repo_tags.iter().flatten().filter_map(|text| Named::of_repo_tag(text)).collect();
        entries.extend(names.iter().map(|named| {
            let mut entry = manifest.clone();
            named.mark(&mut entry);
            entry
        }));
        if names.is_empty() {
            entries.push(manifest);
        }
    }
    Ok((Index::new(entries), reader.blobs))
}

struct Reader<'a> {
    source: &'a Source,
    limits: &'a Limits,
    blobs: Blobs,
    /// Compressed layers, by where they begin: images share layers.
    hashed: HashMap<u64, Digest>,
}

impl Reader<'_> {
    /// Makes the manifest of one image; gives its descriptor.
    fn image(&mut self, item: &Item) -> Result<Descriptor> {
        let stored = self.source.file(&self.name(&item.config)?)?;
        let bytes = stored.clone().read(self.limits.config, "config")?;
        let config = ImageConfig::parse(&bytes).map_err(|error| {
            let what = format!("read {}: not the config of an image", stored.path.display());
            Error::new(ErrorKind::ManifestInvalid, what).with_source(error)
        })?;
        let (names, diff_ids) = (item.layers.as_deref().unwrap_or_default(), &config.rootfs.diff_ids);
        if names.len() != diff_ids.len() {
            let (layers, ids) = (names.len(), diff_ids.len());
            let what = format!("read {}: {layers} layers, but {ids} in the config", stored.path.display());
            return Err(Error::new(ErrorKind::ManifestInvalid, what));
        }
        if names.len() > self.limits.layers {
            return Err(Error::limit(format_args!("read {}", stored.path.display()), "layers", self.limits.layers));
        }
        let config = Descriptor::of(MediaType::DOCKER_CONFIG, &bytes);
        self.keep(&config, &stored)?;
        let layers = names.iter().zip(diff_ids).map(|(name, diff_id)| self.layer(name, diff_id));
        let mut manifest = ImageManifest::new(config, layers.collect::<Result<_>>()?);
        manifest.media_type = Some(MediaType::DOCKER_MANIFEST);
        let raw = manifest.to_raw();
        self.blobs.insert(raw.digest().clone(), Blob::Made(raw.bytes().clone()));
        Ok(raw.descriptor().clone())
    }

    fn layer(&mut self, name: &str, diff_id: &Digest) -> Result<Descriptor> {
        let stored = self.source.file(&self.name(name)?)?;
        let start = stored.clone().next(4)?;
        let media_type = match &*start {
            [0x1f, 0x8b, ..] => MediaType::DOCKER_LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd] => MediaType::DOCKER_LAYER_ZSTD,
            _ => MediaType::DOCKER_LAYER,
        };
        let digest = if media_type == MediaType::DOCKER_LAYER { diff_id.clone() } else { self.digest_of(&stored)? };
        // A plain archive whose first name looks like a compressed one's beginning is still what the config says it is.
        let media_type = if digest == *diff_id { MediaType::DOCKER_LAYER } else { media_type };
        let layer = Descriptor::new(media_type, digest, stored.size);
        self.keep(&layer, &stored)?;
        Ok(layer)
    }

    fn digest_of(&mut self, stored: &Stored) -> Result<Digest> {
        let start = stored.start();
        if let Some(known) = self.hashed.get(&start) {
            return Ok(known.clone());
        }
        let digest = hash(&mut stored.clone(), Hasher::sha256())?;
        self.hashed.insert(start, digest.clone());
        Ok(digest)
    }

    fn keep(&mut self, blob: &Descriptor, stored: &Stored) -> Result<()> {
        let piece = Blob::Piece { start: stored.start(), size: stored.size };
        // Two layers of one diff_id and of two sizes: one of them lies, and no reader could tell which is served.
        if let Some(Blob::Piece { size, .. }) = self.blobs.get(&blob.digest)
            && *size != stored.size
        {
            let (path, digest) = (stored.path.display(), &blob.digest);
            let what = format!("read {path}: {} bytes, but another {digest} has {size}", stored.size);
            return Err(Error::new(ErrorKind::SizeMismatch, what));
        }
        self.blobs.entry(blob.digest.clone()).or_insert(piece);
        Ok(())
    }

    /// A name in the list, as the names of members are.
    fn name(&self, name: &str) -> Result<String> {
        inside(name).map(|(name, _)| name).map_err(|rule| {
            let what = format!("read {}: {rule}", self.source.path.join(MANIFEST).display());
            Error::new(ErrorKind::ManifestInvalid, what)
        })
    }
}
