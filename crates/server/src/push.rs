//! Handlers: push. Blobs in one request or many, mounts, manifests.
//!
//! This file decides what a request asks of an upload and what is answered; who may write to it and until when is decided
//! in `uploads.rs`, whether the bytes are right by the registry behind.

use std::sync::Arc;

use bytes::Bytes;
use gantri_core::{BlobBody, BlobUpload, Error, ErrorKind, Mount, Result};
use gantri_spec::wire::{Endpoint, UploadRange};
use gantri_spec::{Algorithm, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::body::{RequestBody, too_long};
use crate::respond::{Reply, Response, SUBJECT, TAG, UPLOAD_UUID, failure};
use crate::service::Served;
use crate::uploads::{Claim, Room, Session, Turn};

/// end-4a, end-4c.
pub(crate) async fn start_upload(
    served: &Served,
    repo: &RepositoryName,
    algorithm: Option<Algorithm>,
) -> Result<Response> {
    let room = served.uploads.admit().await?;
    let upload = served.registry.start_upload(repo, algorithm.unwrap_or(Algorithm::Sha256)).await?;
    started(served, room, repo, upload)
}

/// end-4b. A blob is put with its size, so a body of unknown length can only be an upload of its own. It stands in the
/// table like any other: if the client breaks off, it is forgotten in time (R3).
pub(crate) async fn put_blob_at_once(
    served: &Served,
    repo: &RepositoryName,
    digest: &Digest,
    body: &RequestBody,
) -> Result<Response> {
    if let Some(length) = body.length() {
        if length > served.options.blob {
            return Err(too_long("push blob", "blob", served.options.blob));
        }
        let blob = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), length);
        served.registry.put_blob(repo, &blob, BlobBody::once(body.stream())).await?;
        return created_blob(repo, digest);
    }
    let room = served.uploads.admit().await?;
    let upload = served.registry.start_upload(repo, digest.algorithm()).await?;
    let mut turn = served.uploads.open(room, repo, upload)?.turn(&*served.registry, Claim::Next).await?;
    turn.append(body, None).await?;
    served.uploads.close(turn)?.commit(digest).await?;
    created_blob(repo, digest)
}

