//! Who asks, and what they may do: [`Access`], asked before anything is looked up (R6).
//!
//! This file decides what a request needs and what a refusal looks like on the wire; who may have it is for each
//! implementation: nobody is asked for anything ([`Open`]), a name and a password with each request ([`Basic`]), or a token
//! from an endpoint of the server's own ([`Tokens`]).

mod basic;
mod endpoint;
mod key;
mod permissions;
mod tokens;
mod users;

use std::fmt;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gantri_core::{Error, ErrorKind};
use gantri_spec::wire::{Challenge, Endpoint, Scope};
use http::{HeaderMap, HeaderValue, header};
use zeroize::Zeroizing;

pub use self::basic::Basic;
pub(crate) use self::endpoint::{token, token_dance};
pub use self::permissions::{Action, Over, Permissions, Who};
pub(crate) use self::tokens::TOKEN_PATH;
pub use self::tokens::Tokens;
pub use self::users::Users;

use crate::respond::{Response, failure};

/// Decides who may do what.
///
/// It is asked once for each request, with what the request needs, before the registry behind hears of it: so what is
/// forbidden and what is not there are answered alike (R6).
#[async_trait]
pub trait Access: fmt::Debug + Send + Sync + 'static {
    /// Whether who asks may do all that is wanted.
    ///
    /// # Cancel safety
    /// Only reads.
    async fn decide(&self, asked: Asked<'_>) -> Decision;

    /// A token for as much of what is wanted as who asks may have; `None` where there are no tokens to be had.
    ///
    /// # Cancel safety
    /// A token that is not handed out is worth nothing to anybody.
    async fn token(&self, _asked: Asked<'_>) -> Option<Issued> {
        None
    }
}

/// A question to an [`Access`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for. Empty for a version check, which clients use to find out whether they must say who they are.
    pub wanted: &'a Scope,
    /// Where clients reach the server, without a slash at the end: `https://registry.example`.
    pub url: &'a str,
}

/// The answer to it.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth answer")]
pub enum Decision {
    /// Go on.
    Allowed,
    /// Say who you are, or say it in another way. 401.
    Challenged(Challenge),
    /// It is known who asks, and it is not for them. 403.
    Denied,
}

/// The answer to a request for a token.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Issued {
    /// A token, good for this many seconds from now.
    Token {
        /// The token.
        token: Secret,
        /// Seconds.
        expires_in: u64,
    },
    /// Name or password are wrong. 401.
    Challenged(Challenge),
}

/// Who a request says that it comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Caller {
    /// It does not say.
    Anonymous,
    /// A user with a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Whoever this token was given to.
    Bearer(Secret),
    /// What it says can't be understood.
    Unreadable,
}

impl Caller {
    /// Reads an `Authorization` header.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Anonymous,
            (Some(value), None) => value.to_str().ok().and_then(Self::parse).unwrap_or(Self::Unreadable),
            // Two of them could be read in two ways.
            _ => Self::Unreadable,
        }
    }

    fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(rest.into()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = Zeroizing::new(BASE64_STANDARD.decode(rest).ok()?);
        let (user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some(Self::Basic { user: user.to_owned(), password: password.into() })
    }
}

/// Text that can't be printed, and that is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Everything to everybody.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Open;

#[async_trait]
impl Access for Open {
    async fn decide(&self, _asked: Asked<'_>) -> Decision {
        Decision::Allowed
    }
}

/// What a request may do: what it asked for, or less where that tells nobody anything, or nothing.
pub(crate) async fn admit(
    access: &dyn Access,
    url: &str,
    headers: &HeaderMap,
    endpoint: Endpoint,
) -> Result<Endpoint, Response> {
    let caller = Caller::of(headers);
    let (needed, whole) = (needed(&endpoint), endpoint.scope());
    match access.decide(Asked { caller: &caller, wanted: &needed, url }).await {
        Decision::Allowed => {}
        Decision::Denied => return Err(denied(&endpoint)),
        Decision::Challenged(challenge) => {
            // One token for all that the request could use, not for the least that it needs.
            let challenge = if challenge.scope().is_some() { challenge.for_scope(&whole) } else { challenge };
            return Err(challenged(&endpoint, &challenge));
        }
    }
    let Endpoint::MountBlob { repo, digest, from } = endpoint else { return Ok(endpoint) };
    // A source that the caller may not read is treated as one that does not have the blob, and is not looked into (R6).
    // Unnamed, it may be any: that is for those who may read them all.
    let source = from.as_ref().map_or_else(Scope::pull_all, Scope::pull);
    if let Decision::Allowed = access.decide(Asked { caller: &caller, wanted: &source, url }).await {
        return Ok(Endpoint::MountBlob { repo, digest, from });
    }
    Ok(Endpoint::StartUpload { repo, algorithm: Some(digest.algorithm()).filter(|known| known.hasher().is_some()) })
}

/// What a request can't do without. A mount can do without its source: it becomes an upload then.
fn needed(endpoint: &Endpoint) -> Scope {
    match endpoint {
        Endpoint::MountBlob { repo, .. } => Scope::push(repo),
        other => other.scope(),
    }
}

fn challenged(endpoint: &Endpoint, challenge: &Challenge) -> Response {
    refusal(ErrorKind::Unauthorized, &what(endpoint, "credentials are missing, or were not accepted"), Some(challenge))
}

fn denied(endpoint: &Endpoint) -> Response {
    refusal(ErrorKind::Denied, &what(endpoint, "not for you"), None)
}

/// A refusal, with the challenge that it owes.
pub(crate) fn refusal(kind: ErrorKind, what: &str, challenge: Option<&Challenge>) -> Response {
    let mut response = failure(&Error::new(kind, what));
    let value = challenge.and_then(|challenge| HeaderValue::try_from(challenge.to_string()).ok());
    response.headers_mut().extend(value.map(|value| (header::WWW_AUTHENTICATE, value)));
    response
}

/// The repository is what the request named: whether it is there is not told.
fn what(endpoint: &Endpoint, why: &str) -> String {
    match endpoint.repository() {
        Some(repo) => format!("{repo}: {why}"),
        None => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        match Caller::of(&headers) {
            Caller::Basic { user, password } => format!("{user} with {}", password.reveal()),
            Caller::Bearer(token) => format!("bearer of {}", token.reveal()),
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::Unreadable => "unreadable".to_owned(),
        }
    }

    #[test]
    fn who_asks_is_read_from_one_header_or_not_at_all() {
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        let table: [(&[&str], &str); 11] = [
            (&[], "anonymous"),
            (&[&basic("ann:pass")], "ann with pass"),
            (&[&basic("ann:pa:ss")], "ann with pa:ss"),
            (&[&basic(":")], " with "),
            (&[&basic("ann")], "unreadable"),
            (&["basic YTpi"], "a with b"),
            (&["Basic %%%"], "unreadable"),
            (&["Bearer abc"], "bearer of abc"),
            (&["Bearer"], "unreadable"),
            (&["Digest x"], "unreadable"),
            (&["Bearer abc", "Bearer abc"], "unreadable"),
        ];
        for (values, expected) in table {
            assert_eq!(caller(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let caller = Caller::Basic { user: "ann".into(), password: "canary".into() };
        let shown = format!("{caller:?} {:?}", Caller::Bearer("canary".into()));
        assert!(shown.contains("ann") && !shown.contains("canary"), "{shown}");
    }
}
