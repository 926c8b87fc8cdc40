//! Where a URL that a registry supplied may lead: the one function that every redirect, token realm, upload location
//! and next page passes, on every hop (rule 4).
//!
//! Names are judged again when they are resolved, by the same classes ([`AddressClass::may_be_reached_from`], A7), for
//! one DNS record turns any name into any address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use gantri_spec::Host;
use url::Url;

use super::Destination;
use super::url::same_origin;

/// What a server-supplied URL is for; each has rules of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// The target of a redirect (A4).
    Redirect,
    /// The location of an upload (A5).
    Upload,
    /// The next page of a listing (A6).
    NextPage,
    /// A token server (A2).
    Realm,
    /// The target of a token server's redirect (A3).
    RealmRedirect,
}

/// The registry that supplied the URL, as the user named it.
#[derive(Clone, Debug)]
pub(crate) struct Supplier {
    /// Scheme, host and port of the registry.
    pub(crate) origin: Url,
    /// Token servers that the user trusts wherever they stand.
    pub(crate) realms: Vec<Host>,
    /// Whether no other token servers are asked than the registry's own host, and those.
    pub(crate) strict_realm: bool,
    /// Where the registry stands.
    pub(crate) side: Arc<Side>,
}

/// The class of the registry's own address: first told by its name, then by the connections that are made to it.
#[derive(Debug)]
pub(crate) struct Side(Mutex<AddressClass>);

impl Side {
    pub(crate) fn told_by(origin: &Url) -> Self {
        Self(Mutex::new(literal_class(origin).unwrap_or(AddressClass::Public)))
    }

    pub(crate) fn class(&self) -> AddressClass {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, peer: IpAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = AddressClass::of(peer);
    }
}

/// Who supplied a URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker<'a> {
    /// What was asked.
    pub(crate) url: &'a Url,
    /// Whether that stands on the public internet although the registry does not: it leads nobody inside.
    pub(crate) outside: bool,
}

/// A URL that may be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Admitted {
    pub(crate) url: Url,
    pub(crate) destination: Destination,
}

/// Why a URL may not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    NotHttp,
    NoHost,
    UserInfo,
    Fragment,
    PlainHttp,
    OtherOrigin,
    Unlisted,
    Address(AddressClass),
}

/// Whether `to`, supplied by `from`, may be opened.
pub(crate) fn outbound_policy(
    purpose: Purpose,
    supplier: &Supplier,
    from: Speaker<'_>,
    mut to: Url,
) -> Result<Admitted, Refusal> {
    if !matches!(to.scheme(), "http" | "https") {
        return Err(Refusal::NotHttp);
    }
    if to.host().is_none() {
        return Err(Refusal::NoHost);
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err(Refusal::UserInfo);
    }
    if purpose == Purpose::Realm && to.fragment().is_some() {
        return Err(Refusal::Fragment);
    }
    to.set_fragment(None);
    if purpose == Purpose::Upload {
        mend_proxy_fault(&supplier.origin, &mut to);
    }
    if purpose == Purpose::RealmRedirect && !same_origin(from.url, &to) {
        return Err(Refusal::OtherOrigin);
    }
    let destination =
        if same_origin(&supplier.origin, &to) { Destination::Registry } else { foreign(purpose, supplier, from, &to)? };
    Ok(Admitted { url: to, destination })
}

/// The rules for an origin that is not the registry's.
fn foreign(purpose: Purpose, supplier: &Supplier, from: Speaker<'_>, to: &Url) -> Result<Destination, Refusal> {
    if purpose == Purpose::NextPage {
        return Err(Refusal::OtherOrigin);
    }
    // A realm is held to the registry's own scheme; a hop, to the scheme it comes from.
    let secure_before = [from.url, &supplier.origin].iter().any(|url| url.scheme() == "https");
    if secure_before && to.scheme() == "http" {
        return Err(Refusal::PlainHttp);
    }
    let class = literal_class(to);
    if matches!(purpose, Purpose::Realm | Purpose::RealmRedirect) {
        if supplier.trusts_realm(to) && class != Some(AddressClass::Never) {
            return Ok(Destination::Trusted);
        }
        if supplier.strict_realm && !supplier.lists_realm(to) {
            return Err(Refusal::Unlisted);
        }
    }
    let (side, destination) = if from.outside {
        (AddressClass::Public, Destination::Outside)
    } else {
        (supplier.side.class(), Destination::Foreign)
    };
    match class {
        Some(class) if !class.may_be_reached_from(side) => Err(Refusal::Address(class)),
        _ => Ok(destination),
    }
}

/// One fault is tolerated, for it is everywhere: a registry behind a proxy that names itself with `http` or without its
/// port (distribution #996, #2862). Its origin is put right instead of being followed (A5).
fn mend_proxy_fault(origin: &Url, to: &mut Url) {
    let lost_scheme = origin.scheme() == "https" && to.scheme() == "http";
    let lost_port = origin.port().is_some() && to.port().is_none();
    if origin.host_str() == to.host_str() && (lost_scheme || lost_port) {
        // Both setters accept what comes from a URL with a host.
        let _ = to.set_scheme(origin.scheme());
        let _ = to.set_port(origin.port());
    }
}

