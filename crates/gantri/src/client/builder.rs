//! What a [`Client`] is made of.

use std::net::SocketAddr;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Limits, NoObserver, Observer, Result};
use gantri_remote::{Credentials, Dial, HttpVersion, PlainHttp, Proxies, Resolve, Secret, Throttle, UploadSessions};
use gantri_spec::{Host, Platform};
use http::StatusCode;

use super::Client;
use crate::config::Configuration;
use crate::registries::{Registries, Settings};

/// What a [`Client`] is made of. Nothing is checked and nothing is looked up before [`build`](Self::build).
#[derive(Debug)]
pub struct ClientBuilder {
    settings: Settings,
    platform: Option<Platform>,
    observer: Arc<dyn Observer>,
}

/// The spec wants manifests of 4 megabytes supported.
const SMALLEST_MANIFEST_LIMIT: u64 = 4_000_000;

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self { settings: Settings::default(), platform: None, observer: Arc::new(NoObserver) }
    }

    /// What files say about registries: mirrors, certificates, what is closed. Default: none is read.
    pub fn configuration(mut self, configuration: impl Into<Arc<Configuration>>) -> Self {
        self.settings.configuration = configuration.into();
        self
    }

    /// Who to be. Asked only when a registry asks. Default: anonymous everywhere.
    pub fn credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.settings.credentials = credentials;
        self
    }

    /// When to speak http. Default: to loopback hosts only.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.settings.plain_http = plain_http;
        self
    }

    /// The bounds. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// What every request says that it comes from. Default: `gantri/` and the version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = Some(user_agent.into());
        self
    }

    /// Asks listings for pages of so many entries. Default `None`: the registry chooses, which every registry can.
    pub fn page_size(mut self, entries: Option<u32>) -> Self {
        self.settings.page_size = entries;
        self
    }

    /// Which HTTP is spoken. Default: what TLS negotiates, else HTTP/1.1.
    pub fn http_version(mut self, version: HttpVersion) -> Self {
        self.settings.http_version = version;
        self
    }

    /// Trusts this token server wherever it stands, whichever registry names it
    /// ([`RemoteBuilder::trust_realm`](crate::remote::RemoteBuilder::trust_realm)). May be called again for another one.
    pub fn trust_realm(mut self, host: Host) -> Self {
        self.settings.trusted_realms.push(host);
        self
    }

    /// Asks no token servers but those on a registry's own host, trusted ones, and those of Docker Hub and GitLab.com
    /// ([`RemoteBuilder::strict_realm`](crate::remote::RemoteBuilder::strict_realm)). Default `false`.
    pub fn strict_realm(mut self, strict: bool) -> Self {
        self.settings.strict_realm = strict;
        self
    }

    /// Takes these statuses for passing troubles as well, of every registry
    /// ([`RemoteBuilder::retry_statuses`](crate::remote::RemoteBuilder::retry_statuses)).
    pub fn retry_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.settings.retry_statuses.extend(statuses);
        self
    }

    /// Sends this header with every request to this host where it is asked as a registry, and to no other. Its value is never
    /// printed. May be called again; the same name twice is sent twice.
    pub fn header(mut self, host: Host, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.settings.headers.push((host, name.into(), value.into()));
        self
    }

    /// What is reached through proxies. Default: nothing; the environment is not asked, which
    /// [`Environment::proxies`](crate::config::Environment::proxies) does.
    pub fn proxies(mut self, proxies: impl Into<Arc<Proxies>>) -> Self {
        self.settings.proxies = proxies.into();
        self
    }

    /// Who finds the addresses of names. Default: the system's resolver. What is found is checked all the same.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.settings.resolver = Some(resolver);
        self
    }

    /// Takes this host to be at this address, whatever a resolver says; without a port, on every port. May be called again,
    /// for another host or another address of the same one. A proxy that resolves names itself does not hear of it.
    pub fn resolve_to(mut self, host: Host, to: SocketAddr) -> Self {
        self.settings.pins.push((host, to));
        self
    }

    /// Who opens connections. Default: TCP. TLS goes on top all the same.
    pub fn dialer(mut self, dialer: Arc<dyn Dial>) -> Self {
        self.settings.dialer = Some(dialer);
        self
    }

    /// Where uploads are kept that this process may not end, for the next one to go on with
    /// ([`KeptUploads`](crate::KeptUploads)). Default: nowhere.
    pub fn upload_sessions(mut self, sessions: Arc<dyn UploadSessions>) -> Self {
        self.settings.upload_sessions = Some(sessions);
        self
    }

    /// Keeps a pace with each host together with all who were given a clone of this: other clients of the process, say.
    /// Default: one of its own, for all its registries and for where they lead.
    pub fn throttle(mut self, throttle: Throttle) -> Self {
        self.settings.throttle = Some(throttle);
        self
    }

    /// Which image of an index is meant. Default: this machine's platform.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Who hears about progress, of what registries warn, and of the pauses that they ask for. Default: nobody.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = Arc::clone(&observer);
        self.observer = observer;
        self
    }

    /// The client. Opens no connection.
    ///
    /// # Errors
    /// `Config` for a bound that [can't be kept](Limits::check) or, on manifests, is below what the spec asks every client to
    /// take, or if a page of no entries, or a user agent or header that can't be sent was asked for.
    pub fn build(self) -> Result<Client> {
        let limits = self.settings.limits.clone();
        limits.check()?;
        if limits.manifest < SMALLEST_MANIFEST_LIMIT {
            let what = format!("limit manifest = {}: at least {SMALLEST_MANIFEST_LIMIT} is needed", limits.manifest);
            return Err(Error::new(ErrorKind::Config, what));
        }
        let Settings { user_agent, page_size, headers, .. } = &self.settings;
        if user_agent.is_some() || page_size.is_some() || !headers.is_empty() {
            // What no registry can be set up with is told now, and not when the first is asked.
            self.settings.check()?;
        }
        Ok(Client {
            registries: Arc::new(Registries::new(self.settings)?),
            platform: self.platform.unwrap_or_else(Platform::host),
            limits,
            observer: self.observer,
        })
    }
}
