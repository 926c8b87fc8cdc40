//! What callers like to have on top of the contract. Implemented for every backend at once, never overridden.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, TryStreamExt};
use gantri_spec::{ByteRange, Descriptor, Digest, RepositoryName};

use super::Pull;
use crate::blob::{BlobBody, BlobUpload};
use crate::error::{Error, ErrorKind, Result};
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

/// Sends a body into an upload that is open already, and commits it: what [`Mount::Started`](super::Mount) is for.
///
/// It goes in chunks of [`Limits::chunk`] bytes, one of which is held in memory, and goes on where the registry stands if
/// that turns out to be elsewhere and the body can be opened again. An upload that comes to nothing is cancelled.
///
/// # Errors
/// `SizeMismatch`, `DigestMismatch`: the body is not what the descriptor says; `Config` for a bound that [can't be
/// kept](Limits::check). Those of [`BlobUpload::write`] and
/// [`BlobUpload::commit`], and of the body.
///
/// # Cancel safety
/// Dropping it leaves a session that the registry forgets in time; the blob is not there.
pub async fn send_body(
    mut upload: Box<dyn BlobUpload>,
    blob: &Descriptor,
    mut body: BlobBody,
    limits: &Limits,
) -> Result<()> {
    let (mut best, mut tries) = (upload.offset(), 0);
    loop {
        match pour(&mut *upload, blob, &mut body, limits).await {
            Ok(()) => return upload.commit(&blob.digest).await.map(drop),
            Err(error)
                if error.kind() == ErrorKind::RangeInvalid && body.replayable() && tries < limits.resume_tries =>
            {
                tries = if upload.offset() > best { 0 } else { tries + 1 };
                best = best.max(upload.offset());
            }
            Err(error) => {
                // What went wrong before matters more than whether the registry forgets it now or later.
                let _ = upload.cancel().await;
                return Err(error);
            }
        }
    }
}

/// Writes what is missing.
async fn pour(upload: &mut dyn BlobUpload, blob: &Descriptor, body: &mut BlobBody, limits: &Limits) -> Result<()> {
    let offset = upload.offset();
    if offset > 0 && offset == blob.size {
        return Ok(());
    }
    limits.check()?;
    let limit = usize::try_from(limits.chunk).unwrap_or(usize::MAX);
    let mut chunks = body.open_to_send(blob, offset)?;
    let mut gathered = BytesMut::new();
    while let Some(mut chunk) = chunks.try_next().await? {
        while !chunk.is_empty() {
            let room = limit - gathered.len();
            gathered.extend_from_slice(&chunk.split_to(room.min(chunk.len())));
            if gathered.len() == limit {
                upload.write(std::mem::take(&mut gathered).freeze()).await?;
            }
        }
    }
    if gathered.is_empty() { Ok(()) } else { upload.write(gathered.freeze()).await }
}

fn inline(blob: &Descriptor) -> Option<Bytes> {
    let data = blob.data.clone()?;
    (data.len() as u64 == blob.size && blob.digest.algorithm().digest(&data)? == blob.digest).then_some(data)
}

#[cfg(test)]
mod tests {
    use gantri_spec::MediaType;

    use super::*;
    use crate::{Memory, Push};

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

    /// An upload to memory that keeps so many bytes of a chunk at the most, says so, and remembers whether it was cancelled.
    #[derive(Debug)]
    struct Short {
        inner: Box<dyn BlobUpload>,
        keeps: usize,
        told: Arc<std::sync::Mutex<Vec<&'static str>>>,
    }

    #[async_trait::async_trait]
    impl BlobUpload for Short {
        fn offset(&self) -> u64 {
            self.inner.offset()
        }

        fn session(&self) -> crate::UploadSession {
            self.inner.session()
        }

        async fn write(&mut self, chunk: Bytes) -> Result<()> {
            if chunk.len() <= self.keeps {
                return self.inner.write(chunk).await;
            }
            self.inner.write(chunk.slice(..self.keeps)).await?;
            Err(Error::new(ErrorKind::RangeInvalid, "short"))
        }

        async fn commit(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
            self.inner.commit(digest).await
        }

        async fn cancel(self: Box<Self>) -> Result<()> {
            self.told.lock().unwrap().push("cancelled");
            self.inner.cancel().await
        }
    }

    async fn sent(body: BlobBody, chunk: u64, keeps: usize) -> (Result<()>, Vec<&'static str>, bool) {
        let (registry, repo) = (Memory::new(), "a/b".parse().unwrap());
        let blob = Descriptor::of(MediaType::OCTET_STREAM, b"0123456789");
        let inner = registry.start_upload(&repo, gantri_spec::Algorithm::Sha256).await.unwrap();
        let told = Arc::default();
        let upload = Box::new(Short { inner, keeps, told: Arc::clone(&told) });
        let limits = Limits { chunk, ..Limits::default() };
        let outcome = send_body(upload, &blob, body, &limits).await;
        let told = told.lock().unwrap().clone();
        (outcome, told, registry.resolve_blob(&repo, &blob.digest).await.is_ok())
    }

    fn once(text: &'static str) -> BlobBody {
        BlobBody::once(Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))])))
    }

    #[tokio::test]
    async fn a_body_goes_into_an_open_upload_chunk_by_chunk() {
        for chunk in [1, 3, 10, 11] {
            for body in [BlobBody::bytes("0123456789"), once("0123456789")] {
                let (outcome, told, stored) = sent(body, chunk, 11).await;
                assert!(outcome.is_ok() && stored && told.is_empty(), "{chunk}: {outcome:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_goes_on_where_the_upload_stands_as_far_as_it_can_be_read_again() {
        let (outcome, told, stored) = sent(BlobBody::bytes("0123456789"), 4, 3).await;
        assert!(outcome.is_ok() && stored && told.is_empty(), "{outcome:?}");
        let (outcome, told, stored) = sent(once("0123456789"), 4, 3).await;
        assert_eq!(
            (outcome.unwrap_err().kind(), &told[..], stored),
            (ErrorKind::RangeInvalid, &["cancelled"][..], false)
        );
        // A registry that keeps nothing is not asked for ever.
        let (outcome, told, stored) = sent(BlobBody::bytes("0123456789"), 4, 0).await;
        assert_eq!(
            (outcome.unwrap_err().kind(), &told[..], stored),
            (ErrorKind::RangeInvalid, &["cancelled"][..], false)
        );
    }

    #[tokio::test]
    async fn a_body_that_is_not_what_it_says_is_cancelled() {
        for (text, kind) in [("012345678", ErrorKind::SizeMismatch), ("012345678X", ErrorKind::DigestMismatch)] {
            let (outcome, told, stored) = sent(BlobBody::bytes(text), 4, 11).await;
            assert_eq!((outcome.unwrap_err().kind(), &told[..], stored), (kind, &["cancelled"][..], false));
        }
    }
}
