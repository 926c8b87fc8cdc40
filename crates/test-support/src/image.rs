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

impl Image {
    /// An image of these archives, each compressed with gzip.
    pub fn of(archives: &[Vec<u8>]) -> Self {
        let layers = archives.iter().map(|archive| (archive.clone(), gzip(archive))).collect::<Vec<_>>();
        Self::of_packed(&layers)
    }

    /// An image whose layers are given packed, beside the archives whose digests the config lists.
    pub fn of_packed(layers: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let diff_ids: Vec<String> = layers.iter().map(|(archive, _)| Digest::of(archive).to_string()).collect();
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
        let layers = layers.iter().map(|(_, packed)| add(MediaType::OCI_LAYER_GZIP, packed.clone())).collect();
        let parsed = ImageManifest::new(config, layers);
        Self { manifest: parsed.to_raw(), parsed, blobs }
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
