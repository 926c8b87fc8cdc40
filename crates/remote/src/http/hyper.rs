//! The built-in [`HttpClient`]: hyper, with a connection pool.
//!
//! It keeps two sets of pools: one for the registry that the user named, one for every other origin, whose connector
//! refuses addresses by their class (A7). TLS and each pool are made when they are first needed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use gantri_core::{ByteStream, Limits};
use http::StatusCode;
use http::header::{EXPECT, PROXY_AUTHORIZATION};
use http_body_util::BodyDataStream;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::Connect;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{Admission, Connector, Peer, Pin, Timed, Ways};
use super::dial::{Dial, Resolve, SystemResolver, Tcp};
use super::policy::{AddressClass, Side, may_connect};
use super::proxy::Proxies;
use super::tls::{LazyTls, Tls};
use super::tunnel::{Fault, ProxyError};
use super::{Body, Destination, HttpClient, SendError, SendErrorKind, failure, gate};
use crate::builder::HttpVersion;

/// Sends requests over pooled connections.
pub(crate) struct HyperClient {
    registry: Pools,
    trusted: Pools,
    foreign: Pools,
    outside: Pools,
    beside: Pools,
    /// Where the registry stands: what it is allowed to lead to depends on it (A7).
    side: Arc<Side>,
    leave: Leave,
}

/// How a registry is reached, as the user told it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) version: HttpVersion,
    pub(crate) resolver: Arc<dyn Resolve>,
    /// `None` is TCP.
    pub(crate) dialer: Option<Arc<dyn Dial>>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) tls: Tls,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            version: HttpVersion::default(),
            resolver: Arc::new(SystemResolver),
            dialer: None,
            pins: Vec::new(),
            proxies: Arc::default(),
            tls: Tls::default(),
        }
    }
}

/// Whether the registry is asked for its leave before a body is sent.
struct Leave {
    wait: Duration,
    /// Whether it is known to speak HTTP/1, where it can be asked.
    http1: AtomicBool,
    /// Whether it let us wait in vain; it is not asked again.
    silent: AtomicBool,
}

impl HyperClient {
    /// A client for one registry; `side` is kept up to date with the connections made to it.
    pub(crate) fn new(route: Route, limits: &Limits, side: Arc<Side>) -> Self {
        let Route { version, resolver, dialer, pins, proxies, tls } = route;
        let dialer = dialer.unwrap_or_else(|| Arc::new(Tcp { idle: limits.idle }));
        // Prior knowledge of HTTP/2 is about the registry, not about what it leads to; and no proxy has it.
        let elsewhere = if version == HttpVersion::Http1 { version } else { HttpVersion::Auto };
        let foreign_tls = Arc::new(LazyTls::new(tls.elsewhere()));
        let ways = Arc::new(Ways { resolver, dialer, pins, proxies, tls: Arc::clone(&foreign_tls) });
        let pools = |destination, version, tls| {
            let seen_from = Arc::clone(&side);
            let admission: Admission = Arc::new(move |class| may_connect(destination, class, seen_from.class()));
            let tunnels_all = version == HttpVersion::Http2;
            Pools::new(version, limits.connect, Connector { ways: Arc::clone(&ways), admission, tunnels_all }, tls)
        };
        Self {
            registry: pools(Destination::Registry, version, Arc::new(LazyTls::new(tls))),
            trusted: pools(Destination::Trusted, elsewhere, Arc::clone(&foreign_tls)),
            foreign: pools(Destination::Foreign, elsewhere, Arc::clone(&foreign_tls)),
            outside: pools(Destination::Outside, elsewhere, Arc::clone(&foreign_tls)),
            beside: pools(Destination::Beside, elsewhere, Arc::clone(&foreign_tls)),
            side,
            leave: Leave::new(limits.expect_wait),
        }
    }

    fn pools(&self, destination: Destination) -> &Pools {
        match destination {
            Destination::Registry => &self.registry,
            Destination::Trusted => &self.trusted,
            Destination::Foreign => &self.foreign,
            Destination::Outside => &self.outside,
            Destination::Beside => &self.beside,
        }
    }

    /// Addresses in place of names are checked for every request: a connection to one may be left over from when the
    /// registry stood elsewhere.
    fn check_literal(&self, destination: Destination, uri: &http::Uri) -> Result<(), SendError> {
        let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let Ok(address) = name.parse() else { return Ok(()) };
        if may_connect(destination, AddressClass::of(address), self.side.class()) {
            Ok(())
        } else {
            Err(SendError::new(SendErrorKind::Forbidden))
        }
    }
}

