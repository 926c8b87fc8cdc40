//! What a refused request is called: from a status, its headers and its body to one typed error.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Retry};
use http::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use http::{Method, StatusCode};

use super::Response;
use super::outcome::{retry_after, text};
use super::quota::RateLimit;
use super::request::About;
use super::response::is_html;
use super::said::{said, said_by_the_spec};
use super::sent::Sent;
use crate::http::url::Redacted;

/// The error for an answer that refuses what was sent with this authorization.
pub(super) async fn of_status(mut response: Response, request: About<'_>, sent: &Sent, limits: &Limits) -> Error {
    let status = response.head.status;
    // What comes with an answer to HEAD is no part of it.
    let body = if *request.method == Method::HEAD { Bytes::new() } else { response.beginning(limits.error_body).await };
    let errors = said_by_the_spec(&body, sent);
    if errors.is_none() && blames_no_registry(status) && looks_like_a_page(&response, &body) {
        response.body = Box::pin(futures_util::stream::iter([Ok(body)]));
        return response.not_a_registry(request.what).await;
    }
    let what = match &errors {
        Some(_) => request.what.to_owned(),
        None => format!("{}: {}", request.what, words(&response, &body, sent)),
    };
    let error = match (status, &errors) {
        (StatusCode::NOT_FOUND, None) => Error::new(request.absent, what).with_status(status),
        _ => Error::from_wire(status, errors, what),
    };
    with_waiting_time(with_advice(error, &response), &response.head.headers)
}

/// Why a 401 is no question: nothing was asked for. Old Harbor says so of what it does not have (H10).
#[derive(Debug)]
pub(crate) struct Unchallenged;

impl Unchallenged {
    /// Whether this is why a request was refused.
    pub(crate) fn is_behind(error: &Error) -> bool {
        std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Self>)
    }
}

impl fmt::Display for Unchallenged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the registry names no way to log in")
    }
}

impl std::error::Error for Unchallenged {}

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

/// The status in words, and what the body says beyond them.
fn words(response: &Response, body: &[u8], sent: &Sent) -> String {
    let words = response.head.status.canonical_reason().unwrap_or("refused").to_ascii_lowercase();
    match said(&response.head.headers, body, sent) {
        Some(said) if !said.eq_ignore_ascii_case(&words) => format!("{words}: {said}"),
        _ => words,
    }
}

fn with_advice(error: Error, response: &Response) -> Error {
    match response.head.status {
        StatusCode::UNAUTHORIZED => {
            let error = error.with_hint("log in, or check the credentials for this registry");
            let asked = response.head.headers.contains_key(WWW_AUTHENTICATE);
            if asked { error } else { error.with_source(Unchallenged) }
        }
        _ if response.destination == crate::http::Destination::Foreign => {
            error.during(format_args!("redirected to {}", Redacted(&response.url)))
        }
        _ => error,
    }
}

/// How long the other side wants to be left alone, until when, and what it counts (H8).
fn with_waiting_time(error: Error, headers: &HeaderMap) -> Error {
    if error.kind() != ErrorKind::RateLimited && error.kind() != ErrorKind::Unavailable {
        return error;
    }
    let now = SystemTime::now();
    let pause = retry_after(headers, now);
    let wait = pause.map(|pause| match until(now, pause) {
        Some(until) => format!("the registry asks to wait {} seconds, until {until}", pause.as_secs()),
        None => format!("the registry asks to wait {} seconds", pause.as_secs()),
    });
    let left = RateLimit::of(headers, now).map(|limit| limit.to_string());
    let hint: Vec<String> = wait.into_iter().chain(left).collect();
    let error = if hint.is_empty() { error } else { error.with_hint(hint.join("; ")) };
    match pause {
        Some(pause) => error.with_retry(Retry::After(pause)),
        None => error,
    }
}

/// The end of a pause, if that is worth a look at the clock, and near enough to be a date.
fn until(now: SystemTime, pause: Duration) -> Option<String> {
    const MINUTE: Duration = Duration::from_secs(60);
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
    (MINUTE..=TEN_YEARS).contains(&pause).then(|| httpdate::fmt_http_date(now + pause))
}
