//! Reaching a place step by step, so that what fails is told apart from all that lies before it.

use std::net::{IpAddr, SocketAddr};

use gantri_core::filter::Serves;
use gantri_core::{Error, ErrorKind, Pull, Result};
use gantri_remote::{Ping, PlainHttp, Proxy, Remote};
use gantri_spec::{Host, Reference};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Client;
use crate::config::{Endpoint, Scheme, Stop};
use crate::registries::{Settings, is_spoken};

/// A step on the way to an image, and how it went.
#[derive(Debug)]
#[non_exhaustive]
pub struct Examined {
    /// What was tried.
    pub step: ExaminedStep,
    /// What came of it, in words; or what stands in the way, with a hint at what to do.
    pub outcome: Result<String>,
}

/// What is tried, in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ExaminedStep {
    /// The host's name has an address.
    Name,
    /// Somebody listens there, or a proxy leads there.
    Connect,
    /// TLS, with a certificate that is trusted.
    Tls,
    /// It is a registry.
    Ping,
    /// It lets us in.
    Login,
    /// The image is there. Left out where only digests are asked for and a tag was named.
    Manifest,
}

impl ExaminedStep {
    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Ping => "ping",
            Self::Login => "login",
            Self::Manifest => "manifest",
        }
    }
}

impl Client {
    /// Tries to reach what the reference names at one of the places that its [route](crate::config::Route) has: every step
    /// once, up to the first that fails.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn examine(&self, stop: &Stop, reference: &Reference) -> Vec<Examined> {
        let mut steps = Vec::new();
        if let Err((step, error)) = self.walk(stop, reference, &mut steps).await {
            let hint = error.hint().map_or_else(|| hint(step, error.kind(), stop), str::to_owned);
            steps.push(Examined { step, outcome: Err(error.with_hint(hint)) });
        }
        steps
    }

    async fn walk(
        &self,
        stop: &Stop,
        reference: &Reference,
        steps: &mut Vec<Examined>,
    ) -> Result<(), (ExaminedStep, Error)> {
        use ExaminedStep::{Connect, Login, Manifest, Name};
        let mut done = |step, words: String| steps.push(Examined { step, outcome: Ok(words) });
        let endpoint = &stop.endpoint;
        let settings = self.registries.settings();
        let scheme = endpoint.scheme_for(settings.plain_http);
        let ways = self.registries.ways(stop, reference.host()).map_err(|error| (Name, error))?;
        let answer = if let Some(proxy) = endpoint.proxy_among(&settings.proxies, settings.plain_http) {
            // Names and addresses are the proxy's business.
            done(Name, format!("left to the proxy {proxy}"));
            let answer = first_to_answer(&ways).await;
            if let Some(error) = answer.as_ref().err().filter(|error| Proxy::stood_in_the_way(error)) {
                let hint = error.hint().map_or_else(|| proxy_hint(proxy, endpoint), str::to_owned);
                return answer.map(drop).map_err(|error| (Connect, error.with_hint(hint)));
            }
            done(Connect, format!("left to the proxy {proxy}"));
            answer
        } else {
            let addresses = addresses(endpoint, scheme, settings).await.map_err(|error| (Name, error))?;
            done(Name, shown(&addresses));
            let connected = connect(&addresses, settings).await.map_err(|error| (Connect, error))?;
            done(Connect, connected.to_string());
            first_to_answer(&ways).await
        };
        let (remote, plain_http, ping) = answer.map_err(|error| match error.kind() {
            ErrorKind::Connect if scheme != Scheme::Http => (ExaminedStep::Tls, error),
            _ => (ExaminedStep::Ping, error),
        })?;
        done(ExaminedStep::Tls, tls(plain_http, endpoint).to_owned());
        let registry = ping.map_or("a registry that asks who we are", |_| "a registry");
        if stop.serves == Serves::Digests && reference.digest().is_none() {
            // No pull asks it what a tag names.
            done(ExaminedStep::Ping, format!("{registry}, asked for digests only"));
            return Ok(());
        }
        done(ExaminedStep::Ping, registry.to_owned());
        let repository = stop.repository.as_ref().unwrap_or_else(|| reference.repository());
        let found = remote.resolve_manifest(repository, &reference.selector()).await;
        if let Err(error) = found.as_ref().map_err(Error::kind)
            && is_login(error)
        {
            return found.map(drop).map_err(|error| (Login, error));
        }
        let welcome = if ping == Some(Ping::Open) { "nobody has to" } else { "we are let in" };
        done(Login, welcome.to_owned());
        let found = found.map_err(|error| (Manifest, error))?;
        done(Manifest, format!("{} {}", found.digest, found.media_type));
        Ok(())
    }
}

/// The first way on which there is a registry; one that does not let us in is one.
async fn first_to_answer(ways: &[(PlainHttp, Remote)]) -> Result<(&Remote, PlainHttp, Option<Ping>)> {
    let mut failed = None;
    for (plain_http, remote) in ways {
        match remote.ping().await {
            Ok(ping) => return Ok((remote, *plain_http, Some(ping))),
            Err(error) if is_login(error.kind()) => return Ok((remote, *plain_http, None)),
            // Whoever answers says more than whoever does not.
            Err(error) if is_spoken(&error) => return Err(error),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::new(ErrorKind::Config, "no way to the registry")))
}

