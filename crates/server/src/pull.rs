//! Handlers: pull. Manifests whole, blobs whole or in part, each with its digest and length.
//!
//! Which bytes a `Range` header means is decided in `gantri-spec`; this file decides what is said about them.

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::wire::{ContentRange, RequestedRange, UnsatisfiedRange};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, RepositoryName, Selector};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::respond::{Reply, Response, failure};
use crate::service::Served;

/// `GET /v2/`.
pub(crate) fn ping() -> Result<Response> {
    Reply::new(StatusCode::OK).json(&serde_json::Map::new())
}

/// end-3, HEAD.
pub(crate) async fn resolve_manifest(served: &Served, repo: &RepositoryName, at: &Selector) -> Result<Response> {
    let descriptor = served.registry.resolve_manifest(repo, at).await?;
    described(&descriptor).header(header::CONTENT_LENGTH, descriptor.size).empty()
}

/// end-3, GET.
pub(crate) async fn manifest(served: &Served, repo: &RepositoryName, at: &Selector) -> Result<Response> {
    let manifest = served.registry.manifest(repo, at).await?;
    described(manifest.descriptor()).bytes(manifest.bytes().clone())
}

/// end-2, HEAD. A `Range` has no meaning here (RFC 9110, section 14.2), so the length is that of the whole (R7).
pub(crate) async fn resolve_blob(served: &Served, repo: &RepositoryName, digest: &Digest) -> Result<Response> {
    let descriptor = served.registry.resolve_blob(repo, digest).await?;
    blob_reply(StatusCode::OK, digest).header(header::CONTENT_LENGTH, descriptor.size).empty()
}

/// end-2, GET.
pub(crate) async fn blob(
    served: &Served,
    repo: &RepositoryName,
    digest: &Digest,
    headers: &HeaderMap,
) -> Result<Response> {
    match requested(headers) {
        RequestedRange::Whole => whole_blob(served, repo, digest).await,
        range => part_of_blob(served, repo, digest, range).await,
    }
}

async fn whole_blob(served: &Served, repo: &RepositoryName, digest: &Digest) -> Result<Response> {
    let reader = served.registry.blob(repo, digest, ByteRange::Full).await?;
    blob_reply(StatusCode::OK, digest).stream(reader.descriptor().size, reader.into_stream())
}

/// The size comes first: a suffix can't be placed without it, and a 416 has to tell it (R7).
async fn part_of_blob(
    served: &Served,
    repo: &RepositoryName,
    digest: &Digest,
    range: RequestedRange,
) -> Result<Response> {
    let total = served.registry.resolve_blob(repo, digest).await?.size;
    let span = match range.resolve(total) {
        Ok(Some(span)) => span,
        Ok(None) => return whole_blob(served, repo, digest).await,
        Err(unsatisfied) => return Ok(not_satisfiable(digest, unsatisfied)),
    };
    let reader = served.registry.blob(repo, digest, ByteRange::from(span.clone())).await?;
    let range = ContentRange { start: span.start, end: span.end, total: Some(total) };
    blob_reply(StatusCode::PARTIAL_CONTENT, digest)
        .header(header::CONTENT_RANGE, range)
        .stream(span.end - span.start, reader.into_stream())
}

fn not_satisfiable(digest: &Digest, unsatisfied: UnsatisfiedRange) -> Response {
    let what = format!("pull blob {digest}: no such range, the blob is {unsatisfied}");
    let mut response = failure(&Error::new(ErrorKind::RangeInvalid, what));
    let value = HeaderValue::try_from(unsatisfied.to_string());
    response.headers_mut().extend(value.ok().map(|value| (header::CONTENT_RANGE, value)));
    response
}

/// No header, or several of them, ask for the whole.
fn requested(headers: &HeaderMap) -> RequestedRange {
    let mut values = headers.get_all(header::RANGE).iter();
    match (values.next(), values.next()) {
        (Some(range), None) => range.to_str().map_or(RequestedRange::Invalid, RequestedRange::parse),
        _ => RequestedRange::Whole,
    }
}

fn described(manifest: &Descriptor) -> Reply {
    Reply::new(StatusCode::OK).header(header::CONTENT_TYPE, manifest.media_type.as_str()).digest(&manifest.digest)
}

/// A blob is bytes: what it is, only a manifest can say.
fn blob_reply(status: StatusCode, digest: &Digest) -> Reply {
    Reply::new(status)
        .header(header::CONTENT_TYPE, MediaType::OCTET_STREAM.as_str())
        .header(header::ACCEPT_RANGES, "bytes")
        .digest(digest)
}
