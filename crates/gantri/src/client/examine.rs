//! Reaching a place step by step, so that what fails is told apart from all that lies before it.

use std::net::{IpAddr, SocketAddr};

use gantri_core::{Error, ErrorKind, Pull, Result};
use gantri_remote::{Ping, PlainHttp, Remote};
use gantri_spec::{Host, Reference};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Client;
use crate::config::{Scheme, Stop};
use crate::registries::Settings;

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
    /// Somebody listens there.
    Connect,
    /// TLS, with a certificate that is trusted.
    Tls,
    /// It is a registry.
    Ping,
    /// It lets us in.
    Login,
    /// The image is there.
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
            let hint = error.hint().map_or_else(|| hint(step, stop), str::to_owned);
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
        use ExaminedStep::{Connect, Login, Manifest, Name, Tls};
        let mut done = |step, words: String| steps.push(Examined { step, outcome: Ok(words) });
        let endpoint = &stop.endpoint;
        let scheme = endpoint.scheme_for(self.registries.settings().plain_http);
        let ways = self.registries.ways(stop, reference.host()).map_err(|error| (Name, error))?;
        let settings = self.registries.settings();
        if let Some(proxy) = endpoint.proxy_among(&settings.proxies, settings.plain_http) {
            // Names and addresses are the proxy's business.
            done(Name, format!("left to the proxy {proxy}"));
            done(Connect, format!("left to the proxy {proxy}"));
        } else {
            let addresses = addresses(stop, scheme, settings).await.map_err(|error| (Name, error))?;
            let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            done(Name, shown.join(", "));
            let connected = connect(&addresses, settings).await.map_err(|error| (Connect, error))?;
            done(Connect, connected.to_string());
        }
        let (remote, plain_http, ping) = first_to_answer(&ways).await.map_err(|error| match error.kind() {
            ErrorKind::Connect if scheme != Scheme::Http => (Tls, error),
            _ => (ExaminedStep::Ping, error),
        })?;
        done(Tls, if plain_http == PlainHttp::Always { "not spoken" } else { "as it should be" }.to_owned());
        done(ExaminedStep::Ping, ping.map_or("a registry that asks who we are", |_| "a registry").to_owned());
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
            Err(error) => {
                let is_last = error.kind() != ErrorKind::Connect;
                failed = failed.or(Some(error));
                if is_last {
                    break;
                }
            }
        }
    }
    Err(failed.unwrap_or_else(|| Error::new(ErrorKind::Config, "no way to the registry")))
}

fn is_login(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::Credentials)
}

async fn addresses(stop: &Stop, scheme: Scheme, settings: &Settings) -> Result<Vec<SocketAddr>> {
    let host = &stop.endpoint.host;
    let (authority, limit) = (host.authority(), settings.limits.connect);
    let port = host.port().unwrap_or(if scheme == Scheme::Http { 80 } else { 443 });
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

/// What to do where the error itself has no advice.
fn hint(failed: ExaminedStep, stop: &Stop) -> String {
    let host = stop.endpoint.host.as_str();
    match failed {
        ExaminedStep::Name => format!("check the name {host}, and the resolver of this machine"),
        ExaminedStep::Connect => format!("check that {host} is up, its port, and what stands between"),
        ExaminedStep::Tls => format!("put the authority that has signed its certificate into certs.d/{host}/ca.crt"),
        ExaminedStep::Ping => format!("check that {host} is a registry, and its port"),
        ExaminedStep::Login => format!("log in to {host}; `gantri explain` says where credentials are looked for"),
        ExaminedStep::Manifest => "check the name and the tag; `gantri tags` lists what there is".to_owned(),
    }
}
