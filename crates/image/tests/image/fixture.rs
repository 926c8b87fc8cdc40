//! Images made by hand, layer by layer, right or wrong.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gantri_core::{BlobBody, Memory, Push};
use gantri_spec::{Descriptor, Digest, ImageConfig, ImageManifest, MediaType, Platform, RawManifest};
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use crate::{repo, tag};

/// A tar archive of these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, content) in files {
        let mut entry = EntryBuilder::new_ustar();
        entry.path(path.as_bytes()).entry_type(EntryType::Regular);
        entry.mode(0o644).unwrap().size(content.len() as u64).unwrap();
        archive.extend(entry.finish_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One layer as an image names it.
#[derive(Clone, Debug)]
pub(crate) struct TestLayer {
    pub(crate) media_type: MediaType,
    pub(crate) bytes: Bytes,
    pub(crate) diff_id: Digest,
}

impl TestLayer {
    pub(crate) fn new(media_type: MediaType, bytes: impl Into<Bytes>, diff_id: Digest) -> Self {
        Self { media_type, bytes: bytes.into(), diff_id }
    }

    pub(crate) fn gzip(archive: &[u8]) -> Self {
        Self::new(MediaType::OCI_LAYER_GZIP, gzip(archive), Digest::of(archive))
    }

    pub(crate) fn zstd(archive: &[u8]) -> Self {
        Self::new(MediaType::OCI_LAYER_ZSTD, zstd::encode_all(archive, 3).unwrap(), Digest::of(archive))
    }

    pub(crate) fn plain(archive: &[u8]) -> Self {
        Self::new(MediaType::OCI_LAYER, archive.to_vec(), Digest::of(archive))
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.media_type.clone(), &self.bytes)
    }
}

/// An image for this machine, and its blobs.
#[derive(Clone, Debug)]
pub(crate) struct TestImage {
    pub(crate) manifest: RawManifest,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<TestLayer>,
    pub(crate) config_bytes: Bytes,
}

impl TestImage {
    pub(crate) fn of(layers: Vec<TestLayer>) -> Self {
        let diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        Self::with_config(ImageConfig::new(Platform::host(), diff_ids).to_bytes(), layers)
    }

    pub(crate) fn with_config(config_bytes: Bytes, layers: Vec<TestLayer>) -> Self {
        let config = Descriptor::of(MediaType::OCI_CONFIG, &config_bytes);
        let descriptors = layers.iter().map(TestLayer::descriptor).collect();
        let manifest = ImageManifest::new(config.clone(), descriptors).to_raw();
        Self { manifest, config, layers, config_bytes }
    }

    /// A registry that holds it as `team/app:v1`.
    pub(crate) async fn served(&self) -> Memory {
        let memory = Memory::new();
        self.put_to(&memory).await;
        memory
    }

    pub(crate) async fn put_to(&self, memory: &Memory) {
        let blobs = self.layers.iter().map(|layer| (layer.descriptor(), layer.bytes.clone()));
        for (descriptor, bytes) in blobs.chain([(self.config.clone(), self.config_bytes.clone())]) {
            memory.put_blob(&repo(), &descriptor, BlobBody::bytes(bytes)).await.unwrap();
        }
        memory.put_manifest(&repo(), &self.manifest, &[tag()]).await.unwrap();
    }
}
