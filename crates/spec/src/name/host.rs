//! Hosts: the authority of a registry, `name[:port]`, and the one list of names that Docker Hub goes by.
//!
//! Hosts compare by their canonical text: lower case, IP v6 in its shortest form, the hub's aliases folded into
//! `docker.io` (A15). Which scheme to speak and which address to dial otherwise is left to the client.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use crate::text::{Fault, checked_str, invalid, text_form};

/// The authority of a registry: a domain name, IP v4 address or bracketed IP v6 address, and maybe a port.
///
/// ```
/// use gantri_spec::Host;
///
/// let host: Host = "[::1]:5000".parse()?;
/// assert_eq!((host.name(), host.port()), ("::1", Some(5000)));
/// assert_eq!("index.docker.io".parse(), Ok(Host::docker_hub()));
/// # Ok::<(), gantri_spec::InvalidHost>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

impl Host {
    /// Gives Docker Hub, `docker.io`.
    pub fn docker_hub() -> Self {
        Self(DOCKER_HUB.into())
    }

    /// Gives the name without the port, an IP v6 address without its brackets.
    pub fn name(&self) -> &str {
        self.parts().0
    }

    /// Gives the port, if one is named.
    pub fn port(&self) -> Option<u16> {
        self.parts().1
    }

    /// Tells whether the name is `localhost`, below it, or a loopback address: what stays on this machine.
    pub fn is_loopback(&self) -> bool {
        let name = self.name();
        if let Ok(address) = name.parse::<Ipv6Addr>() {
            return address.to_canonical().is_loopback();
        }
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return address.is_loopback();
        }
        name == LOCALHOST || name.strip_suffix(LOCALHOST).is_some_and(|rest| rest.ends_with('.'))
    }

    /// Tells whether this is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == DOCKER_HUB
    }

    /// Gives what to dial and put into URLs: `registry-1.docker.io` for Docker Hub, else the canonical text.
    pub fn authority(&self) -> &str {
        if self.is_docker_hub() { DOCKER_HUB_REGISTRY } else { &self.0 }
    }

    fn parts(&self) -> (&str, Option<u16>) {
        let (name, port) = match self.0.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, port)) => (name, port.strip_prefix(':')),
            None => self.0.split_once(':').map_or((&*self.0, None), |(name, port)| (name, Some(port))),
        };
        (name, port.and_then(|port| port.parse().ok()))
    }
}

checked_str!(Host);
text_form!(Host, InvalidHost);

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        Self::scan(text).map_err(|fault| InvalidHost::new(text, fault))
    }
}

impl Host {
    pub(super) fn scan(text: &str) -> Result<Self, Fault> {
        if let Some(offset) = text.find("://") {
            let hint = text.get(offset + 3..).filter(|rest| !rest.contains("://") && Self::scan(rest).is_ok());
            return Err(Fault::at(offset, "a host has no scheme").with_hint(hint.map(str::to_owned)));
        }
        if text.len() > MAX_BYTES {
            return Err(Fault::at(MAX_BYTES, "a host has at most 255 bytes"));
        }
        let name_end = match text.strip_prefix('[') {
            Some(rest) => 2 + rest.find(']').ok_or(Fault::at(text.len(), "an IP v6 address ends with ]"))?,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (name, port) = text.split_at(name_end);
        let name = scan_name(name)?;
        match scan_port(port).map_err(|fault| fault.shifted(name_end))? {
            Some(port) => Ok(Self(format!("{name}:{port}").into())),
            None if DOCKER_HUB_ALIASES.contains(&&*name) => Ok(Self::docker_hub()),
            None => Ok(Self(name.into())),
        }
    }
}

invalid! {
    /// A text that is not a host.
    InvalidHost, "host"
}

fn scan_name(name: &str) -> Result<String, Fault> {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| Fault::at(1, "not an IP v6 address"))?;
        return Ok(format!("[{address}]"));
    }
    let mut start = 0;
    for label in name.split('.') {
        scan_label(label).map_err(|fault| fault.shifted(start))?;
        start += label.len() + 1;
    }
    Ok(name.to_ascii_lowercase())
}

/// `[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?`
fn scan_label(label: &str) -> Result<(), Fault> {
    if label.is_empty() {
        return Err(Fault::at(0, "a label of a host is not empty"));
    }
    if let Some(offset) = label.bytes().position(|byte| byte != b'-' && !byte.is_ascii_alphanumeric()) {
        return Err(Fault::at(offset, "a host is made of letters, digits, dots and dashes"));
    }
    for (offset, end) in [(0, label.starts_with('-')), (label.len() - 1, label.ends_with('-'))] {
        if end {
            return Err(Fault::at(offset, "a label of a host starts and ends with a letter or digit"));
        }
    }
    Ok(())
}

/// `(:[0-9]+)?`, in the range of ports.
fn scan_port(text: &str) -> Result<Option<u16>, Fault> {
    const RULE: &str = "a port is a number from 1 to 65535";
    let Some(port) = text.strip_prefix(':') else {
        return if text.is_empty() { Ok(None) } else { Err(Fault::at(0, "only a port follows a host")) };
    };
    if let Some(offset) = port.bytes().position(|byte| !byte.is_ascii_digit()) {
        return Err(Fault::at(offset + 1, RULE));
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(Fault::at(1, RULE)),
        Ok(port) => Ok(Some(port)),
    }
}

/// Bytes of a host, at most.
const MAX_BYTES: usize = 255;

pub(super) const LOCALHOST: &str = "localhost";

const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_REGISTRY: &str = "registry-1.docker.io";
/// The explicit list of other names that Docker Hub goes by (A15).
const DOCKER_HUB_ALIASES: [&str; 3] = ["index.docker.io", DOCKER_HUB_REGISTRY, "registry.hub.docker.com"];

#[cfg(test)]
mod tests;
