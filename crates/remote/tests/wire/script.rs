//! A scripted [`HttpClient`]: a function from request to reply, and a record of what was asked.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt, iter, pending};
use gantri_core::{ByteStream, Error, ErrorKind, Limits, Retry};
use gantri_remote::{Body, Credential, Destination, HttpClient, Remote, RemoteBuilder, SendError, SendErrorKind};
use gantri_spec::{Digest, RepositoryName, Selector};
use http::{HeaderMap, Method, StatusCode};

/// A request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) destination: Destination,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// Its method alone.
    pub(crate) fn name(&self) -> &str {
        self.method.as_str()
    }

    /// `GET https://host/path`, and ` +auth` if it was authorized.
    pub(crate) fn line(&self) -> String {
        let mark = if self.authorization().is_some() { " +auth" } else { "" };
        format!("{} {}{mark}", self.method, self.url)
    }
}

/// What comes back.
pub(crate) enum Reply {
    Answer(http::Response<ByteStream>),
    Fault(SendErrorKind),
    Hang,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        let mut answer = http::Response::new(iter([]).boxed());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        Self::Answer(answer)
    }

    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        if let Self::Answer(answer) = &mut self {
            answer.headers_mut().append(name, value.to_string().parse().unwrap());
        }
        self
    }

    /// A body with its length.
    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.header("content-length", body.len()).chunks([Ok(body)])
    }

    /// A body without its length.
    pub(crate) fn chunks(self, chunks: impl IntoIterator<Item = gantri_core::Result<Bytes>>) -> Self {
        let chunks: Vec<_> = chunks.into_iter().collect();
        self.stream(iter(chunks).boxed())
    }

    pub(crate) fn stream(self, body: ByteStream) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(answer.map(|_| body)),
            other => other,
        }
    }

    /// A body with its length, that breaks off after so many bytes.
    pub(crate) fn cut(self, body: &Bytes, at: usize) -> Self {
        self.header("content-length", body.len()).chunks([Ok(body.slice(..at)), Err(broken())])
    }

    /// A body with its length, that stands still after so many bytes.
    pub(crate) fn stall(self, body: &Bytes, at: usize) -> Self {
        let start = iter([Ok(body.slice(..at))]);
        self.header("content-length", body.len()).stream(start.chain(pending()).boxed())
    }
}

pub(crate) fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, "broke off").with_retry(Retry::Backoff)
}

type Answerer = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// Answers by a function of the request and of how many came before it.
pub(crate) struct Script {
    answer: Box<Answerer>,
    seen: Mutex<Vec<Seen>>,
}

impl Script {
    pub(crate) fn new(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), seen: Mutex::default() })
    }

    /// The answer to a request that came to another script, which passes it on.
    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        let before = self.count();
        let reply = (self.answer)(seen, before);
        self.seen.lock().unwrap().push(seen.clone());
        reply
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// The methods, in order: `HEAD POST PUT`.
    pub(crate) fn methods(&self) -> String {
        self.seen().iter().map(Seen::name).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

#[async_trait]
impl HttpClient for Script {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError> {
        let (head, body) = request.into_parts();
        let body: Vec<Bytes> = body
            .into_stream()
            .try_collect()
            .await
            .map_err(|error| SendError::new(SendErrorKind::Request).with_source(error))?;
        let seen = Seen {
            method: head.method,
            url: head.uri.to_string(),
            headers: head.headers,
            destination: head.extensions.get().copied().unwrap(),
            body: body.concat().into(),
        };
        let reply = self.answer(&seen);
        // What is really sent gives way to others.
        tokio::task::yield_now().await;
        match reply {
            Reply::Answer(answer) => Ok(answer),
            Reply::Fault(kind) => Err(SendError::new(kind)),
            Reply::Hang => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

pub(crate) const HOST: &str = "registry.test";

pub(crate) fn builder(script: &Arc<Script>) -> RemoteBuilder {
    builder_for(HOST, script)
}

pub(crate) fn builder_for(host: &str, script: &Arc<Script>) -> RemoteBuilder {
    Remote::builder(host.parse().unwrap()).http_client(Arc::clone(script) as Arc<dyn HttpClient>)
}

pub(crate) fn remote(script: &Arc<Script>) -> Remote {
    builder(script).build().unwrap()
}

pub(crate) fn named(script: &Arc<Script>) -> Remote {
    builder(script).credentials(Arc::new(Credential::basic("me", "canary"))).build().unwrap()
}

pub(crate) fn repo() -> RepositoryName {
    "a/b".parse().unwrap()
}

pub(crate) fn tag(tag: &str) -> Selector {
    Selector::Tag(tag.parse().unwrap())
}

pub(crate) fn at(digest: &Digest) -> Selector {
    digest.clone().into()
}

/// Limits with few tries, for tests that count.
pub(crate) fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}
