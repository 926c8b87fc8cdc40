//! From a reference to the registry that it is read from, or written to: where the configuration leads, each place made
//! once. Who asks again shares connections, tokens and the pauses that a host asked for, and can tell that two places are in
//! one registry, where blobs are mounted and not sent.
//!
//! Mirrors are read from and never written to: what is put has to be held against the place that it is put to.

mod either;
mod elsewhere;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::filter::Fallback;
use gantri_core::{Error, ErrorKind, Limits, NoObserver, Observer, Registry, Result};
use gantri_remote::{
    Credential, Credentials, Dial, HttpVersion, PlainHttp, Proxies, Remote, RemoteBuilder, Resolve, Secret, Throttle,
    UploadSessions,
};
use gantri_spec::{Host, Reference, RepositoryName};
use http::StatusCode;

use self::either::{Either, Way};
use self::elsewhere::Elsewhere;
use crate::config::{Configuration, Endpoint, Scheme, Stop, Told};

/// The registries that a client speaks to.
pub(crate) struct Registries {
    settings: Settings,
    made: Mutex<HashMap<Key, Made>>,
}

/// What tells one registry from another: how it is spoken to, and by whom.
type Key = (Endpoint, Asks);

/// A registry, and what it is spoken to through.
#[derive(Clone)]
struct Made {
    registry: Arc<dyn Registry>,
    ways: Vec<Remote>,
}

/// Where something is read from.
pub(crate) struct ToRead {
    /// With the mirrors that are asked before the origin.
    pub(crate) registry: Arc<dyn Registry>,
    /// The registry that it belongs to: the same for all that is read from it, whatever the mirrors.
    pub(crate) origin: Arc<dyn Registry>,
    /// What it is called at the origin.
    pub(crate) repository: RepositoryName,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Asks {
    /// The user, at a host that he has named.
    User,
    /// The same at a host that a file has named in its stead.
    UserElsewhere,
}

/// What every registry is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) plain_http: PlainHttp,
    pub(crate) limits: Limits,
    /// `None` is the library's own.
    pub(crate) user_agent: Option<String>,
    pub(crate) page_size: Option<u32>,
    pub(crate) proxies: Arc<Proxies>,
    /// `None` is the system's.
    pub(crate) resolver: Option<Arc<dyn Resolve>>,
    pub(crate) pins: Vec<(Host, SocketAddr)>,
    /// `None` is TCP.
    pub(crate) dialer: Option<Arc<dyn Dial>>,
    pub(crate) upload_sessions: Option<Arc<dyn UploadSessions>>,
    pub(crate) http_version: HttpVersion,
    pub(crate) trusted_realms: Vec<Host>,
    pub(crate) strict_realm: bool,
    pub(crate) retry_statuses: Vec<StatusCode>,
    /// Each for the registry that the user has named.
    pub(crate) headers: Vec<(Host, String, Secret)>,
    /// Shared by all of them, and by whoever else was given it. `None` is one of their own.
    pub(crate) throttle: Option<Throttle>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            configuration: Arc::default(),
            credentials: Arc::new(Credential::Anonymous),
            plain_http: PlainHttp::Auto,
            limits: Limits::default(),
            user_agent: None,
            page_size: None,
            proxies: Arc::default(),
            resolver: None,
            pins: Vec::new(),
            dialer: None,
            upload_sessions: None,
            http_version: HttpVersion::Auto,
            trusted_realms: Vec::new(),
            strict_realm: false,
            retry_statuses: Vec::new(),
            headers: Vec::new(),
            throttle: None,
            observer: Arc::new(NoObserver),
        }
    }
}

