//! The paved path: one value for every registry and layout, one method for each job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use gantri_core::{
    BlobReader, Discover, Error, ErrorKind, Limits, NoObserver, Observer, Pull, PullExt, Registry, Result,
};
use gantri_image::{
    ImageBuilder, Layer, PackOptions, PullOptions, PushOptions, Resolved, Unpack, Unpacked, pull, push, resolve,
};
use gantri_remote::{Credentials, PlainHttp};
use gantri_spec::{
    ByteRange, Descriptor, Digest, Host, Platform, RawManifest, Reference, RepositoryName, Selector, Tag,
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
    /// A layout that was not there before appears complete, or not at all. In one that was, verified blobs stay for the
    /// next time, and the image becomes visible last.
    pub async fn pull(&self, source: &Location, target: &LayoutPath) -> Result<Pulled> {
        let pulled = async {
            let place = self.open(source).await?;
            let draft = Layout::draft(target.dir()).await?;
            let tags: Vec<Tag> = target.tag().cloned().or_else(|| place.tag()).into_iter().collect();
            let layout = Arc::new(draft.layout().clone());
            let manifest = self.bring(place, layout, &layout_repository()?, &tags).await?;
            draft.publish().await?;
            let target = tags.into_iter().fold(LayoutPath::new(target.dir()), LayoutPath::with_tag);
            Ok(Pulled { manifest, target })
        };
        pulled.await.map_err(|error: Error| error.during(format_args!("pull {source}")))
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
        let pushed = async {
            let place = self.open(&source.clone().into()).await?;
            let remote = self.registries.at(target.host())?;
            let tags = match target.selector() {
                Selector::Tag(tag) => vec![tag],
                Selector::Digest(_) => Vec::new(),
            };
            self.bring(place, Arc::new(remote), target.repository(), &tags).await
        };
        pushed.await.map_err(|error: Error| error.during(format_args!("push {target}")))
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
        let unpacked = async {
            let Place { registry, repository, selector } = self.open(source).await?;
            Unpack::new(registry, repository, selector)
                .platform(self.platform.clone())
                .limits(self.limits.clone())
                .observer(Arc::clone(&self.observer))
                .to(dir)
                .await
        };
        unpacked.await.map_err(|error: Error| error.during(format_args!("unpack {source}")))
    }

    /// Packs directories as the layers of an image, lowest first, and puts it into a layout, which is made if it is not
    /// there. The same trees give the same digest on every machine.
    ///
    /// # Errors
    /// `Io`, naming the file that can't be read or written.
    ///
    /// # Cancel safety
    /// Atomic: the image becomes visible last.
    pub async fn build(&self, layers: &[PathBuf], target: &LayoutPath) -> Result<Descriptor> {
        let built = async {
            let draft = Layout::draft(target.dir()).await?;
            let tags: Vec<Tag> = target.tag().cloned().into_iter().collect();
            let mut image = ImageBuilder::new(self.platform.clone());
            for dir in layers {
                image = image.with_layer(Layer::pack(dir, draft.scratch_dir(), PackOptions::default()).await?);
            }
            let image = image.build();
            let manifest = image.manifest.descriptor().clone();
            let options = PushOptions::new(self.limits.clone(), Arc::clone(&self.observer));
            let place = gantri_image::Place::new(Arc::new(draft.layout().clone()), layout_repository()?);
            push(image, &place, &tags, &options).await?;
            draft.publish().await?;
            Ok(manifest)
        };
        built.await.map_err(|error: Error| error.during(format_args!("build {target}")))
    }

    /// A manifest as it is stored: the image's, or the index's.
    ///
    /// # Errors
    /// Those of [`Pull::manifest`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn manifest(&self, source: &Location) -> Result<RawManifest> {
        let manifest = async {
            let Place { registry, repository, selector } = self.open(source).await?;
            registry.manifest(&repository, &selector).await
        };
        manifest.await.map_err(|error: Error| error.during(format_args!("manifest {source}")))
    }

    /// What a reference names, without its bytes.
    ///
    /// # Errors
    /// Those of [`Pull::resolve_manifest`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn resolve(&self, source: &Location) -> Result<Descriptor> {
        let resolved = async {
            let Place { registry, repository, selector } = self.open(source).await?;
            registry.resolve_manifest(&repository, &selector).await
        };
        resolved.await.map_err(|error: Error| error.during(format_args!("manifest {source}")))
    }

    /// The image manifest for the client's platform.
    ///
    /// # Errors
    /// `PlatformUnknown`, listing what there is; those of [`Pull::manifest`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn image(&self, source: &Location) -> Result<Resolved> {
        let image = async {
            let Place { registry, repository, selector } = self.open(source).await?;
            resolve(registry.as_ref(), &repository, &selector, &self.platform, &self.limits).await
        };
        image.await.map_err(|error: Error| error.during(format_args!("manifest {source}")))
    }

    /// The bytes of an image's config.
    ///
    /// # Errors
    /// `LimitExceeded` over [`Limits::config`]; those of [`Pull::blob`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn config(&self, source: &Location, image: &Resolved) -> Result<Bytes> {
        let config = async {
            let Place { registry, repository, .. } = self.open(source).await?;
            registry.blob_bytes(&repository, &image.image.config, &self.limits).await
        };
        config.await.map_err(|error: Error| error.during(format_args!("config {source}")))
    }

    /// A blob of the reference's repository.
    ///
    /// # Errors
    /// Those of [`Pull::blob`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn blob(&self, repository: &Reference, digest: &Digest) -> Result<BlobReader> {
        let remote = self.registries.at(repository.host())?;
        let blob = remote.blob(repository.repository(), digest, ByteRange::Full).await;
        blob.map_err(|error| error.during(format_args!("blob {repository}")))
    }

    /// The repositories of a registry, where it has a catalog.
    ///
    /// # Errors
    /// Those of [`Discover::repositories`], as the stream's last item.
    ///
    /// # Cancel safety
    /// Only reads.
    pub fn repositories(&self, host: &Host) -> Result<BoxStream<'static, Result<RepositoryName>>> {
        Ok(self.registries.at(host)?.repositories(None))
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// Those of [`Discover::tags`], as the stream's last item.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn tags(&self, source: &Location) -> Result<BoxStream<'static, Result<Tag>>> {
        let doing = format!("tags of {source}");
        let place = self.open(source).await.map_err(|error| error.during(&doing))?;
        let tags = place.registry.tags(&place.repository, None);
        Ok(tags.map_err(move |error| error.during(&doing)).boxed())
    }
}

