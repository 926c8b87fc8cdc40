//! From what the user says about a registry to a [`Remote`]. Nothing is sent, resolved or read here; all checks are in
//! [`RemoteBuilder::build`].

use std::net::SocketAddr;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Limits, NoObserver, Observer, Result};
use gantri_spec::Host;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};
use url::Url;

use crate::auth::{Authorizer, Credential, Credentials, Secret};
use crate::habits::Habits;
use crate::http::policy::{Side, Supplier};
use crate::http::{Dial, HttpClient, HyperClient, OwnHeaders, Pin, Proxies, Resolve, Route, Tls, checked};
use crate::referrers::Lines;
use crate::remote::{Inner, Remote};
use crate::transport::{Paced, Parts, Throttle, Transport};
use crate::upload::{Lessons, UploadSessions};

/// Collects what is to be said about a registry. Made by [`Remote::builder`].
#[derive(Debug)]
#[must_use]
pub struct RemoteBuilder {
    host: Host,
    plain_http: PlainHttp,
    credentials: Arc<dyn Credentials>,
    trusted_realms: Vec<Host>,
    strict_realm: bool,
    limits: Limits,
    user_agent: String,
    page_size: Option<u32>,
    namespace: Option<Host>,
    api_root: String,
    headers: Vec<(String, Secret)>,
    route: Route,
    http_client: Option<Arc<dyn HttpClient>>,
    throttle: Option<Throttle>,
    retry_statuses: Vec<StatusCode>,
    observer: Arc<dyn Observer>,
    upload_sessions: Option<Arc<dyn UploadSessions>>,
}

const DEFAULT_API_ROOT: &str = "/v2";

/// Whether a registry is spoken to without TLS. A failed https never falls back to http (A13).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PlainHttp {
    /// Only if the host is a loopback address or `localhost`.
    #[default]
    Auto,
    /// Yes. Credentials are sent all the same only if the host is loopback (A12).
    Always,
    /// Yes, credentials included.
    AlwaysWithSecrets,
    /// No, not even on loopback.
    Never,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// What TLS negotiates; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS, by prior knowledge.
    Http2,
}

