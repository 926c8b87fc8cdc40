//! One host of a `hosts.toml`: a URL, and the keys that stand below it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use gantri_core::{Error, Result};
use gantri_remote::{Proxy, Secret};
use gantri_spec::Host;

use super::beside;
use crate::config::certs_d::{Certificates, ClientCertificate};
use crate::config::document::{Fields, Said, Told};

/// The keys that every host may have.
pub(super) const KEYS: &[&str] =
    &["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout", "proxy"];

/// A host, and how it is spoken to.
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own in the file")]
#[derive(Clone, Debug)]
pub(in crate::config) struct Server {
    pub(in crate::config) host: Host,
    pub(in crate::config) scheme: Scheme,
    /// The path below which the API is, if it is not `/v2`.
    pub(in crate::config) api_root: Option<String>,
    pub(in crate::config) pull: bool,
    pub(in crate::config) resolve: bool,
    pub(in crate::config) push: bool,
    pub(in crate::config) certificates: Certificates,
    pub(in crate::config) skip_verify: Told<bool>,
    pub(in crate::config) headers: Vec<Told<Header>>,
    pub(in crate::config) dial_timeout: Option<Told<Duration>>,
    pub(in crate::config) proxy: Option<Told<Proxy>>,
    /// Whether it is another than the host that it is for, and so is told which that is.
    pub(in crate::config) is_other: bool,
    pub(in crate::config) said: Said,
}

/// What a URL says about TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Scheme {
    /// Nothing: there is no URL.
    Unsaid,
    Https,
    Http,
}

/// A header for every request; its value may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, which is never shown.
    pub value: Secret,
}

impl std::hash::Hash for Header {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Server {
    /// The host as it is without any word about it.
    pub(super) fn itself(host: &Host, said: Said) -> Self {
        Self {
            host: host.clone(),
            scheme: Scheme::Unsaid,
            api_root: None,
            pull: true,
            resolve: true,
            push: true,
            certificates: Certificates::default(),
            skip_verify: Told::unsaid(false),
            headers: Vec::new(),
            dial_timeout: None,
            proxy: None,
            is_other: false,
            said,
        }
    }

    /// A host by its URL, about `of`.
    pub(super) fn parse(fields: &Fields<'_>, key: &str, url: &Told<&str>, base: &Path, of: &Host) -> Result<Self> {
        let said = url.said.clone().unwrap_or_else(|| fields.said().clone());
        let wrong = |what: &dyn fmt::Display| {
            fields.wrong(key, &said, format_args!("{:?}: {what}", url.value), "write https://HOST[:PORT][/PATH]")
        };
        if url.value.contains('@') {
            // Which is not shown (A16).
            return Err(fields.wrong(
                key,
                &said,
                "no user and password in the URL",
                "log in to the host in their stead",
            ));
        }
        let (scheme, rest) = match url.value.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(wrong(&"neither http nor https")),
            None => (Scheme::Https, url.value),
        };
        let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let host: Host = host.parse().map_err(|error| wrong(&error))?;
        if path.contains(['?', '#', ' ', '\\']) {
            return Err(wrong(&"only a path follows the host"));
        }
        let overrides = fields.flag("override_path")?.is_some_and(|told| told.value);
        let is_other = host != *of;
        let server = Self { scheme, api_root: api_root(path, overrides), is_other, ..Self::itself(&host, said) };
        server.with(fields, base)
    }

    /// The same with what stands below it.
    pub(super) fn with(self, fields: &Fields<'_>, base: &Path) -> Result<Self> {
        let mut server = self;
        if let Some(list) = fields.texts("capabilities")?.filter(|list| !list.value.is_empty()) {
            (server.pull, server.resolve, server.push) = capabilities(fields, &list.value)?;
        }
        server.certificates = certificates(fields, base)?;
        server.skip_verify = fields.flag("skip_verify")?.unwrap_or(Told::unsaid(false));
        server.headers = headers(fields)?;
        if let Some(text) = fields.text("dial_timeout")?.filter(|text| !text.value.is_empty()) {
            let told = |value| Told { value, said: text.said.clone() };
            let wrong =
                || said_wrong(fields, "dial_timeout", &text, "not a time", "write \"500ms\", \"10s\" or \"1m30s\"");
            server.dial_timeout = Some(duration(text.value).map(told).ok_or_else(wrong)?);
        }
        if let Some(text) = fields.text("proxy")?.filter(|text| !text.value.is_empty()) {
            let said = text.said.clone().unwrap_or_else(|| fields.said().clone());
            // What it says may hold a password, and is not shown (A16).
            let hint = "write http://HOST:PORT; or https, socks5, socks5h";
            let wrong = |_| fields.wrong("proxy", &said, "no address of a proxy", hint);
            server.proxy = Some(Told { value: text.value.parse().map_err(wrong)?, said: text.said.clone() });
        }
        Ok(server)
    }
}

