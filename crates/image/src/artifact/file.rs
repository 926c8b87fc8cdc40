//! One file as one layer: hashed when it is packed, read again when it is sent.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{StreamExt, try_unfold};
use gantri_core::{BlobBody, ByteStream, Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Hasher, MediaType};
use tokio::task;

use crate::steady::Steady;
use crate::stop::{Stop, StopOnDrop};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// A file whose digest is known.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    file: Arc<Steady>,
    descriptor: Descriptor,
}

impl Packed {
    /// Reads a file for its digest.
    ///
    /// # Errors
    /// `Conflict` if it changes meanwhile; `Unsupported` if it is no file; `Io`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub(super) async fn read(path: PathBuf, media_type: MediaType) -> Result<Self> {
        let stop = Stop::default();
        let _guard = StopOnDrop(stop.clone());
        blocking(move || {
            let file = Steady::open(&path)?;
            let mut hasher = Hasher::sha256();
            let mut chunk = vec![0; CHUNK];
            let mut offset = 0;
            loop {
                let read = file.read_at(&mut chunk, offset)?;
                if read == 0 || stop.is_set() {
                    break;
                }
                hasher.update(&chunk[..read]);
                offset += read as u64;
            }
            file.check()?;
            let descriptor = Descriptor::new(media_type, hasher.finish(), file.size());
            Ok(Self { file: Arc::new(file), descriptor })
        })
        .await
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Its bytes, as often as needed, as long as it does not change.
    pub(super) fn body(&self) -> BlobBody {
        let file = Arc::clone(&self.file);
        BlobBody::reopen(move |offset| chunks(Arc::clone(&file), offset))
    }
}

fn chunks(file: Arc<Steady>, offset: u64) -> ByteStream {
    try_unfold((file, offset), |(file, offset)| async move {
        let (chunk, file) = blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let read = file.read_at(&mut chunk, offset)?;
            chunk.truncate(read);
            if chunk.is_empty() {
                file.check()?;
            }
            Ok((Bytes::from(chunk), file))
        })
        .await?;
        let next = offset + chunk.len() as u64;
        Ok((!chunk.is_empty()).then_some((chunk, (file, next))))
    })
    .boxed()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Io, format!("pack a file: {error}")))?
}
