//! One image from any registry into any other: a layout, say.
//!
//! Decides which image is meant ([`resolve`](mod@crate::resolve)); bringing it over is [`copy`](mod@crate::copy)'s business,
//! so that there is one way for an image to get from one place to another.

use std::sync::Arc;

use futures_util::stream::{StreamExt, TryStreamExt, once};
use gantri_core::{ByteStream, Limits, NoObserver, Observer, Pull, Result};
use gantri_spec::{ByteRange, Descriptor, Platform, RepositoryName, Selector, Tag};

use crate::copy::{CopyItem, CopyOptions, bring};
use crate::place::Place;
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
}

impl Default for PullOptions {
    fn default() -> Self {
        Self { platform: Platform::host(), limits: Limits::default(), observer: Arc::new(NoObserver) }
    }
}

/// Brings one image from `source` to `target` and moves `tags` there to it; says which image it was.
///
/// The manifest is asked for once, then everything by digest (M5). Config and layers are asked for at once, each digest
/// once, and not at all if the target has it. The manifest is put last. Bytes pass as they come, and the target checks
/// them before anyone can see them.
///
/// # Errors
/// As [`resolve`] and [`copy`](crate::copy()); a failure of the source while a blob is read comes out with its own kind.
///
/// # Cancel safety
/// Blobs that arrived stay; the manifest is there with all its content, or not at all.
pub async fn pull(
    source: &Place,
    at: &Selector,
    target: &Place,
    tags: &[Tag],
    options: &PullOptions,
) -> Result<Resolved> {
    options.limits.check()?;
    let resolved = resolve(&*source.registry, &source.repo, at, &options.platform, &options.limits).await?;
    let copy_options = CopyOptions::default().limits(options.limits.clone()).observer(Arc::clone(&options.observer));
    let item = CopyItem::new(source.clone(), at.clone(), target.clone(), tags.to_vec());
    Box::pin(bring(&item, resolved.manifest.clone(), &copy_options)).await?;
    Ok(resolved)
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
