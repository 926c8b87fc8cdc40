//! One image from any registry into any other: a layout, say.
//!
//! Decides which image is meant ([`resolve`](mod@crate::resolve)) and where its bytes come from; sending them in the right
//! order is [`push`](mod@crate::push)'s business, so that there is one way for an image to arrive anywhere.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{StreamExt, TryStreamExt, once};
use gantri_core::{BlobBody, ByteStream, Limits, NoObserver, Observer, Pull, Registry, Result};
use gantri_spec::{ByteRange, Descriptor, Platform, RepositoryName, Selector, Tag};

use crate::progress::counted;
use crate::push::{Blob, Image, Present, PushOptions, push};
use crate::resolve::{Resolved, resolve};

/// How an image is pulled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PullOptions {
    /// Which image of an index is meant. Default: this machine's platform.
    pub platform: Platform,
    /// Bounds; `concurrent_layers`, `layers`, `index_depth` and `graph_nodes` are read here.
    pub limits: Limits,
    /// Hears of each blob and of the manifest.
    pub observer: Arc<dyn Observer>,
    /// When a blob that the target has need not be fetched. Default: when it is verified there.
    pub present: Present,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            platform: Platform::host(),
            limits: Limits::default(),
            observer: Arc::new(NoObserver),
            present: Present::Verified,
        }
    }
}

/// Brings one image from `source` to `target` and moves `tags` there to it; says which image it was.
///
/// The manifest is asked for once, then everything by digest (M5). Config and layers are asked for at once, each digest
/// once, and not at all if the target has it. The manifest is put last. Bytes pass as they come, and the target checks
/// them before anyone can see them.
///
/// # Errors
/// As [`resolve`] and [`push`]; a failure of the source while a blob is read comes out with its own kind.
///
/// # Cancel safety
/// Blobs that arrived stay; the manifest is there with all its content, or not at all.
pub async fn pull(
    source: Arc<dyn Pull>,
    repo: &RepositoryName,
    at: &Selector,
    target: Arc<dyn Registry>,
    target_repo: &RepositoryName,
    tags: &[Tag],
    options: &PullOptions,
) -> Result<Resolved> {
    let resolved = resolve(&*source, repo, at, &options.platform, &options.limits).await?;
    let blobs = [&resolved.image.config].into_iter().chain(&resolved.image.layers);
    let blobs = blobs.map(|blob| from(&source, repo, blob, &options.observer)).collect();
    let image = Image::new(resolved.manifest.clone(), blobs);
    let push_options = PushOptions::new(options.limits.clone(), Arc::clone(&options.observer)).present(options.present);
    push(image, &*target, target_repo, tags, &push_options).await?;
    Ok(resolved)
}

/// A blob that is asked for when its sink begins to read, and again, where it was, if it has to go on.
fn from(source: &Arc<dyn Pull>, repo: &RepositoryName, blob: &Descriptor, observer: &Arc<dyn Observer>) -> Blob {
    let (source, repo, observer) = (Arc::clone(source), repo.clone(), Arc::clone(observer));
    let descriptor = blob.clone();
    let open = move |range| {
        let (source, repo, observer) = (Arc::clone(&source), repo.clone(), Arc::clone(&observer));
        let descriptor = descriptor.clone();
        async move {
            let reader = source.blob(&repo, &descriptor.digest, range).await?;
            Ok(reader.map_chunks(|chunks| counted(chunks, descriptor, observer)))
        }
        .boxed()
    };
    Blob::new(blob.clone(), BlobBody::read(open))
}

/// The chunks of a blob as they come, **not verified**: whoever reads them must. Nothing is asked for before the first
/// poll.
pub(crate) fn blob_chunks(source: Arc<dyn Pull>, repo: RepositoryName, blob: Descriptor) -> ByteStream {
    let open = async move {
        let reader = source.blob(&repo, &blob.digest, ByteRange::Full).await?;
        Ok(reader.into_unverified())
    };
    once(open).try_flatten().boxed()
}
