//! What a refused or failed request is called: from a status, its headers and body, or from a socket's complaint, to one
//! typed error.

use gantri_core::{Error, ErrorKind, Limits, Retry};
use gantri_spec::wire::ErrorBody;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, StatusCode};
use std::time::SystemTime;
use url::Url;

use super::outcome::{retry_after, text};
use super::response::is_html;
use super::{Request, Response};
use crate::http::url::Redacted;
use crate::http::{SendError, SendErrorKind};

/// The error for an answer that refuses.
pub(super) async fn of_status(mut response: Response, request: &Request, limits: &Limits) -> Error {
    let status = response.head.status;
    let body = response.beginning(limits.error_body).await;
    let errors = ErrorBody::parse(&body).filter(|body| !body.errors.is_empty());
    if errors.is_none() && blames_no_registry(status) && looks_like_a_page(&response, &body) {
        response.body = Box::pin(futures_util::stream::iter([Ok(body)]));
        return response.not_a_registry(request.what()).await;
    }
    let what = match &errors {
        Some(_) => request.what().to_owned(),
        None => format!("{}: {}", request.what(), plain_words(status, &request.method)),
    };
    let error = match (status, &errors) {
        (StatusCode::NOT_FOUND, None) => Error::new(request.absent, what).with_status(status),
        _ => Error::from_wire(status, errors, what),
    };
    with_waiting_time(with_advice(error, &response), &response.head.headers)
}

/// The error for an answer that never came.
pub(super) fn of_send(error: SendError, url: &Url) -> Error {
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let (kind, retry, hint) = match error.kind() {
        SendErrorKind::Resolve | SendErrorKind::Connect => (ErrorKind::Connect, Retry::Backoff, None),
        SendErrorKind::Refused => {
            (ErrorKind::Connect, Retry::Backoff, Some(format!("check that a registry listens on {authority}")))
        }
        SendErrorKind::Tls => (ErrorKind::Connect, Retry::Never, None),
        SendErrorKind::PlainHttp => {
            let hint = format!("if {authority} is meant to be reached without tls, allow plain http for it");
            (ErrorKind::Connect, Retry::Never, Some(hint))
        }
        SendErrorKind::Forbidden => (ErrorKind::Protocol, Retry::Never, None),
        SendErrorKind::Timeout => (ErrorKind::Timeout, Retry::Backoff, None),
        SendErrorKind::Closed => (ErrorKind::Unavailable, Retry::Backoff, None),
        SendErrorKind::NotHttp => {
            (ErrorKind::NotARegistry, Retry::Never, Some(format!("check that {authority} is a registry, and its port")))
        }
        SendErrorKind::Request => (ErrorKind::Config, Retry::Never, None),
    };
    let mut told = Error::new(kind, format!("{}://{authority}: {error}", url.scheme())).with_retry(retry);
    if let Some(hint) = hint {
        told = told.with_hint(hint);
    }
    match error.into_source() {
        Some(source) => told.with_source(source),
        None => told,
    }
}

/// Statuses that a proxy, a gateway or a login wall gives on behalf of a real registry say nothing about what stands
/// behind it (H9).
fn blames_no_registry(status: StatusCode) -> bool {
    !status.is_server_error() && !matches!(status.as_u16(), 401 | 403 | 407 | 408 | 413 | 429 | 499)
}

fn looks_like_a_page(response: &Response, body: &[u8]) -> bool {
    let headers = &response.head.headers;
    !headers.contains_key("docker-distribution-api-version")
        && (text(headers, &CONTENT_TYPE).is_some_and(is_html)
            || body.trim_ascii_start().to_ascii_lowercase().starts_with(b"<!doctype html"))
}

fn plain_words(status: StatusCode, method: &Method) -> String {
    let words = status.canonical_reason().unwrap_or("refused").to_ascii_lowercase();
    if *method == Method::HEAD { format!("{words}; an answer to head carries no reason") } else { words }
}

fn with_advice(error: Error, response: &Response) -> Error {
    match response.head.status {
        StatusCode::UNAUTHORIZED => error.with_hint("log in, or check the credentials for this registry"),
        _ if response.destination == crate::http::Destination::Foreign => {
            error.during(format_args!("redirected to {}", Redacted(&response.url)))
        }
        _ => error,
    }
}

/// How long the other side wants to be left alone, and what it counts (H8).
fn with_waiting_time(error: Error, headers: &HeaderMap) -> Error {
    if error.kind() != ErrorKind::RateLimited && error.kind() != ErrorKind::Unavailable {
        return error;
    }
    let counts: Vec<String> = ["ratelimit-limit", "ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-remaining"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {}", headers.get(name)?.to_str().ok()?)))
        .collect();
    let Some(pause) = retry_after(headers, SystemTime::now()) else {
        return if counts.is_empty() { error } else { error.with_hint(counts.join(", ")) };
    };
    let wait = format!("the registry asks to wait {} seconds", pause.as_secs());
    let hint = [vec![wait], counts].concat().join(", ");
    error.with_retry(Retry::After(pause)).with_hint(hint)
}
