//! The two seams below HTTP: who finds the addresses of a name, and who opens a connection to one of them.
//!
//! Whatever stands in for the system's own is held to the same checks: between the two, [`connect`](super::connect)
//! leaves out the addresses that may not be reached, tries the others side by side, and keeps the time.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: Debug + Send + Sync {
    /// The addresses of `name`, in the order in which they are best tried. A name that is an address is never asked for.
    ///
    /// # Errors
    /// Whatever the resolver met with. No address at all may be an empty list.
    ///
    /// # Cancel safety
    /// The future is dropped when the time for connecting is over; nothing may be left behind then.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Opens connections: to another network, through a tunnel, into a virtual machine, or to a test.
#[async_trait]
pub trait Dial: Debug + Send + Sync {
    /// A connection to this address. TLS is not its business.
    ///
    /// # Errors
    /// `ConnectionRefused` if nobody listens there, which is told apart from all else.
    ///
    /// # Cancel safety
    /// The future is dropped when another address has answered first, or when the time for connecting is over; a
    /// connection that is half open must close then.
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>>;
}

/// A connection that carries bytes both ways.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The system's resolver.
#[derive(Debug)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// TCP, as the system does it.
#[derive(Debug)]
pub(crate) struct Tcp {
    /// A connection ends when what was sent on it does not arrive for so long, or is not taken: HTTP can't tell a dead peer
    /// from a slow one, and would go on using the connection (H11). Only Linux's kernel tells.
    pub(crate) idle: Duration,
}

#[async_trait]
impl Dial for Tcp {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.idle))?;
        Ok(Box::new(stream))
    }
}
