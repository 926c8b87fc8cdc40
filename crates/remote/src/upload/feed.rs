//! The bytes of a blob on their way into requests: from any byte on as often as needed, in one stream as long as the
//! registry takes that, else chunk by chunk.
//!
//! What can be opened again is streamed and never held. What can be read once only is held in memory until it is
//! acknowledged, and so is a chunk of a registry that refuses the whole: at most one chunk each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use futures_util::stream::{StreamExt, TryStreamExt, iter, try_unfold};
use gantri_core::{BlobBody, ByteStream, Error, ErrorKind, Limits, Result, Retry};
use gantri_spec::Descriptor;

use super::state::Party;
use crate::transport::Payload;

/// A blob's bytes, and what has been read of them.
pub(super) struct Feed {
    blob: Descriptor,
    body: Arc<Mutex<BlobBody>>,
    replayable: bool,
    window: Window,
    memory: u64,
    failure: Failure,
}

/// What the body itself failed with, as opposed to the registry.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<Retry>>>);

impl Feed {
    pub(super) fn new(blob: &Descriptor, body: BlobBody, limits: &Limits) -> Self {
        let replayable = body.replayable();
        Self {
            blob: blob.clone(),
            body: Arc::new(Mutex::new(body)),
            replayable,
            window: Window::default(),
            memory: limits.chunk,
            failure: Failure::default(),
        }
    }

    /// How its bytes can be had.
    pub(super) fn party(&self) -> Party {
        if self.replayable { Party::Alone } else { Party::AloneOnce }
    }

    /// The bytes from `from` to `to` as the payload of a request.
    ///
    /// # Errors
    /// Those of the body, as far as it has to be read for that.
    pub(super) async fn payload(&mut self, from: u64, to: u64) -> Result<Payload> {
        let length = to - from;
        let goes_on = self.window.reaches(from);
        let all_that_is_left = to == self.blob.size && !goes_on;
        if self.replayable && (all_that_is_left || length > self.memory) {
            return Ok(self.stream(from, length));
        }
        if !goes_on {
            self.window = Window::open(from, self.open(from)?);
        }
        if length > self.memory {
            return Ok(self.rest(from, length));
        }
        let pieces = self.window.hold(from, to, to == self.blob.size).await;
        let pieces = pieces.inspect_err(|error| self.failure.note(error))?;
        Ok(Payload::stream(length, true, move || Ok(iter(pieces.clone().into_iter().map(Ok)).boxed())))
    }

    /// Whether the body has failed since this was last asked, and whether reading it again may help.
    pub(super) fn failure(&mut self) -> Option<Retry> {
        let failed = self.failure.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.window = Window::default();
        Some(if self.replayable { failed } else { Retry::Never })
    }

    /// A stream that is opened when it is sent, and again when it is sent again.
    fn stream(&self, from: u64, length: u64) -> Payload {
        let (blob, body, failure) = (self.blob.clone(), Arc::clone(&self.body), self.failure.clone());
        Payload::stream(length, true, move || {
            let mut body = body.lock().unwrap_or_else(PoisonError::into_inner);
            let chunks = body.open_to_send(&blob, from).inspect_err(|error| failure.note(error))?;
            let failure = failure.clone();
            let chunks = chunks.inspect_err(move |error| failure.note(error)).boxed();
            Ok(if from + length == blob.size { last_held_back(chunks) } else { take(chunks, length) })
        })
    }

    /// All that is left of a body that can be read once, because the registry asks for larger chunks than are held.
    fn rest(&mut self, from: u64, length: u64) -> Payload {
        let failure = self.failure.clone();
        let chunks = std::mem::take(&mut self.window).into_rest(from);
        let mut chunks = Some(last_held_back(chunks.inspect_err(move |error| failure.note(error)).boxed()));
        Payload::stream(length, false, move || chunks.take().ok_or_else(read_already))
    }

    fn open(&self, from: u64) -> Result<ByteStream> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.open_to_send(&self.blob, from).inspect_err(|error| self.failure.note(error))
    }
}

impl Failure {
    fn note(&self, error: &Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.retry());
    }
}

/// The part of a stream that is held in memory, and the stream behind it.
#[derive(Default)]
struct Window {
    chunks: Option<ByteStream>,
    /// Whether the stream has come to its end, and was good.
    ended: bool,
    /// Where the held pieces begin.
    at: u64,
    pieces: VecDeque<Bytes>,
    held: u64,
}

impl Window {
    fn open(at: u64, chunks: ByteStream) -> Self {
        Self { chunks: Some(chunks), ended: false, at, pieces: VecDeque::new(), held: 0 }
    }

    /// Whether the byte at `from` is held, or the next to come.
    fn reaches(&self, from: u64) -> bool {
        (self.at..=self.at + self.held).contains(&from) && (self.chunks.is_some() || self.ended)
    }

    /// The bytes from `from` to `to`, all before them forgotten. `last` reads on to the stream's end, where it is judged,
    /// so that what is wrong is never sent whole.
    async fn hold(&mut self, from: u64, to: u64, last: bool) -> Result<Vec<Bytes>> {
        self.forget(from);
        while self.held < to - from || last {
            let Some(mut chunks) = self.chunks.take() else { break };
            let Some(next) = chunks.try_next().await? else {
                self.ended = true;
                break;
            };
            self.chunks = Some(chunks);
            self.held += next.len() as u64;
            self.pieces.push_back(next);
        }
        if self.held < to - from {
            return Err(read_already());
        }
        Ok(first(&self.pieces, to - from))
    }

    fn forget(&mut self, before: u64) {
        while let Some(piece) = self.pieces.front_mut().filter(|_| self.at < before) {
            let gone = usize::try_from(before - self.at).unwrap_or(usize::MAX).min(piece.len());
            piece.advance(gone);
            self.at += gone as u64;
            self.held -= gone as u64;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    fn into_rest(mut self, from: u64) -> ByteStream {
        self.forget(from);
        let held = iter(self.pieces.into_iter().map(Ok));
        match self.chunks {
            Some(chunks) => held.chain(chunks).boxed(),
            None => held.boxed(),
        }
    }
}

/// The first `count` bytes of these pieces.
fn first(pieces: &VecDeque<Bytes>, count: u64) -> Vec<Bytes> {
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    let mut taken = Vec::new();
    for piece in pieces {
        if left == 0 {
            break;
        }
        let piece = piece.slice(..piece.len().min(left));
        left -= piece.len();
        taken.push(piece);
    }
    taken
}

/// The first `count` bytes of a stream.
fn take(chunks: ByteStream, count: u64) -> ByteStream {
    try_unfold((chunks, count), |(mut chunks, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(mut chunk) = chunks.try_next().await? else { return Ok(None) };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Ok(Some((chunk, (chunks, left))))
    })
    .boxed()
}

/// The same chunks, the last one not before the stream's end is known to be good. A body that lies about its size or
/// digest so never gets there whole, and HTTP cannot stop reading at the announced length before the lie shows.
fn last_held_back(chunks: ByteStream) -> ByteStream {
    try_unfold((Some(chunks), None), |(mut chunks, mut held): (Option<ByteStream>, Option<Bytes>)| async move {
        while let Some(open) = &mut chunks {
            match open.try_next().await? {
                Some(next) => {
                    if let Some(ready) = held.replace(next) {
                        return Ok(Some((ready, (chunks, held))));
                    }
                }
                None => chunks = None,
            }
        }
        Ok(held.take().map(|last| (last, (None, None))))
    })
    .boxed()
}

fn read_already() -> Error {
    Error::new(ErrorKind::UploadInvalid, "a body that can be read once was read already")
}
