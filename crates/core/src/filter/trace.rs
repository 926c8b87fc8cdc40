//! `Trace`: one span a call, with what it is about, and one event when it ends, with what came of it.
//!
//! This file decides what is written down: names, digests, tags, ranges, offsets and sizes; kinds of errors. Never a body,
//! an upload session (which may hold what only its owner should know), or the text of an error.

use std::time::Instant;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};
use gantri_spec::{Algorithm, ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use tracing::field::display;
use tracing::{Instrument, Span, debug, debug_span};

use super::traced::{Counted, TracedUpload};
use crate::{
    BlobBody, BlobReader, BlobUpload, Discover, Manage, Mount, Pull, Push, PutManifest, Result, UploadSession,
};

/// A registry that tells [`tracing`] of every call, at level `DEBUG`.
///
/// The span is named like the method and has the fields `repository`, `digest`, `tag`, `at` and so on as they apply. The
/// event that ends a call has `outcome`, `ok` or the kind of the error, and `after`, the time it took. What a call leaves
/// behind is told as well, in the span of its call: of a blob's reader and of a listing the number of `bytes` or `items`
/// that were read and how it ended, `outcome=left` if it was dropped before its end; of an upload every step.
#[derive(Clone, Debug)]
pub struct Trace<R> {
    inner: R,
}

impl<R> Trace<R> {
    /// The same registry, told of.
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

/// Runs a call in its span and says how it ended.
pub(super) async fn told<T>(span: Span, call: impl Future<Output = Result<T>>) -> Result<T> {
    async {
        let begun = Instant::now();
        let outcome = call.await;
        match &outcome {
            Ok(_) => debug!(outcome = %"ok", after = ?begun.elapsed(), "done"),
            Err(error) => debug!(outcome = ?error.kind(), after = ?begun.elapsed(), "done"),
        }
        outcome
    }
    .instrument(span)
    .await
}

#[async_trait]
impl<R: Pull> Pull for Trace<R> {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        let span = debug_span!("resolve_manifest", repository = %repo, %at);
        told(span, self.inner.resolve_manifest(repo, at)).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        let span = debug_span!("manifest", repository = %repo, %at);
        told(span, self.inner.manifest(repo, at)).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        let span = debug_span!("resolve_blob", repository = %repo, %digest);
        told(span, self.inner.resolve_blob(repo, digest)).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let span = debug_span!("blob", repository = %repo, %digest, ?range);
        let reader = told(span.clone(), self.inner.blob(repo, digest, range)).await?;
        Ok(reader.map_chunks(|chunks| Counted::bytes(chunks, span).boxed()))
    }

    fn guards_content(&self) -> bool {
        self.inner.guards_content()
    }
}

#[async_trait]
impl<R: Push> Push for Trace<R> {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        let span = debug_span!("put_blob", repository = %repo, digest = %blob.digest, size = blob.size);
        told(span, self.inner.put_blob(repo, blob, body)).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        let span = debug_span!("mount_blob", repository = %repo, %digest, from = from.map(display));
        match told(span, self.inner.mount_blob(repo, digest, from)).await? {
            Mount::Started(upload) => Ok(Mount::Started(TracedUpload::boxed(repo, upload))),
            mount => Ok(mount),
        }
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        let span = debug_span!("start_upload", repository = %repo, algorithm = algorithm.as_str());
        let upload = told(span, self.inner.start_upload(repo, algorithm)).await?;
        Ok(TracedUpload::boxed(repo, upload))
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        let span = debug_span!("resume_upload", repository = %repo, offset = session.offset);
        let upload = told(span, self.inner.resume_upload(repo, session)).await?;
        Ok(TracedUpload::boxed(repo, upload))
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        let span = debug_span!("put_manifest", repository = %repo, digest = %manifest.digest(), tags = joined(tags));
        told(span, self.inner.put_manifest(repo, manifest, tags)).await
    }
}

impl<R: Discover> Discover for Trace<R> {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let span = debug_span!("repositories", after = after.map(display));
        listed(span, || self.inner.repositories(after))
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let span = debug_span!("tags", repository = %repo, after = after.map(display));
        listed(span, || self.inner.tags(repo, after))
    }

    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let artifact_type_shown = artifact_type.map(display);
        let span = debug_span!("referrers", repository = %repo, %subject, artifact_type = artifact_type_shown);
        listed(span, || self.inner.referrers(repo, subject, artifact_type))
    }
}

#[async_trait]
impl<R: Manage> Manage for Trace<R> {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        let span = debug_span!("delete_tag", repository = %repo, %tag);
        told(span, self.inner.delete_tag(repo, tag)).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let span = debug_span!("delete_manifest", repository = %repo, %digest);
        told(span, self.inner.delete_manifest(repo, digest)).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let span = debug_span!("delete_blob", repository = %repo, %digest);
        told(span, self.inner.delete_blob(repo, digest)).await
    }
}

/// A listing that is begun, read and counted in its span.
fn listed<T: Send + 'static>(
    span: Span,
    list: impl FnOnce() -> BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let listing = span.in_scope(list);
    Counted::items(listing, span).boxed()
}

fn joined(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",")
}
