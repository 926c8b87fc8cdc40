//! One file's text into tables, strictly: what can't be meant is an error with its line.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use gantri_core::Result;
use gantri_core::error::display_place;
use gantri_spec::{Host, RepositoryName};

use super::{CREDENTIAL_HELPERS, Location, Mirror, Prefix, Pulls, RegistriesConf, ShortNames, Table};
use crate::config::document::{Fields, Source, Told};

const ROOT: &[&str] = &[
    "registry",
    "unqualified-search-registries",
    "short-name-mode",
    "aliases",
    CREDENTIAL_HELPERS,
    "additional-layer-store-auth-helper",
];
const REGISTRY: &[&str] = &["prefix", "location", "insecure", "blocked", "mirror-by-digest-only", "mirror"];
const MIRROR: &[&str] = &["location", "insecure", "pull-from-mirror"];

/// What a whole file says.
pub(super) fn parse(path: &Path, text: &str) -> Result<RegistriesConf> {
    let source = Source { path, text };
    let root = source.parse()?;
    let root = Fields::root(source, &root);
    if let Some(old) = root.keys().into_iter().find(|key| key.value == "registries") {
        let said = old.said.unwrap_or_else(|| root.said().clone());
        let what = "version 1 of the format, which is not read any more";
        return Err(root.wrong("registries", &said, what, "write [[registry]] tables, containers-registries.conf(5)"));
    }
    let mut notes = root.unknown(ROOT);
    let mut registries = BTreeMap::new();
    for fields in root.tables("registry")? {
        notes.extend(fields.unknown(REGISTRY));
        let Some((prefix, table)) = registry(&fields, &mut notes)? else { continue };
        // Of two with the same prefix in one file the first holds.
        match registries.entry(prefix) {
            Entry::Vacant(place) => {
                place.insert(table);
            }
            Entry::Occupied(place) => {
                let (said, prefix) = (fields.said(), place.key());
                notes.push(format!("{said}: registry {prefix}: a second table for this prefix, ignored"));
            }
        }
    }
    let credential_helpers = credential_helpers(&root)?;
    Ok(RegistriesConf { registries, short_names: ShortNames::parse(&root)?, credential_helpers, notes })
}

/// An empty list is none, so that another file may say something else.
fn credential_helpers(root: &Fields<'_>) -> Result<Option<Told<Vec<String>>>> {
    let listed = root.texts(CREDENTIAL_HELPERS)?.filter(|names| !names.value.is_empty());
    Ok(listed
        .map(|names| Told { value: names.value.iter().map(|name| name.value.to_owned()).collect(), said: names.said }))
}

/// A table and its prefix as text; `None` for one that never applies.
fn registry(fields: &Fields<'_>, notes: &mut Vec<String>) -> Result<Option<(String, Table)>> {
    let (prefix, location) = (fields.text("prefix")?, fields.text("location")?);
    let Some(text) = prefix.as_ref().or(location.as_ref()).filter(|text| !text.value.is_empty()) else {
        let what = "neither this nor location is there";
        return Err(fields.wrong("prefix", fields.said(), what, "say which names the table is for"));
    };
    let key = if prefix.is_some() { "prefix" } else { "location" };
    let said = text.said.clone().unwrap_or_else(|| fields.said().clone());
    let name = text.value.trim_end_matches('/');
    if names_one_image(name) {
        // The manual allows it; podman and skopeo look tables up by the name alone, so that it never holds.
        notes.push(format!(
            "{said}: registry.{key}: with a tag or digest it holds for nothing, as with podman; ignored"
        ));
        return Ok(None);
    }
    let prefix = match name.strip_prefix("*.") {
        Some(parent) => Prefix::Below(wildcard(fields, parent, text)?),
        None => Prefix::Plain(place(fields, key, text)?),
    };
    let location = location.filter(|location| !location.value.is_empty());
    let location = match location {
        Some(location) if key == "prefix" => {
            let value = place(fields, "location", &location)?;
            Some(Told { value, said: location.said })
        }
        Some(_) => None,
        None if matches!(prefix, Prefix::Below(_)) => None,
        None => {
            let what = "is not there, and only a prefix *.HOST does without";
            return Err(fields.wrong("location", &said, what, "say where the names lead; it may be the prefix again"));
        }
    };
    let table = Table {
        mirrors: mirrors(fields, notes)?,
        prefix,
        location,
        insecure: flag(fields, "insecure")?,
        blocked: flag(fields, "blocked")?,
        said,
    };
    if fields.keys().iter().any(|key| key.value == "pull-from-mirror") {
        let what = "belongs to a mirror";
        return Err(fields.wrong("pull-from-mirror", fields.said(), what, "write it below [[registry.mirror]]"));
    }
    Ok(Some((name.to_owned(), table)))
}