impl Client {
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

    /// One image from a place into a registry.
    async fn bring(
        &self,
        from: Place,
        target: Arc<dyn Registry>,
        repository: &RepositoryName,
        tags: &[Tag],
    ) -> Result<Descriptor> {
        let mut options = PullOptions::default();
        options.platform = self.platform.clone();
        options.limits = self.limits.clone();
        options.observer = Arc::clone(&self.observer);
        let source = gantri_image::Place::new(from.registry, from.repository);
        let target = gantri_image::Place::new(target, repository.clone());
        let resolved = pull(&source, &from.selector, &target, tags, &options).await?;
        Ok(resolved.manifest.descriptor().clone())
    }
}

/// The spec wants manifests of 4 megabytes supported.
const SMALLEST_MANIFEST_LIMIT: u64 = 4_000_000;

/// A location, opened.
struct Place {
    registry: Arc<dyn Registry>,
    repository: RepositoryName,
    selector: Selector,
}

impl Place {
    /// The tag that was asked for, unless it was asked by digest.
    fn tag(&self) -> Option<Tag> {
        match &self.selector {
            Selector::Tag(tag) => Some(tag.clone()),
            Selector::Digest(_) => None,
        }
    }
}

/// A single layout is a registry of one repository, whose name nobody sees.
fn layout_repository() -> Result<RepositoryName> {
    "layout".parse().map_err(|error| Error::new(ErrorKind::NameInvalid, "the layout's repository").with_source(error))
}

impl ClientBuilder {
    /// Who to be. Asked only when a registry asks. Default: anonymous everywhere.
    pub fn credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.settings.credentials = credentials;
        self
    }

    /// When to speak http. Default: to loopback hosts only.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.settings.plain_http = plain_http;
        self
    }

    /// The bounds. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Which image of an index is meant. Default: this machine's platform.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Who hears about progress. Default: nobody.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The client. Opens no connection.
    ///
    /// # Errors
    /// `Config` if the bound on manifests is below what the spec asks every client to take.
    pub fn build(self) -> Result<Client> {
        let limits = self.settings.limits.clone();
        if limits.manifest < SMALLEST_MANIFEST_LIMIT {
            let what = format!("limit manifest = {}: at least {SMALLEST_MANIFEST_LIMIT} is needed", limits.manifest);
            return Err(Error::new(ErrorKind::Config, what));
        }
        Ok(Client {
            registries: Arc::new(Registries::new(self.settings)),
            platform: self.platform.unwrap_or_else(Platform::host),
            limits,
            observer: self.observer,
        })
    }
}
