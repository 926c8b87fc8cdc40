//! A compressed layer between the network and the unpacker: a nameless temporary file that may be read while it grows.
//!
//! [`Inlet::receive`] fills it: chunks cross a bounded channel to a blocking thread that hashes and writes them, so that
//! neither work holds up the reactor. [`SpoolReader`] reads behind the writer, and sees an end only once size and digest
//! of the whole layer are right. If the layer turns out wrong or the download stops, the reader fails with [`Broken`];
//! what went wrong is said once, by [`Inlet::receive`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::TryStreamExt;
use gantri_core::{ByteStream, Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Hasher};
use tokio::sync::mpsc;
use tokio::task;

/// Chunks that wait for the disk. With the chunks of an HTTP body, at most a few MiB.
const CHUNKS_IN_FLIGHT: usize = 16;

/// One layer's compressed bytes, received so far.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    /// Where the file has no name.
    dir: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Bytes that can be read.
    written: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Growing,
    /// All there, with the right size and digest.
    Verified,
    /// It will never be.
    Broken,
}

/// The layer will never be whole; [`Inlet::receive`] says why.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the download of this layer broke off")
    }
}

impl std::error::Error for Broken {}

impl Spool {
    /// An empty spool on the file system of `dir`, without a name in it. Blocking, if briefly.
    pub(crate) fn create(dir: &Path) -> Result<(Inlet, Arc<Self>)> {
        let file = tempfile::tempfile_in(dir)
            .map_err(|error| Error::io(format!("temporary file in {}", dir.display()), error))?;
        let state = State { written: 0, phase: Phase::Growing };
        let spool = Arc::new(Self { file, dir: dir.to_owned(), state: Mutex::new(state), changed: Condvar::new() });
        Ok((Inlet(Arc::clone(&spool)), spool))
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.state().written
    }

    /// Waits until the layer is verified or broken; says whether it is verified.
    ///
    /// Ends because the [`Inlet`] is dropped in the end.
    pub(crate) fn settle(&self) -> bool {
        let growing = |state: &mut State| state.phase == Phase::Growing;
        let state = self.changed.wait_while(self.state(), growing).unwrap_or_else(PoisonError::into_inner);
        state.phase == Phase::Verified
    }

    /// Waits until there is something behind `offset`; gives its length, 0 at the end of a verified layer.
    fn readable(&self, offset: u64) -> io::Result<u64> {
        let nothing_new = |state: &mut State| state.phase == Phase::Growing && state.written <= offset;
        let state = self.changed.wait_while(self.state(), nothing_new).unwrap_or_else(PoisonError::into_inner);
        match state.phase {
            Phase::Broken => Err(io::Error::other(Broken)),
            Phase::Growing | Phase::Verified => Ok(state.written.saturating_sub(offset)),
        }
    }

    /// The first word counts.
    fn settle_as(&self, phase: Phase) {
        self.change(|state| {
            if state.phase == Phase::Growing {
                state.phase = phase;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// What is under the lock is two plain values: a panic elsewhere cannot leave them half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, layer: &Descriptor, mut chunks: mpsc::Receiver<Bytes>) -> Result<()> {
        let mut check = Check::of(layer)?;
        while let Some(chunk) = chunks.blocking_recv() {
            check.update(&chunk)?;
            (&self.file).write_all(&chunk).map_err(|error| {
                let what = format!("write {} bytes to a temporary file in {}", layer.size, self.dir.display());
                Error::io(what, error)
            })?;
            self.change(|state| state.written += chunk.len() as u64);
        }
        check.finish()
    }
}

/// The one way into a spool. Dropping it breaks a spool that is not whole yet: a reader that waits wakes up and fails.
#[derive(Debug)]
pub(crate) struct Inlet(Arc<Spool>);

impl Inlet {
    /// Receives a layer and verifies it.
    ///
    /// # Errors
    /// `SizeMismatch`, as soon as a byte too many came or at the end; `DigestMismatch`; `Unsupported` for an algorithm
    /// that can't be computed; `Io`, for a full disk say; whatever the stream says.
    ///
    /// # Cancel safety
    /// Dropping it breaks the spool.
    pub(crate) async fn receive(self, layer: Descriptor, mut chunks: ByteStream) -> Result<()> {
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let spool = Arc::clone(&self.0);
        // Not awaited when this future is dropped, but it then ends by itself: the channel closes.
        let writer = task::spawn_blocking(move || spool.write(&layer, receiver));
        let sent = forward(&mut chunks, &sender).await;
        drop(sender);
        let written = writer.await.map_err(|panic| Error::new(ErrorKind::Io, format!("layer writer: {panic}")))?;
        match (written, sent) {
            // A body that goes on behind the layer is another body than was announced.
            (Ok(()), Err(error)) if error.kind() == ErrorKind::SizeMismatch => return Err(error),
            // Bytes that are all there and right outweigh a stream that breaks behind them.
            (Ok(()), _) => self.0.settle_as(Phase::Verified),
            (Err(error), sent) => return sent.and(Err(error)),
        }
        Ok(())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.settle_as(Phase::Broken);
    }
}

/// Ends well when the stream does, and when nobody takes the chunks: a writer that is gone has its own reason.
async fn forward(chunks: &mut ByteStream, writer: &mpsc::Sender<Bytes>) -> Result<()> {
    while let Some(chunk) = chunks.try_next().await? {
        if writer.send(chunk).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Holds the compressed bytes to their descriptor (M6).
struct Check<'a> {
    layer: &'a Descriptor,
    hasher: Hasher,
    seen: u64,
}

impl<'a> Check<'a> {
    fn of(layer: &'a Descriptor) -> Result<Self> {
        let Some(hasher) = layer.digest.hasher() else {
            let what = format!("digest {}: this algorithm can't be verified", layer.digest);
            return Err(Error::new(ErrorKind::Unsupported, what));
        };
        Ok(Self { layer, hasher, seen: 0 })
    }

    fn update(&mut self, chunk: &[u8]) -> Result<()> {
        self.seen += chunk.len() as u64;
        if self.seen > self.layer.size {
            return Err(self.wrong_size("at least "));
        }
        self.hasher.update(chunk);
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if self.seen != self.layer.size {
            return Err(self.wrong_size(""));
        }
        let actual = self.hasher.finish();
        if actual == self.layer.digest {
            return Ok(());
        }
        let what = format!("digest {} expected, {actual} received", self.layer.digest);
        Err(Error::new(ErrorKind::DigestMismatch, what))
    }

    fn wrong_size(&self, at_least: &str) -> Error {
        let what = format!("size {} expected, {at_least}{} received", self.layer.size, self.seen);
        Error::new(ErrorKind::SizeMismatch, what)
    }
}

/// Reads a spool from its first byte, behind whoever fills it.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    spool: Arc<Spool>,
    offset: u64,
}

impl SpoolReader {
    pub(crate) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, offset: 0 }
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let readable = usize::try_from(self.spool.readable(self.offset)?).unwrap_or(usize::MAX);
        let wanted = readable.min(buffer.len());
        let read = self.spool.file.read_at(&mut buffer[..wanted], self.offset)?;
        if read == 0 && wanted > 0 {
            // Somebody cut the file behind our back.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
