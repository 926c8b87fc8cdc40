//! [`Route`]: where a reference leads, which of all the files said so, and how each place is spoken to.
//!
//! A `hosts.toml` tree was named by whoever reads it, so it has the first word about the hosts that it knows; then comes
//! `registries.conf`. What is blocked there stays blocked. `certs.d` adds to whatever host comes out, unless `hosts.toml`
//! has said which certificates to use.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use gantri_core::Result;
use gantri_core::filter::Serves;
use gantri_remote::{PlainHttp, Proxies, Proxy};
use gantri_spec::{Host, Reference, RepositoryName};

use super::certs_d::{self, Certificates};
use super::configuration::Configuration;
use super::document::{Said, Told};
use super::hosts_toml::{self, Header, Server};
use super::registries_conf::Physical;

/// Where a reference is read from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Route {
    /// Asked first, in this order.
    pub mirrors: Vec<Stop>,
    /// Asked last; lists tags and referrers.
    pub origin: Stop,
    /// The files that were read, in their order.
    pub files: Vec<PathBuf>,
    /// What in these files was left out of account.
    pub notes: Vec<String>,
}

/// A place that may have what is wanted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stop {
    /// What the repository is called there; `None` where a whole registry is meant.
    pub repository: Option<RepositoryName>,
    /// What it is asked for.
    pub serves: Serves,
    /// Who named it; `None` for the registry that the reference names.
    pub said: Option<Said>,
    /// How it is spoken to.
    pub endpoint: Endpoint,
}

/// How a host is spoken to. Two that are equal are one registry, whoever said so.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// With or without TLS.
    pub scheme: Told<Scheme>,
    /// Whether its certificate is not looked at.
    pub skip_verify: Told<bool>,
    /// The path below which its API is; `None` is `/v2`.
    pub api_root: Option<String>,
    /// The host that it stands in for, which it is told with every request (`?ns=`).
    pub namespace: Option<Host>,
    /// Whom to trust beside the system's authorities, and who we are.
    pub certificates: Certificates,
    /// Headers of every request to it.
    pub headers: Vec<Told<Header>>,
    /// Time to connect.
    pub connect: Option<Told<Duration>>,
    /// The proxy to go through, whatever the environment says.
    pub proxy: Option<Told<Proxy>>,
}

/// With or without TLS.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Scheme {
    /// As everywhere: https, but http to loopback hosts.
    #[default]
    Auto,
    /// https.
    Https,
    /// http.
    Http,
    /// https, or http where that is not spoken.
    Either,
}

impl Configuration {
    /// Where a reference is read from. Reads files, sends nothing.
    ///
    /// # Errors
    /// `Denied` if it is blocked; `Unsupported` if no host may be read from; `Config` if a file can't be understood.
    pub fn route(&self, reference: &Reference) -> Result<Route> {
        let read = self.read()?;
        read.registries.admit(reference)?;
        let (host, repository) = (reference.host(), reference.repository());
        let mut notes = read.registries.notes.clone();
        let files = read.files.clone();
        if let Some(hosts) = self.hosts_of(host)? {
            let (mirrors, origin) = hosts.sources(host, reference.digest().is_none())?;
            let stop = |server: &Server| self.stop_of_server(server, host, Some(repository));
            let mirrors = mirrors.into_iter().map(stop).collect::<Result<_>>()?;
            let origin = stop(origin)?;
            notes.extend(hosts.notes.iter().cloned());
            return Ok(Route { mirrors, origin, files, notes });
        }
        let Some(choice) = read.registries.choose(reference)? else {
            let origin = self.stop_itself(host, Some(repository), Told::unsaid(false))?;
            return Ok(Route { mirrors: Vec::new(), origin, files, notes });
        };
        // All that are chosen for this reference may say what its tag names, for those that may not are not chosen.
        let mirrors = choice.mirrors.into_iter().map(|place| self.stop_of_place(place, Serves::All));
        let (mirrors, origin) = (mirrors.collect::<Result<_>>()?, self.stop_of_place(choice.origin, Serves::All)?);
        Ok(Route { mirrors, origin, files, notes })
    }

    /// Where it is written to: where its name says, however that is read.
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub fn target(&self, reference: &Reference) -> Result<Stop> {
        let read = self.read()?;
        read.registries.admit(reference)?;
        let (host, repository) = (reference.host(), Some(reference.repository()));
        if let Some(hosts) = self.hosts_of(host)? {
            return self.stop_of_server(hosts.target(host)?, host, repository);
        }
        let choice = read.registries.choose(reference)?;
        self.stop_itself(host, repository, choice.map_or(Told::unsaid(false), |choice| choice.insecure))
    }

    /// Where a whole registry is asked what it holds.
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub fn registry(&self, host: &Host) -> Result<Stop> {
        let choice = self.read()?.registries.choose_host(host)?;
        match (self.hosts_of(host)?, choice) {
            (Some(hosts), _) => self.stop_of_server(hosts.sources(host, true)?.1, host, None),
            (None, Some(choice)) => self.stop_of_place(choice.origin, Serves::All),
            (None, None) => self.stop_itself(host, None, Told::unsaid(false)),
        }
    }

