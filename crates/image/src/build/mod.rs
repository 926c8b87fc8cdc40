//! Builds images: directories become layers ([`Layer`]), layers become an image ([`ImageBuilder`]).
//!
//! The same input gives the same digests on every machine. Nothing is run, and nothing is sent: that is
//! [`push`](crate::push())'s business.

mod hashing;
mod layer;
mod tar;

use gantri_spec::{Annotations, Descriptor, ImageConfig, ImageManifest, MediaType, Platform, RuntimeConfig};

pub use self::layer::{Layer, PackOptions};
use crate::push::{Blob, Image};

/// An image in the making: a platform, then layers from the bottom up.
#[derive(Debug)]
pub struct ImageBuilder {
    config: ImageConfig,
    annotations: Annotations,
    layers: Vec<Layer>,
}

impl ImageBuilder {
    /// An image without layers for this platform.
    pub fn new(platform: Platform) -> Self {
        let config = ImageConfig::new(platform, Vec::new());
        Self { config, annotations: Annotations::default(), layers: Vec::new() }
    }

    /// Puts a layer on top.
    pub fn with_layer(mut self, layer: Layer) -> Self {
        self.config.rootfs.diff_ids.push(layer.diff_id().clone());
        self.layers.push(layer);
        self
    }

    /// Says what a container of the image starts with.
    pub fn with_runtime(mut self, runtime: RuntimeConfig) -> Self {
        self.config.config = Some(runtime);
        self
    }

    /// Says when the image was made, as RFC 3339 writes it. Without it the image does not say.
    pub fn with_created(mut self, created: impl Into<String>) -> Self {
        self.config.created = Some(created.into());
        self
    }

    /// Annotates the manifest.
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The finished image, ready to be pushed.
    pub fn build(self) -> Image {
        let config = self.config.to_bytes();
        let config_descriptor = Descriptor::of(MediaType::OCI_CONFIG, &config);
        let layers = self.layers.iter().map(|layer| layer.descriptor().clone()).collect();
        let mut manifest = ImageManifest::new(config_descriptor.clone(), layers);
        manifest.annotations = self.annotations;
        let config = Blob::new(config_descriptor, gantri_core::BlobBody::bytes(config));
        let layers = self.layers.iter().map(|layer| Blob::new(layer.descriptor().clone(), layer.body()));
        Image::new(manifest.to_raw(), [config].into_iter().chain(layers).collect())
    }
}