fn said_wrong(fields: &Fields<'_>, key: &str, text: &Told<&str>, what: &str, hint: &str) -> Error {
    let said = text.said.clone().unwrap_or_else(|| fields.said().clone());
    fields.wrong(key, &said, format_args!("{:?}: {what}", text.value), hint)
}

fn capabilities(fields: &Fields<'_>, list: &[Told<&str>]) -> Result<(bool, bool, bool)> {
    let (mut pull, mut resolve, mut push) = (false, false, false);
    for item in list {
        match item.value.to_ascii_lowercase().as_str() {
            "pull" => pull = true,
            "resolve" => resolve = true,
            "push" => push = true,
            _ => return Err(said_wrong(fields, "capabilities", item, "is none", "write pull, resolve or push")),
        }
    }
    Ok((pull, resolve, push))
}

fn certificates(fields: &Fields<'_>, base: &Path) -> Result<Certificates> {
    let root = |path: Told<&str>| Told { value: beside(base, path.value), said: path.said };
    let mut clients = Vec::new();
    for pair in fields.lists("client")? {
        let of = |certificate: &str, key: &str| ClientCertificate {
            certificate: beside(base, certificate),
            // A file may hold both.
            key: beside(base, if key.is_empty() { certificate } else { key }),
        };
        let client = match pair.value.as_slice() {
            [one] => of(one, ""),
            [certificate, key] => of(certificate, key),
            _ => {
                let said = pair.said.unwrap_or_else(|| fields.said().clone());
                let hint = "write [[\"certificate\", \"key\"]]";
                return Err(fields.wrong("client", &said, "not a certificate and its key", hint));
            }
        };
        clients.push(Told { value: client, said: pair.said });
    }
    Ok(Certificates { roots: fields.text_or_texts("ca")?.into_iter().map(root).collect(), clients })
}

fn headers(fields: &Fields<'_>) -> Result<Vec<Told<Header>>> {
    let Some(table) = fields.table("header")? else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    for key in table.keys() {
        for text in table.text_or_texts(key.value)? {
            let value = Header { name: key.value.to_owned(), value: text.value.into() };
            headers.push(Told { value, said: text.said });
        }
    }
    Ok(headers)
}

/// Where the API is: `/v2` at the end of the path, unless the path itself is the place. `None` is `/v2` alone.
fn api_root(path: &str, overrides: bool) -> Option<String> {
    let path = path.trim_end_matches('/');
    match (overrides, path) {
        (false, "" | "/v2") | (true, "/v2") => None,
        (true, _) => Some(path.to_owned()),
        (false, _) if path.ends_with("/v2") => Some(path.to_owned()),
        (false, _) => Some(format!("{path}/v2")),
    }
}

/// A time as Go writes it: numbers with units, one after the other.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let unit = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = behind;
    }
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_api_is_below_the_path_or_is_the_path() {
        let cases = [
            ("", false, None),
            ("/", false, None),
            ("/v2", false, None),
            ("/v2/", true, None),
            ("/a", false, Some("/a/v2")),
            ("/a/v2", false, Some("/a/v2")),
            ("/a/", true, Some("/a")),
            ("", true, Some("")),
        ];
        for (path, overrides, expected) in cases {
            assert_eq!(api_root(path, overrides).as_deref(), expected, "{path} {overrides}");
        }
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        let cases = [
            ("1s", Some(1000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1500)),
            ("2h", Some(7_200_000)),
            ("", None),
            ("0s", None),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1 s", None),
            ("18000000000000000000s", Some(18_000_000_000_000_000_000_000)),
            ("18000000000000000000s18000000000000000000s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text).map(|time| time.as_millis()), expected, "{text}");
        }
    }
}
