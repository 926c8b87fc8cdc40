//! One file of credentials: docker's `config.json`, containers' `auth.json`, or the same text in a variable.
//!
//! Order for a host: its own helper (`credHelpers`), else the general one (`credsStore`); what they do not have is left to
//! `auths`. There the longest key wins: `HOST/TEAM/APP` before `HOST/TEAM` before the host's own. Hosts and names are
//! compared whole, never by prefix (A15).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantri_core::{Error, ErrorKind, Result};
use gantri_remote::{Credential, Secret};
use gantri_spec::{Host, RepositoryName};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::helper::{Helper, TOKEN_USER};
use super::key::{Key, Rank, server_of};
use super::source::{CredentialPlace, CredentialSource};

/// What a file, or a variable, says about credentials.
#[derive(Debug)]
pub struct CredentialFile {
    place: CredentialPlace,
    auths: Vec<(String, Key, Entry)>,
    helpers: Vec<(String, Host, Helper)>,
    store: Option<Helper>,
}

/// Something to look for a credential in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule<'a> {
    /// A helper, the setting that names it, and what it is asked about.
    Helper(&'a Helper, &'static str, &'a str),
    /// An entry and its key.
    Entry(&'a str, &'a Entry),
}

impl Rule<'_> {
    /// Whether a credential may come of it.
    pub(super) fn may_answer(&self) -> bool {
        !matches!(self, Self::Entry(_, entry) if entry.is_empty())
    }
}

impl CredentialFile {
    /// Understands the text of a `config.json` or `auth.json` that was read in `place`.
    ///
    /// # Errors
    /// `Config` if it is not such a text, or names a helper that no program can be called (A14).
    pub fn parse(place: CredentialPlace, text: &[u8]) -> Result<Self> {
        // An empty file says nothing: docker takes it so too.
        let text = if text.trim_ascii().is_empty() { b"{}" } else { text };
        let file: Result<File, _> = serde_json::from_slice(text);
        // A list of the fields' values would be taken for the file too.
        let is_object = text.trim_ascii_start().starts_with(b"{");
        if !is_object && file.as_ref().err().is_none_or(serde_json::Error::is_data) {
            let what = "not docker's configuration: it is JSON, but not an object";
            return Err(Error::new(ErrorKind::Config, format!("{place}: {what}")).with_hint(REPAIR));
        }
        let file = file.map_err(|error| not_understood(&place, error))?;
        let in_file = |error: Error| error.during(&place);
        let auths = file.auths.into_iter().flatten();
        let auths = auths.filter_map(|(key, entry)| Some((key.clone(), Key::parse(&key)?, entry))).collect();
        let helpers = file.cred_helpers.into_iter().flatten();
        let helpers = helpers.filter_map(|(key, name)| Some((Key::parse(&key)?.whole_host()?, key, name)));
        let helpers = helpers.map(|(host, key, name)| Ok((server_of(&key, &host), host, Helper::new(&name)?)));
        let helpers = helpers.collect::<Result<_>>().map_err(in_file)?;
        let store = file.creds_store.filter(|name| !name.is_empty());
        let store = store.map(|name| Helper::new(&name)).transpose().map_err(in_file)?;
        Ok(Self { place, auths, helpers, store })
    }

    /// Whether repositories of this host have entries of their own.
    pub(super) fn tells_apart(&self, host: &Host) -> bool {
        self.auths.iter().any(|(_, key, _)| key.host == *host && key.path.is_some())
    }

    /// Where to look for a credential, first things first.
    ///
    /// # Errors
    /// `Credentials` if two keys for the same say different things.
    pub(super) fn rules<'a>(&'a self, host: &'a Host, repository: Option<&RepositoryName>) -> Result<Vec<Rule<'a>>> {
        let entry = self.entry(host, repository)?;
        Ok(self.helper(host).into_iter().chain(entry.map(|(key, entry)| Rule::Entry(key, entry))).collect())
    }

    /// The helper for a host: its own, or the general one.
    pub(super) fn helper<'a>(&'a self, host: &'a Host) -> Option<Rule<'a>> {
        let own = self.helpers.iter().find(|(_, of, _)| of == host);
        let own = own.map(|(server, _, helper)| Rule::Helper(helper, "credHelpers", server));
        own.or_else(|| Some(Rule::Helper(self.store.as_ref()?, "credsStore", super::key::server(host))))
    }

    /// What stands in `auths` for a host: each entry, and the repositories that it is for, if not for all.
    pub(super) fn entries_of(&self, host: &Host) -> impl Iterator<Item = (CredentialSource, Option<&RepositoryName>)> {
        let entries = self.auths.iter().filter(|(_, key, entry)| key.host == *host && !entry.is_empty());
        entries.map(|(key, parsed, entry)| (self.source(Rule::Entry(key, entry)), parsed.path.as_ref()))
    }