impl Registries {
    /// # Errors
    /// `Config` for a bound that can't be kept.
    pub(crate) fn new(mut settings: Settings) -> Result<Self> {
        if settings.throttle.is_none() {
            settings.throttle = Some(Throttle::new(&settings.limits)?);
        }
        Ok(Self { settings, made: Mutex::default() })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The registry at `host`: the same value for the same host. Sends nothing.
    ///
    /// # Errors
    /// `Config` if it can't be set up; `Denied` if it is blocked.
    pub(crate) fn at(&self, host: &Host) -> Result<Arc<dyn Registry>> {
        self.stop(&self.settings.configuration.registry(host)?, host)
    }

    /// Where a reference is read from. Sends nothing.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub(crate) fn to_read(&self, reference: &Reference) -> Result<ToRead> {
        let route = self.settings.configuration.route(reference)?;
        let repository = called(&route.origin, reference);
        let origin = self.stop(&route.origin, reference.host())?;
        if route.mirrors.is_empty() {
            return Ok(ToRead { registry: Arc::clone(&origin), origin, repository });
        }
        let mut registry = Fallback::new(Arc::clone(&origin));
        for mirror in &route.mirrors {
            let place = Elsewhere::new(self.stop(mirror, reference.host())?, called(mirror, reference));
            registry = registry.with_mirror_for(Arc::new(place), mirror.serves);
        }
        Ok(ToRead { registry: Arc::new(registry), origin, repository })
    }

    /// Where a reference is written to, and what its repository is called there. Sends nothing.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub(crate) fn to_write(&self, reference: &Reference) -> Result<(Arc<dyn Registry>, RepositoryName)> {
        let target = self.settings.configuration.target(reference)?;
        Ok((self.stop(&target, reference.host())?, called(&target, reference)))
    }

    /// The registry at `host` itself, wherever its names lead, for somebody else, who shares nothing with the client.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub(crate) fn as_another(&self, host: &Host, credentials: Arc<dyn Credentials>) -> Result<Remote> {
        let endpoint = self.settings.configuration.itself(host)?;
        let settings = Settings { credentials, ..self.settings.clone() };
        // Where either is allowed it is https: what is to be checked is a secret.
        let (way, _) = settings.ways(&endpoint);
        settings.remote(&endpoint, Asks::User, way)
    }

    /// The ways to a place, in the order in which they are tried, each with one try for each request.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub(crate) fn ways(&self, stop: &Stop, named: &Host) -> Result<Vec<(PlainHttp, Remote)>> {
        let mut settings = self.settings.clone();
        settings.limits.request_tries = 1;
        let (first, second) = settings.ways(&stop.endpoint);
        let way = |way: PlainHttp| Ok((way, settings.remote(&stop.endpoint, asks(stop, named), way)?));
        [first].into_iter().chain(second).map(way).collect()
    }

    /// What every registry that was asked for so far is spoken to through.
    pub(crate) fn remotes(&self) -> Vec<Remote> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.values().flat_map(|made| made.ways.clone()).collect()
    }

    /// The same of the one host.
    pub(crate) fn known(&self, host: &Host) -> Vec<Remote> {
        let mut remotes = self.remotes();
        remotes.retain(|remote| remote.host() == host);
        remotes
    }

    fn stop(&self, stop: &Stop, named: &Host) -> Result<Arc<dyn Registry>> {
        let asks = asks(stop, named);
        let key = (stop.endpoint.clone(), asks);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.get(&key) {
            return Ok(Arc::clone(&made.registry));
        }
        let new = self.settings.make(&stop.endpoint, asks)?;
        let registry = Arc::clone(&new.registry);
        made.insert(key, new);
        Ok(registry)
    }
}

fn asks(stop: &Stop, named: &Host) -> Asks {
    if stop.endpoint.host == *named { Asks::User } else { Asks::UserElsewhere }
}

