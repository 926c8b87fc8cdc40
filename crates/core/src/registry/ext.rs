//! What callers like to have on top of the contract. Implemented for every backend at once, never overridden.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, TryStreamExt};
use gantri_spec::{ByteRange, Descriptor, Digest, RepositoryName};

use super::Pull;
use crate::blob::{BlobBody, BlobUpload};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Conveniences for whoever reads from a registry.
pub trait PullExt: Pull {
    /// A small blob whole, in memory: a config, say. An inline copy in the descriptor saves the request, if it is right
    /// (M17).
    ///
    /// # Errors
    /// `LimitExceeded` before a byte is asked for if the descriptor says more than [`Limits::config`]; else as
    /// [`Pull::blob`].
    ///
    /// # Cancel safety
    /// Only reads.
    fn blob_bytes(
        &self,
        repo: &RepositoryName,
        blob: &Descriptor,
        limits: &Limits,
    ) -> impl Future<Output = Result<Bytes>> + Send {
        let limit = limits.config;
        async move {
            if blob.size > limit {
                let what = format_args!("blob {} of {} bytes in memory", blob.digest, blob.size);
                return Err(Error::limit(what, "config", limit));
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

/// A blob of one registry as the body of a put to another: opened when the sink begins to read, and again, where it was,
/// if it has to go on.
pub fn body_of(source: Arc<dyn Pull>, repo: RepositoryName, digest: Digest) -> BlobBody {
    BlobBody::read(move |range| {
        let (source, repo, digest) = (Arc::clone(&source), repo.clone(), digest.clone());
        async move { source.blob(&repo, &digest, range).await }.boxed()
    })
}

/// Sends a body through an upload that is open already: one that a refused mount left, say.
///
/// # Errors
/// Those of the body and of [`BlobUpload`].
///
/// # Cancel safety
/// Resumable, as the upload is.
pub async fn send_body(
    mut upload: Box<dyn BlobUpload>,
    descriptor: &Descriptor,
    mut body: BlobBody,
    limits: &Limits,
) -> Result<()> {
    let most = usize::try_from(limits.chunk).unwrap_or(usize::MAX).max(1);
    let mut chunks = body.open_to_send(descriptor, upload.offset())?;
    let mut gathered = BytesMut::new();
    while let Some(chunk) = chunks.try_next().await? {
        gathered.extend_from_slice(&chunk);
        while gathered.len() >= most {
            upload.write(gathered.split_to(most).freeze()).await?;
        }
    }
    if !gathered.is_empty() {
        upload.write(gathered.freeze()).await?;
    }
    upload.commit(&descriptor.digest).await.map(drop)
}

fn inline(blob: &Descriptor) -> Option<Bytes> {
    let data = blob.data.clone()?;
    (data.len() as u64 == blob.size && blob.digest.algorithm().digest(&data)? == blob.digest).then_some(data)
}

#[cfg(test)]
mod tests {
    use gantri_spec::MediaType;

    use super::*;
    use crate::{BlobBody, ErrorKind, Memory, Push};

    async fn read(blob: &Descriptor, limit: u64) -> Result<Bytes> {
        let (registry, repo) = (Memory::new(), "a/b".parse().unwrap());
        let stored = Descriptor::of(MediaType::OCI_CONFIG, b"stored");
        registry.put_blob(&repo, &stored, BlobBody::bytes("stored")).await.unwrap();
        let limits = Limits { config: limit, ..Limits::default() };
        registry.blob_bytes(&repo, blob, &limits).await
    }

    #[tokio::test]
    async fn a_blob_too_big_for_memory_is_refused_by_the_name_of_the_limit() {
        let blob = Descriptor::of(MediaType::OCI_CONFIG, b"stored");
        assert_eq!(read(&blob, 6).await.unwrap(), "stored");
        let error = read(&blob, 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().ends_with("over the limit config = 5"), "{error}");
    }

    /// M17
    #[tokio::test]
    async fn an_inline_copy_is_used_only_if_it_is_right() {
        let absent = Descriptor::of(MediaType::OCI_CONFIG, b"absent").with_data("absent".into());
        assert_eq!(read(&absent, 9).await.unwrap(), "absent");
        for wrong in ["STORED", "store", ""] {
            let blob = Descriptor::of(MediaType::OCI_CONFIG, b"stored").with_data(wrong.into());
            assert_eq!(read(&blob, 9).await.unwrap(), "stored", "{wrong:?}");
        }
    }

    /// What the descriptor says is what is held against the bytes, not what the registry says of them.
    #[tokio::test]
    async fn a_size_that_is_a_lie_is_found_out() {
        let mut blob = Descriptor::of(MediaType::OCI_CONFIG, b"stored");
        for size in [5, 7] {
            blob.size = size;
            assert_eq!(read(&blob, 9).await.unwrap_err().kind(), ErrorKind::SizeMismatch, "{size}");
        }
    }
}
