//! Fetches layers ahead of the unpacker: several at once, each into its own spool, no further ahead than the disk may
//! bear.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::{Error, ErrorKind, Event, Limits, Observer, Pull, Result};
use gantri_spec::{Compression, Descriptor, RepositoryName};
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
        let at_once = self.limits.concurrent_layers.max(1);
        let ahead = Arc::new(Semaphore::new(at_once * SPOOLS_PER_DOWNLOAD));
        let layers = layers.into_iter().enumerate();
        stream::iter(layers)
            .then(|(index, (layer, compression))| {
                let (ahead, outlet) = (Arc::clone(&ahead), outlet.clone());
                async move {
                    let permit = ahead.acquire_owned().await.map_err(closed)?;
                    let (inlet, spool) = self.spool().await?;
                    let incoming = Incoming { index, layer: layer.clone(), compression, spool, _permit: permit };
                    Ok(outlet.send(incoming).is_ok().then_some((index, layer, inlet)))
                }
            })
            .map_ok(|announced| async {
                match announced {
                    Some((index, layer, inlet)) => self.receive(index, layer, inlet).await,
                    None => Ok(()),
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

fn closed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "the runtime is going down").with_source(error)
}
