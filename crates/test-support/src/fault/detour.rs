//! Where redirects lead: paths of the proxy's own, each of which leads home in the end, or does not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::mode::{Detour, Mode, UploadMode};
use super::wire::Head;

const PATH: &str = "/detour/";

/// What makes a place elsewhere as good as an authorization does here.
const SIGNATURE: &str = "X-Signature=presigned";

/// The redirects under way.
#[derive(Debug)]
pub(super) struct Detours {
    /// Another name of this proxy.
    pub(super) elsewhere: String,
    /// Another port of it.
    pub(super) other_port: u16,
    under_way: Mutex<HashMap<u64, UnderWay>>,
}

#[derive(Debug)]
struct UnderWay {
    detour: Detour,
    home: Home,
    used: u32,
    /// Whether it is the location of an upload, whose next location is elsewhere too.
    goes_on: bool,
}

/// The request that was led away: storage knows it by a signature, so it needs no authorization there.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) target: String,
    pub(super) host: String,
    pub(super) authorization: Option<String>,
}

/// What a place on the way says.
#[derive(Debug)]
pub(super) enum Leg {
    Further(String),
    Refused(u16),
    There { home: Home, mode: Option<Mode> },
}

impl Detours {
    pub(super) fn new(elsewhere: String, other_port: u16) -> Self {
        Self { elsewhere, other_port, under_way: Mutex::default() }
    }

    /// Begins one; gives its first address.
    pub(super) fn begin(&self, detour: Detour, head: &Head, origin: &str, secure: bool) -> String {
        let host = head.header("host").unwrap_or_default().to_owned();
        let authorization = head.header("authorization").map(str::to_owned);
        let home = Home { target: head.word(1).to_owned(), host: host.clone(), authorization };
        let path = self.enter(detour, home, false);
        let scheme = if secure { "https" } else { "http" };
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        match detour {
            Detour::SameOrigin | Detour::Hops(_) => path,
            Detour::Loop => format!("{origin}{path}"),
            Detour::OtherPort => format!("{scheme}://{name}:{}{path}", self.other_port),
            Detour::OtherHost | Detour::ExpiredPresign | Detour::RejectsAuthorization => {
                format!("{scheme}://{}{path}?{SIGNATURE}", self.elsewhere)
            }
            Detour::ToHttp => format!("http://{}{path}", self.elsewhere),
            Detour::LinkLocal => format!("{scheme}://169.254.169.254/latest/meta-data/"),
        }
    }

    /// Another host's address for `target`, which is as good there as it is here with the authorization of `head`.
    pub(super) fn signed(&self, target: String, head: &Head, secure: bool) -> String {
        let host = head.header("host").unwrap_or_default().to_owned();
        let authorization = head.header("authorization").map(str::to_owned);
        let path = self.enter(Detour::OtherHost, Home { target, host, authorization }, true);
        format!("{}://{}{path}?{SIGNATURE}", if secure { "https" } else { "http" }, self.elsewhere)
    }

    fn enter(&self, detour: Detour, home: Home, goes_on: bool) -> String {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let id = under_way.len() as u64 + 1;
        under_way.insert(id, UnderWay { detour, home, used: 0, goes_on });
        format!("{PATH}{id}/0")
    }

    /// What is said to this request, if it is on the way.
    pub(super) fn leg(&self, head: &Head) -> Option<Leg> {
        let path = head.word(1).split('?').next().unwrap_or_default();
        let (id, hop) = path.strip_prefix(PATH)?.split_once('/')?;
        let (id, hop): (u64, u32) = (id.parse().ok()?, hop.parse().ok()?);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let one = under_way.get_mut(&id)?;
        one.used += 1;
        let mut home = one.home.clone();
        // What the client added to the query is for the registry.
        let added = head.word(1).split_once('?').map_or("", |(_, query)| query);
        for part in added.split('&').filter(|part| !part.is_empty() && *part != SIGNATURE) {
            home.target.push(if home.target.contains('?') { '&' } else { '?' });
            home.target.push_str(part);
        }
        let there = |mode| Leg::There { home: home.clone(), mode };
        Some(match one.detour {
            Detour::Loop => Leg::Further(format!("{PATH}{id}/{hop}")),
            Detour::Hops(hops) if hop + 1 < hops => Leg::Further(format!("{PATH}{id}/{}", hop + 1)),
            Detour::ExpiredPresign if one.used > 1 => Leg::Refused(403),
            Detour::RejectsAuthorization if head.header("authorization").is_some() => Leg::Refused(400),
            Detour::ExpiredPresign => there(Some(Mode::TruncateAt(100))),
            _ if one.goes_on => there(Some(Mode::Upload(UploadMode::LocationElsewhere))),
            _ => there(None),
        })
    }
}
