//! One entry of a `NO_PROXY` list: what goes past every proxy. Names and addresses are compared as they stand in a URL;
//! nothing is resolved.

use std::net::IpAddr;
use std::str::FromStr;

use gantri_core::{Error, ErrorKind, Result};
use ipnet::IpNet;

#[derive(Clone, Debug)]
pub(super) struct Direct {
    place: Place,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Place {
    Everything,
    Range(IpNet),
    /// The name itself and all below it.
    Domain(String),
    /// Only what is below it.
    Below(String),
}

impl Direct {
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        let is_below = |name: &str, domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        match (&self.place, address(host)) {
            (Place::Everything, _) => true,
            (Place::Range(range), Some(address)) => range.contains(&address),
            (Place::Domain(domain), None) => plain(host) == *domain || is_below(&plain(host), domain),
            (Place::Below(domain), None) => is_below(&plain(host), domain),
            _ => false,
        }
    }
}

impl FromStr for Direct {
    type Err = Error;

    fn from_str(entry: &str) -> Result<Self> {
        if entry == "*" {
            return Ok(Self { place: Place::Everything, port: None });
        }
        if entry.contains('/') {
            let range: IpNet = entry.parse().map_err(|error| {
                let what = format!("no proxy for {entry:?}: no range of addresses");
                // The parser finds fault with the address whatever is wrong.
                match entry.split_once('/').and_then(|(network, _)| address(network)) {
                    Some(IpAddr::V4(_)) => {
                        Error::new(ErrorKind::Config, format!("{what}: a prefix is 0 to 32 bits long"))
                    }
                    Some(IpAddr::V6(_)) => {
                        Error::new(ErrorKind::Config, format!("{what}: a prefix is 0 to 128 bits long"))
                    }
                    None => Error::new(ErrorKind::Config, what).with_source(error),
                }
            })?;
            return Ok(Self { place: Place::Range(range), port: None });
        }
        if let Some(address) = address(entry) {
            return Ok(Self { place: Place::Range(address.into()), port: None });
        }
        let (host, port) = match entry.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => (host, Some(port)),
            _ => (entry, None),
        };
        let place = match (address(host), host.trim_start_matches('*').strip_prefix('.')) {
            (Some(address), _) => Place::Range(address.into()),
            (None, Some(below)) => Place::Below(plain(below)),
            (None, None) => Place::Domain(plain(host)),
        };
        Ok(Self { place, port })
    }
}

/// Whether a URL's host stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    match address(host) {
        Some(address) => address.is_loopback(),
        None => plain(host) == "localhost" || plain(host).ends_with(".localhost"),
    }
}

/// An address, with or without brackets; an IPv4 one inside an IPv6 one is meant as the former.
fn address(host: &str) -> Option<IpAddr> {
    Some(host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?.to_canonical())
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
