//! How a connection is made: names are resolved, every address is tried, and the whole of it has one deadline.
//!
//! The check of resolved addresses (A7) sits here, between the resolver and the socket, because only here a name that was
//! harmless when it was checked can't be pointed elsewhere before it is used.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use gantri_spec::Host;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection as Described};
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::dial::{Connection, Dial, Resolve};
use super::policy::AddressClass;
use super::proxy::{Proxies, Proxy, Speaks};
use super::race::race;
use super::tls::LazyTls;
use super::tunnel::{self, Fault, ProxyError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which addresses may be connected to; asked once for each connection.
pub(super) type Admission = Arc<dyn Fn(AddressClass) -> bool + Send + Sync>;

/// From a URL to a connection without TLS to its host.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) ways: Arc<Ways>,
    pub(super) admission: Admission,
    /// Whether a proxy is to carry also what could be handed to it request by request.
    pub(super) tunnels_all: bool,
}

/// The ways out, whoever is at their end.
pub(super) struct Ways {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) pins: Vec<Pin>,
    pub(super) proxies: Arc<Proxies>,
    /// For proxies that speak TLS themselves.
    pub(super) tls: Arc<LazyTls>,
}

/// An address that the user gave a name, in place of what a resolver says.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    pub(crate) host: Host,
    /// Port 0 is the URL's own.
    pub(crate) to: SocketAddr,
}

impl Connector {
    /// The proxy that is handed whole requests for this URL.
    pub(super) fn forwards(&self, to: &Uri) -> Option<&Proxy> {
        let is_plain = to.scheme() == Some(&Scheme::HTTP) && !self.tunnels_all;
        self.ways.proxies.proxy_for(to).filter(|proxy| is_plain && proxy.forwards())
    }

    async fn connect(self, to: Uri) -> Result<Stream, BoxError> {
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = to.port_u16().unwrap_or(if to.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 });
        let (peer, connection) = match self.ways.proxies.proxy_for(&to) {
            None => {
                let (peer, connection) = self.ways.open(host, port, &*self.admission).await?;
                (Peer::Host(peer), connection)
            }
            Some(proxy) => {
                let mut connection = self.ways.open_proxy(proxy).await?;
                if self.forwards(&to).is_none() {
                    let host = self.named_to(proxy, host, port).await?;
                    connection = tunnel::open(proxy, connection, &host, port).await?;
                }
                (Peer::Proxy, connection)
            }
        };
        let is_forwarded = self.forwards(&to).is_some();
        Ok(Stream { io: TokioIo::new(connection), peer, is_forwarded })
    }

    /// What a proxy is told to connect to: an address if it is not to resolve names.
    async fn named_to(&self, proxy: &Proxy, host: &str, port: u16) -> Result<String, BoxError> {
        if proxy.speaks != Speaks::Socks5 {
            return Ok(host.to_owned());
        }
        let addresses = self.ways.addresses(host, port, &*self.admission).await?;
        Ok(addresses.first().map_or_else(|| host.to_owned(), |address| address.ip().to_string()))
    }
}

impl Ways {
    async fn open(
        &self,
        host: &str,
        port: u16,
        admission: &(dyn Fn(AddressClass) -> bool + Send + Sync),
    ) -> Result<(SocketAddr, Box<dyn Connection>), BoxError> {
        let addresses = self.addresses(host, port, admission).await?;
        Ok(race(&*self.dialer, addresses).await?)
    }

    /// A connection to the proxy itself, which the user named: it may stand anywhere.
    async fn open_proxy(&self, proxy: &Proxy) -> Result<Box<dyn Connection>, BoxError> {
        let opened = self.open(&proxy.host, proxy.port, &|_| true).await;
        let (_, connection) = opened.map_err(|error| ProxyError::new(proxy, Fault::Unreachable(error)))?;
        if proxy.speaks != Speaks::Https {
            return Ok(connection);
        }
        Ok(tunnel::secure(proxy, self.tls.config()?, connection).await?)
    }

