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
use http::header::EXPECT;
use http_body_util::BodyDataStream;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector, HttpInfo};
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{Admission, Lookup, Resolver, Timed, system_lookup, tcp};
use super::policy::{AddressClass, Side};
use super::tls::LazyTls;
use super::{Body, Destination, HttpClient, SendError, SendErrorKind, failure, gate};
use crate::builder::HttpVersion;

/// Sends requests over pooled connections.
pub(crate) struct HyperClient {
    registry: Pools,
    foreign: Pools,
    /// Where the registry stands: what it is allowed to lead to depends on it (A7).
    side: Arc<Side>,
    leave: Leave,
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
    pub(crate) fn new(version: HttpVersion, limits: &Limits, side: Arc<Side>) -> Self {
        Self::with_lookup(version, limits, side, &system_lookup())
    }

    fn with_lookup(version: HttpVersion, limits: &Limits, side: Arc<Side>, lookup: &Lookup) -> Self {
        let connect = limits.connect;
        let tls = Arc::new(LazyTls::default());
        let seen_from = Arc::clone(&side);
        let by_class: Admission = Arc::new(move |class| class.may_be_reached_from(seen_from.class()));
        // Prior knowledge of HTTP/2 is about the registry, not about what it leads to.
        let elsewhere = if version == HttpVersion::Http1 { version } else { HttpVersion::Auto };
        let tcp = |admission| patient(tcp(Arc::clone(lookup), admission, connect), limits.idle);
        Self {
            registry: Pools::new(version, connect, tcp(Arc::new(|_| true)), Arc::clone(&tls)),
            foreign: Pools::new(elsewhere, connect, tcp(by_class), tls),
            side,
            leave: Leave::new(limits.expect_wait),
        }
    }

    /// Addresses in place of names never reach the resolver, so they are checked here.
    fn check_literal(&self, uri: &http::Uri) -> Result<(), SendError> {
        let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let Ok(address) = name.parse() else { return Ok(()) };
        if AddressClass::of(address).may_be_reached_from(self.side.class()) {
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
        let response = match destination {
            Destination::Registry => self.registry.send(request).await?,
            Destination::Foreign => {
                self.check_literal(request.uri())?;
                self.foreign.send(request).await?
            }
        };
        if let (Destination::Registry, Some(connection)) = (destination, response.extensions().get::<HttpInfo>()) {
            self.side.note(connection.remote_addr().ip());
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

type Plain = Client<Timed<HttpConnector<Resolver>>, Body>;
type Secure = Client<Timed<HttpsConnector<HttpConnector<Resolver>>>, Body>;

/// The pools for http and https that share one way of connecting.
struct Pools {
    version: HttpVersion,
    limit: Duration,
    tcp: HttpConnector<Resolver>,
    tls: Arc<LazyTls>,
    plain: OnceLock<Plain>,
    secure: OnceLock<Secure>,
}

impl Pools {
    fn new(version: HttpVersion, limit: Duration, tcp: HttpConnector<Resolver>, tls: Arc<LazyTls>) -> Self {
        Self { version, limit, tcp, tls, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<hyper::body::Incoming>, SendError> {
        if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            through(self.secure()?, request).await
        } else {
            through(self.plain(), request).await
        }
    }

    fn plain(&self) -> &Plain {
        self.plain.get_or_init(|| tuned(self.version).build(Timed::new(self.tcp.clone(), self.limit)))
    }

    fn secure(&self) -> Result<&Secure, SendError> {
        if let Some(made) = self.secure.get() {
            return Ok(made);
        }
        let scheme = HttpsConnectorBuilder::new().with_tls_config(self.tls.config()?).https_only();
        let tcp = self.tcp.clone();
        let connector = match self.version {
            HttpVersion::Auto => scheme.enable_all_versions().wrap_connector(tcp),
            HttpVersion::Http1 => scheme.enable_http1().wrap_connector(tcp),
            HttpVersion::Http2 => scheme.enable_http2().wrap_connector(tcp),
        };
        Ok(self.secure.get_or_init(|| tuned(self.version).build(Timed::new(connector, self.limit))))
    }
}

/// A connector whose connections end when what was sent on them does not arrive for so long, or is not taken: HTTP can't tell
/// a dead peer from a slow one, and would go on using the connection (H11).
#[cfg_attr(not(target_os = "linux"), expect(unused_mut, unused_variables, reason = "only Linux's kernel tells"))]
fn patient(mut connector: HttpConnector<Resolver>, idle: Duration) -> HttpConnector<Resolver> {
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(idle));
    connector
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
mod tests {
    use std::io::{Read, Write};
    use std::net::{IpAddr, TcpListener};
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Answers every request with 204, for ever.
    fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 204 x\r\nconnection: close\r\n\r\n");
            }
        });
        port
    }

    fn client(side: &str, addresses: fn(&str, usize) -> &'static [&'static str]) -> HyperClient {
        let calls = AtomicUsize::new(0);
        let lookup: Lookup = Arc::new(move |name| {
            let found = addresses(&name, calls.fetch_add(1, Ordering::SeqCst));
            let found: Vec<IpAddr> = found.iter().map(|address| address.parse().unwrap()).collect();
            Box::pin(async move { Ok(found) })
        });
        let side = Arc::new(Side::told_by(&side.parse().unwrap()));
        HyperClient::with_lookup(HttpVersion::Auto, &Limits::default(), side, &lookup)
    }

