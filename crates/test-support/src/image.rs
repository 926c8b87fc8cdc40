//! An image made of given layers, and a server that tells it right or wrong.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use gantri_spec::{Descriptor, Digest, ImageConfig, ImageManifest, MediaType, RawManifest};

use crate::server::{Reply, Request, ScriptedServer};

/// An image in memory: every blob, and the manifest.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest as it is served.
    pub manifest: RawManifest,
    /// What the manifest says.
    pub parsed: ImageManifest,
    /// Blobs by digest.
    pub blobs: BTreeMap<Digest, Bytes>,
}

/// A layer as the test wants it, right or wrong.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What the manifest says it is.
    pub media_type: MediaType,
    /// The archive whose digest the config lists.
    pub diff_id: Digest,
    /// What is stored.
    pub bytes: Vec<u8>,
}

impl Layer {
    /// The archive, compressed with gzip.
    pub fn gzip(archive: &[u8]) -> Self {
        Self::packed(MediaType::OCI_LAYER_GZIP, archive, gzip(archive))
    }

    /// The archive, compressed with zstd.
    pub fn zstd(archive: &[u8]) -> Self {
        Self::packed(MediaType::OCI_LAYER_ZSTD, archive, zstd::encode_all(archive, 3).expect("memory takes every byte"))
    }

    /// An archive, and whatever is stored in its place.
    pub fn packed(media_type: MediaType, archive: &[u8], bytes: Vec<u8>) -> Self {
        Self { media_type, diff_id: Digest::of(archive), bytes }
    }
}

impl Image {
    /// An image of these archives, each compressed with gzip.
    pub fn of(archives: &[Vec<u8>]) -> Self {
        Self::of_layers(&archives.iter().map(|archive| Layer::gzip(archive)).collect::<Vec<_>>())
    }

    /// An image of these layers.
    pub fn of_layers(layers: &[Layer]) -> Self {
        let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        let platform = gantri_spec::Platform::host();
        let config = format!(
            r#"{{"architecture":"{}","os":"{}","config":{{}},"rootfs":{{"type":"layers","diff_ids":{diff_ids:?}}}}}"#,
            platform.architecture, platform.os
        );
        ImageConfig::parse(config.as_bytes()).expect("a config that our own parser reads");
        let mut blobs = BTreeMap::new();
        let mut add = |media_type: MediaType, bytes: Vec<u8>| {
            let descriptor = Descriptor::of(media_type, &bytes);
            blobs.insert(descriptor.digest.clone(), Bytes::from(bytes));
            descriptor
        };
        let config = add(MediaType::OCI_CONFIG, config.into_bytes());
        let layers = layers.iter().map(|layer| add(layer.media_type.clone(), layer.bytes.clone())).collect();
        let parsed = ImageManifest::new(config, layers);
        Self { manifest: parsed.to_raw(), parsed, blobs }
    }

    /// The image, after a change to what its manifest says.
    pub fn saying(mut self, change: impl FnOnce(&mut ImageManifest)) -> Self {
        change(&mut self.parsed);
        self.manifest = self.parsed.to_raw();
        self
    }

    /// The image with another config, as right or wrong as it is.
    pub fn with_config(mut self, config: impl Into<Bytes>) -> Self {
        let bytes = config.into();
        let descriptor = Descriptor::of(MediaType::OCI_CONFIG, &bytes);
        self.blobs.insert(descriptor.digest.clone(), bytes);
        self.saying(|manifest| manifest.config = descriptor)
    }

    /// What an honest registry answers for this image under any repository and tag.
    pub fn answer(&self, request: &Request) -> Reply {
        let name = request.target.rsplit('/').next().unwrap_or_default();
        if request.target.contains("/manifests/") {
            return manifest_reply(&self.manifest);
        }
        match name.parse::<Digest>().ok().and_then(|digest| self.blobs.get(&digest)) {
            Some(blob) => Reply::ok(blob.clone()),
            None => Reply::new(404),
        }
    }

    /// A server that answers as `twist` says, and honestly where it says nothing.
    pub fn serve(self, twist: impl Fn(&Self, &Request) -> Option<Reply> + Send + Sync + 'static) -> ScriptedServer {
        ScriptedServer::start(move |request| twist(&self, request).unwrap_or_else(|| self.answer(request)))
    }

    /// The first layer's digest.
    pub fn first_layer(&self) -> &Digest {
        &self.parsed.layers[0].digest
    }

    /// The config's digest.
    pub fn config(&self) -> &Digest {
        &self.parsed.config.digest
    }

    /// A server that answers honestly, but for one blob.
    pub fn serve_but(self, digest: &Digest, reply: Reply) -> ScriptedServer {
        let end = format!("/blobs/{digest}");
        self.serve(move |_, request| request.target.ends_with(&end).then(|| reply.clone()))
    }
}

/// A manifest as a registry sends it.
pub fn manifest_reply(manifest: &RawManifest) -> Reply {
    Reply::ok(manifest.bytes().clone())
        .header("content-type", manifest.media_type().as_str())
        .header("docker-content-digest", manifest.digest().as_str())
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}