    /// Where a registry itself is, and nothing that stands in for it: a secret that was typed for this host is for no other
    /// that a file leads to (A15).
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub(crate) fn itself(&self, host: &Host) -> Result<Endpoint> {
        let choice = self.read()?.registries.choose_host(host)?;
        let insecure = match self.hosts_of(host)? {
            Some(hosts) => match hosts.itself() {
                Some(server) => return Ok(self.stop_of_server(server, host, None)?.endpoint),
                None => Told::unsaid(false),
            },
            // What is said of a host that stands in for this one is not said of this one (A13).
            None => choice
                .filter(|choice| choice.origin.host == *host)
                .map_or(Told::unsaid(false), |choice| choice.insecure),
        };
        Ok(self.stop_itself(host, None, insecure)?.endpoint)
    }

    fn hosts_of(&self, host: &Host) -> Result<Option<hosts_toml::Hosts>> {
        self.hosts_dir.as_ref().map_or(Ok(None), |dir| hosts_toml::of_host(dir, host))
    }

    fn stop_itself(&self, host: &Host, repository: Option<&RepositoryName>, insecure: Told<bool>) -> Result<Stop> {
        let endpoint = Endpoint::of(host, insecure, self.certificates(host)?);
        Ok(Stop { repository: repository.cloned(), serves: Serves::All, said: None, endpoint })
    }

    fn stop_of_place(&self, place: Physical, serves: Serves) -> Result<Stop> {
        let certificates = self.certificates(&place.host)?;
        let endpoint = Endpoint::of(&place.host, place.insecure, certificates);
        Ok(Stop { repository: place.repository, serves, said: Some(place.said), endpoint })
    }

    fn stop_of_server(&self, server: &Server, of: &Host, repository: Option<&RepositoryName>) -> Result<Stop> {
        let own = &server.certificates;
        let said_none = own.roots.is_empty() && own.clients.is_empty();
        let scheme = match server.scheme {
            hosts_toml::Scheme::Unsaid => Told::unsaid(Scheme::Auto),
            hosts_toml::Scheme::Https => Told::new(Scheme::Https, server.said.clone()),
            hosts_toml::Scheme::Http => Told::new(Scheme::Http, server.said.clone()),
        };
        let endpoint = Endpoint {
            host: server.host.clone(),
            scheme,
            skip_verify: server.skip_verify.clone(),
            api_root: server.api_root.clone(),
            namespace: server.is_other.then(|| of.clone()),
            certificates: if said_none { self.certificates(&server.host)? } else { own.clone() },
            headers: server.headers.clone(),
            connect: server.dial_timeout.clone(),
            proxy: server.proxy.clone(),
        };
        let able = match (server.pull, server.resolve) {
            (true, true) => Serves::All,
            (true, false) => Serves::Digests,
            (false, _) => Serves::Tags,
        };
        Ok(Stop { repository: repository.cloned(), serves: able, said: Some(server.said.clone()), endpoint })
    }

    fn certificates(&self, host: &Host) -> Result<Certificates> {
        certs_d::of_host(&self.cert_dirs, host)
    }
}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.host.hash(state);
    }
}

impl Endpoint {
    /// The proxy that it is reached through: its own, else what holds for all. Credentials in it are not shown when it is
    /// printed.
    pub fn proxy_among<'a>(&'a self, proxies: &'a Proxies, plain_http: PlainHttp) -> Option<&'a Proxy> {
        let scheme = if self.scheme_for(plain_http) == Scheme::Http { "http" } else { "https" };
        let url = format!("{scheme}://{}/", self.host.authority());
        match &self.proxy {
            Some(own) => Some(&own.value),
            None => proxies.proxy_for(&url.parse().ok()?),
        }
    }

    /// How a host is spoken to that no file says anything about.
    pub(crate) fn plain(host: &Host) -> Self {
        Self::of(host, Told::unsaid(false), Certificates::default())
    }

    /// With or without TLS, where the user has said `plain_http` of all hosts: he has the last word.
    pub fn scheme_for(&self, plain_http: PlainHttp) -> Scheme {
        match plain_http {
            PlainHttp::Auto if self.scheme.value == Scheme::Auto && self.host.is_loopback() => Scheme::Http,
            PlainHttp::Auto if self.scheme.value == Scheme::Auto => Scheme::Https,
            PlainHttp::Auto => self.scheme.value,
            PlainHttp::Never => Scheme::Https,
            _ => Scheme::Http,
        }
    }

    fn of(host: &Host, insecure: Told<bool>, certificates: Certificates) -> Self {
        let scheme = if insecure.value { Scheme::Either } else { Scheme::Auto };
        Self {
            host: host.clone(),
            scheme: Told { value: scheme, said: insecure.said.clone() },
            skip_verify: insecure,
            api_root: None,
            namespace: None,
            certificates,
            headers: Vec::new(),
            connect: None,
            proxy: None,
        }
    }
}
