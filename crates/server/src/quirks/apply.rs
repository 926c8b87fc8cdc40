//! What each quirk does: to a request before its handler sees it, and to the answer after.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gantri_spec::wire::{Endpoint, ErrorCode, UploadRange};
use gantri_spec::{Digest, MediaType, Selector};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderName, StatusCode};
use http_body_util::BodyExt;

use super::Quirk;
use crate::body::RequestBody;
use crate::respond::{
    CONTENT_DIGEST, FILTERS_APPLIED, Reply, Response, ResponseBody, SUBJECT, TAG, UPLOAD_UUID, refusal,
};

/// The quirks that a server has, and what they must remember.
#[derive(Debug, Default)]
pub(crate) struct Quirks {
    set: Vec<Quirk>,
    throttled: AtomicU32,
    has_lost_one: AtomicBool,
    uploads: Mutex<HashMap<String, Upload>>,
}

/// What is known of an upload.
#[derive(Clone, Copy, Debug, Default)]
struct Upload {
    bytes: u64,
    is_lost: bool,
    had_short_chunk: bool,
}

impl Quirks {
    pub(crate) fn new(set: &[Quirk]) -> Self {
        Self { set: set.to_vec(), ..Self::default() }
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.set.contains(&quirk)
    }

    /// The path that is meant, if this one is where blobs are redirected to. Nobody has to say there who they are.
    pub(crate) fn storage<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.has(Quirk::BlobsRedirected) { path.strip_prefix(STORAGE) } else { None }
    }

    /// What a request becomes, or how it is refused.
    pub(crate) fn before(
        &self,
        mut asked: Endpoint,
        head: &Parts,
        body: RequestBody,
    ) -> Result<(Endpoint, RequestBody), Box<Response>> {
        let mut body = body;
        for quirk in &self.set {
            asked = self.to_request(*quirk, asked, head, &body)?;
            if let Quirk::BodyTooLarge(most) = quirk {
                body = body.capped(*most);
            }
        }
        Ok((asked, body))
    }

    /// What the answer becomes.
    pub(crate) async fn after(
        &self,
        asked: &Endpoint,
        head: &Parts,
        body: &RequestBody,
        mut response: Response,
    ) -> Response {
        self.remember(asked, body, &response);
        for quirk in &self.set {
            response = to_answer(*quirk, asked, head, body, response).await;
        }
        response
    }

    fn to_request(
        &self,
        quirk: Quirk,
        asked: Endpoint,
        head: &Parts,
        body: &RequestBody,
    ) -> Result<Endpoint, Box<Response>> {
        match (quirk, asked) {
            (Quirk::Throttled(times), _) if self.throttled.fetch_add(1, Ordering::Relaxed) < times => {
                Err(Box::new(with(refused(ErrorCode::TooManyRequests), header::RETRY_AFTER, "1")))
            }
            (Quirk::LocationState, asked) if upload_id(&asked).is_some_and(|id| !has_state(head, id)) => {
                no(ErrorCode::BlobUploadUnknown.status(), ErrorCode::BlobUploadUnknown)
            }
            (Quirk::SessionLost(bytes), asked) if upload_id(&asked).is_some_and(|id| self.is_lost(id, bytes)) => {
                no(ErrorCode::BlobUploadUnknown.status(), ErrorCode::BlobUploadUnknown)
            }
            (Quirk::ChunkMinLength(least), asked)
                if upload_id(&asked).is_some_and(|id| self.is_short(id, least, &asked, body)) =>
            {
                no(ErrorCode::RangeInvalid.status(), ErrorCode::RangeInvalid)
            }
            (Quirk::BodyTooLarge(most), _) if body.length().is_some_and(|length| length > most) => {
                no(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid)
            }
            (Quirk::ChunkOutOfRange(most), Endpoint::WriteUpload { .. })
                if body.length().is_none_or(|length| length > most) =>
            {
                no(ErrorCode::RangeInvalid.status(), ErrorCode::RangeInvalid)
            }
            (quirk, asked) => rewritten(quirk, asked),
        }
    }

    fn remember(&self, asked: &Endpoint, body: &RequestBody, response: &Response) {
        let (Endpoint::WriteUpload { id, .. }, true) = (asked, response.status() == StatusCode::ACCEPTED) else {
            return;
        };
        self.uploads().entry(id.clone()).or_default().bytes += body.length().unwrap_or_default();
    }

    fn is_lost(&self, id: &str, bytes: u64) -> bool {
        let mut uploads = self.uploads();
        let upload = uploads.entry(id.to_owned()).or_default();
        if !upload.is_lost && upload.bytes >= bytes {
            upload.is_lost = !self.has_lost_one.swap(true, Ordering::Relaxed);
        }
        upload.is_lost
    }

    /// Whether this chunk follows one that was too short to be followed by another.
    fn is_short(&self, id: &str, least: u64, asked: &Endpoint, body: &RequestBody) -> bool {
        let length = body.length().unwrap_or(u64::MAX);
        if length == 0 || !matches!(asked, Endpoint::WriteUpload { .. } | Endpoint::CommitUpload { .. }) {
            return false;
        }
        let mut uploads = self.uploads();
        let upload = uploads.entry(id.to_owned()).or_default();
        let had_one = upload.had_short_chunk;
        upload.had_short_chunk |= length < least;
        had_one
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Quirks that need to know no more than what is asked.
fn rewritten(quirk: Quirk, asked: Endpoint) -> Result<Endpoint, Box<Response>> {
    match (quirk, asked) {
        (Quirk::NoReferrersApi | Quirk::ReferrersTagIsSubject, Endpoint::Referrers { .. }) => {
            no(StatusCode::NOT_FOUND, ErrorCode::Unsupported)
        }
        (Quirk::ReferrersNotAcceptable, Endpoint::Referrers { .. }) => {
            no(StatusCode::NOT_ACCEPTABLE, ErrorCode::Unsupported)
        }
        (Quirk::ReferrersUnauthorized, Endpoint::Referrers { .. })
        | (Quirk::MountUnauthorized, Endpoint::MountBlob { .. }) => {
            no(ErrorCode::Unauthorized.status(), ErrorCode::Unauthorized)
        }
        (Quirk::ReferrersUnfiltered, Endpoint::Referrers { repo, digest, page, .. }) => {
            Ok(Endpoint::Referrers { repo, digest, artifact_type: None, page })
        }
        (Quirk::ReferrersTagIsSubject, Endpoint::Manifest { repo, at }) => {
            Ok(Endpoint::Manifest { repo, at: subject_of(at) })
        }
        (Quirk::ReferrersTagIsSubject, Endpoint::ResolveManifest { repo, at }) => {
            Ok(Endpoint::ResolveManifest { repo, at: subject_of(at) })
        }
        (Quirk::HeadNotAllowed, Endpoint::ResolveManifest { .. } | Endpoint::ResolveBlob { .. })
        | (Quirk::MountNotAllowed, Endpoint::MountBlob { .. })
        | (Quirk::DeleteNotAllowed, Endpoint::DeleteManifest { .. } | Endpoint::DeleteBlob { .. })
        | (Quirk::DeleteTagUnsupported, Endpoint::DeleteManifest { at: Selector::Tag(_), .. }) => {
            no(ErrorCode::Unsupported.status(), ErrorCode::Unsupported)
        }
        (Quirk::ReferrersBadRequest, Endpoint::Referrers { .. })
        | (Quirk::DeleteBadRequest, Endpoint::DeleteManifest { .. } | Endpoint::DeleteBlob { .. }) => {
            no(StatusCode::BAD_REQUEST, ErrorCode::Unsupported)
        }
        (Quirk::PageSizeRefused(most), Endpoint::Tags { page, .. } | Endpoint::Repositories { page })
            if page.n.is_some_and(|n| n > most) =>
        {
            no(StatusCode::BAD_REQUEST, ErrorCode::Other("PAGINATION_NUMBER_INVALID".into()))
        }
        (Quirk::MountDenied, Endpoint::MountBlob { .. }) => no(ErrorCode::Denied.status(), ErrorCode::Denied),
        (Quirk::MountNotFound, Endpoint::MountBlob { .. }) => {
            no(ErrorCode::NameUnknown.status(), ErrorCode::NameUnknown)
        }
        (Quirk::MountStartsUpload, Endpoint::MountBlob { repo, .. }) => {
            Ok(Endpoint::StartUpload { repo, algorithm: None })
        }
        (Quirk::MultiTagIgnored, Endpoint::PutManifest { repo, at, .. }) => {
            Ok(Endpoint::PutManifest { repo, at, tags: Vec::new() })
        }
        (Quirk::BlobsRedirected, Endpoint::Blob { repo, digest }) => {
            let location = format!("{STORAGE}{}", Endpoint::Blob { repo, digest }.target());
            Err(Box::new(with(empty(StatusCode::TEMPORARY_REDIRECT), header::LOCATION, &location)))
        }
        (_, asked) => Ok(asked),
    }
}

async fn to_answer(
    quirk: Quirk,
    asked: &Endpoint,
    head: &Parts,
    body: &RequestBody,
    mut response: Response,
) -> Response {
    let is_well = response.status().is_success();
    match quirk {
        Quirk::NoReferrersApi
        | Quirk::ReferrersNotAcceptable
        | Quirk::ReferrersBadRequest
        | Quirk::ReferrersUnauthorized
        | Quirk::ReferrersTagIsSubject => without(response, &SUBJECT),
        Quirk::ReferrersUnfiltered => without(response, &FILTERS_APPLIED),
        Quirk::MultiTagIgnored => without(response, &TAG),
        Quirk::NoDigestOnHead if is_head(asked) => without(response, &CONTENT_DIGEST),
        Quirk::NoDigestOnPut if asked.method() == http::Method::PUT => without(response, &CONTENT_DIGEST),
        Quirk::NoDigestByTag if is_by_tag(asked) => without(response, &CONTENT_DIGEST),
        Quirk::NoLinkHeader => without(response, &header::LINK),
        Quirk::NullTags if is_well && matches!(asked, Endpoint::Tags { .. }) => null_tags(response).await,
        Quirk::BodyTooLarge(_) if response.status() == StatusCode::PAYLOAD_TOO_LARGE => page(response.status()),
        Quirk::StaleRange | Quirk::ChunkRange if is_well && matches!(asked, Endpoint::WriteUpload { .. }) => {
            other_range(quirk, body.length().unwrap_or_default(), response)
        }
        Quirk::NoRange if matches!(asked, Endpoint::WriteUpload { .. }) => without(response, &header::RANGE),
        Quirk::ChunkCreated if is_well && matches!(asked, Endpoint::WriteUpload { .. }) => {
            at_status(response, StatusCode::CREATED)
        }
        Quirk::AbsoluteLocation | Quirk::PortlessLocation => absolute(quirk, head, response),
        Quirk::LocationState => stateful(response),
        Quirk::DeleteOk | Quirk::DeleteNoContent if is_well && is_delete(asked) => {
            at_status(response, if quirk == Quirk::DeleteOk { StatusCode::OK } else { StatusCode::NO_CONTENT })
        }
        Quirk::ChunkMinLength(least) if is_well && response.headers().contains_key(UPLOAD_UUID) => {
            response.headers_mut().insert(CHUNK_MIN_LENGTH, HeaderValue::from(least));
            response
        }
        Quirk::CommitFails if response.status() == StatusCode::CREATED && asked.method() == http::Method::PUT => {
            refused(ErrorCode::Unknown)
        }
        _ => response,
    }
}

/// The digest that a tag of the referrers tag schema stands for; any other tag is itself.
fn subject_of(at: Selector) -> Selector {
    let Selector::Tag(tag) = &at else { return at };
    let digest = tag.as_str().split_once('-').and_then(|(kind, hex)| format!("{kind}:{hex}").parse::<Digest>().ok());
    digest.map_or(at, Selector::Digest)
}

async fn null_tags(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await else { return refused(ErrorCode::Unknown) };
    let body = body.to_bytes();
    let Some(start) = body.strip_suffix(br#""tags":[]}"#.as_slice()) else {
        return Response::from_parts(head, ResponseBody::bytes(body));
    };
    let body = Bytes::from([start, br#""tags":null}"#].concat());
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(head, ResponseBody::bytes(body))
}

fn other_range(quirk: Quirk, chunk: u64, response: Response) -> Response {
    let said = response.headers().get(header::RANGE).and_then(|range| range.to_str().ok()?.parse::<UploadRange>().ok());
    let Some(said) = said else { return response };
    let told = if quirk == Quirk::ChunkRange { chunk } else { said.end.saturating_sub(chunk) };
    with(response, header::RANGE, &UploadRange::received(told).to_string())
}

fn absolute(quirk: Quirk, head: &Parts, response: Response) -> Response {
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let host = head.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| head.headers.get(header::HOST)?.to_str().ok()).unwrap_or_default();
    let host = match quirk {
        Quirk::PortlessLocation => host.rsplit_once(':').map_or(host, |(host, _)| host),
        _ => host,
    };
    match location.filter(|location| location.starts_with('/')).map(|location| format!("http://{host}{location}")) {
        Some(location) => with(response, header::LOCATION, &location),
        None => response,
    }
}

/// A state as distribution makes it: base64, so with characters that have to be kept encoded.
fn stateful(response: Response) -> Response {
    let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    match (text(header::LOCATION), text(UPLOAD_UUID)) {
        (Some(location), Some(id)) => {
            let location = format!("{location}?_state={id}%2B%3D%3D");
            with(response, header::LOCATION, &location)
        }
        _ => response,
    }
}

fn has_state(head: &Parts, id: &str) -> bool {
    let query = head.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "_state" && *value == *format!("{id}+=="))
}

fn upload_id(asked: &Endpoint) -> Option<&str> {
    match asked {
        Endpoint::UploadStatus { id, .. }
        | Endpoint::WriteUpload { id, .. }
        | Endpoint::CommitUpload { id, .. }
        | Endpoint::CancelUpload { id, .. } => Some(id),
        _ => None,
    }
}

fn is_head(asked: &Endpoint) -> bool {
    matches!(asked, Endpoint::ResolveManifest { .. } | Endpoint::ResolveBlob { .. })
}

fn is_delete(asked: &Endpoint) -> bool {
    matches!(asked, Endpoint::DeleteManifest { .. } | Endpoint::DeleteBlob { .. })
}

fn is_by_tag(asked: &Endpoint) -> bool {
    match asked {
        Endpoint::Manifest { at, .. } | Endpoint::ResolveManifest { at, .. } | Endpoint::PutManifest { at, .. } => {
            matches!(at, Selector::Tag(_))
        }
        _ => false,
    }
}

fn no<T>(status: StatusCode, code: ErrorCode) -> Result<T, Box<Response>> {
    Err(Box::new(answered(status, code)))
}

fn refused(code: ErrorCode) -> Response {
    answered(code.status(), code)
}

fn answered(status: StatusCode, code: ErrorCode) -> Response {
    refusal(status, code, "this registry has quirks")
}

fn at_status(mut response: Response, status: StatusCode) -> Response {
    *response.status_mut() = status;
    response
}

fn empty(status: StatusCode) -> Response {
    Reply::new(status).empty().unwrap_or_else(|_| refused(ErrorCode::Unknown))
}

/// What a proxy says in place of the registry.
fn page(status: StatusCode) -> Response {
    let body = Bytes::from(format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"));
    let length = body.len().to_string();
    let response = at_status(Response::new(ResponseBody::bytes(body)), status);
    let response = with(response, header::CONTENT_TYPE, MediaType::from("text/html").as_str());
    with(response, header::CONTENT_LENGTH, &length)
}

fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn without(mut response: Response, name: &HeaderName) -> Response {
    response.headers_mut().remove(name);
    response
}

/// Where blobs are to be had when they are not to be had where they are asked for.
const STORAGE: &str = "/storage";
const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
