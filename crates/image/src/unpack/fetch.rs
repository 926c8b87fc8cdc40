//! Fetches layers ahead of the unpacker: several at once, each into its own spool, no further ahead than the disk may
//! bear.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::{Error, ErrorKind, Event, Limits, Observer, Pull, Result};
use gantri_spec::{Compression, Descriptor, Digest, RepositoryName};
use tokio::sync::Semaphore;
use tokio::task;

use super::pipeline::Incoming;
use crate::layer::spool::{Inlet, Spool};
use crate::progress::counted;
use crate::pull::blob_chunks;

/// Spools on disk for each download at a time: the next layers arrive while a slow one is still being applied.
const SPOOLS_PER_DOWNLOAD: usize = 2;

/// Where layers come from and where they wait.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) source: Arc<dyn Pull>,
    pub(super) repo: RepositoryName,
    pub(super) spool_dir: Arc<Path>,
    pub(super) limits: Limits,
    pub(super) observer: Arc<dyn Observer>,
}

impl Fetch {
    /// Hands every layer to `outlet`, in order, as soon as its download may begin, and ends when all are received and
    /// verified, or when nobody takes them any more.
    ///
    /// # Cancel safety
    /// Dropping it stops the downloads; readers of their spools fail.
    pub(super) async fn layers(&self, layers: Vec<(Descriptor, Compression)>, outlet: Sender<Incoming>) -> Result<()> {
        let at_once = self.limits.concurrent_layers;
        let ahead = at_once.saturating_mul(SPOOLS_PER_DOWNLOAD).min(Semaphore::MAX_PERMITS);
        let ahead = Arc::new(Semaphore::new(ahead));
        let kept = Kept::of(&layers);
        let layers = layers.into_iter().enumerate();
        stream::iter(layers)
            .then(|(index, (layer, compression))| {
                let (ahead, outlet, kept) = (Arc::clone(&ahead), outlet.clone(), &kept);
                async move {
                    let permit = ahead.acquire_owned().await.map_err(closed)?;
                    let (inlet, spool) = match kept.find(&layer) {
                        Some(spool) => (None, spool),
                        None => self.spool().await.map(|(inlet, spool)| (Some(inlet), kept.keep(&layer, spool)))?,
                    };
                    let incoming = Incoming { index, layer: layer.clone(), compression, spool, _permit: permit };
                    Ok(outlet.send(incoming).is_ok().then_some((index, layer, inlet)))
                }
            })
            .map_ok(|announced| async {
                match announced {
                    Some((index, layer, Some(inlet))) => self.receive(index, layer, inlet).await,
                    // Nobody wants it any more, or its bytes arrive already.
                    Some((_, _, None)) | None => Ok(()),
                }
            })
            .try_buffer_unordered(at_once)
            .try_collect()
            .await
    }

    async fn spool(&self) -> Result<(Inlet, Arc<Spool>)> {
        let dir = Arc::clone(&self.spool_dir);
        task::spawn_blocking(move || Spool::create(&dir)).await.map_err(closed)?
    }

    async fn receive(&self, index: usize, layer: Descriptor, inlet: Inlet) -> Result<()> {
        self.observer.event(&Event::Started(&layer));
        let chunks = blob_chunks(Arc::clone(&self.source), self.repo.clone(), layer.clone());
        let chunks = counted(chunks, layer.clone(), Arc::clone(&self.observer));
        inlet
            .receive(layer.clone(), chunks)
            .await
            .map_err(|error| error.during(format_args!("layer {} {}", index + 1, layer.digest)))?;
        self.observer.event(&Event::Finished(&layer));
        Ok(())
    }
}

/// The spools of layers that the image names more than once: each is fetched once (M12).
#[derive(Debug)]
struct Kept(Mutex<Spools>);

/// Under the digest and the size that name them; none before the first mention of its layer.
type Spools = HashMap<(Digest, u64), Option<Arc<Spool>>>;

impl Kept {
    fn of(layers: &[(Descriptor, Compression)]) -> Self {
        let mut seen = HashSet::new();
        let names = layers.iter().map(|(layer, _)| (layer.digest.clone(), layer.size));
        Self(Mutex::new(names.filter(|name| !seen.insert(name.clone())).map(|name| (name, None)).collect()))
    }

    fn find(&self, layer: &Descriptor) -> Option<Arc<Spool>> {
        self.lock().get(&(layer.digest.clone(), layer.size)).cloned().flatten()
    }

    fn keep(&self, layer: &Descriptor, spool: Arc<Spool>) -> Arc<Spool> {
        if let Some(kept) = self.lock().get_mut(&(layer.digest.clone(), layer.size)) {
            *kept = Some(Arc::clone(&spool));
        }
        spool
    }

    fn lock(&self) -> MutexGuard<'_, Spools> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "the runtime is going down").with_source(error)
}
