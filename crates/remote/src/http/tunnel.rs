//! What is said to a proxy before it stands aside: `CONNECT`, or the greeting of SOCKS 5; and what becomes of it.

mod socks;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use self::socks::Reply;
use super::dial::Connection;
use super::proxy::{Proxy, Speaks};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Opened = Box<dyn Connection>;

/// TLS with the proxy itself.
pub(super) async fn secure(proxy: &Proxy, tls: rustls::ClientConfig, plain: Opened) -> Result<Opened, ProxyError> {
    let fault = |error: BoxError| ProxyError::new(proxy, Fault::Broken(error));
    let name = ServerName::try_from(proxy.host.clone()).map_err(|error| fault(error.into()))?;
    let secured = TlsConnector::from(Arc::new(tls)).connect(name, plain).await;
    Ok(Box::new(secured.map_err(|error| fault(error.into()))?))
}

/// Has the proxy carry everything from here on to this host and port.
pub(super) async fn open(proxy: &Proxy, mut on: Opened, host: &str, port: u16) -> Result<Opened, ProxyError> {
    let opened = match proxy.speaks {
        Speaks::Http | Speaks::Https => connect(proxy, on, host, port).await,
        Speaks::Socks5 | Speaks::Socks5h => socks::open(proxy, &mut *on, host, port).await.map(|()| on),
    };
    opened.map_err(|fault| ProxyError::new(proxy, fault))
}

async fn connect(proxy: &Proxy, on: Opened, host: &str, port: u16) -> Result<Opened, Fault> {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header(HOST, &authority);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(broken)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(on)).await.map_err(broken)?;
    let mut connection = pin!(connection.with_upgrades());
    // Nobody is spawned: the connection is driven by whoever waits for it.
    let answer = match select(pin!(sender.send_request(request)), connection.as_mut()).await {
        Either::Left((answer, _)) => answer,
        Either::Right((Err(error), _)) => Err(error),
        Either::Right((Ok(()), answer)) => answer.await,
    };
    let answer = answer.map_err(broken)?;
    if !answer.status().is_success() {
        return Err(Fault::Answered(answer.status()));
    }
    let upgraded = match select(pin!(hyper::upgrade::on(answer)), connection).await {
        Either::Left((upgraded, _)) => upgraded,
        Either::Right((Err(error), _)) => Err(error),
        Either::Right((Ok(()), upgraded)) => upgraded.await,
    };
    Ok(Box::new(TokioIo::new(upgraded.map_err(broken)?)))
}

fn broken(error: impl Into<BoxError>) -> Fault {
    Fault::Broken(error.into())
}

/// A proxy stood in the way. It is named, for the registry has nothing to do with it; who asks it is not (A16).
#[derive(Debug)]
pub(super) struct ProxyError {
    proxy: String,
    fault: Fault,
}

/// What a proxy did.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no way to it.
    Unreachable(BoxError),
    /// It does not serve whoever this is.
    Denied,
    /// It said no, or that it can't.
    Answered(StatusCode),
    /// The same, in SOCKS.
    Socks(Reply),
    /// It hung up, or what it said is not HTTP, SOCKS or TLS.
    Broken(BoxError),
}

impl ProxyError {
    pub(super) fn new(proxy: &Proxy, fault: Fault) -> Self {
        let fault = match fault {
            Fault::Answered(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => Fault::Denied,
            fault => fault,
        };
        Self { proxy: proxy.to_string(), fault }
    }

    /// Whether it may be otherwise the next time.
    pub(super) fn may_pass(&self) -> bool {
        match &self.fault {
            Fault::Unreachable(_) | Fault::Broken(_) => true,
            Fault::Denied => false,
            Fault::Answered(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Fault::Socks(reply) => reply.may_pass(),
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}: ", self.proxy)?;
        match &self.fault {
            Fault::Unreachable(error) => write!(f, "no connection: {error}"),
            Fault::Denied => f.write_str("it does not serve who asks, or wants to know"),
            Fault::Answered(status) => write!(f, "it answered {status}"),
            Fault::Socks(reply) => reply.fmt(f),
            Fault::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Unreachable(error) | Fault::Broken(error) => error.source(),
            Fault::Denied | Fault::Answered(_) | Fault::Socks(_) => None,
        }
    }
}