    async fn ask(client: &HyperClient, destination: Destination, url: String) -> Result<(), SendErrorKind> {
        let request = http::Request::get(url).extension(destination).body(Body::empty()).unwrap();
        client.send(request).await.map(drop).map_err(|error| error.kind())
    }

    /// A7: the address that a name resolves to is checked as it is connected to, for every URL that the registry named.
    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_at_the_socket() {
        let port = server();
        let evil = |_: &str, _| &["127.0.0.1"][..];
        let url = || format!("http://evil.test:{port}/");
        let public = client("https://registry.test", evil);
        assert_eq!(ask(&public, Destination::Foreign, url()).await, Err(SendErrorKind::Forbidden));
        assert_eq!(ask(&public, Destination::Registry, url()).await, Ok(()), "the user may name what he likes");
        assert_eq!(
            ask(&public, Destination::Foreign, url()).await,
            Ok(()),
            "a registry that was found to stand inside"
        );
        let loopback = client("http://localhost:5000", evil);
        assert_eq!(ask(&loopback, Destination::Foreign, url()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_literal_address_is_refused_as_well() {
        let port = server();
        let public = client("https://registry.test", |_, _| &[]);
        let literals =
            [format!("http://127.0.0.1:{port}/"), "http://169.254.169.254/".into(), "http://[::1]:1/".into()];
        for url in literals {
            assert_eq!(ask(&public, Destination::Foreign, url.clone()).await, Err(SendErrorKind::Forbidden), "{url}");
        }
    }

    /// A7: a name that is pointed elsewhere between two connections is checked again.
    #[tokio::test]
    async fn a_name_is_checked_for_every_connection() {
        let port = server();
        let rebinding =
            client("http://localhost", |_, call| if call == 0 { &["127.0.0.1"] } else { &["169.254.169.254"] });
        let url = || format!("http://evil.test:{port}/");
        assert_eq!(ask(&rebinding, Destination::Foreign, url()).await, Ok(()));
        assert_eq!(ask(&rebinding, Destination::Foreign, url()).await, Err(SendErrorKind::Forbidden));
    }

    /// H22: a dead address among several does not stand in the way; no address is said to be none.
    #[tokio::test]
    async fn every_address_of_a_name_is_tried() {
        let port = server();
        let several =
            client("http://localhost", |name, _| if name == "none.test" { &[] } else { &["127.0.0.2", "127.0.0.1"] });
        assert_eq!(ask(&several, Destination::Registry, format!("http://some.test:{port}/")).await, Ok(()));
        assert_eq!(ask(&several, Destination::Registry, "http://none.test/".into()).await, Err(SendErrorKind::Resolve));
    }
}