    pub(super) fn place(&self) -> &CredentialPlace {
        &self.place
    }

    /// An error about what the file has for a host.
    pub(super) fn about(&self, host: &Host, error: Error) -> Error {
        error.during(format_args!("{}: {host}", self.place))
    }

    pub(super) fn source(&self, rule: Rule<'_>) -> CredentialSource {
        let place = self.place.clone();
        match rule {
            Rule::Helper(helper, setting, _) => {
                CredentialSource::Helper { place, setting, program: helper.program().to_owned() }
            }
            Rule::Entry(key, _) => CredentialSource::Entry { place, key: key.to_owned() },
        }
    }

    /// The entry with the longest key; of those for the host as a whole, the one whose key is nearest to how we would write
    /// it.
    fn entry(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Option<(&str, &Entry)>> {
        let fit =
            self.auths.iter().filter_map(|(key, parsed, entry)| Some((parsed.rank(host, repository)?, key, entry)));
        let mut fit: Vec<(Rank, &String, &Entry)> = fit.collect();
        fit.sort_by_key(|(rank, ..)| *rank);
        let Some((rank, key, entry)) = fit.first() else { return Ok(None) };
        // Which of two ways to write a key is meant would be a guess, but it does not matter if they say the same.
        match fit.iter().find(|(other, _, said)| other == rank && said != entry) {
            Some((_, other, _)) => {
                let what = format!("the keys {key:?} and {other:?} say different things");
                Err(Error::new(ErrorKind::Credentials, what).with_hint("remove the one that is not meant"))
            }
            None => Ok(Some((key, entry))),
        }
    }
}

/// What to do about a text that can't be understood.
const REPAIR: &str = "repair it there, or remove it and log in again";

/// What is no JSON is told in the parser's words. A value of the wrong type is not: the parser would quote it, and it may be
/// a secret (A16).
fn not_understood(place: &CredentialPlace, error: serde_json::Error) -> Error {
    if error.is_data() {
        let (line, column) = (error.line(), error.column());
        let what = format!("{place}: not docker's configuration: an unexpected value at line {line} column {column}");
        return Error::new(ErrorKind::Config, what).with_hint(REPAIR);
    }
    Error::new(ErrorKind::Config, place.to_string()).with_source(error).with_hint(REPAIR)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    // Programs written in Go write `null` for a map with nothing in it.
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

/// One entry of `auths`. Its secrets are read once and never printed.
#[derive(Deserialize, Eq, PartialEq)]
pub(super) struct Entry {
    auth: Option<Zeroizing<String>>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    identitytoken: Option<Zeroizing<String>>,
    registrytoken: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry { .. }")
    }
}

impl Entry {
    /// Whether it only marks that a helper has something, as docker leaves it behind.
    fn is_empty(&self) -> bool {
        let texts = [&self.auth, &self.password, &self.identitytoken, &self.registrytoken];
        texts.into_iter().flatten().all(|text| text.is_empty())
    }

    pub(super) fn credential(&self) -> Result<Credential> {
        let present = |text: &Option<Zeroizing<String>>| {
            text.as_ref().filter(|text| !text.is_empty()).map(|text| Secret::new(text.as_str()))
        };
        if let Some(token) = present(&self.registrytoken) {
            return Ok(Credential::Bearer(token));
        }
        if let Some(token) = present(&self.identitytoken) {
            return Ok(Credential::IdentityToken(token));
        }
        if let Some(auth) = present(&self.auth) {
            return basic(auth.expose());
        }
        let username = self.username.clone().filter(|name| !name.is_empty());
        Ok(match (username, present(&self.password)) {
            (Some(username), Some(password)) => Credential::Basic { username, password },
            _ => Credential::Anonymous,
        })
    }
}

fn basic(auth: &str) -> Result<Credential> {
    let broken = || Error::new(ErrorKind::Credentials, "\"auth\" is not base64 of user:password");
    let decoded = STANDARD.decode(auth.trim()).map(Zeroizing::new).map_err(|_| broken())?;
    let text = std::str::from_utf8(&decoded).map_err(|_| broken())?;
    let (username, password) = text.split_once(':').ok_or_else(broken)?;
    // Old docker clients padded the password with NUL bytes.
    let password = Secret::new(password.trim_end_matches('\0'));
    Ok(match username {
        TOKEN_USER if !password.expose().is_empty() => Credential::IdentityToken(password),
        _ => Credential::Basic { username: username.to_owned(), password },
    })
}

#[cfg(test)]
mod tests;