fn mirrors(fields: &Fields<'_>, notes: &mut Vec<String>) -> Result<Vec<Mirror>> {
    let by_digest_only = flag(fields, "mirror-by-digest-only")?;
    let mut mirrors = Vec::new();
    for fields in fields.tables("mirror")? {
        notes.extend(fields.unknown(MIRROR));
        let Some(location) = fields.text("location")?.filter(|text| !text.value.is_empty()) else {
            return Err(fields.wrong("location", fields.said(), "is not there", "say where the mirror is"));
        };
        let value = place(&fields, "location", &location)?;
        let pulls = match fields.text("pull-from-mirror")?.filter(|text| !text.value.is_empty()) {
            Some(pulls) if by_digest_only.value => {
                let said = pulls.said.unwrap_or_else(|| fields.said().clone());
                let what = "can't be said where the registry says mirror-by-digest-only = true";
                return Err(fields.wrong("pull-from-mirror", &said, what, "keep one of the two"));
            }
            Some(pulls) => self::pulls(&fields, &pulls)?,
            None if by_digest_only.value => Pulls::ByDigest,
            None => Pulls::All,
        };
        let location = Told { value, said: location.said };
        mirrors.push(Mirror { location, insecure: flag(&fields, "insecure")?, pulls });
    }
    Ok(mirrors)
}

fn pulls(fields: &Fields<'_>, text: &Told<&str>) -> Result<Pulls> {
    match text.value {
        "all" => Ok(Pulls::All),
        "digest-only" => Ok(Pulls::ByDigest),
        "tag-only" => Ok(Pulls::ByTag),
        other => {
            let said = text.said.clone().unwrap_or_else(|| fields.said().clone());
            let hint = "write all, digest-only or tag-only";
            Err(fields.wrong("pull-from-mirror", &said, format_args!("{other:?} is none of its values"), hint))
        }
    }
}

fn flag(fields: &Fields<'_>, key: &str) -> Result<Told<bool>> {
    Ok(fields.flag(key)?.unwrap_or(Told::unsaid(false)))
}

/// `HOST[:PORT][/PATH]`.
fn place(fields: &Fields<'_>, key: &str, text: &Told<&str>) -> Result<Location> {
    let said = text.said.clone().unwrap_or_else(|| fields.said().clone());
    let wrong = |what: &dyn std::fmt::Display, hint: &str| {
        fields.wrong(key, &said, format_args!("\"{}\": {what}", display_place(text.value)), hint)
    };
    if text.value.contains("://") {
        return Err(wrong(&"a scheme has no place here", "write HOST[:PORT][/PATH]; insecure = true allows http"));
    }
    let trimmed = text.value.trim_end_matches('/');
    let (host, path) = trimmed.split_once('/').map_or((trimmed, None), |(host, path)| (host, Some(path)));
    let hint = "write HOST[:PORT][/PATH]";
    let host: Host = host.parse().map_err(|error: gantri_spec::InvalidHost| wrong(&error, hint))?;
    let path = path.map(str::parse::<RepositoryName>).transpose().map_err(|error| wrong(&error, hint))?;
    Ok(Location { host, path })
}

/// The host behind `*.`, which no port and no path may follow.
fn wildcard(fields: &Fields<'_>, parent: &str, text: &Told<&str>) -> Result<Host> {
    let said = text.said.clone().unwrap_or_else(|| fields.said().clone());
    let host = parent.parse::<Host>().ok().filter(|host| host.port().is_none() && !parent.contains('*'));
    host.ok_or_else(|| {
        let what = format!("{:?}: a wildcard stands before a host, without port and path", text.value);
        fields.wrong("prefix", &said, what, "write *.example.com")
    })
}

/// Whether a name goes on with a tag or a digest. A colon before the first slash belongs to a port.
fn names_one_image(name: &str) -> bool {
    name.contains('@') || name.split_once('/').is_some_and(|(_, path)| path.contains(':'))
}