impl RemoteBuilder {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            plain_http: PlainHttp::default(),
            credentials: Arc::new(Credential::Anonymous),
            trusted_realms: Vec::new(),
            strict_realm: false,
            limits: Limits::default(),
            user_agent: concat!("gantri/", env!("CARGO_PKG_VERSION")).to_owned(),
            page_size: None,
            namespace: None,
            api_root: DEFAULT_API_ROOT.to_owned(),
            headers: Vec::new(),
            route: Route::default(),
            http_client: None,
            throttle: None,
            retry_statuses: Vec::new(),
            observer: Arc::new(NoObserver),
            upload_sessions: None,
        }
    }

    /// Says whether TLS is done without. Default: on loopback only.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.plain_http = plain_http;
        self
    }

    /// Says which HTTP is spoken. Default: what TLS negotiates, else HTTP/1.1.
    pub fn http_version(mut self, version: HttpVersion) -> Self {
        self.route.version = version;
        self
    }

    /// Says who asks. Default: nobody in particular.
    pub fn credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Trusts this token server wherever it stands: at a private or loopback address where the registry has none (A2), or
    /// at another host with [`strict_realm`](Self::strict_realm). A host without a port is trusted on every port. May be
    /// called again for another one.
    pub fn trust_realm(mut self, host: Host) -> Self {
        self.trusted_realms.push(host);
        self
    }

    /// Asks no token servers but those on the registry's own host, those that are [trusted](Self::trust_realm), and
    /// Docker Hub's and GitLab.com's own (A2). Default `false`: a registry may name any on the public internet, or on its
    /// own side of it.
    pub fn strict_realm(mut self, strict: bool) -> Self {
        self.strict_realm = strict;
        self
    }

    /// Sets the bounds that are kept.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the `User-Agent`. Default: `gantri/` and the version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Asks listings for pages of so many entries, or for as many as the registry allows if that is fewer. Default `None`:
    /// the registry chooses, which every registry can; one that then leaves out entries without a `Link` to them (GAR's kin)
    /// is only seen through if a size is told.
    pub fn page_size(mut self, entries: Option<u32>) -> Self {
        self.page_size = entries;
        self
    }

    /// Says with every request for which registry this one stands in, as containerd tells its mirrors (`?ns=docker.io`): one
    /// that mirrors several can't know otherwise.
    pub fn namespace(mut self, host: Host) -> Self {
        self.namespace = Some(host);
        self
    }

    /// Finds addresses through this instead of the system's resolver. What it finds is checked all the same.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.route.resolver = resolver;
        self
    }

    /// Connects through this instead of TCP; TLS goes on top of it all the same.
    pub fn dialer(mut self, dialer: Arc<dyn Dial>) -> Self {
        self.route.dialer = Some(dialer);
        self
    }

    /// Takes this host to be at this address, whatever a resolver says, and whatever kind of address it is: the registry
    /// itself, or one that it leads to. A host without a port is meant on every port; port 0 of the address is the URL's
    /// own. May be called again, for another host or another address of the same one. A proxy that resolves names itself
    /// does not hear of it.
    pub fn resolve_to(mut self, host: Host, to: SocketAddr) -> Self {
        self.route.pins.push(Pin { host, to });
        self
    }

    /// Says whom to trust and who to be in TLS. Default: the system's roots, and nobody.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.route.tls = tls;
        self
    }

    /// Says what goes through proxies. Default: nothing; the environment is not asked.
    pub fn proxies(mut self, proxies: Arc<Proxies>) -> Self {
        self.route.proxies = proxies;
        self
    }

    /// Says where the API stands, in place of `/v2`: `/v2/mirrors/hub`, or wherever a gateway has put it. What the registry
    /// itself says of locations, pages and redirects is taken as it says it.
    pub fn api_root(mut self, path: impl Into<String>) -> Self {
        self.api_root = path.into();
        self
    }

    /// Sends this header with every request to the registry's own origin, and to no other. Its value is never printed. May be
    /// called again; the same name twice is sent twice.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends through this instead of the built-in client. HTTP version, resolver, dialer, TLS, proxies and the limit on
    /// connecting are then its business.
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Keeps a pace together with all who were given a clone of it: requests at a time, the pauses that hosts ask for, and
    /// the budget of tries, of this registry's host and of those that it leads to. Default: one of its own.
    pub fn throttle(mut self, throttle: Throttle) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// Takes these statuses for passing troubles as well, beside 408, 429, 499, 500, 502 to 504 and 520 to 524: requests
    /// that they answer are tried again where that is safe. How often and after which pauses is in [`Limits`].
    pub fn retry_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.retry_statuses.extend(statuses);
        self
    }

    /// Who hears of the registry's warnings, once each, and of the pauses that it asks for. Default: nobody.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Keeps the uploads of whole blobs here, so that the next process can go on with one that this process did not end.
    /// Default: nowhere, and an upload ends with its process.
    pub fn upload_sessions(mut self, sessions: Arc<dyn UploadSessions>) -> Self {
        self.upload_sessions = Some(sessions);
        self
    }

    /// The registry, ready to be asked. Nothing is sent before something is asked for.
    ///
    /// # Errors
    /// `Config` if a bound that [can't be kept](Limits::check), a page of no entries, a user agent or header that can't be
    /// sent or is not the user's to set, or an API root that is no path was asked for.
    pub fn build(self) -> Result<Remote> {
        self.limits.check()?;
        if self.page_size == Some(0) {
            return Err(Error::new(ErrorKind::Config, "page size 0: a page holds at least one entry"));
        }
        let user_agent = HeaderValue::try_from(&self.user_agent).map_err(|error| {
            Error::new(ErrorKind::Config, format!("user agent {:?}: can't be sent", self.user_agent)).with_source(error)
        })?;
        let origin = origin(&self.host, self.plain_http)?;
        let side = Arc::new(Side::told_by(&origin));
        let limits = Arc::new(self.limits);
        let headers = headers(&self.headers)?;
        let api_root = api_root(&self.api_root)?;
        let http = match self.http_client {
            Some(client) => client,
            None => Arc::new(HyperClient::new(self.route, &limits, Arc::clone(&side))),
        };
        let http = OwnHeaders::over(http, headers);
        let throttle = self.throttle.map_or_else(|| Throttle::new(&limits), Ok)?;
        let supplier =
            Arc::new(Supplier { origin, realms: self.trusted_realms, strict_realm: self.strict_realm, side });
        let auth = Authorizer::new(
            self.host.clone(),
            Arc::clone(&supplier),
            self.plain_http,
            self.credentials,
            Paced::new(Arc::clone(&http), throttle.clone(), Arc::clone(&limits), Arc::clone(&self.observer)),
            Arc::clone(&limits),
            user_agent.clone(),
        );
        let transport = Transport::new(Parts {
            http,
            auth,
            throttle,
            limits: Arc::clone(&limits),
            supplier: Arc::clone(&supplier),
            user_agent,
            retry_statuses: self.retry_statuses,
            host: self.host.as_str().to_owned(),
            observer: self.observer,
        });
        let (habits, lessons, lines) = (Habits::default(), Lessons::default(), Lines::default());
        let page_size = self.page_size;
        Ok(Remote::of(Inner {
            host: self.host,
            supplier,
            api_root,
            transport,
            limits,
            page_size,
            namespace: self.namespace,
            habits,
            lessons,
            lines,
            upload_sessions: self.upload_sessions,
            left: Arc::default(),
        }))
    }
}