/// end-11. A blob that can't be mounted is uploaded instead; why it can't is not told, so that nobody learns what is in a
/// repository that is closed to them (R6).
pub(crate) async fn mount_blob(
    served: &Served,
    repo: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<Response> {
    let room = served.uploads.admit().await?;
    match served.registry.mount_blob(repo, digest, from).await {
        Ok(Mount::Mounted) => return created_blob(repo, digest),
        Ok(Mount::Started(upload)) => return started(served, room, repo, upload),
        Ok(_) => {}
        Err(error) if is_no_mount(error.kind()) => tracing::debug!(%error, "no mount, so an upload"),
        Err(error) => return Err(error),
    }
    let algorithm = Some(digest.algorithm()).filter(|algorithm| *algorithm != Algorithm::Other);
    let upload = served.registry.start_upload(repo, algorithm.unwrap_or(Algorithm::Sha256)).await?;
    started(served, room, repo, upload)
}

/// end-13.
pub(crate) async fn upload_status(served: &Served, repo: &RepositoryName, id: &str) -> Result<Response> {
    let session = served.uploads.find(repo, id).await?;
    let offset = session.offset(&*served.registry).await?;
    stands(Reply::new(StatusCode::NO_CONTENT), &session, offset).empty()
}

/// end-5. Without a `Content-Range` the body is simply what comes next: docker and skopeo send a blob of a length they
/// do not know that way.
pub(crate) async fn write_upload(
    served: &Served,
    repo: &RepositoryName,
    id: &str,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Response> {
    let session = served.uploads.find(repo, id).await?;
    match append(served, &session, headers, body).await? {
        Appended::Yes(turn) => accepted(&session, turn.offset()),
        Appended::OutOfOrder(offset) => out_of_order(&session, offset),
    }
}

/// end-6. A body is the last chunk, or with a fresh upload the whole blob.
pub(crate) async fn commit_upload(
    served: &Served,
    repo: &RepositoryName,
    id: &str,
    digest: &Digest,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Response> {
    let session = served.uploads.find(repo, id).await?;
    match append(served, &session, headers, body).await? {
        Appended::Yes(turn) => served.uploads.close(turn)?.commit(digest).await?,
        Appended::OutOfOrder(offset) => return out_of_order(&session, offset),
    };
    created_blob(repo, digest)
}

/// end-14.
pub(crate) async fn cancel_upload(served: &Served, repo: &RepositoryName, id: &str) -> Result<Response> {
    let turn = served.uploads.find(repo, id).await?.turn(&*served.registry, Claim::Cancel).await?;
    served.uploads.close(turn)?.cancel().await?;
    Reply::new(StatusCode::NO_CONTENT).empty()
}

/// end-7a, end-7b.
pub(crate) async fn put_manifest(
    served: &Served,
    repo: &RepositoryName,
    at: &Selector,
    mut tags: Vec<Tag>,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Response> {
    if tags.len() > served.options.put_tags {
        return Ok(too_many_tags(at, served.options.put_tags));
    }
    let bytes = body.gather(served.options.limits.manifest, "manifest").await?;
    let manifest = named_manifest(at, media_type(headers, &bytes)?, bytes)?;
    // The type is decided here, once: a document that is two things at the same time is refused (M1).
    manifest
        .parse()
        .map_err(|source| Error::new(ErrorKind::ManifestInvalid, format!("push manifest {at}: {source}")))?;
    let asked_for = tags.clone();
    if let Selector::Tag(tag) = at {
        tags.push(tag.clone());
    }
    let put = served.registry.put_manifest(repo, &manifest, &tags).await?;
    let digest = manifest.digest();
    let mut reply = Reply::new(StatusCode::CREATED)
        .location(&Endpoint::Manifest { repo: repo.clone(), at: Selector::Digest(digest.clone()) })
        .digest(digest);
    for tag in asked_for.iter().filter(|tag| put.tags.contains(tag)) {
        reply = reply.header(TAG, tag);
    }
    if let Some(subject) = &put.subject {
        reply = reply.header(SUBJECT, subject);
    }
    reply.empty()
}

/// The target of the request was too long, if not for its letters then for its tags.
fn too_many_tags(at: &Selector, most: usize) -> Response {
    let what = format!("push manifest {at}: more than {most} tags at once");
    let mut response = failure(&Error::new(ErrorKind::Unsupported, what));
    *response.status_mut() = StatusCode::URI_TOO_LONG;
    response
}

/// By digest, the bytes must have it (R5).
fn named_manifest(at: &Selector, media_type: MediaType, bytes: Bytes) -> Result<RawManifest> {
    match at {
        Selector::Tag(_) => Ok(RawManifest::new(media_type, bytes)),
        Selector::Digest(digest) => RawManifest::expect_digest(digest, media_type, bytes)
            .map_err(|source| Error::new(ErrorKind::DigestMismatch, format!("push manifest {at}: {source}"))),
    }
}

/// The type a manifest is pushed as. A client that names none, or one that could be anything, means what the document says
/// of itself.
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> Result<MediaType> {
    #[derive(serde::Deserialize)]
    struct Typed {
        #[serde(rename = "mediaType")]
        media_type: MediaType,
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(MediaType::from);
    given
        .filter(|given| !given.is_generic())
        .or_else(|| Some(serde_json::from_slice::<Typed>(bytes).ok()?.media_type))
        .ok_or_else(|| {
            Error::new(ErrorKind::ManifestInvalid, "push manifest: neither Content-Type nor mediaType say what it is")
        })
}

enum Appended {
    Yes(Turn),
    /// It stands elsewhere, so who asked may go on from there.
    OutOfOrder(u64),
}

/// Appends a body if it belongs where the upload stands (R4).
async fn append(served: &Served, session: &Arc<Session>, headers: &HeaderMap, body: &RequestBody) -> Result<Appended> {
    let range = headers.get(header::CONTENT_RANGE).map(|range| range.to_str().ok()?.parse::<UploadRange>().ok());
    let claim = match &range {
        None => Claim::Next,
        Some(Some(range)) => Claim::At(range.start),
        Some(None) => return Ok(Appended::OutOfOrder(session.offset(&*served.registry).await?)),
    };
    let mut turn = match session.turn(&*served.registry, claim).await {
        Ok(turn) => turn,
        Err(error) if error.kind() == ErrorKind::RangeInvalid => {
            return Ok(Appended::OutOfOrder(session.acknowledged()));
        }
        Err(error) => return Err(error),
    };
    let declared = match range.flatten() {
        Some(range) if range.start != turn.offset() => return Ok(Appended::OutOfOrder(turn.offset())),
        Some(range) => Some(declared(&range, body.length())?),
        None => body.length(),
    };
    match turn.append(body, declared).await {
        Ok(()) => Ok(Appended::Yes(turn)),
        Err(error) if error.kind() == ErrorKind::RangeInvalid => Ok(Appended::OutOfOrder(turn.offset())),
        Err(error) => Err(error),
    }
}

/// How many bytes a chunk must have, by its range and its length.
fn declared(range: &UploadRange, length: Option<u64>) -> Result<u64> {
    // An empty chunk has no honest range; `0-0` is what is sent for it.
    let declared = if range.may_be_empty() && length == Some(0) { 0 } else { range.end - range.start };
    match length {
        Some(length) if length != declared => {
            let what = format!("upload: a chunk of {declared} bytes by its range, {length} by its length");
            Err(Error::new(ErrorKind::SizeMismatch, what))
        }
        _ => Ok(declared),
    }
}

fn started(served: &Served, room: Room, repo: &RepositoryName, upload: Box<dyn BlobUpload>) -> Result<Response> {
    let offset = upload.offset();
    let session = served.uploads.open(room, repo, upload)?;
    accepted(&session, offset)
}

fn accepted(session: &Session, offset: u64) -> Result<Response> {
    stands(Reply::new(StatusCode::ACCEPTED), session, offset).empty()
}

/// Says where the upload is, and how far.
fn stands(reply: Reply, session: &Session, offset: u64) -> Reply {
    reply
        .location(&session_endpoint(session))
        .header(header::RANGE, UploadRange::received(offset))
        .header(UPLOAD_UUID, session.id())
}

/// A 416 that says how to go on.
fn out_of_order(session: &Session, offset: u64) -> Result<Response> {
    let what = format!("upload to {}: out of order, it stands at {offset}", session.repository());
    let mut response = failure(&Error::new(ErrorKind::RangeInvalid, what));
    let extra = stands(Reply::new(StatusCode::RANGE_NOT_SATISFIABLE), session, offset).empty()?;
    for name in [header::LOCATION, header::RANGE, UPLOAD_UUID] {
        let value = extra.headers().get(&name).cloned();
        response.headers_mut().extend(value.map(|value: HeaderValue| (name, value)));
    }
    Ok(response)
}

fn session_endpoint(session: &Session) -> Endpoint {
    Endpoint::UploadStatus { repo: session.repository().clone(), id: session.id().to_owned() }
}

fn created_blob(repo: &RepositoryName, digest: &Digest) -> Result<Response> {
    Reply::new(StatusCode::CREATED)
        .location(&Endpoint::Blob { repo: repo.clone(), digest: digest.clone() })
        .digest(digest)
        .empty()
}

/// Whether the blob may still be uploaded where it could not be mounted.
fn is_no_mount(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BlobUnknown
            | ErrorKind::RepositoryUnknown
            | ErrorKind::Denied
            | ErrorKind::Unauthorized
            | ErrorKind::Unsupported
    )
}
