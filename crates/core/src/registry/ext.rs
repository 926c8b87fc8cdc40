//! What callers like to have on top of the contract. Implemented for every backend at once, never overridden.

use bytes::Bytes;
use gantri_spec::{ByteRange, Descriptor, Digest, Hasher, RepositoryName};

use super::Pull;
use crate::error::{Error, Result};

/// Conveniences for whoever reads from a registry.
pub trait PullExt: Pull {
    /// A small blob whole, in memory: a config, say. An inline copy in the descriptor saves the request, if it is right
    /// (M17).
    ///
    /// # Errors
    /// `LimitExceeded` before a byte is asked for if the descriptor says more than `limit`; else as [`Pull::blob`].
    ///
    /// # Cancel safety
    /// Only reads.
    fn blob_bytes(
        &self,
        repo: &RepositoryName,
        blob: &Descriptor,
        limit: u64,
    ) -> impl Future<Output = Result<Bytes>> + Send {
        async move {
            if blob.size > limit {
                return Err(Error::limit(
                    format_args!("blob {} of {} bytes in memory", blob.digest, blob.size),
                    "bytes",
                    limit,
                ));
            }
            if let Some(data) = inline(blob) {
                return Ok(data);
            }
            let reader = self.blob(repo, &blob.digest, ByteRange::Full).await?;
            let expected = Descriptor::new(blob.media_type.clone(), blob.digest.clone(), blob.size);
            crate::BlobReader::new(expected, ByteRange::Full, reader.into_unverified()).bytes(limit).await
        }
    }
}

impl<T: Pull + ?Sized> PullExt for T {}

fn inline(blob: &Descriptor) -> Option<Bytes> {
    let data = blob.data.clone()?;
    (data.len() as u64 == blob.size && hash(&blob.digest, &data)? == blob.digest).then_some(data)
}

fn hash(like: &Digest, bytes: &[u8]) -> Option<Digest> {
    let mut hasher: Hasher = like.hasher()?;
    hasher.update(bytes);
    Some(hasher.finish())
}
