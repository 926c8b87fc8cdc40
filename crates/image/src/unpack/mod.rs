//! An image as a root file system on disk.
//!
//! [`Unpack`] decides the order of the whole job: the target is looked at first, the config and the layers are asked for
//! at once, layers are applied strictly in order, and the tree becomes visible only when every digest and every diff id
//! was right. Layers travel through `pipeline.rs`; what an archive's entries may do to the disk is decided in `tree.rs`.

mod archive;
mod block;
mod contents;
mod crew;
mod directories;
mod discard;
mod entry;
mod fetch;
mod folding;
mod links;
mod marks;
mod metadata;
mod nodes;
mod notices;
mod path;
mod pipeline;
mod root;
mod staging;
mod tar;
#[cfg(test)]
mod tarball;
mod tree;
mod walk;
mod whiteout;
mod xattr;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use futures_util::future::{Either, select};
use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Event, Limits, NoObserver, Observer, Pull, PullExt, Result};
use gantri_spec::{Compression, Descriptor, Digest, ImageConfig, ImageManifest, Platform, RepositoryName, Selector};
use tokio::task;

use self::crew::{Crew, Work};
use self::fetch::Fetch;
use self::pipeline::Incoming;
pub(crate) use self::staging::{Staging, Target};
use self::tree::Summary;
use crate::resolve::{Resolved, resolve};

/// Unpacks an image: where from, and how.
#[derive(Clone, Debug)]
pub struct Unpack {
    source: Arc<dyn Pull>,
    repo: RepositoryName,
    at: Selector,
    platform: Platform,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

/// What was unpacked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unpacked {
    /// The image manifest, the one chosen if the tag named an index.
    pub manifest: Digest,
    /// The image's config.
    pub config: ImageConfig,
    /// Archive entries that were applied.
    pub entries: u64,
    /// Bytes of file content that were written.
    pub bytes: u64,
    /// What could not be restored, each kind of thing once.
    pub notices: Vec<String>,
}

impl Unpack {
    /// The image at `at` in a repository of `source`, for this machine's platform.
    pub fn new(source: Arc<dyn Pull>, repo: RepositoryName, at: impl Into<Selector>) -> Self {
        Self {
            source,
            repo,
            at: at.into(),
            platform: Platform::host(),
            limits: Limits::default(),
            observer: Arc::new(NoObserver),
        }
    }

    /// Which image of an index is meant.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// The bounds to keep.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Hears of each layer, in compressed bytes, and of what could not be restored.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Unpacks to `dir`, which must be empty or not be there; its parent directory must be there.
    ///
    /// The tree is built in a directory beside `dir` and renamed when it is complete and verified. It is as safe from a
    /// power cut as any freshly written files: it is not synced to disk.
    ///
    /// # Errors
    /// `Conflict` if something is in the way at `dir`, found out before anything is fetched; `DigestMismatch`,
    /// `SizeMismatch` if a layer is not what the manifest says, or does not unfold to what the config says;
    /// `LayerInvalid` if an archive is broken or tries what no layer may; `LimitExceeded`; `ManifestInvalid` if the
    /// config does not fit the layers; `Unsupported` if it is no image; `Io`; `Config` for a bound that [can't be
    /// kept](Limits::check); else as [`resolve`](crate::resolve()).
    ///
    /// # Cancel safety
    /// Atomic: the tree is at `dir` as a whole or not at all, and nothing else stays behind. Dropping the future waits
    /// until what was written so far is removed.
    pub async fn to(self, dir: impl Into<PathBuf>) -> Result<Unpacked> {
        self.limits.check()?;
        let dir = dir.into();
        let target = task::spawn_blocking(move || Target::check(&dir)).await;
        let target =
            target.map_err(|error| Error::new(ErrorKind::Unavailable, format!("look at the target: {error}")))??;
        let Resolved { manifest, image, .. } =
            resolve(&*self.source, &self.repo, &self.at, &self.platform, &self.limits).await?;
        let layers = layers_of(&image)?;
        let (config, summary) = self.unfold(target, &image.config, layers).await?;
        let Summary { entries, bytes, mut notices, .. } = summary;
        notices.extend(other_platform(&config, &self.platform));
        for notice in &notices {
            self.observer.event(&Event::Notice(notice));
        }
        Ok(Unpacked { manifest: manifest.digest().clone(), config, entries, bytes, notices })
    }