    /// Where a host is to be found: where the user says, wherever that is; else, where it may be found.
    async fn addresses(
        &self,
        host: &str,
        port: u16,
        admission: &(dyn Fn(AddressClass) -> bool + Send + Sync),
    ) -> Result<Vec<SocketAddr>, BoxError> {
        let pinned: Vec<_> = self.pins.iter().filter_map(|pin| pin.holds(host, port)).collect();
        if !pinned.is_empty() {
            return Ok(pinned);
        }
        let found = match host.parse() {
            Ok(literal) => vec![literal],
            Err(_) => self.resolver.addresses(host).await.map_err(ResolveError::Lookup)?,
        };
        let admitted = admit(&found, admission)?;
        Ok(admitted.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

impl Pin {
    fn holds(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let name = if self.host.is_docker_hub() { self.host.authority() } else { self.host.name() };
        let is_meant = name.eq_ignore_ascii_case(host) && self.host.port().is_none_or(|only| only == port);
        let to = SocketAddr::new(self.to.ip(), if self.to.port() == 0 { port } else { self.to.port() });
        is_meant.then_some(to)
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Stream, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// The addresses that may be reached; an error if there are some, but none of them may.
fn admit(found: &[IpAddr], admission: &dyn Fn(AddressClass) -> bool) -> Result<Vec<IpAddr>, ResolveError> {
    let admitted: Vec<_> = found.iter().copied().filter(|address| admission(AddressClass::of(*address))).collect();
    match found.first() {
        None => Err(ResolveError::Lookup(io::Error::new(io::ErrorKind::NotFound, "no address"))),
        Some(first) if admitted.is_empty() => Err(ResolveError::Forbidden(*first)),
        Some(_) => Ok(admitted),
    }
}

/// Why a name leads nowhere.
#[derive(Debug)]
pub(super) enum ResolveError {
    Lookup(io::Error),
    Forbidden(IpAddr),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => write!(f, "{error}"),
            Self::Forbidden(address) => write!(f, "resolves to {address}, where this registry may not lead"),
        }
    }
}

impl std::error::Error for ResolveError {}

/// An open connection, and who answered.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Connection>>,
    peer: Peer,
    /// Whether it is a proxy that reads the requests.
    is_forwarded: bool,
}

/// Who is at the other end; with every answer of its connection.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// The address that was dialled.
    Host(SocketAddr),
    /// Where the host stands, the proxy knows.
    Proxy,
}

impl Peer {
    /// What kind of place it is, as far as that is known.
    pub(crate) fn class(&self) -> Option<AddressClass> {
        match self {
            Self::Host(address) => Some(AddressClass::of(address.ip())),
            Self::Proxy => None,
        }
    }
}

impl Described for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_forwarded).extra(self.peer)
    }
}

impl Read for Stream {
    fn poll_read(mut self: pin::Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        pin::Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl Write for Stream {
    fn poll_write(mut self: pin::Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        pin::Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin::Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin::Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pin::Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }
}

/// A connector that gives up after a time, TLS handshake included.
#[derive(Clone)]
pub(super) struct Timed<C> {
    inner: C,
    limit: Duration,
    proxies: Arc<Proxies>,
}

impl<C> Timed<C> {
    /// The proxies are only to be named.
    pub(super) fn new(inner: C, limit: Duration, proxies: Arc<Proxies>) -> Self {
        Self { inner, limit, proxies }
    }
}

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Response: 'static,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let through = self.proxies.proxy_for(&to).map(ToString::to_string);
        let (connecting, limit) = (self.inner.call(to), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(ConnectTimeout { limit, through }.into()),
            }
        })
    }
}

/// Connecting, or the TLS handshake, took too long.
#[derive(Debug)]
pub(super) struct ConnectTimeout {
    limit: Duration,
    through: Option<String>,
}

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {:?}", self.limit)?;
        match &self.through {
            Some(proxy) => write!(f, " through proxy {proxy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConnectTimeout {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A7, at the moment of connecting: every class of address against every class of registry.
    #[test]
    fn a_resolved_address_is_held_to_the_registrys_side_of_the_network() {
        use AddressClass::{Loopback, Private, Public};
        let cases: &[(&str, &[AddressClass])] = &[
            ("93.184.216.34", &[Public, Private, Loopback]),
            ("10.1.2.3", &[Private]),
            ("fd12::1", &[Private]),
            ("127.0.0.1", &[Loopback]),
            ("::1", &[Loopback]),
            ("::ffff:127.0.0.1", &[Loopback]),
            ("0.0.0.0", &[Loopback]),
            ("0.0.0.1", &[]),
            ("169.254.169.254", &[]),
            ("::ffff:169.254.169.254", &[]),
            ("fe80::1", &[]),
            ("fd00:ec2::254", &[]),
            ("100.100.100.200", &[]),
            ("224.0.0.1", &[]),
        ];
        for (address, open_to) in cases {
            for registry in [Public, Private, Loopback] {
                let found = [address.parse().unwrap()];
                let admitted = admit(&found, &|class| class.may_be_reached_from(registry));
                assert_eq!(admitted.is_ok(), open_to.contains(&registry), "{address} from {registry:?}");
            }
        }
    }

    #[test]
    fn one_forbidden_address_among_many_is_left_out() {
        let found = ["169.254.169.254".parse().unwrap(), "93.184.216.34".parse().unwrap()];
        let admitted = admit(&found, &|class| class.may_be_reached_from(AddressClass::Public)).unwrap();
        assert_eq!(admitted, [found[1]]);
        assert!(matches!(admit(&found[..1], &|_| false), Err(ResolveError::Forbidden(_))));
        assert!(matches!(admit(&[], &|_| true), Err(ResolveError::Lookup(_))));
    }
}
