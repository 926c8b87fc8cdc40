//! An image into a registry: content before names.
//!
//! Decides what is sent and in which order: what the target has is skipped, each digest is sent once, config and layers
//! at the same time, and the manifest with its tags only when all of them are there. How a blob is sent is the
//! registry's business.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join;
use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::{BlobBody, Error, ErrorKind, Event, Limits, NoObserver, Observer, PutManifest, Registry, Result};
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest, RepositoryName, Tag};

/// An image ready to be sent: a manifest, and the blobs that it names.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image {
    /// The manifest, sent last.
    pub manifest: RawManifest,
    /// The config first, then the layers from the bottom up.
    pub blobs: Vec<Blob>,
}

impl Image {
    /// An image of these blobs, the config first.
    pub fn new(manifest: RawManifest, blobs: Vec<Blob>) -> Self {
        Self { manifest, blobs }
    }
}

/// A blob ready to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Blob {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub body: BlobBody,
}

impl Blob {
    /// These bytes under this name.
    pub fn new(descriptor: Descriptor, body: BlobBody) -> Self {
        Self { descriptor, body }
    }
}

/// When a blob that the target has need not be sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Present {
    /// When the target says that it has it, in the right size: a registry vouches for what it stores.
    #[default]
    Trusted,
    /// When what the target has was read and has the right digest: a directory may have come to harm.
    Verified,
}

/// How an image is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PushOptions {
    /// Bounds; `concurrent_layers` is read here.
    pub limits: Limits,
    /// Hears of each blob and of the manifest.
    pub observer: Arc<dyn Observer>,
    /// When a blob need not be sent.
    pub present: Present,
}

impl PushOptions {
    /// These bounds and this observer.
    pub fn new(limits: Limits, observer: Arc<dyn Observer>) -> Self {
        Self { limits, observer, present: Present::default() }
    }

    /// Says when a blob need not be sent.
    pub fn present(mut self, present: Present) -> Self {
        self.present = present;
        self
    }
}

impl Default for PushOptions {
    fn default() -> Self {
        Self::new(Limits::default(), Arc::new(NoObserver))
    }
}

/// Puts an image into a repository and moves `tags` to it.
///
/// # Errors
/// `ManifestInvalid` if one digest is named with two sizes; whatever the registry says.
///
/// # Cancel safety
/// Blobs that were sent stay; the manifest is there with all its content, or not at all.
pub async fn push(
    image: Image,
    target: &dyn Registry,
    repo: &RepositoryName,
    tags: &[Tag],
    options: &PushOptions,
) -> Result<PutManifest> {
    let Image { manifest, blobs } = image;
    let mut config = once_each(blobs)?;
    let layers = config.split_off(config.len().min(1));
    let job = Job { target, repo, observer: &*options.observer, present: options.present };
    // The config travels beside the layers, never behind them.
    try_join(job.put_all(config, 1), job.put_all(layers, options.limits.concurrent_layers)).await?;
    job.observer.event(&Event::Started(manifest.descriptor()));
    let put = target.put_manifest(repo, &manifest, tags).await?;
    job.observer.event(&Event::Finished(manifest.descriptor()));
    Ok(put)
}

/// Each digest once, in the order of the first mention (M12).
fn once_each(blobs: Vec<Blob>) -> Result<Vec<Blob>> {
    let mut sizes: HashMap<Digest, u64> = HashMap::new();
    let mut once = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let Descriptor { digest, size, .. } = &blob.descriptor;
        match sizes.insert(digest.clone(), *size) {
            None => once.push(blob),
            Some(before) if before == *size => {}
            Some(before) => {
                let what = format!("digest {digest}: named with size {before} and with size {size}");
                return Err(Error::new(ErrorKind::ManifestInvalid, what));
            }
        }
    }
    Ok(once)
}

struct Job<'a> {
    target: &'a dyn Registry,
    repo: &'a RepositoryName,
    observer: &'a dyn Observer,
    present: Present,
}

impl Job<'_> {
    async fn put_all(&self, blobs: Vec<Blob>, at_once: usize) -> Result<()> {
        stream::iter(blobs).map(|blob| self.put_missing(blob)).buffer_unordered(at_once.max(1)).try_collect().await
    }

    async fn put_missing(&self, Blob { descriptor, body }: Blob) -> Result<()> {
        if self.is_there(&descriptor).await? {
            self.observer.event(&Event::Skipped(&descriptor));
            return Ok(());
        }
        self.observer.event(&Event::Started(&descriptor));
        self.target.put_blob(self.repo, &descriptor, body).await?;
        self.observer.event(&Event::Finished(&descriptor));
        Ok(())
    }

    /// A blob of another size under this digest is not there: putting it will say what is wrong.
    async fn is_there(&self, blob: &Descriptor) -> Result<bool> {
        match self.target.resolve_blob(self.repo, &blob.digest).await {
            Ok(found) if found.size != blob.size => Ok(false),
            Ok(_) => match self.present {
                Present::Trusted => Ok(true),
                Present::Verified => Ok(self.is_whole(blob).await),
            },
            Err(error) if matches!(error.kind(), ErrorKind::BlobUnknown | ErrorKind::RepositoryUnknown) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What can't be read whole is sent again: putting it mends it, or says why not.
    async fn is_whole(&self, blob: &Descriptor) -> bool {
        let Ok(reader) = self.target.blob(self.repo, &blob.digest, ByteRange::Full).await else { return false };
        reader.into_stream().try_for_each(|_| async { Ok(()) }).await.is_ok()
    }
}
