//! Responses: what an error becomes on the wire, and the headers that every success owes.
//!
//! The code of an error's kind is decided in `gantri-core`, the status of a code in `gantri-spec`; here they meet. What
//! a success says beyond that is each handler's.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::TryStreamExt;
use gantri_core::{ByteStream, Error, ErrorKind, Result, Retry};
use gantri_spec::Digest;
use gantri_spec::wire::{Endpoint, EndpointError, ErrorBody, ErrorCode};
use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

/// What a handler answers with.
pub(crate) type Response = http::Response<ResponseBody>;

/// The body of a response. A blob's fails in the middle if the registry behind does; the connection breaks off then, so
/// that nobody takes a part for the whole.
pub struct ResponseBody(UnsyncBoxBody<Bytes, Error>);

impl ResponseBody {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self(Empty::new().map_err(|never| match never {}).boxed_unsync())
    }

    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self(Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
    }

    pub(crate) fn stream(chunks: ByteStream) -> Self {
        Self(StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("size", &self.size_hint()).finish()
    }
}

/// A response under way.
pub(crate) struct Reply(response::Builder);

impl Reply {
    /// A response of this status, with what every response carries.
    pub(crate) fn new(status: StatusCode) -> Self {
        let builder = http::Response::builder().status(status);
        let common = COMMON.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        Self(common)
    }

    /// Adds a header.
    pub(crate) fn header(self, name: HeaderName, value: impl Display) -> Self {
        Self(self.0.header(name, value.to_string()))
    }

    /// Says where the thing is. Relative, so that no header of the request can lead it elsewhere (R9).
    pub(crate) fn location(self, of: &Endpoint) -> Self {
        self.header(header::LOCATION, of.target())
    }

    /// Says what the thing is.
    pub(crate) fn digest(self, digest: &Digest) -> Self {
        self.header(CONTENT_DIGEST, digest)
    }

    /// Ends it without a body.
    pub(crate) fn empty(self) -> Result<Response> {
        self.body(ResponseBody::empty())
    }

    /// Ends it with these bytes.
    pub(crate) fn bytes(self, bytes: Bytes) -> Result<Response> {
        self.header(header::CONTENT_LENGTH, bytes.len()).body(ResponseBody::bytes(bytes))
    }

    /// Ends it with JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<Response> {
        let bytes = serde_json::to_vec(value)
            .map_err(|source| Error::new(ErrorKind::Protocol, "response: no JSON").with_source(source))?;
        self.header(header::CONTENT_TYPE, JSON).bytes(bytes.into())
    }

    /// Ends it with `length` bytes as they come.
    pub(crate) fn stream(self, length: u64, chunks: ByteStream) -> Result<Response> {
        self.header(header::CONTENT_LENGTH, length).body(ResponseBody::stream(chunks))
    }

    fn body(self, body: ResponseBody) -> Result<Response> {
        self.0
            .body(body)
            .map_err(|source| Error::new(ErrorKind::Protocol, "response: a header can't be sent").with_source(source))
    }
}

/// What an error becomes: the registry's own code where it gave one, else that of the kind.
pub(crate) fn failure(error: &Error) -> Response {
    let said = error.codes().iter().find(|code| !matches!(code, ErrorCode::Other(_) | ErrorCode::Unknown));
    let code = said.cloned().unwrap_or_else(|| error.kind().code());
    let status = match (error.kind(), &code) {
        (ErrorKind::LimitExceeded, ErrorCode::SizeInvalid) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => code.status(),
    };
    let mut response = if is_private(error.kind()) {
        tracing::warn!(%error, source = StdError::source(error), "request failed here");
        refusal(status, code, "the registry failed; its log says why")
    } else {
        refusal(status, code, error.to_string())
    };
    if let Retry::After(pause) = error.retry() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1)));
    }
    response
}

/// What an error of the registry behind becomes. If that does not let *us* in, it is no matter of whoever asks us, and how
/// we log in there is not told: a proxy hands on neither challenge nor token server (R12).
pub(crate) fn failure_behind(error: &Error) -> Response {
    let is_of_a_server = error.status().is_some();
    match error.kind() {
        ErrorKind::Unauthorized => {}
        ErrorKind::Denied if is_of_a_server => {}
        _ => return failure(error),
    }
    tracing::warn!(%error, source = StdError::source(error), "the registry behind does not let this one in");
    let code = ErrorCode::Denied;
    refusal(code.status(), code, "the registry behind this one does not allow it")
}

