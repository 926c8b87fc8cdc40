//! Short names: what `alpine` means where no host is named. Aliases come first, then the registries to search.
//!
//! Nobody is prompted here, so `enforcing` is what it is for programs that run without a terminal: several registries and
//! no alias are an error.

use std::collections::BTreeMap;

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Host, Reference, RepositoryName};

use crate::config::document::{Fields, Said, Told};

/// What the files say about short names.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct ShortNames {
    search: Option<Told<Vec<Host>>>,
    mode: Option<Told<Mode>>,
    /// By short name; `None` takes an alias of an earlier file away.
    aliases: BTreeMap<String, Told<Option<Reference>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Enforcing,
    Permissive,
    Disabled,
}

/// What a short name stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShortName {
    /// Tried in this order; the first that is there is meant. Never empty.
    pub candidates: Vec<Reference>,
    /// Who says so; `None` where Docker's custom does: Docker Hub.
    pub said: Option<Said>,
}

impl ShortNames {
    pub(super) fn parse(root: &Fields<'_>) -> Result<Self> {
        let search = match root.texts("unqualified-search-registries")? {
            Some(list) => Some(Told { value: hosts(root, &list.value)?, said: list.said }),
            None => None,
        };
        let mode = match root.text("short-name-mode")?.filter(|mode| !mode.value.is_empty()) {
            Some(text) => Some(Told { value: mode(root, &text)?, said: text.said }),
            None => None,
        };
        let mut aliases = BTreeMap::new();
        if let Some(table) = root.table("aliases")? {
            for key in table.keys() {
                let Some(text) = table.text(key.value)? else { continue };
                let said = text.said.clone().unwrap_or_else(|| table.said().clone());
                if !is_short(key.value) || key.value.contains(['@', ':']) {
                    let what = "not a short name";
                    return Err(table.wrong(key.value, &said, what, "write a name without host, tag and digest"));
                }
                let stands_for = if text.value.is_empty() { None } else { Some(full(&table, key.value, &text)?) };
                aliases.insert(key.value.to_owned(), Told { value: stands_for, said: text.said });
            }
        }
        Ok(Self { search, mode, aliases })
    }

    pub(super) fn merge(&mut self, later: Self) {
        self.search = later.search.or(self.search.take());
        self.mode = later.mode.or(self.mode.take());
        self.aliases.extend(later.aliases);
    }

    /// What a text without a host stands for; `None` if it names a host, or is no reference anyway.
    ///
    /// # Errors
    /// `NameInvalid` if it may stand for images in several registries and `short-name-mode` forbids to try.
    pub(in crate::config) fn resolve(&self, text: &str) -> Result<Option<ShortName>> {
        let Ok(docker) = text.parse::<Reference>() else { return Ok(None) };
        let name = bare(text);
        if !is_short(name) {
            return Ok(None);
        }
        let named = |mut reference: Reference| {
            reference = docker.tag().cloned().map_or(reference.clone(), |tag| reference.with_tag(tag));
            docker.digest().cloned().map_or(reference.clone(), |digest| reference.with_digest(digest))
        };
        if let Some(Told { value: Some(reference), said }) = self.aliases.get(name) {
            return Ok(Some(ShortName { candidates: vec![named(reference.clone())], said: said.clone() }));
        }
        let Some(search) = self.search.as_ref().filter(|search| !search.value.is_empty()) else {
            return Ok(Some(ShortName { candidates: vec![docker], said: None }));
        };
        let mode = self.mode.as_ref().map_or(Mode::Permissive, |mode| mode.value);
        if mode == Mode::Enforcing && search.value.len() > 1 {
            let said = self.mode.as_ref().and_then(|mode| mode.said.clone());
            let by = said.map(|said| format!(" ({said})")).unwrap_or_default();
            let what =
                format!("{text:?}: {} registries may be meant, and short names are enforced{by}", search.value.len());
            let hint = "name the registry too, or set an alias in registries.conf";
            return Err(Error::new(ErrorKind::NameInvalid, what).with_hint(hint));
        }
        let Ok(repository) = name.parse::<RepositoryName>() else { return Ok(None) };
        let candidate = |host: &Host| named(Reference::new(host.clone(), repository.clone()));
        Ok(Some(ShortName { candidates: search.value.iter().map(candidate).collect(), said: search.said.clone() }))
    }
}

fn hosts(root: &Fields<'_>, list: &[Told<&str>]) -> Result<Vec<Host>> {
    let host = |text: &Told<&str>| {
        let said = text.said.clone().unwrap_or_else(|| root.said().clone());
        text.value.parse::<Host>().map_err(|error| {
            root.wrong("unqualified-search-registries", &said, error, "write HOST[:PORT], without a path")
        })
    };
    list.iter().map(host).collect()
}

fn mode(root: &Fields<'_>, text: &Told<&str>) -> Result<Mode> {
    match text.value {
        "enforcing" => Ok(Mode::Enforcing),
        "permissive" => Ok(Mode::Permissive),
        "disabled" => Ok(Mode::Disabled),
        other => {
            let said = text.said.clone().unwrap_or_else(|| root.said().clone());
            let hint = "write enforcing, permissive or disabled";
            Err(root.wrong("short-name-mode", &said, format_args!("{other:?} is none of its values"), hint))
        }
    }
}

/// What an alias stands for: a repository with its host.
fn full(table: &Fields<'_>, key: &str, text: &Told<&str>) -> Result<Reference> {
    let said = text.said.clone().unwrap_or_else(|| table.said().clone());
    let wrong = |what: &dyn std::fmt::Display| {
        table.wrong(key, &said, format_args!("{:?}: {what}", text.value), "write HOST/NAME, without tag and digest")
    };
    let reference: Reference = text.value.parse().map_err(|error| wrong(&error))?;
    if is_short(text.value) || reference.tag().is_some() || reference.digest().is_some() {
        return Err(wrong(&"not the full name of a repository"));
    }
    Ok(reference)
}

/// The name without tag and digest.
fn bare(text: &str) -> &str {
    let text = text.split('@').next().unwrap_or_default();
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text.get(last..).and_then(|rest| rest.find(':')) {
        Some(colon) => text.get(..last + colon).unwrap_or(text),
        None => text,
    }
}

/// Whether a name begins with no host.
fn is_short(name: &str) -> bool {
    match name.split_once('/') {
        Some((first, _)) => !first.contains(['.', ':']) && first != "localhost",
        None => true,
    }
}
