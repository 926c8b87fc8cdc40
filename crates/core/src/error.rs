//! The one error of all registries and jobs.
//!
//! [`Error`] is opaque and one word wide; callers ask it questions. The *kind* is what to branch on: it is the same
//! whether a directory or a server said it. Codes and status are evidence. This file also holds the one function that
//! turns a registry's answer (status and codes) into a kind, and the one that turns a kind into a code.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use gantri_spec::wire::{ErrorBody, ErrorCode};
use http::StatusCode;
use serde_json::value::RawValue;

/// What this workspace's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A source that can be kept inside an [`Error`].
pub type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong, with what to branch on and what is known about it.
///
/// `Display` is one line, *what was being done to what: what happened (evidence)*, and does not repeat its
/// [`source`](StdError::source).
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    what: String,
    /// Outermost last.
    actions: Vec<String>,
    codes: Vec<ErrorCode>,
    status: Option<StatusCode>,
    retry: Option<Retry>,
    detail: Option<Box<RawValue>>,
    hint: Option<String>,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind; `what` says what happened, with the object, the bound and its value, or the offset.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            kind,
            what: what.into(),
            actions: Vec::new(),
            codes: Vec::new(),
            status: None,
            retry: None,
            detail: None,
            hint: None,
            source: None,
        }))
    }

    /// A failure of the file system or of a local process, with what was being done.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).with_source(source)
    }

    /// A bound that was hit: its name as in [`Limits`](crate::Limits) and its value.
    pub fn limit(what: impl fmt::Display, name: &str, value: impl fmt::Display) -> Self {
        Self::new(ErrorKind::LimitExceeded, format!("{what}: over the limit {name} = {value}"))
    }

    /// What a registry's refusal means: the codes of its body decide, else its status.
    pub fn from_wire(status: StatusCode, body: Option<ErrorBody>, what: impl Into<String>) -> Self {
        let errors = body.map(|body| body.errors).unwrap_or_default();
        let codes: Vec<ErrorCode> = errors.iter().map(|error| error.code.clone()).collect();
        let kind = codes.iter().find_map(kind_of_code).unwrap_or_else(|| kind_of_status(status));
        let mut what = what.into();
        if let Some(message) = errors.iter().map(|error| error.message.as_str()).find(|message| !message.is_empty()) {
            what = format!("{what}: {}", display_untrusted(message));
        }
        let mut error = Self::new(kind, what).with_status(status).with_codes(codes);
        error.0.detail = errors.into_iter().find_map(|error| error.detail);
        error
    }

    /// Says what was being done; the last caller's words stand first in the message. Words that stand first already are
    /// not said again: caller and callee may both name what they work on.
    pub fn during(mut self, action: impl fmt::Display) -> Self {
        let action = action.to_string();
        let rest = self.0.actions.last().unwrap_or(&self.0.what).strip_prefix(&action);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ' '])) {
            self.0.actions.push(action);
        }
        self
    }

    /// What was being done and what happened, without the status and the codes that prove it: for an error that says the
    /// same to somebody else.
    pub fn words(&self) -> String {
        let actions = self.0.actions.iter().rev().map(String::as_str);
        actions.chain([self.0.what.as_str()]).collect::<Vec<_>>().join(": ")
    }

    /// Keeps the cause.
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Keeps the HTTP status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Keeps the registry's codes.
    pub fn with_codes(mut self, codes: Vec<ErrorCode>) -> Self {
        self.0.codes = codes;
        self
    }

    /// Overrules the retry class that the kind implies.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = Some(retry);
        self
    }

    /// Says what the user can do about it, in one sentence without a full stop.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// What to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// All that the registry said, in its order; empty when no registry spoke.
    pub fn codes(&self) -> &[ErrorCode] {
        &self.0.codes
    }

    /// The HTTP status, if the error came over HTTP.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Whether trying again might help. Whether it is *safe* is the request's business.
    pub fn retry(&self) -> Retry {
        self.0.retry.unwrap_or_else(|| self.0.kind.retry())
    }

    /// The `detail` of the registry's first error that has one.
    pub fn detail(&self) -> Option<&RawValue> {
        self.0.detail.as_deref()
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// Whether trying again might help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth answer")]
pub enum Retry {
    /// The same request will fail the same way.
    Never,
    /// Later, after a pause of our choosing.
    Backoff,
    /// Not before this much time has passed: the other side said so.
    After(Duration),
}

/// What happened, independent of who said it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorKind {
    /// The repository is not there.
    RepositoryUnknown,
    /// The manifest, or the tag, is not there.
    ManifestUnknown,
    /// The blob is not there.
    BlobUnknown,
    /// The upload session is not there, or no longer.
    UploadUnknown,
    /// An index has no manifest for the platform that was asked for.
    PlatformUnknown,
    /// Credentials are missing, or were not accepted.
    Unauthorized,
    /// Whoever asked may not.
    Denied,
    /// The registry does not offer this.
    Unsupported,
    /// What is there stands against it: a tag that never moves, a target that is not empty.
    Conflict,
    /// The bytes do not have the digest that names them.
    DigestMismatch,
    /// There are more or fewer bytes than were announced.
    SizeMismatch,
    /// A name does not follow the grammar.
    NameInvalid,
    /// A manifest cannot be read, contradicts itself, or names what is not there.
    ManifestInvalid,
    /// An upload's steps do not fit together.
    UploadInvalid,
    /// The range lies outside the blob.
    RangeInvalid,
    /// A layer's archive is broken, or tries what no layer may.
    LayerInvalid,
    /// Too many requests; try later.
    RateLimited,
    /// The other side cannot answer now.
    Unavailable,
    /// It took longer than the bound allows.
    Timeout,
    /// No connection could be made.
    Connect,
    /// The other side broke the protocol.
    Protocol,
    /// Something answered, but it is no registry.
    NotARegistry,
    /// One of our own bounds was hit, or one that the other side keeps; the message names it.
    LimitExceeded,
    /// The file system, or a local process.
    Io,
    /// Credentials could not be looked up.
    Credentials,
    /// The configuration contradicts itself or cannot be read.
    Config,
}

