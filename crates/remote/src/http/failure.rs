//! What a socket's complaints mean: hyper's, and whatever [`HttpClient`](super::HttpClient) is in its place.
//!
//! The one place that looks into them: every layer below wraps the next, so the cause is found by walking the chain.

use std::error::Error as StdError;
use std::io;

use gantri_core::{Error, ErrorKind, Retry};
use url::Url;

use super::connect::{ConnectTimeout, ResolveError};
use super::race::Unreachable;
use super::tls::BadCertificate;
use super::tunnel::ProxyError;
use super::{SendError, SendErrorKind};

/// Why a request got no answer.
pub(super) fn of_request(error: hyper_util::client::legacy::Error) -> SendError {
    let kind = kind(&error, error.is_connect());
    let fault = if kind == SendErrorKind::Tls { innermost(&error).and_then(BadCertificate::of) } else { None };
    match fault {
        Some(fault) => SendError::new(kind).with_source(fault),
        None => SendError::new(kind).with_source(error),
    }
}

/// Why a body broke off. It may well be whole the next time.
pub(super) fn of_body(error: hyper::Error) -> Error {
    let what = if error.is_timeout() { "body: no more bytes in time" } else { "body: broke off" };
    Error::new(ErrorKind::Unavailable, what).with_retry(Retry::Backoff).with_source(error)
}

/// The error for an answer that never came.
pub(crate) fn told(error: SendError, url: &Url) -> Error {
    let authority = authority(url);
    let (kind, retry, hint) = match error.kind() {
        SendErrorKind::Resolve | SendErrorKind::Connect | SendErrorKind::Proxy => {
            (ErrorKind::Connect, Retry::Backoff, None)
        }
        SendErrorKind::Refused => {
            (ErrorKind::Connect, Retry::Backoff, Some(format!("check that a registry listens on {authority}")))
        }
        SendErrorKind::Tls => (ErrorKind::Connect, Retry::Never, None),
        SendErrorKind::PlainHttp => {
            let hint =
                format!("if {authority} is meant to be reached without tls, allow plain http for it (--plain-http)");
            (ErrorKind::Connect, Retry::Never, Some(hint))
        }
        SendErrorKind::ProxyDenied => {
            let hint = format!("check the proxy and who asks it, or let {authority} go past it (NO_PROXY)");
            (ErrorKind::Connect, Retry::Never, Some(hint))
        }
        SendErrorKind::Forbidden => (ErrorKind::Protocol, Retry::Never, None),
        SendErrorKind::Timeout | SendErrorKind::ConnectTimeout => (ErrorKind::Timeout, Retry::Backoff, None),
        SendErrorKind::Closed | SendErrorKind::Unsent => (ErrorKind::Unavailable, Retry::Backoff, None),
        SendErrorKind::NotHttp => {
            (ErrorKind::NotARegistry, Retry::Never, Some(format!("check that {authority} is a registry, and its port")))
        }
        SendErrorKind::Request => (ErrorKind::Config, Retry::Never, None),
    };
    let mut told = at(Error::new(kind, error.to_string()), url).with_retry(retry);
    if let Some(hint) = hint {
        told = told.with_hint(hint);
    }
    match error.into_source() {
        Some(source) => told.with_source(source),
        None => told,
    }
}

/// The same error, and at which host.
pub(crate) fn at(error: Error, url: &Url) -> Error {
    error.during(format_args!("{}://{}", url.scheme(), authority(url)))
}

fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

fn kind(error: &(dyn StdError + 'static), connecting: bool) -> SendErrorKind {
    let mut kind = if connecting { SendErrorKind::Connect } else { SendErrorKind::Closed };
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(error) = error.downcast_ref::<ProxyError>() {
            // What it met with in turn is not about the registry.
            return if error.may_pass() { SendErrorKind::Proxy } else { SendErrorKind::ProxyDenied };
        }
        // The innermost that says something decides.
        kind = told_by(error).unwrap_or(kind);
        at = cause(error);
    }
    if connecting && kind == SendErrorKind::Timeout { SendErrorKind::ConnectTimeout } else { kind }
}

/// Whether a proxy stood in the way, and not the host behind it.
pub(super) fn is_of_proxy(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |error| cause(*error)).any(<dyn StdError>::is::<ProxyError>)
}

fn told_by(error: &(dyn StdError + 'static)) -> Option<SendErrorKind> {
    if let Some(error) = error.downcast_ref::<ResolveError>() {
        return Some(match error {
            ResolveError::Lookup(_) => SendErrorKind::Resolve,
            ResolveError::Forbidden(_) => SendErrorKind::Forbidden,
        });
    }
    if let Some(error) = error.downcast_ref::<Unreachable>() {
        return Some(match error {
            _ if error.is_refused() => SendErrorKind::Refused,
            _ if error.is_timeout() => SendErrorKind::Timeout,
            _ => SendErrorKind::Connect,
        });
    }
    if error.is::<ConnectTimeout>() {
        return Some(SendErrorKind::Timeout);
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return of_h2(error);
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::ConnectionRefused => Some(SendErrorKind::Refused),
        io::ErrorKind::TimedOut => Some(SendErrorKind::Timeout),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> SendErrorKind {
    match error {
        // A record that starts with `HTTP/1.1 400`: the other side does not speak TLS (A13).
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => SendErrorKind::PlainHttp,
        _ => SendErrorKind::Tls,
    }
}

/// What rustls said, wherever it is wrapped.
fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = cause(error);
    }
    None
}

fn of_hyper(error: &hyper::Error) -> Option<SendErrorKind> {
    if error.is_parse() {
        Some(SendErrorKind::NotHttp)
    } else if error.is_user() {
        Some(SendErrorKind::Request)
    } else if error.is_timeout() {
        Some(SendErrorKind::Timeout)
    } else if error.is_canceled() {
        // It never left: the connection was found to be closed first (H23).
        Some(SendErrorKind::Unsent)
    } else {
        None
    }
}

/// A stream that the other side refuses, or that a GOAWAY leaves out of those it will still answer, was not acted upon
/// (RFC 9113, 6.8 and 8.7). Of every other end of a stream nobody knows.
fn of_h2(error: &h2::Error) -> Option<SendErrorKind> {
    let turned_away = error.is_go_away() || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM));
    (error.is_remote() && turned_away).then_some(SendErrorKind::Unsent)
}

/// The next error inside. `io::Error` hides the one it wraps from `source`, and shows that one's source instead.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
