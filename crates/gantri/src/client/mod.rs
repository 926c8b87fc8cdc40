//! The paved path: one value for every registry and layout, one method for each job.

mod builder;
mod copy;
mod examine;
mod label;
mod list;
mod login;
mod places;
mod read;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Event, Limits, Observer, PullExt, Result};
use gantri_image::{ImageBuilder, Layer, PackOptions, PullOptions, PushOptions, Unpack, Unpacked, pull, push};
use gantri_remote::{RateLimit, Remote};
use gantri_spec::{Descriptor, Host, ImageConfig, Platform, Tag};

use self::places::Opened;
use crate::location::Location;
use crate::registries::Registries;

pub use self::builder::ClientBuilder;
pub use self::examine::{Examined, ExaminedStep};
pub use self::write::Mounted;

/// Speaks to every registry and image layout. Clones are cheap and share connections, tokens and pauses.
#[derive(Clone, Debug)]
pub struct Client {
    registries: Arc<Registries>,
    platform: Platform,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

/// What a pull gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The image's manifest.
    pub manifest: Descriptor,
    /// Where it is now, with its tag there.
    pub target: Location,
}

impl Client {
    /// A client that is anonymous, asks for this machine's platform, and speaks https but to loopback hosts.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// How many requests the registry at `host` allows and how many are left, as it said last; `None` if it has said nothing
    /// of that, or was not asked for anything yet.
    pub fn rate_limit(&self, host: &Host) -> Option<RateLimit> {
        self.registries.known(host).iter().find_map(Remote::rate_limit)
    }

    /// Cancels the upload sessions that dropped work has left open in registries: best effort, for whoever stops.
    ///
    /// # Cancel safety
    /// Sessions that were not cancelled yet are left to their registries.
    pub async fn cancel_left_uploads(&self) {
        join_all(self.registries.remotes().iter().map(Remote::cancel_left_uploads)).await;
    }

    /// Fetches the image for the client's platform into a layout, which is made if it is not there, or into an archive, which
    /// is added to if it is there.
    ///
    /// Exactly one request for each manifest and blob; what a layout holds already is not asked for. The image is tagged as
    /// `target` says, else as `source` does, else not at all.
    ///
    /// # Errors
    /// `PlatformUnknown`, listing what there is; those of [`Pull`](gantri_core::Pull); `DigestMismatch`, `SizeMismatch`; `Io`.
    ///
    /// # Cancel safety
    /// A layout that was not there before appears complete, or not at all; so does what an archive gains. In a layout that
    /// was there, verified blobs stay for the next time, and the image becomes visible last.
    pub async fn pull(&self, source: &Location, target: &Location) -> Result<Pulled> {
        let pulled = async {
            let from = self.open(source).await?;
            let mut store = self.store(target).await?;
            store.call(target, from.name.as_ref());
            let tags: Vec<Tag> = target.tag().cloned().or_else(|| from.tag.clone()).into_iter().collect();
            let mut options = PullOptions::default();
            options.platform = self.platform.clone();
            options.limits = self.limits.clone();
            options.observer = Arc::clone(&self.observer);
            let pulled = pull(&from.place, &from.selector, &store.place, &tags, &options).await?;
            if pulled.index.is_none() {
                let config = &pulled.image.config;
                let here = store.place.registry.blob_bytes(&store.place.repo, config, &self.limits).await;
                // It has just arrived here; whoever has none to be read is told by those who want it.
                self.tell_of_another_platform(here.as_deref().unwrap_or_default());
            }
            let manifest = pulled.manifest.descriptor().clone();
            store.publish().await?;
            let target = match tags.into_iter().next().filter(|_| target.tag().is_none()) {
                Some(tag) => target.at_tag(tag),
                None => target.clone(),
            };
            Ok(Pulled { manifest, target })
        };
        pulled.await.map_err(|error: Error| error.during(format_args!("pull {source}")))
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
            let Opened { place, selector, .. } = self.open(source).await?;
            Unpack::new(place.registry, place.repo, selector)
                .platform(self.platform.clone())
                .limits(self.limits.clone())
                .observer(Arc::clone(&self.observer))
                .to(dir)
                .await
        };
        unpacked.await.map_err(|error: Error| error.during(format_args!("unpack {source}")))
    }

    /// Packs directories as the layers of an image, lowest first, and puts it into a layout, which is made if it is not
    /// there, or into an archive, which is added to if it is there. The same trees give the same digest on every machine.
    ///
    /// # Errors
    /// `Io`, naming the file that can't be read or written; `Unsupported` for a registry: it is built first, then pushed.
    ///
    /// # Cancel safety
    /// Atomic: the image becomes visible last.
    pub async fn build(&self, layers: &[PathBuf], target: &Location) -> Result<Descriptor> {
        let built = async {
            let mut store = self.store(target).await?;
            store.call(target, None);
            let Some(scratch) = store.scratch_dir() else {
                let what = "an image is built in a layout or an archive, and pushed from there";
                return Err(Error::new(ErrorKind::Unsupported, what));
            };
            let mut image = ImageBuilder::new(self.platform.clone());
            for dir in layers {
                image = image.with_layer(Layer::pack(dir, scratch, PackOptions::default()).await?);
            }
            let image = image.build();
            let manifest = image.manifest.descriptor().clone();
            let tags: Vec<Tag> = target.tag().cloned().into_iter().collect();
            push(image, &store.place, &tags, &self.push_options()).await?;
            store.publish().await?;
            Ok(manifest)
        };
        built.await.map_err(|error: Error| error.during(format_args!("build {target}")))
    }

    /// Where there was no choice, the image may be for another platform than the one that was meant. What has no config that
    /// can be read is no image, and for no platform.
    fn tell_of_another_platform(&self, config: &[u8]) {
        let Ok(config) = ImageConfig::parse(config) else { return };
        let (platform, wanted) = (config.platform(), &self.platform);
        if !platform.os.is_empty() && platform.rank(wanted).is_none() {
            let platform = display_untrusted(&platform.to_string());
            self.observer.event(&Event::Notice(&format!("the image is for {platform}, not for {wanted}")));
        }
    }

    fn push_options(&self) -> PushOptions {
        PushOptions::new(self.limits.clone(), Arc::clone(&self.observer))
    }
}