fn called(stop: &Stop, reference: &Reference) -> RepositoryName {
    stop.repository.clone().unwrap_or_else(|| reference.repository().clone())
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Settings {
    /// Whether what every registry is made with can be.
    ///
    /// # Errors
    /// `Config` if not.
    pub(crate) fn check(&self) -> Result<()> {
        let named = self.headers.iter().map(|(host, ..)| host);
        for host in named.chain([&Host::docker_hub()]) {
            self.remote(&Endpoint::plain(host), Asks::User, PlainHttp::Auto)?;
        }
        Ok(())
    }

    fn make(&self, endpoint: &Endpoint, asks: Asks) -> Result<Made> {
        let remote = |way| self.remote(endpoint, asks, way);
        Ok(match self.ways(endpoint) {
            (way, None) => {
                let remote = remote(way)?;
                Made { registry: Arc::new(remote.clone()), ways: vec![remote] }
            }
            (https, Some(http)) => {
                let mut once = self.clone();
                once.limits.request_tries = 1;
                let way =
                    |way| -> Result<Way> { Ok(Way { remote: remote(way)?, probe: once.remote(endpoint, asks, way)? }) };
                let (https, http) = (way(https)?, way(http)?);
                let ways = vec![https.remote.clone(), http.remote.clone()];
                Made { registry: Arc::new(Either::new(https, http)), ways }
            }
        })
    }

    /// How the host is spoken to, and how else if not so.
    fn ways(&self, endpoint: &Endpoint) -> (PlainHttp, Option<PlainHttp>) {
        match endpoint.scheme_for(self.plain_http) {
            Scheme::Auto | Scheme::Https => (PlainHttp::Never, None),
            // Said by the user of all hosts it may go further than said by a file of one.
            Scheme::Http if self.plain_http == PlainHttp::AlwaysWithSecrets => (self.plain_http, None),
            Scheme::Http => (PlainHttp::Always, None),
            Scheme::Either => (PlainHttp::Never, Some(PlainHttp::Always)),
        }
    }

    /// A registry of these settings.
    fn remote(&self, endpoint: &Endpoint, asks: Asks, plain_http: PlainHttp) -> Result<Remote> {
        let mut limits = self.limits.clone();
        if let Some(connect) = &endpoint.connect {
            limits.connect = connect.value;
        }
        let mut tls = endpoint.certificates.tls()?;
        if endpoint.skip_verify.value {
            tls = tls.danger_accept_any_certificate();
        }
        let mut remote = Remote::builder(endpoint.host.clone())
            .plain_http(plain_http)
            .tls(tls)
            .limits(limits)
            .http_version(self.http_version)
            .strict_realm(self.strict_realm)
            .retry_statuses(self.retry_statuses.iter().copied())
            .page_size(self.page_size)
            .observer(Arc::clone(&self.observer));
        if let Some(throttle) = &self.throttle {
            remote = remote.throttle(throttle.clone());
        }
        // What is given without a host was meant for the one that the user named (A15).
        if asks == Asks::User || !self.credentials.answers_every_host() {
            remote = remote.credentials(Arc::clone(&self.credentials));
        }
        remote = as_files_say(remote, endpoint);
        for (_, name, value) in self.headers.iter().filter(|(host, ..)| *host == endpoint.host) {
            remote = remote.header(name.clone(), value.clone());
        }
        for realm in &self.trusted_realms {
            remote = remote.trust_realm(realm.clone());
        }
        remote = remote.proxies(match &endpoint.proxy {
            Some(proxy) => Arc::new(Proxies::default().all(&proxy.value).loopback_too()),
            None => Arc::clone(&self.proxies),
        });
        if let Some(user_agent) = &self.user_agent {
            remote = remote.user_agent(user_agent.clone());
        }
        if let Some(resolver) = &self.resolver {
            remote = remote.resolver(Arc::clone(resolver));
        }
        for (host, to) in &self.pins {
            remote = remote.resolve_to(host.clone(), *to);
        }
        if let Some(dialer) = &self.dialer {
            remote = remote.dialer(Arc::clone(dialer));
        }
        if let Some(sessions) = &self.upload_sessions {
            remote = remote.upload_sessions(Arc::clone(sessions));
        }
        remote.build()
    }
}

/// Whether somebody who speaks this has answered, if not as was hoped. A port for TLS answers http with 400, that it is one.
pub(crate) fn is_spoken(error: &Error) -> bool {
    let is_silent = matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout);
    !is_silent && error.status() != Some(StatusCode::BAD_REQUEST)
}

/// What files of configuration say of the host beyond where it is.
fn as_files_say(mut remote: RemoteBuilder, endpoint: &Endpoint) -> RemoteBuilder {
    if let Some(root) = &endpoint.api_root {
        remote = remote.api_root(if root.is_empty() { "/" } else { root });
    }
    if let Some(namespace) = &endpoint.namespace {
        remote = remote.namespace(namespace.clone());
    }
    for Told { value: header, .. } in &endpoint.headers {
        remote = remote.header(header.name.clone(), header.value.clone());
    }
    remote
}
