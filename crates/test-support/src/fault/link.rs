//! What the proxy stands between: a client's connection, which can be reset, and the way to the registry behind.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that can be reset.
pub(super) trait Resettable: Stream {
    /// Ends it so that the other side is told of an error.
    fn reset(self);
}

impl Resettable for TcpStream {
    fn reset(self) {
        // Closing sends RST then; should it fail, the other side sees an end all the same.
        let _ = self.set_zero_linger();
    }
}

impl Resettable for Pipe {
    fn reset(self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

impl<S: Resettable> Resettable for TlsStream<S> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}

/// One end of a connection in memory.
#[derive(Debug)]
pub struct Pipe {
    inner: DuplexStream,
    broken: Arc<AtomicBool>,
}

impl Pipe {
    /// Both ends of a connection that holds so many bytes on the way.
    pub fn pair(size: usize) -> (Self, Self) {
        let (near, far) = duplex(size);
        let broken = Arc::new(AtomicBool::new(false));
        (Self { inner: near, broken: Arc::clone(&broken) }, Self { inner: far, broken })
    }

    fn is_reset(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match Pin::new(&mut self.inner).poll_read(context, into) {
            Poll::Ready(Ok(())) if into.filled().len() == before && self.is_reset() => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            read => read,
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// The registry behind.
#[derive(Clone)]
pub struct Upstream(Way);

#[derive(Clone)]
enum Way {
    Tcp(String),
    Memory(Arc<dyn Fn() -> Pipe + Send + Sync>),
}

impl Upstream {
    /// A registry in memory: whoever calls this has a connection to it.
    pub fn memory(dial: impl Fn() -> Pipe + Send + Sync + 'static) -> Self {
        Self(Way::Memory(Arc::new(dial)))
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.0 {
            Way::Tcp(address) => {
                let stream = TcpStream::connect(address.as_str()).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Way::Memory(dial) => Box::new(dial()),
        })
    }
}

impl From<SocketAddr> for Upstream {
    fn from(address: SocketAddr) -> Self {
        Self(Way::Tcp(address.to_string()))
    }
}

/// `host:port`, without a scheme.
impl From<&str> for Upstream {
    fn from(address: &str) -> Self {
        Self(Way::Tcp(address.to_owned()))
    }
}

impl From<String> for Upstream {
    fn from(address: String) -> Self {
        Self(Way::Tcp(address))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::Tcp(address) => write!(f, "Upstream({address})"),
            Way::Memory(_) => f.write_str("Upstream(memory)"),
        }
    }
}