impl ErrorKind {
    /// The code that a server answers with for an error of this kind.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::RepositoryUnknown => ErrorCode::NameUnknown,
            Self::ManifestUnknown | Self::PlatformUnknown => ErrorCode::ManifestUnknown,
            Self::BlobUnknown => ErrorCode::BlobUnknown,
            Self::UploadUnknown => ErrorCode::BlobUploadUnknown,
            Self::Unauthorized => ErrorCode::Unauthorized,
            Self::Denied | Self::Conflict => ErrorCode::Denied,
            Self::Unsupported => ErrorCode::Unsupported,
            Self::DigestMismatch => ErrorCode::DigestInvalid,
            Self::SizeMismatch => ErrorCode::SizeInvalid,
            Self::NameInvalid => ErrorCode::NameInvalid,
            Self::ManifestInvalid | Self::LayerInvalid => ErrorCode::ManifestInvalid,
            Self::UploadInvalid => ErrorCode::BlobUploadInvalid,
            Self::RangeInvalid => ErrorCode::RangeInvalid,
            Self::RateLimited => ErrorCode::TooManyRequests,
            Self::Unavailable | Self::Timeout | Self::Connect => ErrorCode::Unavailable,
            Self::Protocol | Self::NotARegistry | Self::LimitExceeded | Self::Io | Self::Credentials | Self::Config => {
                ErrorCode::Unknown
            }
        }
    }

    fn retry(self) -> Retry {
        match self {
            Self::RateLimited | Self::Unavailable | Self::Timeout | Self::Connect => Retry::Backoff,
            _ => Retry::Never,
        }
    }
}