    /// Fetches and unpacks at the same time; of two failures, tells the one that caused the other.
    async fn unfold(
        &self,
        target: Target,
        config: &Descriptor,
        layers: Vec<(Descriptor, Compression)>,
    ) -> Result<(ImageConfig, Summary)> {
        let (outlet, incoming) = channel();
        let fetch = self.fetch(target.parent());
        let count = layers.len();
        // Dropped in reverse order, whatever happens: the downloads before the crew, whose threads may wait for them.
        let mut crew = None;
        let applied = pin!(self.apply(target, config, count, incoming, &mut crew));
        let fetched = pin!(fetch.layers(layers, outlet));
        match select(fetched, applied).await {
            Either::Left((fetched, applied)) => {
                fetched?;
                applied.await?.ok_or_else(lost)
            }
            Either::Right((applied, fetched)) => match applied? {
                Some(done) => fetched.await.map(|()| done),
                // Interrupted by a download: it knows why.
                None => Err(fetched.await.err().unwrap_or_else(lost)),
            },
        }
    }

    fn fetch(&self, spool_dir: &Path) -> Fetch {
        Fetch {
            source: Arc::clone(&self.source),
            repo: self.repo.clone(),
            spool_dir: spool_dir.into(),
            limits: self.limits.clone(),
            observer: Arc::clone(&self.observer),
        }
    }

    /// `None` if a download failed. The crew is left to the caller, who knows when it can end.
    async fn apply(
        &self,
        target: Target,
        config: &Descriptor,
        layers: usize,
        incoming: Receiver<Incoming>,
        crew: &mut Option<Crew>,
    ) -> Result<Option<(ImageConfig, Summary)>> {
        let bytes = self.source.blob_bytes(&self.repo, config, &self.limits).await;
        let bytes = bytes.map_err(|error| error.during(format_args!("config {}", config.digest)))?;
        let config = parse_config(config, &bytes, layers)?;
        let diff_ids = config.rootfs.diff_ids.clone();
        let crew = crew.insert(Crew::start(Work { target, incoming, diff_ids, limits: self.limits.clone() })?);
        match crew.finished().await {
            Some(summary) => Ok(Some((config, summary?))),
            None => Ok(None),
        }
    }
}

/// All layers and how they are compressed; refuses what is no layer before anything is fetched.
fn layers_of(image: &ImageManifest) -> Result<Vec<(Descriptor, Compression)>> {
    let layers = image.layers.iter().enumerate().map(|(index, layer)| {
        let Some(compression) = layer.media_type.compression() else {
            let media_type = display_untrusted(layer.media_type.as_str());
            let what = format!("layer {} {}: {media_type} is no layer that can be unpacked", index + 1, layer.digest);
            return Err(Error::new(ErrorKind::Unsupported, what));
        };
        Ok((layer.clone(), compression))
    });
    layers.collect()
}

fn parse_config(descriptor: &Descriptor, bytes: &[u8], layers: usize) -> Result<ImageConfig> {
    let invalid =
        |what: String| Error::new(ErrorKind::ManifestInvalid, format!("config {}: {what}", descriptor.digest));
    let config = ImageConfig::parse(bytes).map_err(|error| invalid(error.to_string()).with_source(error))?;
    let count = config.rootfs.diff_ids.len();
    if count == layers { Ok(config) } else { Err(invalid(format!("{count} diff_ids for {layers} layers"))) }
}

/// An image that stands in no index says only in its config what it is for.
fn other_platform(config: &ImageConfig, wanted: &Platform) -> Option<String> {
    let platform = config.platform();
    let differs = !platform.os.is_empty() && platform.rank(wanted).is_none();
    differs.then(|| format!("the image is for {}, not for {wanted}", display_untrusted(&platform.to_string())))
}

fn lost() -> Error {
    Error::new(ErrorKind::Io, "the threads that unpack ended without a word")
}