#[async_trait]
impl HttpClient for HyperClient {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError> {
        let destination = request.extensions().get().copied().unwrap_or(Destination::Foreign);
        let asks = request.headers().contains_key(EXPECT);
        let (request, gate) = gate::before(request, self.leave.wait(destination));
        self.check_literal(destination, request.uri())?;
        let response = self.pools(destination).send(request).await?;
        if let (Destination::Registry, Some(Peer::Host(peer))) = (destination, response.extensions().get()) {
            self.side.note(peer.ip());
        }
        if destination == Destination::Registry {
            let in_vain = asks && response.status().is_success() && gate.as_ref().is_some_and(|gate| !gate.is_open());
            self.leave.note(response.version(), in_vain);
        }
        let (head, body) = response.into_parts();
        let body = BodyDataStream::new(body).map_err(failure::of_body).boxed();
        let body = match gate {
            Some(gate) => {
                gate.answered(head.status);
                gate.with(body)
            }
            None => body,
        };
        Ok(http::Response::from_parts(head, body))
    }
}

impl Leave {
    fn new(wait: Duration) -> Self {
        Self { wait, http1: AtomicBool::new(false), silent: AtomicBool::new(false) }
    }

    /// How long it is waited for, if it can be asked for at all. Only the registry itself is: another origin may speak
    /// HTTP/2, for all we know.
    fn wait(&self, destination: Destination) -> Option<Duration> {
        let can_ask = self.http1.load(Ordering::Relaxed) && !self.silent.load(Ordering::Relaxed);
        (destination == Destination::Registry && can_ask).then_some(self.wait)
    }

    fn note(&self, version: http::Version, in_vain: bool) {
        self.http1.store(version == http::Version::HTTP_11, Ordering::Relaxed);
        if in_vain {
            self.silent.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for HyperClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperClient").field("version", &self.registry.version).finish_non_exhaustive()
    }
}

type Plain = Client<Timed<Connector>, Body>;
type Secure = Client<Timed<HttpsConnector<Connector>>, Body>;

/// The pools for http and https that share one way of connecting.
struct Pools {
    version: HttpVersion,
    limit: Duration,
    connector: Connector,
    tls: Arc<LazyTls>,
    plain: OnceLock<Plain>,
    secure: OnceLock<Secure>,
}

impl Pools {
    fn new(version: HttpVersion, limit: Duration, connector: Connector, tls: Arc<LazyTls>) -> Self {
        Self { version, limit, connector, tls, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    async fn send(&self, mut request: http::Request<Body>) -> Result<http::Response<hyper::body::Incoming>, SendError> {
        let Some(proxy) = self.connector.forwards(request.uri()).cloned() else { return self.send_on(request).await };
        if let Some(authorization) = proxy.authorization() {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let response = self.send_on(request).await?;
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let denied = ProxyError::new(&proxy, Fault::Denied);
            return Err(SendError::new(SendErrorKind::ProxyDenied).with_source(denied));
        }
        Ok(response)
    }

    async fn send_on(&self, request: http::Request<Body>) -> Result<http::Response<hyper::body::Incoming>, SendError> {
        if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            through(self.secure()?, request).await
        } else {
            through(self.plain(), request).await
        }
    }

    fn timed<C>(&self, connector: C) -> Timed<C> {
        Timed::new(connector, self.limit, Arc::clone(&self.connector.ways.proxies))
    }

    fn plain(&self) -> &Plain {
        self.plain.get_or_init(|| tuned(self.version).build(self.timed(self.connector.clone())))
    }

    fn secure(&self) -> Result<&Secure, SendError> {
        if let Some(made) = self.secure.get() {
            return Ok(made);
        }
        let scheme = HttpsConnectorBuilder::new().with_tls_config(self.tls.config()?).https_only();
        let plain = self.connector.clone();
        let connector = match self.version {
            HttpVersion::Auto => scheme.enable_all_versions().wrap_connector(plain),
            HttpVersion::Http1 => scheme.enable_http1().wrap_connector(plain),
            HttpVersion::Http2 => scheme.enable_http2().wrap_connector(plain),
        };
        Ok(self.secure.get_or_init(|| tuned(self.version).build(self.timed(connector))))
    }
}

async fn through<C>(
    client: &Client<C, Body>,
    request: http::Request<Body>,
) -> Result<http::Response<hyper::body::Incoming>, SendError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    client.request(request).await.map_err(failure::of_request)
}

/// What matters for big bodies: few system calls on HTTP/1, windows wider than bandwidth times delay on HTTP/2.
fn tuned(version: HttpVersion) -> Builder {
    const READ_BUFFER: usize = 512 << 10;
    const STREAM_WINDOW: u32 = 4 << 20;
    const CONNECTION_WINDOW: u32 = 8 << 20;
    const HEADERS: usize = 128;
    const HEADER_BYTES: u32 = 64 << 10;
    // Shorter than any server's own limit that we know of, so that a connection is seldom dead when it is used again.
    const IDLE: Duration = Duration::from_secs(30);

    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_max_buf_size(READ_BUFFER)
        .http1_max_headers(HEADERS)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_only(version == HttpVersion::Http2);
    builder
}

#[cfg(test)]
mod tests;
