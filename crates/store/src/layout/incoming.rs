//! A blob on its way from the network to the disk.
//!
//! Chunks are gathered to batches of some 256 KiB; while one batch is hashed and written on a blocking thread, the next
//! is gathered, so at most two are in memory. Between batches no thread is held, so bodies that stall can never use up
//! the runtime's blocking threads. Bytes are not copied on the way.

use std::future::ready;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt, empty};
use futures_util::{FutureExt, TryStreamExt};
use gantri_core::{BlobBody, ByteStream, Result};

use super::files::Sink;
use crate::blocking::blocking;

/// Feeds what the sink lacks of a body to it and finishes it; all of it once more, if it turns out that what was there and
/// what came were not of one blob.
///
/// # Errors
/// Those of the body and of the sink.
///
/// # Cancel safety
/// At most one batch more is written, to a file that nobody sees.
pub(super) async fn receive(mut body: BlobBody, mut sink: Sink) -> Result<()> {
    loop {
        let chunks = if sink.is_full() && sink.written() > 0 { empty().boxed() } else { body.open(sink.written())? };
        let (full, last) = pour(chunks, sink).await?;
        let full = if body.has_seams() { full.joined() } else { full };
        match blocking(move || full.write(&last.chunks)?.finish()).await? {
            None => return Ok(()),
            Some(emptied) => sink = emptied,
        }
    }
}

/// Writes all batches but the last.
async fn pour(mut chunks: ByteStream, sink: Sink) -> Result<(Sink, Batch)> {
    let mut writing: BoxFuture<'static, Result<Sink>> = ready(Ok(sink)).boxed();
    loop {
        let batch = Batch::gather(&mut chunks).await;
        // Also if no more comes: what has come is there, and is nobody's, when this is over.
        let sink = writing.await?;
        let batch = batch?;
        if batch.last {
            return Ok((sink, batch));
        }
        writing = blocking(move || sink.write(&batch.chunks)).boxed();
    }
}

/// Some chunks, to be handed over together.
struct Batch {
    chunks: Vec<Bytes>,
    last: bool,
}

impl Batch {
    async fn gather(from: &mut ByteStream) -> Result<Self> {
        let mut chunks = Vec::new();
        let mut bytes = 0;
        // The count is bounded too: a chunk of one byte may hold on to a buffer of many.
        while bytes < BATCH_BYTES && chunks.len() < BATCH_CHUNKS {
            let Some(chunk) = from.try_next().await? else { return Ok(Self { chunks, last: true }) };
            bytes += chunk.len();
            chunks.push(chunk);
        }
        Ok(Self { chunks, last: false })
    }
}

const BATCH_BYTES: usize = 256 * 1024;
const BATCH_CHUNKS: usize = 64;
