//! An answer, with the checks that every reader of one needs.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use gantri_core::error::display_untrusted;
use gantri_core::{ByteStream, Error, ErrorKind, Result};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::response::Parts;
use url::Url;

use super::outcome::text;
use crate::http::Destination;
use crate::http::policy::Speaker;
use crate::http::url::Redacted;

/// The head of an answer, and its body to come.
pub(crate) struct Response {
    pub(crate) head: Parts,
    pub(crate) body: ByteStream,
    /// Where it came from, redirects followed.
    pub(crate) url: Url,
    pub(super) destination: Destination,
    pub(super) outside: bool,
}

/// A bound on a body held in memory: its name in `Limits`, and its value in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound(pub(crate) &'static str, pub(crate) u64);

impl Response {
    /// A header's value, if it is there, is text, and is not empty.
    pub(crate) fn text(&self, name: &HeaderName) -> Option<&str> {
        text(&self.head.headers, name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Whoever gave it, as the one who supplies a URL.
    pub(crate) fn speaker(&self) -> Speaker<'_> {
        Speaker { url: &self.url, outside: self.outside }
    }

    /// The announced length of the body, in bytes. A hint, never a promise (M7).
    pub(crate) fn length(&self) -> Option<u64> {
        self.text(&CONTENT_LENGTH)?.parse().ok()
    }

    /// Refuses a body that was recoded on the way: its bytes are not those that the digest is over (M8).
    pub(crate) fn check_encoding(&self) -> Result<()> {
        match self.text(&CONTENT_ENCODING) {
            Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => Err(Error::new(
                ErrorKind::Protocol,
                format!("content encoding {} was not asked for", display_untrusted(encoding)),
            )
            .with_status(self.head.status)),
            _ => Ok(()),
        }
    }

    /// Whether this is a web page and no registry's answer (M9): a login page, a captive portal.
    pub(crate) fn is_web_page(&self) -> bool {
        self.destination == Destination::Registry
            && self.is_html()
            && !self.head.headers.contains_key("docker-content-digest")
            && !self.head.headers.contains_key("docker-distribution-api-version")
    }

    /// Whether the body says of itself that it is a web page.
    pub(crate) fn is_html(&self) -> bool {
        self.text(&CONTENT_TYPE).is_some_and(is_html)
    }

    /// The whole body, in memory.
    ///
    /// # Errors
    /// `LimitExceeded` once there are more bytes than the bound; whatever the body fails with.
    pub(super) async fn gather(self, bound: Bound) -> Result<Whole> {
        let Bound(name, limit) = bound;
        // Nobody allocates by what a header says: only a body that is over the bound already is refused by it (rule 2).
        if self.length().is_some_and(|length| length > limit) {
            return Err(Error::limit(format_args!("body of {} bytes", self.length().unwrap_or_default()), name, limit));
        }
        let mut body = self.body;
        let mut gathered = BytesMut::new();
        while let Some(chunk) = body.try_next().await? {
            if gathered.len() as u64 + chunk.len() as u64 > limit {
                return Err(Error::limit("body", name, limit));
            }
            gathered.extend_from_slice(&chunk);
        }
        Ok(Whole { head: self.head, url: self.url, bytes: gathered.freeze() })
    }

    /// The beginning of the body, as far as it comes: for errors, which are read as far as they can be.
    pub(super) async fn beginning(&mut self, limit: u64) -> Bytes {
        let mut gathered = BytesMut::new();
        while let Ok(Some(chunk)) = self.body.try_next().await {
            let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(gathered.len());
            gathered.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
        gathered.freeze()
    }

    /// Keeps the beginning of the body in place of the body: the answer is at its end, and holds no place at its host.
    pub(super) async fn set_aside(&mut self, limit: u64) -> Bytes {
        let body = self.beginning(limit).await;
        self.body = Box::pin(futures_util::stream::iter([Ok(body.clone())]));
        body
    }

    /// The error for something that is no registry (M9).
    pub(crate) async fn not_a_registry(mut self, what: &str) -> Error {
        let body = self.beginning(4 * SHOWN as u64).await;
        no_registry(what, &self.url, self.head.status, &body)
    }
}

/// An answer whose body has come whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) head: Parts,
    pub(crate) url: Url,
    pub(crate) bytes: Bytes,
}

impl Whole {
    /// A header's value, if it is there, is text, and is not empty.
    pub(crate) fn text(&self, name: &HeaderName) -> Option<&str> {
        text(&self.head.headers, name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The error for something that is no registry (M9).
    pub(crate) fn not_a_registry(&self, what: &str) -> Error {
        no_registry(what, &self.url, self.head.status, &self.bytes)
    }
}

/// How much is shown of what was answered instead of a registry's words.
const SHOWN: usize = 200;

fn no_registry(what: &str, url: &Url, status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = display_untrusted(&text).chars().take(SHOWN).collect();
    let what = format!("{what}: {} is not a registry: it answered \"{shown}\"", Redacted(url));
    Error::new(ErrorKind::NotARegistry, what).with_status(status)
}

pub(super) fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.head.status)
            .field("url", &Redacted(&self.url))
            .finish_non_exhaustive()
    }
}
