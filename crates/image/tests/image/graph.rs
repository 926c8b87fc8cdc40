//! Graphs of manifests made by hand, and the registries that hold them.

use bytes::Bytes;
use gantri_core::{BlobBody, Memory, Push};
use gantri_spec::{Descriptor, ImageManifest, Index, MediaType, RawManifest, Tag};

use crate::repo;

/// Keeps a blob of this text.
pub(crate) async fn put_blob(memory: &Memory, media_type: MediaType, text: &str) -> Descriptor {
    let blob = Descriptor::of(media_type, text.as_bytes());
    memory.put_blob(&repo(), &blob, BlobBody::bytes(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
    blob
}

/// Keeps an image of a config and layers, each of its text, under these tags.
pub(crate) async fn put_image(memory: &Memory, texts: &[&str], tags: &[&str]) -> RawManifest {
    let (config, layers) = texts.split_first().unwrap();
    let config = put_blob(memory, MediaType::OCI_CONFIG, config).await;
    let mut descriptors = Vec::new();
    for layer in layers {
        descriptors.push(put_blob(memory, MediaType::OCI_LAYER_GZIP, layer).await);
    }
    put(memory, &ImageManifest::new(config, descriptors).to_raw(), tags).await
}

/// Keeps an index of these entries.
pub(crate) async fn put_index(memory: &Memory, entries: Vec<Descriptor>, tags: &[&str]) -> RawManifest {
    put(memory, &Index::new(entries).to_raw(), tags).await
}

/// Keeps what refers to another manifest.
pub(crate) async fn put_referrer(memory: &Memory, text: &str, subject: &RawManifest) -> RawManifest {
    let mut manifest = ImageManifest::new(put_blob(memory, MediaType::OCI_CONFIG, text).await, Vec::new());
    manifest.subject = Some(subject.descriptor().clone());
    put(memory, &manifest.to_raw(), &[]).await
}

pub(crate) async fn put(memory: &Memory, manifest: &RawManifest, tags: &[&str]) -> RawManifest {
    let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    memory.put_manifest(&repo(), manifest, &tags).await.unwrap();
    manifest.clone()
}

/// An entry for this platform.
pub(crate) fn entry(manifest: &RawManifest, platform: &str) -> Descriptor {
    manifest.descriptor().clone().with_platform(platform.parse().unwrap())
}