fn origin(host: &Host, plain_http: PlainHttp) -> Result<Url> {
    let plain = match plain_http {
        PlainHttp::Auto => host.is_loopback(),
        PlainHttp::Always | PlainHttp::AlwaysWithSecrets => true,
        PlainHttp::Never => false,
    };
    let scheme = if plain { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{}/", host.authority()))
        .map_err(|error| Error::new(ErrorKind::Config, format!("host {}: no url", host.as_str())).with_source(error))
}

fn headers(told: &[(String, Secret)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in told {
        let (name, value) = checked(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// A path, without the slash at its end.
fn api_root(path: &str) -> Result<String> {
    let fault = || Error::new(ErrorKind::Config, format!("api root {path:?}: no plain path from the root"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~:@+".contains(&byte);
    let has_dots = path.split('/').any(|part| matches!(part, "." | ".."));
    if !path.starts_with('/') || path.contains("//") || has_dots || !path.bytes().all(is_plain) {
        return Err(fault());
    }
    Ok(path.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A13: which scheme is spoken is decided by the host's name and the user's word, before anything is sent.
    #[test]
    fn plain_http_is_for_loopback_or_by_the_users_word() {
        let cases = [
            ("localhost:5000", PlainHttp::Auto, "http://localhost:5000/"),
            ("127.0.0.1:5000", PlainHttp::Auto, "http://127.0.0.1:5000/"),
            ("[::1]:5000", PlainHttp::Auto, "http://[::1]:5000/"),
            ("localhost:5000", PlainHttp::Never, "https://localhost:5000/"),
            ("ghcr.io", PlainHttp::Auto, "https://ghcr.io/"),
            ("10.0.0.1:5000", PlainHttp::Auto, "https://10.0.0.1:5000/"),
            ("localhost.evil.test", PlainHttp::Auto, "https://localhost.evil.test/"),
            ("10.0.0.1:5000", PlainHttp::Always, "http://10.0.0.1:5000/"),
            ("docker.io", PlainHttp::Auto, "https://registry-1.docker.io/"),
        ];
        for (host, plain_http, expected) in cases {
            assert_eq!(origin(&host.parse().unwrap(), plain_http).unwrap().as_str(), expected, "{host} {plain_http:?}");
        }
    }

    #[test]
    fn a_bad_configuration_is_an_error_and_never_a_default() {
        let builder = || Remote::builder("localhost:5000".parse().unwrap());
        assert_eq!(builder().page_size(Some(0)).build().unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(builder().user_agent("a\nb").build().unwrap_err().kind(), ErrorKind::Config);
        let mut limits = Limits::default();
        limits.request_tries = 0;
        assert_eq!(Throttle::new(&limits).unwrap_err().kind(), ErrorKind::Config);
        let error = builder().limits(limits).build().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains("request_tries = 0")),
            (ErrorKind::Config, true),
            "{error}"
        );
    }
}
