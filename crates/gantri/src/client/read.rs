//! Looking at what is there: manifests, configs, blobs.

use bytes::Bytes;
use gantri_core::{BlobReader, Error, PullExt, Result};
use gantri_image::{Resolved, resolve};
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest};

use super::Client;
use super::places::Opened;
use crate::location::Location;

impl Client {
    /// A manifest as it is stored: the image's, or the index's.
    ///
    /// # Errors
    /// Those of [`Pull::manifest`](gantri_core::Pull::manifest).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn manifest(&self, source: &Location) -> Result<RawManifest> {
        let manifest = async {
            let Opened { place, selector, .. } = self.open(source).await?;
            place.registry.manifest(&place.repo, &selector).await
        };
        manifest.await.map_err(|error: Error| error.during(named(source)))
    }

    /// What a reference names, without its bytes.
    ///
    /// # Errors
    /// Those of [`Pull::resolve_manifest`](gantri_core::Pull::resolve_manifest).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn resolve(&self, source: &Location) -> Result<Descriptor> {
        let resolved = async {
            let Opened { place, selector, .. } = self.open(source).await?;
            place.registry.resolve_manifest(&place.repo, &selector).await
        };
        resolved.await.map_err(|error: Error| error.during(named(source)))
    }

    /// The image manifest for the client's platform.
    ///
    /// # Errors
    /// `PlatformUnknown`, listing what there is; those of [`Pull::manifest`](gantri_core::Pull::manifest).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn image(&self, source: &Location) -> Result<Resolved> {
        let image = async {
            let Opened { place, selector, .. } = self.open(source).await?;
            resolve(&*place.registry, &place.repo, &selector, &self.platform, &self.limits).await
        };
        image.await.map_err(|error: Error| error.during(named(source)))
    }

    /// The bytes of an image's config. The observer is told if it is for another platform than the one that was meant.
    ///
    /// # Errors
    /// `LimitExceeded` over [`Limits::config`](gantri_core::Limits::config); those of [`Pull::blob`](gantri_core::Pull::blob).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn config(&self, source: &Location, image: &Resolved) -> Result<Bytes> {
        let config = async {
            let Opened { place, .. } = self.open(source).await?;
            place.registry.blob_bytes(&place.repo, &image.image.config, &self.limits).await
        };
        let config = config.await.map_err(|error: Error| error.during(format_args!("config {source}")))?;
        self.tell_of_another_platform(&config);
        Ok(config)
    }

    /// A blob of the location's repository.
    ///
    /// # Errors
    /// Those of [`Pull::blob`](gantri_core::Pull::blob).
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn blob(&self, repository: &Location, digest: &Digest) -> Result<BlobReader> {
        let blob = async {
            let Opened { place, .. } = self.open(repository).await?;
            place.registry.blob(&place.repo, digest, ByteRange::Full).await
        };
        blob.await.map_err(|error: Error| error.during(format_args!("blob {}", repository.at_digest(digest.clone()))))
    }
}

/// What is asked for, as those who are asked say it too, so that it is said once: a tag beside a digest means nothing.
fn named(source: &Location) -> String {
    match source.digest() {
        Some(digest) => format!("manifest {}", source.at_digest(digest.clone())),
        None => format!("manifest {source}"),
    }
}
