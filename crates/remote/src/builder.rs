//! From what the user says about a registry to a [`Remote`]. Nothing is sent, resolved or read here; all checks are in
//! [`RemoteBuilder::build`].

use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Limits, NoObserver, Observer, Result};
use gantri_spec::Host;
use http::StatusCode;
use http::header::HeaderValue;
use url::Url;

use crate::auth::{Authorizer, Credential, Credentials};
use crate::habits::Habits;
use crate::http::policy::{Side, Supplier};
use crate::http::{HttpClient, HyperClient};
use crate::referrers::Lines;
use crate::remote::{Inner, Remote};
use crate::transport::{Paced, Parts, Throttle, Transport};
use crate::upload::Lessons;

/// Collects what is to be said about a registry. Made by [`Remote::builder`].
#[derive(Debug)]
#[must_use]
pub struct RemoteBuilder {
    host: Host,
    plain_http: PlainHttp,
    http_version: HttpVersion,
    credentials: Arc<dyn Credentials>,
    trusted_realms: Vec<Host>,
    limits: Limits,
    user_agent: String,
    page_size: Option<u32>,
    http_client: Option<Arc<dyn HttpClient>>,
    throttle: Option<Throttle>,
    retry_statuses: Vec<StatusCode>,
    observer: Arc<dyn Observer>,
}

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
            http_version: HttpVersion::default(),
            credentials: Arc::new(Credential::Anonymous),
            trusted_realms: Vec::new(),
            limits: Limits::default(),
            user_agent: concat!("gantri/", env!("CARGO_PKG_VERSION")).to_owned(),
            page_size: None,
            http_client: None,
            throttle: None,
            retry_statuses: Vec::new(),
            observer: Arc::new(NoObserver),
        }
    }

    /// Says whether TLS is done without. Default: on loopback only.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.plain_http = plain_http;
        self
    }

    /// Says which HTTP is spoken. Default: what TLS negotiates, else HTTP/1.1.
    pub fn http_version(mut self, version: HttpVersion) -> Self {
        self.http_version = version;
        self
    }

    /// Says who asks. Default: nobody in particular.
    pub fn credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Trusts this token server although it stands at a private or loopback address other than the registry's own (A2). A
    /// host without a port is trusted on every port. May be called again for another one.
    pub fn trust_realm(mut self, host: Host) -> Self {
        self.trusted_realms.push(host);
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

    /// Sends through this instead of the built-in client. HTTP version and the limit on connecting are then its business.
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

    /// The registry, ready to be asked. Nothing is sent before something is asked for.
    ///
    /// # Errors
    /// `Config` if a page of no entries, or a user agent that can't be sent, was asked for.
    pub fn build(self) -> Result<Remote> {
        if self.page_size == Some(0) {
            return Err(Error::new(ErrorKind::Config, "page size 0: a page holds at least one entry"));
        }
        let user_agent = HeaderValue::try_from(&self.user_agent).map_err(|error| {
            Error::new(ErrorKind::Config, format!("user agent {:?}: can't be sent", self.user_agent)).with_source(error)
        })?;
        let origin = origin(&self.host, self.plain_http)?;
        let side = Arc::new(Side::told_by(&origin));
        let limits = Arc::new(self.limits);
        let http = self
            .http_client
            .unwrap_or_else(|| Arc::new(HyperClient::new(self.http_version, &limits, Arc::clone(&side))));
        let throttle = self.throttle.unwrap_or_else(|| Throttle::new(&limits));
        let supplier = Arc::new(Supplier { origin, realms: self.trusted_realms, side });
        let auth = Authorizer::new(
            self.host.clone(),
            Arc::clone(&supplier),
            self.plain_http,
            self.credentials,
            Arc::new(Paced::new(Arc::clone(&http), throttle.clone(), Arc::clone(&limits))),
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
        let (page_size, left) = (self.page_size, Arc::default());
        Ok(Remote::of(Inner { host: self.host, supplier, transport, limits, page_size, habits, lessons, lines, left }))
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
    }
}
