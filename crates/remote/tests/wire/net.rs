//! A network in memory: names, addresses of any class, and whoever stands at each; nothing of it leaves the process. Time can
//! be paused, for nothing here waits for a real socket.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use gantri_core::{Error, Limits, Pull, Result};
use gantri_remote::{Connection, Dial, Remote, RemoteBuilder, Resolve};
use gantri_spec::Digest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::script::repo;

pub(crate) type Socket = Box<dyn Connection>;

type Serve = Arc<dyn Fn(Socket) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Net(Arc<Inner>);

#[derive(Default)]
struct Inner {
    names: Mutex<HashMap<String, Vec<IpAddr>>>,
    hosts: Mutex<HashMap<SocketAddr, Serve>>,
    log: Mutex<Vec<String>>,
}

impl Net {
    /// A name, and where it leads.
    pub(crate) fn name(self, name: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.0.names.lock().unwrap().insert(name.to_owned(), addresses);
        self
    }

    /// Who stands at an address.
    pub(crate) fn host<F>(self, address: &str, serve: impl Fn(Socket) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let serve: Serve = Arc::new(move |socket| Box::pin(serve(socket)));
        self.0.hosts.lock().unwrap().insert(address.parse().unwrap(), serve);
        self
    }

    /// What was resolved and dialled since the last look.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.log.lock().unwrap())
    }

    /// A registry on this network, each request tried once.
    pub(crate) fn builder(&self, host: &str) -> RemoteBuilder {
        let mut limits = Limits::default();
        limits.request_tries = 1;
        Remote::builder(host.parse().unwrap())
            .limits(limits)
            .resolver(Arc::new(self.clone()))
            .dialer(Arc::new(self.clone()))
    }

    fn note(&self, what: String) {
        self.0.log.lock().unwrap().push(what);
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}

#[async_trait]
impl Resolve for Net {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.note(format!("resolve {name}"));
        self.0.names.lock().unwrap().get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[async_trait]
#[expect(clippy::disallowed_methods, reason = "whoever stands at an address outlives the call")]
impl Dial for Net {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        self.note(format!("dial {to}"));
        let serve = self.0.hosts.lock().unwrap().get(&to).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve(Box::new(theirs)));
        Ok(Box::new(ours))
    }
}

/// The heads of requests, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads(Arc<Mutex<Vec<String>>>);

impl Heads {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// Notes something that is not the head of a request.
    pub(crate) fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    /// Takes in one more; `None` at the end of the connection.
    pub(crate) async fn read(&self, socket: &mut Socket) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        self.note(head.clone());
        Some(head)
    }

    /// Answers every request of a connection with this.
    pub(crate) async fn answer(self, mut socket: Socket, answer: &str) {
        while self.read(&mut socket).await.is_some() {
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The head of an answer to [`ask`].
pub(crate) const THERE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";

/// Asks whether a blob is there, which one request without a body can tell.
pub(crate) async fn ask(remote: &Remote) -> Result<u64> {
    Ok(remote.resolve_blob(&repo(), &Digest::of(b"{}")).await?.size)
}

/// An error with all its causes, as it may be shown.
pub(crate) fn shown(error: &Error) -> String {
    let mut shown = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(at) = cause {
        shown = format!("{shown}: {at}");
        cause = at.source();
    }
    shown
}

/// A certificate authority of the test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key, in PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (self.certify(name, &key).0, key.serialize_pem())
    }

    fn certify(&self, name: &str, key: &KeyPair) -> (String, rcgen::Certificate) {
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(key, &self.0).unwrap();
        (certificate.pem(), certificate)
    }

    /// What a server of this name needs; it asks for certificates of `clients`, and takes callers without.
    pub(crate) fn server(&self, name: &str, clients: Option<&Self>) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certify(name, &key).1;
        match clients {
            None => acceptor(&certificate, &key, None),
            Some(clients) => acceptor(&certificate, &key, Some((clients, false))),
        }
    }

    /// The same, for one that takes nobody without a certificate of `clients`.
    pub(crate) fn server_asking(&self, name: &str, clients: &Self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        acceptor(&self.certify(name, &key).1, &key, Some((clients, true)))
    }

    /// The same, with a certificate for these years.
    pub(crate) fn server_from(&self, name: &str, first: i32, last: i32) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(first, 1, 1);
        params.not_after = rcgen::date_time_ymd(last, 1, 1);
        acceptor(&params.signed_by(&key, &self.0).unwrap(), &key, None)
    }
}

fn acceptor(certificate: &rcgen::Certificate, key: &KeyPair, clients: Option<(&Authority, bool)>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some((clients, required)) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()))
}
