//! Whether a redirect is followed: a hop cap, no way from https to http, the outbound policy, and the rule that whoever
//! has left the registry's origin never gets its authorization back (A4).

use gantri_core::{Error, ErrorKind, Limits, Result};
use http::Method;
use http::StatusCode;
use url::Url;

use crate::http::policy::{AddressClass, Admitted, Purpose, Speaker, Supplier, literal_class, outbound_policy};
use crate::http::url::Redacted;
use crate::http::{Destination, Peer};

/// Where a request stands on its way through redirects.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    pub(crate) url: Url,
    pub(crate) destination: Destination,
    /// Whether every hop so far was at the registry: only then does it get the authorization.
    pub(crate) at_home: bool,
    /// Whether it has been to the public internet, from a registry that is not there.
    pub(crate) outside: bool,
    hops: u32,
}

impl Trail {
    /// The first step, where the request is meant to go.
    pub(crate) fn at(home: &Admitted) -> Self {
        let at_home = home.destination == Destination::Registry;
        let outside = home.destination == Destination::Outside;
        Self { url: home.url.clone(), destination: home.destination, at_home, outside, hops: 0 }
    }

    /// Takes note of who answered.
    pub(crate) fn met(&mut self, peer: Option<&Peer>, supplier: &Supplier) {
        let class = peer.and_then(Peer::class).or_else(|| literal_class(&self.url));
        self.outside |= class == Some(AddressClass::Public)
            && self.destination != Destination::Registry
            && supplier.side.class() != AddressClass::Public;
    }

    /// The step after a redirect to `location`.
    ///
    /// # Errors
    /// `LimitExceeded` after too many hops; `Protocol` if the location is no URL, or one that may not be opened.
    pub(crate) fn follow(&self, supplier: &Supplier, limits: &Limits, location: &str) -> Result<Self> {
        if self.hops >= limits.redirects {
            return Err(Error::limit(
                format_args!("redirect from {}", Redacted(&self.url)),
                "redirects",
                limits.redirects,
            ));
        }
        let refused = |why: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Protocol, format!("redirect from {} refused: {why}", Redacted(&self.url)))
        };
        let to = self.url.join(location).map_err(|error| refused(&error))?;
        let shown = Redacted(&to).to_string();
        let admitted = outbound_policy(Purpose::Redirect, supplier, self.speaker(), to)
            .map_err(|why| refused(&format_args!("{shown}: {why}")))?;
        let at_home = self.at_home && admitted.destination == Destination::Registry;
        Ok(Self {
            url: admitted.url,
            destination: admitted.destination,
            at_home,
            outside: self.outside,
            hops: self.hops + 1,
        })
    }

    fn speaker(&self) -> Speaker<'_> {
        Speaker { url: &self.url, outside: self.outside }
    }
}

/// Whether this status sends the same request elsewhere. Reads follow all five; writes only those that keep the method.
pub(crate) fn redirects(method: &Method, status: StatusCode) -> bool {
    match status.as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    }
}
