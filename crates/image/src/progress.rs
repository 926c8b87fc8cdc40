//! Counts bytes where they pass and tells the observer. The only place of this crate that does.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use gantri_core::{ByteStream, Event, Observer};
use gantri_spec::Descriptor;

/// The same chunks; each is told to the observer as it passes.
pub(crate) fn counted(chunks: ByteStream, of: Descriptor, observer: Arc<dyn Observer>) -> ByteStream {
    chunks.inspect_ok(move |chunk| observer.event(&Event::Bytes { of: &of, count: chunk.len() as u64 })).boxed()
}
