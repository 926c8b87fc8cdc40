//! What a traced call leaves behind, and how its end is told: streams that are still to be read, uploads to be written to.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use gantri_spec::{Descriptor, Digest, RepositoryName};
use tracing::{Span, debug, debug_span};

use super::trace::told;
use crate::{BlobUpload, ByteStream, ErrorKind, Result, UploadSession};

/// A stream that is read in a span and says there, once, how much it gave and how it ended.
pub(super) struct Counted<T> {
    inner: BoxStream<'static, Result<T>>,
    span: Span,
    unit: Unit<T>,
    count: u64,
    end: End,
}

enum Unit<T> {
    /// What an item weighs.
    Bytes(fn(&T) -> u64),
    Items,
}

#[derive(Clone, Copy)]
enum End {
    Left,
    Reached,
    Failed(ErrorKind),
}

impl Counted<Bytes> {
    /// Counts the bytes of a blob.
    pub(super) fn bytes(inner: ByteStream, span: Span) -> Self {
        Self { inner, span, unit: Unit::Bytes(|chunk| chunk.len() as u64), count: 0, end: End::Left }
    }
}

impl<T> Counted<T> {
    /// Counts the items of a listing.
    pub(super) fn items(inner: BoxStream<'static, Result<T>>, span: Span) -> Self {
        Self { inner, span, unit: Unit::Items, count: 0, end: End::Left }
    }
}

impl<T> Stream for Counted<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = &mut *self;
        let polled = this.span.in_scope(|| this.inner.poll_next_unpin(cx));
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => this.end = End::Reached,
            Poll::Ready(Some(Err(error))) => this.end = End::Failed(error.kind()),
            Poll::Ready(Some(Ok(item))) => {
                this.count += match this.unit {
                    Unit::Bytes(weigh) => weigh(item),
                    Unit::Items => 1,
                };
            }
        }
        polled
    }
}

/// It says so when it goes, so that a stream which is dropped half read is told of too.
impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        let _in = self.span.enter();
        let outcome = match self.end {
            End::Left => "left".to_owned(),
            End::Reached => "ok".to_owned(),
            End::Failed(kind) => format!("{kind:?}"),
        };
        match self.unit {
            Unit::Bytes(_) => debug!(bytes = self.count, %outcome, "read"),
            Unit::Items => debug!(items = self.count, %outcome, "listed"),
        }
    }
}

/// An upload that tells of each of its steps.
pub(super) struct TracedUpload {
    repo: RepositoryName,
    inner: Box<dyn BlobUpload>,
}

impl TracedUpload {
    pub(super) fn boxed(repo: &RepositoryName, inner: Box<dyn BlobUpload>) -> Box<dyn BlobUpload> {
        Box::new(Self { repo: repo.clone(), inner })
    }
}

#[async_trait]
impl BlobUpload for TracedUpload {
    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    fn session(&self) -> UploadSession {
        self.inner.session()
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let (offset, bytes) = (self.inner.offset(), chunk.len());
        let span = debug_span!("write_upload", repository = %self.repo, offset, bytes);
        told(span, self.inner.write(chunk)).await
    }

    async fn commit(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        let span = debug_span!("commit_upload", repository = %self.repo, %digest, bytes = self.inner.offset());
        told(span, self.inner.commit(digest)).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let span = debug_span!("cancel_upload", repository = %self.repo, offset = self.inner.offset());
        told(span, self.inner.cancel()).await
    }
}

impl fmt::Debug for TracedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedUpload").field("repo", &self.repo).field("inner", &self.inner).finish()
    }
}
