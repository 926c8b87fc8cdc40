//! Which proxy a URL goes through ([`Proxies`]), and what there is to know of one ([`Proxy`]). Who reads the environment
//! hands the values in; how a proxy is spoken to is `tunnel`'s business.
//!
//! What stays on this machine bypasses every proxy. Behind a proxy, a name is resolved by the proxy, so only addresses that
//! stand in a URL are held to their class here (A7); whom a registry may lead to by name is then the proxy's to say.

mod direct;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantri_core::{Error, ErrorKind, Result};
use http::Uri;
use http::header::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;
use zeroize::Zeroizing;

use self::direct::Direct;
use crate::auth::Secret;

/// The proxies in force, and what goes past them. The default is none at all.
///
/// ```
/// use gantri_remote::Proxies;
///
/// let proxies = Proxies::default().all(&"http://proxy.example:3128".parse()?).except("10.0.0.0/8, .internal.example")?;
/// let through = |url: &'static str| proxies.proxy_for(&http::Uri::from_static(url)).map(ToString::to_string);
/// assert_eq!(through("https://ghcr.io/").as_deref(), Some("http://proxy.example:3128"));
/// assert_eq!(through("https://registry.internal.example/"), None);
/// assert_eq!(through("http://localhost:5000/"), None);
/// # Ok::<(), gantri_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    direct: Vec<Direct>,
    loopback_too: bool,
}

impl Proxies {
    /// What the environment says, which `read` looks up: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` for what the two leave
    /// open, and `NO_PROXY`, each also in lower case. `HTTP_PROXY` is left alone where `REQUEST_METHOD` is set: there it is a
    /// header that a web server handed on.
    ///
    /// # Errors
    /// `Config`, with the name of the variable, if one can't be understood. What may be a secret in it is not shown.
    pub fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let is_cgi = read("REQUEST_METHOD").is_some();
        let first = |names: [&'static str; 2]| {
            let usable = names.into_iter().filter(|name| !(is_cgi && *name == "HTTP_PROXY"));
            usable.filter_map(|name| Some((name, read(name)?))).find(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |names| match first(names) {
            Some((name, value)) => value.parse::<Proxy>().map(Some).map_err(|error| {
                error.during(name).with_hint(format!("set {name} to a URL like http://proxy.example:3128, or unset it"))
            }),
            None => Ok(None),
        };
        let all = proxy(["ALL_PROXY", "all_proxy"])?;
        let mut proxies = Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?.or_else(|| all.clone()),
            https: proxy(["HTTPS_PROXY", "https_proxy"])?.or(all),
            ..Self::default()
        };
        if let Some((name, list)) = first(["NO_PROXY", "no_proxy"]) {
            let hint = format!("{name} holds names, addresses and ranges like 10.0.0.0/8, with commas between");
            proxies = proxies.except(&list).map_err(|error| error.during(name).with_hint(hint))?;
        }
        Ok(proxies)
    }

    /// Everything goes through this.
    pub fn all(self, proxy: &Proxy) -> Self {
        self.http(proxy.clone()).https(proxy.clone())
    }

    /// What is asked for without TLS goes through this.
    pub fn http(mut self, proxy: Proxy) -> Self {
        self.http = Some(proxy);
        self
    }

    /// What is asked for with TLS goes through this.
    pub fn https(mut self, proxy: Proxy) -> Self {
        self.https = Some(proxy);
        self
    }

    /// What goes past them: a list as `NO_PROXY` has it, with commas. `example.com` is that host and all below it,
    /// `.example.com` only those below; an address, or a range of them as `10.0.0.0/8`, is meant for URLs that hold an
    /// address, for nothing is resolved to find out; a port may follow any of them; `*` is everything. May be called again.
    ///
    /// # Errors
    /// `Config` if a range is none.
    pub fn except(mut self, list: &str) -> Result<Self> {
        for entry in list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()) {
            self.direct.push(entry.parse()?);
        }
        Ok(self)
    }

    /// Sends through them also what would stay on this machine: `localhost` and loopback addresses.
    pub fn loopback_too(mut self) -> Self {
        self.loopback_too = true;
        self
    }

    /// The proxy that a URL goes through; `None` if it goes past them.
    pub fn proxy_for(&self, url: &Uri) -> Option<&Proxy> {
        let (proxy, port) = match url.scheme_str() {
            Some("http") => (self.http.as_ref()?, 80),
            _ => (self.https.as_ref()?, 443),
        };
        let (host, port) = (url.host()?, url.port_u16().unwrap_or(port));
        let stays_here = !self.loopback_too && direct::is_loopback(host);
        let is_direct = stays_here || self.direct.iter().any(|direct| direct.covers(host, port));
        (!is_direct).then_some(proxy)
    }
}

/// A proxy: where it stands, what it speaks, and who asks it. Its password is never printed (A16).
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    pub(super) speaks: Speaks,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<(String, Secret)>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaks {
    Http,
    /// HTTP within TLS.
    Https,
    /// Names are resolved here, and held to their class.
    Socks5,
    /// Names are resolved there.
    Socks5h,
}

impl Speaks {
    const ALL: [(Self, &str, u16); 4] = [
        (Self::Http, "http", 80),
        (Self::Https, "https", 443),
        (Self::Socks5, "socks5", 1080),
        (Self::Socks5h, "socks5h", 1080),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find_map(|(speaks, name, _)| (speaks == self).then_some(name)).unwrap_or_default()
    }
}

impl Proxy {
    /// Says who asks, in place of what the URL said.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.user = Some((name.into(), password.into()));
        self
    }

    /// Whether it is a proxy that an error of a request is about, and not the host behind it.
    pub fn stood_in_the_way(error: &Error) -> bool {
        super::failure::is_of_proxy(error)
    }

    /// Whether requests without TLS are handed to it whole.
    pub(super) fn forwards(&self) -> bool {
        matches!(self.speaks, Speaks::Http | Speaks::Https)
    }

    /// The value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (name, password) = self.user.as_ref()?;
        let plain = Zeroizing::new(format!("{name}:{}", password.expose()));
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain.as_bytes()))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// From `http://user:password@host:port`; `https`, `socks5` and `socks5h` are the other schemes, none is `http`.
impl FromStr for Proxy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The text is in no error: it may hold a password.
        let fault = |what: &str| Error::new(ErrorKind::Config, format!("proxy: {what}"));
        let text = text.trim();
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|error| fault("not a URL").with_source(error))?;
        let known = Speaks::ALL.into_iter().find(|(_, name, _)| *name == url.scheme());
        let Some((speaks, _, port)) = known else {
            return Err(fault(&format!("scheme {:?}: one of http, https, socks5 and socks5h is needed", url.scheme())));
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(fault("no host"));
        }
        let decoded = |part: &str| match percent_decode_str(part).decode_utf8() {
            Ok(text) if text.contains(['\r', '\n', '\0']) => Err(fault("a line break in user or password")),
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(fault("user or password is no UTF-8")),
        };
        let user = match (url.username(), url.password()) {
            ("", None) => None,
            (name, password) => Some((decoded(name)?, Secret::new(decoded(password.unwrap_or_default())?))),
        };
        Ok(Self { speaks, host, port: url.port().unwrap_or(port), user })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { speaks, host, port, .. } = self;
        if host.contains(':') {
            write!(f, "{}://[{host}]:{port}", speaks.name())
        } else {
            write!(f, "{}://{host}:{port}", speaks.name())
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests;