/// Text from outside, fit for a terminal and a log: control, bidirectional and zero-width characters are shown as
/// `\u{..}` (M15).
pub fn display_untrusted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_deceptive(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A place as it may be shown: before an `@` there may be a user and a password (A16).
pub fn display_place(place: &str) -> String {
    match place.rsplit_once('@') {
        Some((_, behind)) => format!("..@{}", display_untrusted(behind)),
        None => display_untrusted(place),
    }
}

fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn kind_of_code(code: &ErrorCode) -> Option<ErrorKind> {
    Some(match code {
        ErrorCode::BlobUnknown => ErrorKind::BlobUnknown,
        ErrorCode::BlobUploadInvalid => ErrorKind::UploadInvalid,
        ErrorCode::BlobUploadUnknown => ErrorKind::UploadUnknown,
        ErrorCode::DigestInvalid => ErrorKind::DigestMismatch,
        ErrorCode::ManifestBlobUnknown | ErrorCode::ManifestInvalid => ErrorKind::ManifestInvalid,
        ErrorCode::ManifestUnknown => ErrorKind::ManifestUnknown,
        ErrorCode::NameInvalid | ErrorCode::TagInvalid => ErrorKind::NameInvalid,
        ErrorCode::NameUnknown => ErrorKind::RepositoryUnknown,
        ErrorCode::SizeInvalid => ErrorKind::SizeMismatch,
        ErrorCode::Unauthorized => ErrorKind::Unauthorized,
        ErrorCode::Denied => ErrorKind::Denied,
        ErrorCode::Unsupported => ErrorKind::Unsupported,
        ErrorCode::TooManyRequests => ErrorKind::RateLimited,
        ErrorCode::RangeInvalid => ErrorKind::RangeInvalid,
        ErrorCode::Unavailable => ErrorKind::Unavailable,
        _ => return None,
    })
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::NOT_FOUND => ErrorKind::RepositoryUnknown,
        StatusCode::METHOD_NOT_ALLOWED => ErrorKind::Unsupported,
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::RANGE_NOT_SATISFIABLE => ErrorKind::RangeInvalid,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())?;
        let status = self.0.status.map(|status| status.as_u16().to_string());
        let evidence: Vec<&str> =
            status.as_deref().into_iter().chain(self.0.codes.iter().map(ErrorCode::as_str)).collect();
        if !evidence.is_empty() {
            write!(f, " ({})", display_untrusted(&evidence.join(" ")))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("retry", &self.retry())
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// For `Read` and `Write`: the kind is kept where `std::io` has a word for it, and the error itself inside.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::RepositoryUnknown | ErrorKind::ManifestUnknown | ErrorKind::BlobUnknown => {
                std::io::ErrorKind::NotFound
            }
            ErrorKind::Unauthorized | ErrorKind::Denied => std::io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported => std::io::ErrorKind::Unsupported,
            ErrorKind::Timeout => std::io::ErrorKind::TimedOut,
            ErrorKind::DigestMismatch | ErrorKind::SizeMismatch | ErrorKind::LayerInvalid => {
                std::io::ErrorKind::InvalidData
            }
            _ => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_action_then_what_then_evidence() {
        let body = ErrorBody::one(ErrorCode::ManifestUnknown, "manifest unknown");
        let error = Error::from_wire(StatusCode::NOT_FOUND, Some(body), "refused")
            .during("inner")
            .during("pull ghcr.io/a/b:v1");
        assert_eq!(error.to_string(), "pull ghcr.io/a/b:v1: inner: refused: manifest unknown (404 MANIFEST_UNKNOWN)");
        assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
    }

    #[test]
    fn what_stands_first_already_is_not_said_again() {
        let cases = [
            ("manifest a: gone", "manifest a", "manifest a: gone"),
            ("manifest a (5 tries)", "manifest a", "manifest a (5 tries)"),
            ("manifest a", "manifest a", "manifest a"),
            ("manifest ab: gone", "manifest a", "manifest a: manifest ab: gone"),
            ("gone", "manifest a", "manifest a: gone"),
        ];
        for (what, action, expected) in cases {
            let error = Error::new(ErrorKind::ManifestUnknown, what).during(action);
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.during("pull").to_string(), format!("pull: {expected}"));
        }
    }

    #[test]
    fn codes_decide_before_status() {
        let cases = [
            (404, Some(ErrorCode::BlobUnknown), ErrorKind::BlobUnknown),
            (404, None, ErrorKind::RepositoryUnknown),
            (401, None, ErrorKind::Unauthorized),
            (403, Some(ErrorCode::Unauthorized), ErrorKind::Unauthorized),
            (429, None, ErrorKind::RateLimited),
            (503, Some(ErrorCode::Other("VENDOR".into())), ErrorKind::Unavailable),
            (400, None, ErrorKind::Protocol),
            (416, None, ErrorKind::RangeInvalid),
            (405, None, ErrorKind::Unsupported),
        ];
        for (status, code, kind) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let body = code.map(|code| ErrorBody::one(code, ""));
            assert_eq!(Error::from_wire(status, body, "x").kind(), kind, "{status}");
        }
    }

    /// G50: what may pass, by code first, and by status where no code says.
    #[test]
    fn what_may_pass_is_told_by_code_then_by_status() {
        let code = |code: &str| Some(ErrorCode::from(code));
        let cases = [
            (429, None, Retry::Backoff),
            (408, None, Retry::Backoff),
            (500, None, Retry::Backoff),
            (502, None, Retry::Backoff),
            (503, None, Retry::Backoff),
            (504, None, Retry::Backoff),
            (400, None, Retry::Never),
            (401, None, Retry::Never),
            (403, None, Retry::Never),
            (404, None, Retry::Never),
            (409, None, Retry::Never),
            (416, None, Retry::Never),
            (403, code("TOOMANYREQUESTS"), Retry::Backoff),
            (400, code("UNAVAILABLE"), Retry::Backoff),
            // These say nothing, so the status does.
            (500, code("UNKNOWN"), Retry::Backoff),
            (400, code("UNKNOWN"), Retry::Never),
            (503, code("VENDOR"), Retry::Backoff),
            // These say that it will not pass, whatever the status.
            (500, code("DENIED"), Retry::Never),
            (503, code("MANIFEST_UNKNOWN"), Retry::Never),
            (400, code("BLOB_UPLOAD_INVALID"), Retry::Never),
        ];
        for (status, code, expected) in cases {
            let body = code.clone().map(|code| ErrorBody::one(code, ""));
            let error = Error::from_wire(StatusCode::from_u16(status).unwrap(), body, "x");
            assert_eq!(error.retry(), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn a_kind_that_the_wire_can_carry_comes_back() {
        let kinds = [
            ErrorKind::RepositoryUnknown,
            ErrorKind::ManifestUnknown,
            ErrorKind::BlobUnknown,
            ErrorKind::UploadUnknown,
            ErrorKind::Unauthorized,
            ErrorKind::Denied,
            ErrorKind::Unsupported,
            ErrorKind::DigestMismatch,
            ErrorKind::SizeMismatch,
            ErrorKind::NameInvalid,
            ErrorKind::ManifestInvalid,
            ErrorKind::UploadInvalid,
            ErrorKind::RangeInvalid,
            ErrorKind::RateLimited,
            ErrorKind::Unavailable,
        ];
        for kind in kinds {
            let code = kind.code();
            let error = Error::from_wire(code.status(), Some(ErrorBody::one(code.clone(), "")), "x");
            assert_eq!(error.kind(), kind, "{code:?}");
        }
    }

    #[test]
    fn hostile_text_is_shown_not_obeyed() {
        assert_eq!(display_untrusted("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(display_untrusted("naïve 日本"), "naïve 日本");
    }
}
