//! The one seam to a socket.
//!
//! [`HttpClient`] sends one request and gives back one answer; it follows no redirect, repeats nothing and knows no
//! secret but the headers it is handed. The hyper one is built in; a scripted one serves the tests; a caller's own one can
//! bring a proxy or other TLS. Where a request may go at all is decided in [`policy`], what its answer means in
//! `transport`.

mod body;
mod connect;
mod dial;
pub(crate) mod failure;
mod gate;
mod hyper;
mod own_headers;
pub(crate) mod policy;
mod proxy;
mod race;
mod tls;
mod tunnel;
pub(crate) mod url;

use std::fmt::{self, Debug};

use async_trait::async_trait;
use gantri_core::ByteStream;

pub use self::body::Body;
pub(crate) use self::connect::{Peer, Pin};
pub use self::dial::{Connection, Dial, Resolve};
pub(crate) use self::hyper::{HyperClient, Route};
pub(crate) use self::own_headers::{LedBack, OwnHeaders, checked};
pub use self::proxy::{Proxies, Proxy};
pub use self::tls::{Pem, Tls};

/// Sends requests.
///
/// The request's URI is absolute. Its extensions hold a [`Destination`]: for [`Destination::Foreign`] an implementation
/// must refuse to connect to link-local, metadata and other addresses that a registry has no business naming (A7), and more
/// for [`Destination::Outside`] and [`Destination::Beside`]; the built-in one does. A header `Expect: 100-continue` asks it to hold the body back until the other side's leave has come, or
/// for a moment; one that can't may send on. Timeouts for the head of the answer and for its body are kept by the caller; connecting is bounded
/// here.
#[async_trait]
pub trait HttpClient: Debug + Send + Sync + 'static {
    /// Sends one request and waits for the head of the answer; the body comes as a stream.
    ///
    /// # Errors
    /// [`SendError`], by what can be done about it. An answer of any status is not an error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request; the other side may or may not have seen it.
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError>;
}

/// Who named the place that a request goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed by who may name a place")]
pub enum Destination {
    /// The registry that the user named.
    Registry,
    /// A token server elsewhere that the user named.
    Trusted,
    /// Another origin, which the registry named: a redirect's target, a token server.
    Foreign,
    /// Another origin, which somebody on the public internet named, although the registry does not stand there.
    Outside,
    /// A token server that is to get a secret in the clear, by the user's word for this registry: it stands where the
    /// registry does, and not on the public internet.
    Beside,
}

/// Why no answer came.
#[derive(Debug)]
pub struct SendError {
    kind: SendErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What can be done about a [`SendError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The host has no address.
    Resolve,
    /// Nothing listens there.
    Refused,
    /// No connection for another reason.
    Connect,
    /// The other side's certificate or TLS does not do.
    Tls,
    /// TLS was spoken to a server that does not speak it, most likely plain HTTP.
    PlainHttp,
    /// The address is one that the registry may not name (A7).
    Forbidden,
    /// No answer in time.
    Timeout,
    /// No connection in time: nothing was sent.
    ConnectTimeout,
    /// The connection ended before the answer began.
    Closed,
    /// The connection ended, or turned the request away, before it was taken: whatever the request is, it was not acted
    /// upon, and may be sent again.
    Unsent,
    /// The answer is not HTTP.
    NotHttp,
    /// A proxy on the way could not be reached, broke off, or can't reach the host, before anything was sent; it may be
    /// otherwise the next time.
    Proxy,
    /// A proxy on the way does not let this through.
    ProxyDenied,
    /// Something about the request itself, or about this client.
    Request,
}

impl SendError {
    /// An error without a cause to show.
    pub fn new(kind: SendErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Keeps the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What can be done about it.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// The cause, given away.
    pub(crate) fn into_source(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        self.source
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SendErrorKind::Resolve => "host has no address",
            SendErrorKind::Refused => "connection refused",
            SendErrorKind::Connect => "no connection",
            SendErrorKind::Tls => "tls handshake failed",
            SendErrorKind::PlainHttp => "the server does not speak tls",
            SendErrorKind::Forbidden => "address refused: a registry may not lead there",
            SendErrorKind::Timeout => "no answer in time",
            SendErrorKind::ConnectTimeout => "no connection in time",
            SendErrorKind::Closed => "connection closed before an answer",
            SendErrorKind::Unsent => "connection closed before the request was taken",
            SendErrorKind::NotHttp => "the answer is not http",
            SendErrorKind::Proxy => "no connection through the proxy",
            SendErrorKind::ProxyDenied => "the proxy lets nothing through",
            SendErrorKind::Request => "request can't be sent",
        })
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
