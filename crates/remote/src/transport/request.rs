//! One request as the transport carries it: what to send, what it is called in errors, and whether it may be sent again.

use std::fmt;

use bytes::Bytes;
use gantri_core::{ByteStream, ErrorKind, Result};
use gantri_spec::Host;
use gantri_spec::wire::{Endpoint, Scope};
use http::Method;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, RANGE};
use url::Url;

use super::Lane;
use super::redirect::Trail;
use crate::http::policy::Admitted;
use crate::http::{Body, Destination};

/// A request to the registry.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) method: Method,
    /// Where it goes first, and again after a failure elsewhere (H7).
    pub(super) home: Admitted,
    pub(super) trail: Trail,
    pub(super) headers: HeaderMap,
    pub(super) body: Payload,
    /// Whether the registry may be asked for its leave before a large body is sent.
    pub(super) expects: bool,
    /// What a token must allow.
    pub(super) scope: Scope,
    pub(super) replay: Replay,
    /// Whether a try of it failed that may have had its effect.
    pub(super) doubted: bool,
    /// Whether the last try of it certainly had none.
    pub(super) undone: bool,
    /// What a 404 without a code means here.
    pub(super) absent: ErrorKind,
    /// What is asked for, as errors call it: `manifest ghcr.io/a/b:v1`.
    pub(super) what: String,
}

/// Whether sending it twice does no harm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replay {
    Safe,
    Never,
}

/// What a request carries, as long as it may have to be sent again.
#[derive(Default)]
pub(crate) struct Payload(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream {
        length: u64,
        again: bool,
        open: Box<Open>,
    },
}

type Open = dyn FnMut() -> Result<ByteStream> + Send;

/// A request without its body, which may not be shared between threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) method: &'a Method,
    pub(super) what: &'a str,
    pub(super) absent: ErrorKind,
}

impl Request {
    /// A request for an endpoint of the registry at `base`, whose API stands at `root`.
    pub(crate) fn new(base: &Url, root: &str, endpoint: &Endpoint, what: impl Into<String>) -> Self {
        let mut url = base.clone();
        let target = endpoint.target();
        let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("{root}{}", path.strip_prefix("/v2").unwrap_or(path)));
        url.set_query(query);
        let home = Admitted { url, destination: Destination::Registry };
        Self::to(endpoint.method(), home, endpoint.scope(), what)
    }

    /// The same, saying for which registry this one is asked.
    pub(crate) fn standing_in_for(mut self, host: &Host) -> Self {
        let query = self.home.url.query().map(|query| format!("{query}&")).unwrap_or_default();
        self.home.url.set_query(Some(&format!("{query}ns={host}")));
        self.trail = Trail::at(&self.home);
        self
    }

    /// A request to a URL of the registry's own making that has passed the outbound policy.
    pub(crate) fn to(method: Method, home: Admitted, scope: Scope, what: impl Into<String>) -> Self {
        let mut headers = HeaderMap::new();
        // Digests are over the bytes as stored, so nobody may recode them on the way (M8).
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let replay = if method == Method::PATCH || method == Method::POST { Replay::Never } else { Replay::Safe };
        Self {
            method,
            trail: Trail::at(&home),
            home,
            headers,
            body: Payload::default(),
            expects: true,
            scope,
            replay,
            doubted: false,
            undone: false,
            absent: ErrorKind::RepositoryUnknown,
            what: what.into(),
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Asks for a part, given as the value of a `Range` header.
    pub(crate) fn range(self, range: Option<String>) -> Self {
        match range.and_then(|range| HeaderValue::try_from(range).ok()) {
            Some(range) => self.header(RANGE, range),
            None => self,
        }
    }

    /// Says what a 404 without a code means.
    pub(crate) fn absent(mut self, kind: ErrorKind) -> Self {
        self.absent = kind;
        self
    }

    /// Says whether it may be sent again after it may have arrived.
    pub(crate) fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Carries bytes.
    pub(crate) fn bytes(mut self, bytes: Bytes) -> Self {
        self.body = Payload::bytes(bytes);
        self
    }

    /// Carries this.
    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.body = payload;
        self
    }

    /// Whether it may have been done by a try whose answer was lost.
    pub(crate) fn may_have_been_done(&self) -> bool {
        self.doubted
    }

    /// Whether it failed at last without any effect, for certain.
    pub(crate) fn is_undone(&self) -> bool {
        self.undone
    }

    /// Where it is meant to go.
    pub(crate) fn url(&self) -> &Url {
        &self.home.url
    }

    /// What it is called in errors.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What a refusal of it needs to know.
    pub(super) fn about(&self) -> About<'_> {
        About { method: &self.method, what: &self.what, absent: self.absent }
    }

    /// Whether it carries nothing.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.body.0, Kind::Empty)
    }

    /// Where it is meant to go, given away.
    pub(crate) fn into_home(self) -> Admitted {
        self.home
    }

    pub(super) fn lane(&self) -> Lane {
        match self.body.0 {
            Kind::Stream { .. } => Lane::Streamed,
            Kind::Empty | Kind::Bytes(_) => Lane::Light,
        }
    }

    /// Whether the registry is asked for its leave before the body is sent: if that is streamed and as large as this.
    pub(super) fn asks_first(&self, from: u64) -> bool {
        self.expects && self.lane() == Lane::Streamed && self.body.length() >= from
    }

    /// Whether the body, if there is one, can be sent again.
    pub(super) fn body_can_be_sent_again(&self) -> bool {
        !matches!(self.body.0, Kind::Stream { again: false, .. })
    }

    /// Opens the body once more.
    pub(super) fn open(&mut self) -> Result<Body> {
        Ok(match &mut self.body.0 {
            Kind::Empty => Body::empty(),
            Kind::Bytes(bytes) => Body::bytes(bytes.clone()),
            Kind::Stream { length, open, .. } => Body::stream(open()?, Some(*length)),
        })
    }
}

impl Payload {
    /// Bytes that lie in memory.
    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }

    /// `length` bytes that are read while they are sent; `again` if they can be opened more than once.
    pub(crate) fn stream(length: u64, again: bool, open: impl FnMut() -> Result<ByteStream> + Send + 'static) -> Self {
        Self(Kind::Stream { length, again, open: Box::new(open) })
    }

    /// How many bytes it is.
    pub(crate) fn length(&self) -> u64 {
        match &self.0 {
            Kind::Empty => 0,
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::Stream { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.length())
    }
}
