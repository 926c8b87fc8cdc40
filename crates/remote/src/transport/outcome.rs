//! What an answer means, before anything acts on it.

use std::time::{Duration, SystemTime};

use gantri_core::Error;
use gantri_spec::wire::Challenge;
use http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use super::redirect::redirects;
use super::{Request, Response};
use crate::http::SendErrorKind;

/// What became of one try.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A status that answers the request.
    Success(Response),
    /// Go there instead.
    Redirect(String),
    /// The registry wants to know who asks.
    Challenge(Vec<Challenge>, Response),
    /// A status that refuses the request.
    Refused(Response),
    /// There was no authorization to be had for it: the registry has not acted on it.
    Unready(Error),
    /// The connection ended before the answer began (H1, H23).
    Closed(Error),
    /// The connection ended before the request was taken: the other side has not acted on it (H23).
    Unsent(Error),
    /// There was no connection.
    Unreached(Error),
    /// The host has no address (H22).
    Nowhere(Error),
    /// No answer, for a reason that the error knows.
    Failed(Error),
}

/// As much of an outcome as deciding about a retry takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    Unready(gantri_core::Retry),
    Closed,
    Unsent,
    Unreached,
    Nowhere,
    Failed(gantri_core::Retry),
    Status(StatusCode, Option<Duration>),
}

impl Outcome {
    /// What this answer means for this request.
    pub(super) fn of(response: Response, request: &Request) -> Self {
        let status = response.head.status;
        if status.is_success() {
            return Self::Success(response);
        }
        if redirects(&request.method, status)
            && let Some(to) = text(&response.head.headers, &LOCATION)
        {
            return Self::Redirect(to.to_owned());
        }
        // Only the registry itself may ask who we are: whatever it leads to is none of our credentials' business (A1, A4).
        if status == StatusCode::UNAUTHORIZED && request.trail.at_home {
            let asked = response.head.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
            return Self::Challenge(Challenge::parse_all(asked), response);
        }
        Self::Refused(response)
    }

    /// What a missing answer means.
    pub(super) fn of_failure(kind: SendErrorKind, error: Error) -> Self {
        match kind {
            SendErrorKind::Closed => Self::Closed(error),
            SendErrorKind::Unsent => Self::Unsent(error),
            SendErrorKind::Connect | SendErrorKind::Refused | SendErrorKind::ConnectTimeout | SendErrorKind::Proxy => {
                Self::Unreached(error)
            }
            SendErrorKind::Resolve => Self::Nowhere(error),
            _ => Self::Failed(error),
        }
    }

    /// What went wrong, for the retry policy.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Unready(error) => Trouble::Unready(error.retry()),
            Self::Closed(_) => Trouble::Closed,
            Self::Unsent(_) => Trouble::Unsent,
            Self::Unreached(_) => Trouble::Unreached,
            Self::Nowhere(_) => Trouble::Nowhere,
            Self::Failed(error) => Trouble::Failed(error.retry()),
            Self::Success(response) | Self::Challenge(_, response) | Self::Refused(response) => {
                Trouble::Status(response.head.status, retry_after(&response.head.headers, SystemTime::now()))
            }
            Self::Redirect(_) => Trouble::Failed(gantri_core::Retry::Never),
        }
    }
}

/// How long the other side asks to wait: seconds or a date (H8). Junk and negative numbers are no answer; a date that has
/// passed is now. Nobody's clock has to hold more than a hundred years.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
    let value = text(headers, &RETRY_AFTER)?.trim();
    let said = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds is still a number: a very long time.
        (!value.is_empty()).then(|| Duration::from_secs(value.parse().unwrap_or(u64::MAX)))?
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(said.min(LONGEST))
}

/// A header's value, if it is there and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