/// Registries whose token server is known to stand elsewhere: strictness does not part them.
const PAIRS: [(&str, &str); 2] = [("registry-1.docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

impl Supplier {
    /// The registry itself as the one who supplies a URL.
    pub(crate) fn speaker(&self) -> Speaker<'_> {
        Speaker { url: &self.origin, outside: false }
    }

    /// Whether strictness lets this token server be: on the registry's own host, or one of the known pairs.
    fn lists_realm(&self, realm: &Url) -> bool {
        let (own, other) = (self.origin.host_str(), realm.host_str());
        let paired = realm.port_or_known_default() == Some(443)
            && PAIRS.iter().any(|(registry, paired)| own == Some(registry) && other == Some(paired));
        own == other || paired
    }

    /// Whether the user named this token server.
    pub(crate) fn trusts_realm(&self, realm: &Url) -> bool {
        self.realms.iter().any(|host| {
            realm.host_str().map(|name| name.trim_matches(['[', ']'])) == Some(host.name())
                && host.port().is_none_or(|port| realm.port_or_known_default() == Some(port))
        })
    }
}

/// What kind of place an address is, seen from a registry that names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AddressClass {
    Public,
    Private,
    /// This machine; `0.0.0.0` and `::` lead there too.
    Loopback,
    /// Link-local, metadata services, multicast, reserved: nothing a registry could rightly name.
    Never,
}

impl AddressClass {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    /// Whether a registry at an address of class `registry` may lead to one of this class (A7): the inside of a network
    /// is open only to registries on the same side of it.
    pub(crate) fn may_be_reached_from(self, registry: Self) -> bool {
        match self {
            Self::Public => true,
            Self::Never => false,
            inner => inner == registry,
        }
    }

    fn of_v4(v4: Ipv4Addr) -> Self {
        match v4.octets() {
            [127, ..] | [0, 0, 0, 0] => Self::Loopback,
            // Beside the link-local range, the metadata services of Alibaba, Oracle and Azure.
            [0 | 224..=255, ..] | [169, 254, ..] | [100, 100, 100, 200] | [192, 0, 0, _] | [168, 63, 129, 16] => {
                Self::Never
            }
            [100, 64..=127, ..] | [198, 18..=19, ..] => Self::Private,
            _ if v4.is_private() => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(v6: Ipv6Addr) -> Self {
        match v6.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            // Beside the link-local range, the metadata services of Amazon, Google, Oracle and Scaleway.
            [0x100, 0, 0, 0, ..]
            | [0xfe80..=0xfebf | 0xff00..=0xffff, ..]
            | [0xfd00, 0xec2, ..]
            | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
            | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
            | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => Self::Never,
            // Beside the private ranges, the translators of a network of its own (RFC 8215): what is behind them can't be
            // told from outside.
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Self::Private,
            _ => Self::Public,
        }
    }
}

/// Whether an address of this class may be connected to, for a registry at one of class `side`: asked for every connection,
/// of the very address that is about to be used (A7).
pub(crate) fn may_connect(destination: Destination, class: AddressClass, side: AddressClass) -> bool {
    match destination {
        Destination::Registry | Destination::Trusted => true,
        Destination::Foreign => class.may_be_reached_from(side),
        Destination::Outside => class == AddressClass::Public,
        Destination::Beside => class == side && class != AddressClass::Public,
    }
}

/// The class that can be told without asking a resolver: of an address, or of the name `localhost`.
pub(crate) fn literal_class(url: &Url) -> Option<AddressClass> {
    match url.host()? {
        url::Host::Ipv4(v4) => Some(AddressClass::of(v4.into())),
        url::Host::Ipv6(v6) => Some(AddressClass::of(v6.into())),
        url::Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            (name == "localhost" || name.ends_with(".localhost")).then_some(AddressClass::Loopback)
        }
    }
}

/// The IPv4 address inside a mapped, translated, compatible, NAT64, 6to4 or Teredo address: it is where packets end up.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let joined = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => joined(high, low),
        [0x2001, 0, .., high, low] => joined(!high, !low),
        _ => None,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("neither http nor https"),
            Self::NoHost => f.write_str("no host"),
            Self::UserInfo => f.write_str("user information in a url"),
            Self::Fragment => f.write_str("a fragment in a url"),
            Self::PlainHttp => f.write_str("https leads to plain http"),
            Self::OtherOrigin => f.write_str("another origin"),
            Self::Unlisted => f.write_str("neither the registry's own host nor one that was listed"),
            Self::Address(class) => {
                write!(
                    f,
                    "{} address",
                    match class {
                        AddressClass::Public => "public",
                        AddressClass::Private => "private",
                        AddressClass::Loopback => "loopback",
                        AddressClass::Never => "link-local or reserved",
                    }
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
