//! Layers from their spools to whoever applies them, over three threads.
//!
//! ```text
//! [spool -> inflate] --blocks--> [tar and write]   (the caller's thread)
//!                    `-blocks--> [diff_id]
//! ```
//!
//! One thread inflates layer after layer and runs ahead as far as [`Pool`] lets it, so that the next layer unfolds while
//! the one before is still being written. Every block is hashed and written from where it was inflated to. This file
//! decides which of several failures is the cause; what a layer does to the disk is the caller's business.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Compression, Descriptor, Digest};
use tokio::sync::OwnedSemaphorePermit;

use super::archive::Archive;
use super::block::{Block, Pool};
use crate::layer::compression::decoder;
use crate::layer::diff_id::DiffId;
use crate::layer::growth::Growth;
use crate::layer::spool::{Broken, Spool, SpoolReader};
use crate::stop::Stop;

/// A layer on its way, in the order of the manifest.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Counted from 0, the lowest layer.
    pub(crate) index: usize,
    pub(crate) layer: Descriptor,
    pub(crate) compression: Compression,
    pub(crate) spool: Arc<Spool>,
    /// Lets another layer be fetched once this one needs no disk any more.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Incoming {
    /// Says which layer, so that a user can find it in the manifest.
    fn name(&self) -> String {
        format!("layer {} {}", self.index + 1, self.layer.digest)
    }

    /// A layer that can't be read is first of all one that was not received right, if that is so: its digest tells more
    /// than its decoder.
    fn blame(&self, error: Error) -> Failure {
        if error.kind() == ErrorKind::LayerInvalid && !self.spool.settle() {
            return Failure::Cut;
        }
        Failure::Cause(error.during(self.name()))
    }
}

/// What crosses from the inflating thread.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Begin(Arc<Incoming>),
    Bytes(Block),
    /// All of the layer's compressed bytes were verified.
    End,
}

/// Why a thread ended early.
#[derive(Debug)]
pub(super) enum Failure {
    /// Somebody else has the cause: its neighbour, the download, or whoever told it to stop.
    Cut,
    /// This is the cause.
    Cause(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Cause(error)
    }
}

/// How a stack of layers is unpacked.
pub(crate) struct Pipeline<'a> {
    pub(crate) diff_ids: &'a [Digest],
    pub(crate) limits: &'a Limits,
    pub(crate) stop: &'a Stop,
    /// Told at once when a thread fails, while others may still wait for the network.
    pub(crate) on_cause: &'a (dyn Fn(Error) + Sync),
}

