//! A blob's body with a tap in it: tells the observer of the bytes that pass, and remembers whether the body was opened and
//! how it failed.
//!
//! A registry that is given a body reports the body's failures as its own; what was kept here says whose they were.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::once;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use gantri_core::{BlobBody, ByteStream, Error, Event, Observer, Retry};
use gantri_spec::Descriptor;

use crate::place::Place;
use crate::progress::counted;

#[derive(Clone, Debug)]
pub(crate) struct Tap(Arc<State>);

#[derive(Debug)]
struct State {
    blob: Descriptor,
    observer: Arc<dyn Observer>,
    opened: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Tap {
    pub(crate) fn new(blob: Descriptor, observer: Arc<dyn Observer>) -> Self {
        Self(Arc::new(State { blob, observer, opened: AtomicBool::new(false), failure: Mutex::new(None) }))
    }

    /// The blob as it is at a place, asked for when somebody begins to read, and again, where it was, to go on.
    pub(crate) fn read(&self, source: Place) -> BlobBody {
        let tap = self.clone();
        BlobBody::read(move |range| {
            let (tap, source) = (tap.clone(), source.clone());
            async move {
                tap.open();
                let reader = source.registry.blob(&source.repo, &tap.0.blob.digest, range).await;
                let reader = reader.map_err(|error| tap.note(error))?;
                Ok(reader.map_chunks(|chunks| tap.through(chunks)))
            }
            .boxed()
        })
    }

    /// The same body, to be opened as often as before.
    pub(crate) fn watch(&self, mut body: BlobBody) -> BlobBody {
        let tap = self.clone();
        if !body.replayable() {
            let chunks = async move {
                tap.open();
                Ok(tap.through(body.open(0).map_err(|error| tap.note(error))?))
            };
            return BlobBody::once(once(chunks).try_flatten().boxed());
        }
        let body = Mutex::new(body);
        BlobBody::reopen(move |offset| {
            tap.open();
            match body.lock().unwrap_or_else(PoisonError::into_inner).open(offset) {
                Ok(chunks) => tap.through(chunks),
                Err(error) => once(std::future::ready(Err(tap.note(error)))).boxed(),
            }
        })
    }

    pub(crate) fn was_opened(&self) -> bool {
        self.0.opened.load(Ordering::Acquire)
    }

    /// How the body failed when it was last read.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().take()
    }

    fn open(&self) {
        self.lock().take();
        if !self.0.opened.swap(true, Ordering::AcqRel) {
            self.0.observer.event(&Event::Started(&self.0.blob));
        }
    }

    fn through(&self, chunks: ByteStream) -> ByteStream {
        let tap = self.clone();
        let chunks = chunks.map_err(move |error| tap.note(error)).boxed();
        counted(chunks, self.0.blob.clone(), Arc::clone(&self.0.observer))
    }

    /// Keeps the error, and gives one to hand on in its place: not to be tried again, for the source had its own tries.
    fn note(&self, error: Error) -> Error {
        let handed_on = Error::new(error.kind(), error.to_string()).with_retry(Retry::Never);
        *self.lock() = Some(error);
        handed_on
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
