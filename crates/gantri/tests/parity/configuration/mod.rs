//! The configuration files that others share: the examples of their own documentation, and what they come to here.

mod certs_d;
mod either;
mod hosts_toml;
mod registries_conf;
mod short_names;
mod wire;

use std::fs;
use std::path::Path;

use gantri::config::{Configuration, Scheme, Stop};
use gantri::{ErrorKind, PlainHttp, Reference, Result};
use tempfile::TempDir;

/// A directory with these files.
fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Where a reference is read from, one after the other.
fn read_from(configuration: &Configuration, text: &str) -> Result<Vec<String>> {
    let route = configuration.route(&reference(text))?;
    Ok(route.mirrors.iter().chain([&route.origin]).map(at).collect())
}

/// A place in short: what is spoken there, host and repository.
fn at(stop: &Stop) -> String {
    let scheme = match stop.endpoint.scheme_for(PlainHttp::Auto) {
        Scheme::Http => "http",
        Scheme::Either => "either",
        _ => "https",
    };
    let root = stop.endpoint.api_root.as_deref().unwrap_or_default();
    let repository = stop.repository.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{scheme} {}{root}/{repository}", stop.endpoint.host.as_str())
}

/// What is said about a configuration that can't be understood: the line without the directory, and the hint.
#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind, dir: &Path) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let hint = error.hint().unwrap_or_else(|| panic!("no hint: {error}"));
    format!("{error}; {hint}").replace(&format!("{}/", dir.display()), "")
}
