//! The paved path: one value for every registry and layout, one method for each job.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use gantri_core::{
    BlobReader, Discover, Error, ErrorKind, Limits, NoObserver, Observer, Pull, PullExt, Registry, Result,
};
use gantri_image::{Resolved, Unpack, Unpacked};
use gantri_remote::{Credentials, PlainHttp};
use gantri_spec::{
    ByteRange, Descriptor, Digest, Platform, RawManifest, Reference, RepositoryName, Selector, Tag,
};
use gantri_store::Layout;

use crate::location::{LayoutPath, Location};
use crate::registries::{Registries, Settings};

/// Speaks to every registry and image layout. Clones are cheap and share connections, tokens and pauses.
#[derive(Clone, Debug)]
pub struct Client {
    registries: Arc<Registries>,
    platform: Platform,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

/// What a [`Client`] is made of. Nothing is checked and nothing is looked up before [`build`](Self::build).
#[derive(Debug)]
pub struct ClientBuilder {
    settings: Settings,
    platform: Option<Platform>,
    observer: Arc<dyn Observer>,
}

/// What a pull gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The image's manifest.
    pub manifest: Descriptor,
    /// Where it is now, with its tag there.
    pub target: LayoutPath,
}

impl Client {
    /// A client that is anonymous, asks for this machine's platform, and speaks https but to loopback hosts.
    pub fn builder() -> ClientBuilder {
        ClientBuilder { settings: Settings::default(), platform: None, observer: Arc::new(NoObserver) }
    }

    /// Fetches the image for the client's platform into a layout, which is made if it is not there.
    ///
    /// Exactly one request for each manifest and blob; what the layout holds already is not asked for. The image is tagged
    /// as `target` says, else as `source` does, else not at all.
    ///
    /// # Errors
    /// `PlatformUnknown`, listing what there is; those of [`Pull`]; `DigestMismatch`, `SizeMismatch`; `Io`.
    ///
    /// # Cancel safety
    /// Atomic: verified blobs stay, the image becomes visible last.
    pub async fn pull(&self, source: &Location, target: &LayoutPath) -> Result<Pulled> {
        let doing = |error: Error| error.during(format_args!("pull {source}"));
        let place = self.open(source).await.map_err(doing)?;
        let layout = Layout::open_or_create(target.dir()).await.map_err(doing)?;
        let tag = target.tag().or(place.tag()).cloned();
        let target = tag.iter().fold(LayoutPath::new(target.dir()), |path, tag| path.with_tag(tag.clone()));
        let manifest = place.image_job(self).pull_to(&layout, tag.as_ref()).await.map_err(doing)?;
        Ok(Pulled { manifest, target })
    }

    /// Pushes an image of a layout to a registry, under the reference's tag (`latest` if it names none).
    ///
    /// Blobs that the registry has are not sent. An index is not pushed whole: the client's platform is.
    ///
    /// # Errors
    /// Those of [`Push`](gantri_core::Push).
    ///
    /// # Cancel safety
    /// The tag moves last.
    pub async fn push(&self, source: &LayoutPath, target: &Reference) -> Result<Descriptor> {
        let doing = |error: Error| error.during(format_args!("push {target}"));
        let place = self.open(&source.clone().into()).await.map_err(doing)?;
        let remote = self.registries.at(target.host()).map_err(doing)?;
        let tag = match target.selector() {
            Selector::Tag(tag) => Some(tag),
            Selector::Digest(_) => None,
        };
        place.image_job(self).push_to(&remote, target.repository(), tag.as_ref()).await.map_err(doing)
    }

    /// Fetches the image for the client's platform and unpacks it to a root file system at `dir`, which must not exist or
    /// be empty.
    ///
    /// # Errors
    /// Those of [`pull`](Self::pull); `Conflict` if `dir` holds something; `LayerInvalid`, `LimitExceeded`.
    ///
    /// # Cancel safety
    /// Atomic: `dir` appears complete, or not at all.
    pub async fn unpack(&self, source: &Location, dir: &Path) -> Result<Unpacked> {
        let doing = |error: Error| error.during(format_args!("unpack {source}"));
        let place = self.open(source).await.map_err(doing)?;
        place.image_job(self).unpack_to(dir).await.map_err(doing)
    }

    /// A manifest as it is stored: the image's, or the index's.
    ///
    /// # Errors
    /// Those of [`Pull::manifest`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn manifest(&self, source: &Location) -> Result<RawManifest> {
        let doing = |error: Error| error.during(format_args!("manifest {source}"));
        let place = self.open(source).await.map_err(doing)?;
        place.registry.manifest(&place.repository, &place.selector).await.map_err(doing)
    }

    /// What a reference names, without its bytes.
    ///
    /// # Errors
    /// Those of [`Pull::resolve_manifest`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn resolve(&self, source: &Location) -> Result<Descriptor> {
        let doing = |error: Error| error.during(format_args!("resolve {source}"));
        let place = self.open(source).await.map_err(doing)?;
        place.registry.resolve_manifest(&place.repository, &place.selector).await.map_err(doing)
    }

    /// The image manifest for the client's platform.
    ///
    /// # Errors
    /// `PlatformUnknown`, listing what there is; those of [`Pull::manifest`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn image(&self, source: &Location) -> Result<Resolved> {
        let doing = |error: Error| error.during(format_args!("image {source}"));
        let place = self.open(source).await.map_err(doing)?;
        let Place { registry, repository, selector } = &place;
        gantri_image::resolve(registry.as_ref(), repository, selector, &self.platform, &self.limits)
            .await
            .map_err(doing)
    }

    /// The bytes of an image's config.
    ///
    /// # Errors
    /// `LimitExceeded` over [`Limits::config`]; those of [`Pull::blob`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn config(&self, source: &Location, image: &Resolved) -> Result<Bytes> {
        let doing = |error: Error| error.during(format_args!("config {source}"));
        let place = self.open(source).await.map_err(doing)?;
        place.registry.blob_bytes(&place.repository, &image.image.config, self.limits.config).await.map_err(doing)
    }

    /// A blob of the reference's repository.
    ///
    /// # Errors
    /// Those of [`Pull::blob`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn blob(&self, repository: &Reference, digest: &Digest) -> Result<BlobReader> {
        let doing = |error: Error| error.during(format_args!("blob {repository}"));
        let remote = self.registries.at(repository.host()).map_err(doing)?;
        remote.blob(repository.repository(), digest, ByteRange::Full).await.map_err(doing)
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// Those of [`Discover::tags`], as the stream's last item.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn tags(&self, source: &Location) -> Result<BoxStream<'static, Result<Tag>>> {
        use futures_util::{StreamExt, TryStreamExt};
        let doing = format!("tags {source}");
        let place = self.open(source).await.map_err(|error| error.during(&doing))?;
        let tags = place.registry.tags(&place.repository, None);
        Ok(tags.map_err(move |error| error.during(&doing)).boxed())
    }

    async fn open(&self, location: &Location) -> Result<Place> {
        match location {
            Location::Registry(reference) => Ok(Place {
                registry: Arc::new(self.registries.at(reference.host())?),
                repository: reference.repository().clone(),
                selector: reference.selector(),
            }),
            Location::Layout(path) => Ok(Place {
                registry: Arc::new(Layout::open(path.dir()).await?),
                repository: layout_repository()?,
                selector: path.selector(),
            }),
        }
    }
}