fn is_login(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::Credentials)
}

fn tls(plain_http: PlainHttp, endpoint: &Endpoint) -> &'static str {
    match plain_http {
        PlainHttp::Never if endpoint.skip_verify.value => "spoken, the certificate is not looked at",
        PlainHttp::Never => "as it should be",
        _ => "not spoken",
    }
}

/// Each address once, whatever its ports.
fn shown(addresses: &[SocketAddr]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for address in addresses.iter().map(|address| address.ip().to_string()) {
        if !shown.contains(&address) {
            shown.push(address);
        }
    }
    shown.join(", ")
}

/// Where the host is, in the order in which it is tried: what may be spoken to both ways has two ports.
async fn addresses(endpoint: &Endpoint, scheme: Scheme, settings: &Settings) -> Result<Vec<SocketAddr>> {
    let ports = match (endpoint.host.port(), scheme) {
        (Some(port), _) => vec![port],
        (None, Scheme::Http) => vec![80],
        (None, Scheme::Either) => vec![443, 80],
        (None, _) => vec![443],
    };
    let (mut all, mut failed) = (Vec::new(), None);
    for port in ports {
        match addresses_at(&endpoint.host, port, settings).await {
            Ok(found) => all.extend(found),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.filter(|_| all.is_empty()).map_or(Ok(all), Err)
}

async fn addresses_at(host: &Host, port: u16, settings: &Settings) -> Result<Vec<SocketAddr>> {
    let (authority, limit) = (host.authority(), settings.limits.connect);
    let name = if host.is_docker_hub() { authority } else { host.name() };
    let is_here = |pin: &Host| pin.name() == name && pin.port().is_none_or(|pinned| pinned == port);
    let pinned: Vec<SocketAddr> =
        settings.pins.iter().filter(|(pin, _)| is_here(pin)).map(|(_, to)| own_port(*to, port)).collect();
    if !pinned.is_empty() {
        return Ok(pinned);
    }
    let found = async {
        match &settings.resolver {
            Some(resolver) if name.parse::<IpAddr>().is_err() => {
                let found = resolver.addresses(name).await?;
                Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
            }
            _ => lookup_host((name, port)).await.map(Vec::from_iter),
        }
    };
    let failed = |what: &str| Error::new(ErrorKind::Connect, format!("{authority}: {what}"));
    let found = timeout(limit, found).await.map_err(|_| failed("no address in time"))?;
    let found: Vec<SocketAddr> = found.map_err(|error: std::io::Error| failed("no address").with_source(error))?;
    if found.is_empty() { Err(failed("no address")) } else { Ok(found) }
}

/// Port 0 stands for the one that is asked for.
fn own_port(to: SocketAddr, port: u16) -> SocketAddr {
    if to.port() == 0 { SocketAddr::new(to.ip(), port) } else { to }
}

async fn connect(addresses: &[SocketAddr], settings: &Settings) -> Result<SocketAddr> {
    let limit = settings.limits.connect;
    let mut failed = Error::new(ErrorKind::Connect, "no address");
    for address in addresses {
        let connected = async {
            match &settings.dialer {
                Some(dialer) => dialer.dial(*address).await.map(drop),
                None => TcpStream::connect(address).await.map(drop),
            }
        };
        failed = match timeout(limit, connected).await {
            Ok(Ok(())) => return Ok(*address),
            Ok(Err(error)) => Error::new(ErrorKind::Connect, format!("connect to {address}")).with_source(error),
            Err(_) => Error::new(ErrorKind::Timeout, format!("connect to {address}: no answer within {limit:?}")),
        };
    }
    Err(failed)
}

/// What to do about a proxy that stands in the way.
fn proxy_hint(proxy: &Proxy, endpoint: &Endpoint) -> String {
    match endpoint.proxy.as_ref().and_then(|own| own.said.as_ref()) {
        Some(said) => format!("check that {proxy} is up; {said} names it"),
        None => format!("check that {proxy} is up, or let {} go past it (NO_PROXY)", endpoint.host.as_str()),
    }
}

/// What to do where the error itself has no advice.
fn hint(failed: ExaminedStep, kind: ErrorKind, stop: &Stop) -> String {
    let host = stop.endpoint.host.as_str();
    match failed {
        ExaminedStep::Ping | ExaminedStep::Login | ExaminedStep::Manifest if kind == ErrorKind::Unavailable => {
            format!("{host} can't answer now: try again later, or ask who runs it")
        }
        ExaminedStep::Login if kind == ErrorKind::Credentials => {
            "mend what it names; `gantri explain` says where credentials are looked for".to_owned()
        }
        ExaminedStep::Name => format!("check the name {host}, and the resolver of this machine"),
        ExaminedStep::Connect => format!("check that {host} is up, its port, and what stands between"),
        ExaminedStep::Tls if stop.endpoint.skip_verify.value => format!("check what {host} speaks, and its port"),
        ExaminedStep::Tls => format!("put the authority that has signed its certificate into certs.d/{host}/ca.crt"),
        ExaminedStep::Ping => format!("check that {host} is a registry, and its port"),
        ExaminedStep::Login => format!("log in to {host}; `gantri explain` says where credentials are looked for"),
        ExaminedStep::Manifest => "check the name and the tag; `gantri tags` lists what there is".to_owned(),
    }
}
