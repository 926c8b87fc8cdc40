//! containers `registries.conf`, version 2: which places stand in for which names, and which are closed.
//!
//! Of the tables the one with the longest prefix decides, alone. Its mirrors are for reading; what is written goes where the
//! name says. As podman and skopeo have it, the *reference* decides whether a mirror is asked: one for digests only is left
//! out where a tag was named, for the layers too. See containers-registries.conf(5).

mod parse;
mod short_names;

use std::collections::BTreeMap;
use std::path::Path;

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Host, Reference, RepositoryName};

use super::document::{Said, Told};

/// The setting that lists helpers for credentials.
pub(super) const CREDENTIAL_HELPERS: &str = "credential-helpers";

pub use self::short_names::ShortName;
use self::short_names::ShortNames;

/// All that `registries.conf` and its drop-ins say together.
#[derive(Clone, Debug, Default)]
pub(super) struct RegistriesConf {
    /// By prefix.
    registries: BTreeMap<String, Table>,
    pub(super) short_names: ShortNames,
    /// What is asked for credentials, if a file says so.
    pub(super) credential_helpers: Option<Told<Vec<String>>>,
    pub(super) notes: Vec<String>,
}

/// One `[[registry]]`.
#[derive(Clone, Debug)]
struct Table {
    prefix: Prefix,
    /// Where what begins with the prefix is; `None` where it says.
    location: Option<Told<Location>>,
    insecure: Told<bool>,
    blocked: Told<bool>,
    mirrors: Vec<Mirror>,
    said: Said,
}

/// One `[[registry.mirror]]`.
#[derive(Clone, Debug)]
struct Mirror {
    location: Told<Location>,
    insecure: Told<bool>,
    pulls: Pulls,
}

/// Which references a mirror is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pulls {
    All,
    ByDigest,
    ByTag,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Prefix {
    /// A host, and what its repositories' names begin with.
    Plain(Location),
    /// `*.HOST`: every host below this one.
    Below(Host),
}

/// A host and the beginning of names there, which may be empty.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Location {
    host: Host,
    path: Option<RepositoryName>,
}

/// A place that stands in for what was named.
#[derive(Clone, Debug)]
pub(super) struct Physical {
    pub(super) host: Host,
    pub(super) repository: Option<RepositoryName>,
    /// Who named it.
    pub(super) said: Said,
    pub(super) insecure: Told<bool>,
}

/// What a table says about a name.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Asked in this order.
    pub(super) mirrors: Vec<Physical>,
    /// Asked last, and told the errors of.
    pub(super) origin: Physical,
    /// Whether the name itself may be spoken to without the usual care.
    pub(super) insecure: Told<bool>,
}

impl RegistriesConf {
    /// Understands one file.
    ///
    /// # Errors
    /// `Config`, naming file, line and key.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self> {
        parse::parse(path, text)
    }

    /// Takes in what a later file says: it overrules value by value, and of the tables those with the same prefix.
    pub(super) fn merge(&mut self, later: Self) {
        self.registries.extend(later.registries);
        self.short_names.merge(later.short_names);
        self.credential_helpers = later.credential_helpers.or_else(|| self.credential_helpers.take());
        self.notes.extend(later.notes);
    }

    /// What is said about a repository, named by this reference; `None` if nothing is.
    ///
    /// # Errors
    /// `Denied` if it is blocked; `Config` if what it is rewritten to is no name.
    pub(super) fn choose(&self, reference: &Reference) -> Result<Option<Choice>> {
        let (host, repository) = (reference.host(), Some(reference.repository()));
        let Some(table) = self.find(host, repository) else { return Ok(None) };
        table.admit(reference)?;
        let wanted = |pulls: Pulls| match pulls {
            Pulls::All => true,
            Pulls::ByDigest => reference.digest().is_some(),
            Pulls::ByTag => reference.digest().is_none(),
        };
        let mut mirrors = Vec::new();
        for mirror in table.mirrors.iter().filter(|mirror| wanted(mirror.pulls)) {
            let place = table.rewrite(host, repository, &mirror.location, &mirror.insecure)?;
            match self.closed(&place) {
                // A place that is closed is no mirror of anything.
                Some(by) => tracing::debug!(mirror = %place.host, %by, "the mirror is blocked, it is not asked"),
                None => mirrors.push(place),
            }
        }
        let origin = table.origin(host, repository)?;
        if let Some(by) = self.closed(&origin) {
            return Err(blocked(&format!("{reference}: its location {}", origin.host), by));
        }
        Ok(Some(Choice { mirrors, origin, insecure: table.insecure.clone() }))
    }

    /// The same for a whole registry.
    ///
    /// # Errors
    /// `Denied` if it is blocked.
    pub(super) fn choose_host(&self, host: &Host) -> Result<Option<Choice>> {
        let Some(table) = self.find(host, None) else { return Ok(None) };
        table.admit(host)?;
        let origin = table.origin(host, None)?;
        Ok(Some(Choice { mirrors: Vec::new(), origin, insecure: table.insecure.clone() }))
    }

    /// Refuses what is blocked.
    ///
    /// # Errors
    /// `Denied`, naming the file and the line that block it.
    pub(super) fn admit(&self, reference: &Reference) -> Result<()> {
        let table = self.find(reference.host(), Some(reference.repository()));
        table.map_or(Ok(()), |table| table.admit(reference))
    }

    fn closed(&self, place: &Physical) -> Option<&Said> {
        let table = self.find(&place.host, place.repository.as_ref())?;
        if table.blocked.value { table.blocked.said.as_ref() } else { None }
    }

    /// The longest prefix wins; of two as long, the first in their order.
    fn find(&self, host: &Host, repository: Option<&RepositoryName>) -> Option<&Table> {
        let mut found: Option<(usize, &Table)> = None;
        for (text, table) in &self.registries {
            if table.prefix.rest(host, repository).is_some() && found.is_none_or(|(length, _)| text.len() > length) {
                found = Some((text.len(), table));
            }
        }
        found.map(|(_, table)| table)
    }
}

