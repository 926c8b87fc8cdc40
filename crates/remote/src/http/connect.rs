//! How a connection is made: names are resolved, every address is tried, and the whole of it has one deadline.
//!
//! The check of resolved addresses (A7) sits here, between the resolver and the socket, because only here a name that was
//! harmless when it was checked can't be pointed elsewhere before it is used.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection as Described};
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::dial::{Connection, Dial, Resolve};
use super::policy::AddressClass;
use super::race::race;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which addresses may be connected to; asked once for each connection.
pub(super) type Admission = Arc<dyn Fn(AddressClass) -> bool + Send + Sync>;

/// From a URL to a connection without TLS.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) admission: Admission,
}

impl Connector {
    async fn connect(self, to: Uri) -> Result<Stream, BoxError> {
        let host = to.host().unwrap_or_default();
        let port = to.port_u16().unwrap_or(if to.scheme() == Some(&http::uri::Scheme::HTTP) { 80 } else { 443 });
        let found = match host.trim_matches(['[', ']']).parse() {
            Ok(literal) => vec![literal],
            Err(_) => self.resolver.addresses(host).await.map_err(ResolveError::Lookup)?,
        };
        let admitted = admit(&found, &*self.admission)?;
        let addresses = admitted.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        let (peer, connection) = race(&*self.dialer, addresses).await?;
        Ok(Stream { io: TokioIo::new(connection), peer })
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
    peer: SocketAddr,
}

/// The address that was dialled; with every answer of its connection.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Described for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(Peer(self.peer))
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }
}

/// A connector that gives up after a time, TLS handshake included.
#[derive(Clone)]
pub(super) struct Timed<C> {
    inner: C,
    limit: Duration,
}

impl<C> Timed<C> {
    pub(super) fn new(inner: C, limit: Duration) -> Self {
        Self { inner, limit }
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
        let (connecting, limit) = (self.inner.call(to), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(ConnectTimeout(limit).into()),
            }
        })
    }
}

/// Connecting, or the TLS handshake, took too long.
#[derive(Debug)]
pub(super) struct ConnectTimeout(Duration);

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {:?}", self.0)
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
