//! One request as the transport carries it: what to send, what it is called in errors, and whether it may be sent again.

use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt, try_unfold};
use gantri_core::{BlobBody, ByteStream, ErrorKind, Result};
use gantri_spec::Descriptor;
use gantri_spec::wire::{Endpoint, Scope};
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, RANGE};
use http::{Method, header};
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
    /// What a token must allow.
    pub(super) scope: Scope,
    pub(super) replay: Replay,
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
#[derive(Debug, Default)]
pub(super) enum Payload {
    #[default]
    Empty,
    Bytes(Bytes),
    Blob(Box<Descriptor>, BlobBody),
}

/// A request without its body, which may not be shared between threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) method: &'a Method,
    pub(super) what: &'a str,
    pub(super) absent: ErrorKind,
}

impl Request {
    /// A request for an endpoint of the registry at `base`.
    pub(crate) fn new(base: &Url, endpoint: &Endpoint, what: impl Into<String>) -> Self {
        let mut url = base.clone();
        let target = endpoint.target();
        let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        let home = Admitted { url, destination: Destination::Registry };
        Self::to(endpoint.method(), home, endpoint.scope(), what)
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
            body: Payload::Empty,
            scope,
            replay,
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
        self.body = Payload::Bytes(bytes);
        self
    }

    /// Carries a blob; if its body can be read once only, so can this request be sent once only.
    pub(crate) fn blob(mut self, descriptor: &Descriptor, body: BlobBody) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if !body.replayable() {
            self.replay = Replay::Never;
        }
        self.body = Payload::Blob(Box::new(descriptor.clone()), body);
        self
    }

    /// Sends it elsewhere from now on.
    pub(crate) fn aim(&mut self, home: Admitted) {
        self.trail = Trail::at(&home);
        self.home = home;
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

    pub(super) fn lane(&self) -> Lane {
        match self.body {
            Payload::Blob(..) => Lane::Streamed,
            _ => Lane::Light,
        }
    }

    /// Whether the body, if there is one, can be sent again.
    pub(crate) fn body_can_be_sent_again(&self) -> bool {
        match &self.body {
            Payload::Blob(_, body) => body.replayable(),
            _ => true,
        }
    }

    /// Opens the body once more.
    pub(super) fn open(&mut self) -> Result<Body> {
        Ok(match &mut self.body {
            Payload::Empty => Body::empty(),
            Payload::Bytes(bytes) => Body::bytes(bytes.clone()),
            Payload::Blob(descriptor, body) => {
                let chunks = body.open_to_send(descriptor, 0)?;
                Body::stream(last_held_back(chunks), Some(descriptor.size))
            }
        })
    }
}

/// The same chunks, the last one not before the stream's end is known to be good. A body that lies about its size or
/// digest so never gets there whole, and HTTP cannot stop reading at the announced length before the lie shows.
fn last_held_back(chunks: ByteStream) -> ByteStream {
    try_unfold((Some(chunks), None), |(mut chunks, mut held): (Option<ByteStream>, Option<Bytes>)| async move {
        while let Some(open) = &mut chunks {
            match open.try_next().await? {
                Some(next) => {
                    if let Some(ready) = held.replace(next) {
                        return Ok(Some((ready, (chunks, held))));
                    }
                }
                None => chunks = None,
            }
        }
        Ok(held.take().map(|last| (last, (None, None))))
    })
    .boxed()
}