impl Table {
    fn admit(&self, what: impl std::fmt::Display) -> Result<()> {
        match &self.blocked {
            Told { value: true, said: Some(by) } => Err(blocked(&what.to_string(), by)),
            _ => Ok(()),
        }
    }

    fn origin(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Physical> {
        match &self.location {
            Some(location) => self.rewrite(host, repository, location, &self.insecure),
            None => Ok(Physical {
                host: host.clone(),
                repository: repository.cloned(),
                said: self.said.clone(),
                insecure: self.insecure.clone(),
            }),
        }
    }

    /// The place that a location makes of a name: the location, with what follows the prefix.
    fn rewrite(
        &self,
        host: &Host,
        repository: Option<&RepositoryName>,
        to: &Told<Location>,
        insecure: &Told<bool>,
    ) -> Result<Physical> {
        let said = to.said.clone().unwrap_or_else(|| self.said.clone());
        let rest = self.prefix.rest(host, repository).unwrap_or_default();
        let path = to.value.path.as_ref().map(RepositoryName::as_str).unwrap_or_default();
        let slash = if path.is_empty() || rest.is_empty() { "" } else { "/" };
        let name = format!("{path}{slash}{rest}");
        let place = |repository| Physical { host: to.value.host.clone(), repository, said, insecure: insecure.clone() };
        if repository.is_none() {
            return Ok(place(None));
        }
        match name.parse::<RepositoryName>() {
            // What Docker Hub keeps below `library/` is kept there under every name for it.
            Ok(name) => {
                let name = Reference::new(to.value.host.clone(), name).repository().clone();
                Ok(place(Some(name)))
            }
            Err(error) => {
                let what = format!("{}: what it makes of the name is none", place(None).said);
                let hint = "let location name a repository wherever prefix does";
                Err(Error::new(ErrorKind::Config, what).with_source(error).with_hint(hint))
            }
        }
    }
}

fn blocked(what: &str, by: &Said) -> Error {
    Error::new(ErrorKind::Denied, format!("{what}: blocked by {by}"))
        .with_hint(format!("whoever administers this machine forbids it; see {}", by.file.display()))
}

impl Prefix {
    /// What follows it in a name; `None` if the name does not begin so.
    fn rest<'a>(&self, host: &Host, repository: Option<&'a RepositoryName>) -> Option<&'a str> {
        let name = repository.map(RepositoryName::as_str).unwrap_or_default();
        match self {
            Self::Below(parent) => {
                let below = host.name().strip_suffix(parent.as_str())?;
                (below.len() > 1 && below.ends_with('.')).then_some(name)
            }
            Self::Plain(prefix) if prefix.host != *host => None,
            Self::Plain(Location { path: None, .. }) => Some(name),
            Self::Plain(Location { path: Some(path), .. }) => match name.strip_prefix(path.as_str())? {
                "" => Some(""),
                rest => rest.strip_prefix('/'),
            },
        }
    }
}