/// What a request line that is no endpoint becomes.
pub(crate) fn no_endpoint(error: &EndpointError) -> Response {
    let mut response = refusal(error.status(), error.code(), error.to_string());
    if let EndpointError::MethodNotAllowed { allow } = error {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    response
}

/// An error that is said with this status.
pub(crate) fn refusal(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Response {
    let body = ErrorBody::one(code, message).to_bytes();
    let length = HeaderValue::from(body.len());
    let mut response = http::Response::new(ResponseBody::bytes(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(COMMON.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(header::CONTENT_LENGTH, length);
    response
}

/// Whether the message speaks of this machine - paths, addresses, configuration - and so is for its log alone.
fn is_private(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Io | ErrorKind::Config | ErrorKind::Credentials | ErrorKind::Connect)
}

/// `Docker-Content-Digest`.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Upload-UUID`.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// `OCI-Subject`.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Tag`.
pub(crate) const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// `OCI-Filters-Applied`.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

const JSON: &str = "application/json";

/// Old clients look for the version; a browser must not guess that a blob is a page.
const COMMON: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("docker-distribution-api-version"), "registry/2.0"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn told(error: Error) -> (u16, Option<Error>) {
        let response = failure(&error);
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let read = ErrorBody::parse(&body).map(|body| Error::from_wire(status, Some(body), "x"));
        (status.as_u16(), read)
    }

    #[tokio::test]
    async fn a_kind_that_the_wire_can_carry_reaches_the_client_as_it_was() {
        let kinds = [
            (ErrorKind::RepositoryUnknown, 404),
            (ErrorKind::ManifestUnknown, 404),
            (ErrorKind::BlobUnknown, 404),
            (ErrorKind::UploadUnknown, 404),
            (ErrorKind::Unauthorized, 401),
            (ErrorKind::Denied, 403),
            (ErrorKind::Unsupported, 405),
            (ErrorKind::DigestMismatch, 400),
            (ErrorKind::SizeMismatch, 400),
            (ErrorKind::NameInvalid, 400),
            (ErrorKind::ManifestInvalid, 400),
            (ErrorKind::UploadInvalid, 400),
            (ErrorKind::RangeInvalid, 416),
            (ErrorKind::RateLimited, 429),
            (ErrorKind::Unavailable, 503),
        ];
        for (kind, status) in kinds {
            let (told, read) = told(Error::new(kind, "what")).await;
            assert_eq!((told, read.unwrap().kind()), (status, kind));
        }
    }

    #[tokio::test]
    async fn the_code_of_the_registry_behind_is_the_finer_word_if_it_is_one() {
        let cases = [
            (ErrorKind::ManifestInvalid, ErrorCode::ManifestBlobUnknown, ErrorCode::ManifestBlobUnknown),
            (ErrorKind::Unavailable, ErrorCode::Other("VENDOR".into()), ErrorCode::Unavailable),
            (ErrorKind::Unavailable, ErrorCode::Unknown, ErrorCode::Unavailable),
        ];
        for (kind, said, expected) in cases {
            let (_, read) = told(Error::new(kind, "what").with_codes(vec![said])).await;
            assert_eq!(read.unwrap().codes(), [expected]);
        }
    }

    #[tokio::test]
    async fn a_bound_is_413_only_if_the_request_was_too_long() {
        let bound = || Error::limit("x", "manifest", 1);
        assert_eq!(told(bound().with_codes(vec![ErrorCode::SizeInvalid])).await.0, 413);
        assert_eq!(told(bound()).await.0, 500);
    }

    #[tokio::test]
    async fn what_is_private_to_this_machine_is_not_told() {
        for kind in [ErrorKind::Io, ErrorKind::Config, ErrorKind::Credentials, ErrorKind::Connect] {
            let (status, read) = told(Error::new(kind, "open /home/me/secret")).await;
            assert!(status >= 500 && !read.unwrap().to_string().contains("secret"), "{kind:?}");
        }
    }

    /// (R12) It is not the client's login that failed; and a filter's own refusal is for the client to read.
    #[tokio::test]
    async fn how_we_log_in_behind_is_not_told() {
        let error = |kind| Error::new(kind, "token from http://realm");
        let cases = [
            (error(ErrorKind::Unauthorized).with_status(StatusCode::UNAUTHORIZED), 403, false),
            (error(ErrorKind::Unauthorized), 403, false),
            (error(ErrorKind::Denied).with_status(StatusCode::FORBIDDEN), 403, false),
            (error(ErrorKind::Denied), 403, true),
            (error(ErrorKind::Conflict), 403, true),
            (error(ErrorKind::BlobUnknown).with_status(StatusCode::NOT_FOUND), 404, true),
        ];
        for (error, status, is_told) in cases {
            let response = failure_behind(&error);
            assert_eq!(response.status().as_u16(), status, "{error:?}");
            assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(String::from_utf8_lossy(&body).contains("realm"), is_told, "{error:?}");
        }
    }

    #[test]
    fn a_pause_that_was_asked_for_is_passed_on() {
        let error = Error::new(ErrorKind::RateLimited, "x").with_retry(Retry::After(Duration::from_millis(100)));
        assert_eq!(failure(&error).headers()[header::RETRY_AFTER], "1");
        let error = Error::new(ErrorKind::RateLimited, "x").with_retry(Retry::After(Duration::from_secs(7)));
        assert_eq!(failure(&error).headers()[header::RETRY_AFTER], "7");
    }
}