/// Somebody has been told why, or knows it: the pipeline ended before its time.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl Pipeline<'_> {
    /// Passes as many layers as there are diff ids to `apply`, each as its uncompressed bytes, in order.
    ///
    /// Gives success only if every layer was received whole, verified, unfolded within the bounds, had its diff id, and
    /// was applied.
    pub(crate) fn run(
        &self,
        incoming: Receiver<Incoming>,
        apply: &mut dyn FnMut(&mut dyn BufRead) -> Result<()>,
    ) -> Result<(), Interrupted> {
        let (to_apply, to_be_applied) = channel();
        let (to_hash, to_be_hashed) = channel();
        let outputs = [to_apply, to_hash];
        thread::scope(|scope| {
            let inflate = self.spawn(scope, "gantri-inflate", move || self.inflate_all(&incoming, &outputs));
            let hash = self.spawn(scope, "gantri-diff-id", move || self.hash_all(&to_be_hashed));
            let applied = self.report(self.apply_all(to_be_applied, apply));
            // All three must have ended well, and none is left running.
            applied.and(join(inflate)).and(join(hash))
        })
    }

    /// A thread that can't be started is one that failed at once: its channels close, and the others end.
    fn spawn<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        work: impl FnOnce() -> Result<(), Failure> + Send + 'scope,
    ) -> Option<ScopedJoinHandle<'scope, Result<(), Interrupted>>> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, move || self.report(work()));
        thread.map_err(|error| (self.on_cause)(Error::io("start a thread to unpack with", error))).ok()
    }

    fn report(&self, ended: Result<(), Failure>) -> Result<(), Interrupted> {
        ended.map_err(|failure| {
            if let Failure::Cause(error) = failure {
                (self.on_cause)(error);
            }
            Interrupted
        })
    }

    fn inflate_all(&self, incoming: &Receiver<Incoming>, outputs: &[Sender<Piece>; 2]) -> Result<(), Failure> {
        let mut pool = Pool::new();
        let mut growth = Growth::new(self.limits.clone());
        for _ in self.diff_ids {
            let layer = Arc::new(incoming.recv().map_err(|_| Failure::Cut)?);
            send(outputs, Piece::Begin(Arc::clone(&layer)))?;
            self.inflate(&layer, &mut pool, &mut growth, outputs)?;
            send(outputs, Piece::End)?;
        }
        Ok(())
    }

    fn inflate(
        &self,
        layer: &Incoming,
        pool: &mut Pool,
        growth: &mut Growth,
        outputs: &[Sender<Piece>; 2],
    ) -> Result<(), Failure> {
        let compressed = SpoolReader::new(Arc::clone(&layer.spool));
        let mut archive =
            decoder(layer.compression, compressed, self.limits).map_err(|error| unreadable(layer, error))?;
        growth.next_layer();
        while let Some(block) = pool.fill(&mut archive).map_err(|error| unreadable(layer, error))? {
            growth.add(block.len() as u64, layer.spool.received()).map_err(|error| error.during(layer.name()))?;
            send(outputs, Piece::Bytes(block))?;
        }
        Ok(())
    }

    fn hash_all(&self, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        for expected in self.diff_ids {
            let mut diff_id = DiffId::expect(expected)?;
            let Ok(Piece::Begin(layer)) = pieces.recv() else { return Err(Failure::Cut) };
            loop {
                match pieces.recv() {
                    Ok(Piece::Bytes(block)) => diff_id.update(&block),
                    Ok(Piece::End) => break,
                    Ok(Piece::Begin(_)) | Err(_) => return Err(Failure::Cut),
                }
            }
            diff_id.finish().map_err(|error| error.during(layer.name()))?;
        }
        Ok(())
    }

    fn apply_all(
        &self,
        pieces: Receiver<Piece>,
        apply: &mut dyn FnMut(&mut dyn BufRead) -> Result<()>,
    ) -> Result<(), Failure> {
        let mut archive = Archive::new(pieces, self.stop);
        for _ in self.diff_ids {
            let layer = archive.begin()?;
            match apply(&mut archive) {
                // Whatever it cared to read: only the layer's end says that it was verified.
                Ok(()) => archive.skip_to_end()?,
                Err(_) if archive.was_cut() => return Err(Failure::Cut),
                Err(error) => return Err(layer.blame(error)),
            }
        }
        Ok(())
    }
}

fn join(thread: Option<ScopedJoinHandle<'_, Result<(), Interrupted>>>) -> Result<(), Interrupted> {
    thread.ok_or(Interrupted)?.join().map_err(|_| Interrupted)?
}

fn send(outputs: &[Sender<Piece>; 2], piece: Piece) -> Result<(), Failure> {
    let [to_apply, to_hash] = outputs;
    to_hash.send(piece.clone()).map_err(|_| Failure::Cut)?;
    to_apply.send(piece).map_err(|_| Failure::Cut)
}

fn unreadable(layer: &Incoming, error: io::Error) -> Failure {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Broken>) {
        return Failure::Cut;
    }
    let error = match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(ErrorKind::LayerInvalid, "the compressed archive is cut off"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Error::new(ErrorKind::LayerInvalid, format!("the compressed archive can't be read: {error}"))
        }
        _ => Error::io("read a layer from its temporary file", error),
    };
    layer.blame(error)
}

#[cfg(test)]
mod tests;
