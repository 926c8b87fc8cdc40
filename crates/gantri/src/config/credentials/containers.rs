//! What containers' tools (podman, skopeo, buildah) say about credentials: the helpers that `registries.conf` lists, and
//! where their `auth.json` is. See containers-registries.conf(5), containers-registries.conf.d(5), containers-auth.json(5).

use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Limits, Result};
use serde::Deserialize;

use super::helper::Helper;
use crate::config::environment::Environment;

/// The setting that lists helpers.
pub(super) const SETTING: &str = "credential-helpers";
/// The name in that list that stands for the files of credentials.
const AUTH_FILES: &str = "containers-auth.json";

/// The machine's configuration.
const SYSTEM: &str = "/etc/containers";

/// One of the list.
#[derive(Debug)]
pub(super) enum Listed {
    /// The files of credentials stand here.
    AuthFiles,
    /// A helper.
    Helper(Helper),
}

/// The files of credentials, in their order, whether or not they are there. A file that was named elsewhere stands in for the
/// first.
pub(super) fn auth_files(environment: &Environment, is_named: bool) -> Vec<PathBuf> {
    let session = environment.path("XDG_RUNTIME_DIR").filter(|_| !is_named);
    let user = environment.path("XDG_CONFIG_HOME").or_else(|| Some(environment.path("HOME")?.join(".config")));
    session.into_iter().chain(user).map(|dir| dir.join("containers/auth.json")).collect()
}

/// What is asked for credentials, in this order, and the file that says so.
///
/// # Errors
/// `Config` if a file is not what it should be, or lists what no helper can be called (A14).
pub(super) fn credential_helpers(environment: &Environment, limits: &Limits) -> Result<(Vec<Listed>, PathBuf)> {
    let mut said = (vec![AUTH_FILES.to_owned()], PathBuf::new());
    for path in files(environment)? {
        let Some(text) = super::read(&path, limits)? else { continue };
        // An empty list is none, so that the next file may say something else.
        if let Some(names) = parse(&path, &text)?.filter(|names| !names.is_empty()) {
            said = (names, path);
        }
    }
    let (names, path) = said;
    let listed = names.iter().map(|name| match name.as_str() {
        AUTH_FILES => Ok(Listed::AuthFiles),
        name => Helper::new(name).map(Listed::Helper),
    });
    let listed = listed.collect::<Result<_>>().map_err(|error| error.during(path.display()))?;
    Ok((listed, path))
}

fn parse(path: &Path, text: &[u8]) -> Result<Option<Vec<String>>> {
    #[derive(Deserialize)]
    struct Conf {
        #[serde(rename = "credential-helpers")]
        credential_helpers: Option<Vec<String>>,
    }
    let not_understood = |what: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Config, format!("{}: not containers' registries.conf: {what}", path.display()))
    };
    let text = std::str::from_utf8(text).map_err(|error| not_understood(&error))?;
    let conf: Conf = toml::from_str(text).map_err(|error| {
        let line =
            text.as_bytes().iter().take(error.span().map_or(0, |span| span.start)).filter(|byte| **byte == b'\n');
        not_understood(&format_args!("line {}: {}", 1 + line.count(), error.message()))
    })?;
    Ok(conf.credential_helpers)
}

/// The files of configuration, each overruling what those before it say. A user's own takes the place of the machine's.
fn files(environment: &Environment) -> Result<Vec<PathBuf>> {
    let user = environment.path("HOME").map(|home| home.join(".config/containers"));
    let own = user.as_ref().map(|dir| dir.join("registries.conf")).filter(|path| path.exists());
    let system = Path::new(SYSTEM);
    let (main, dirs) = match (environment.path("CONTAINERS_REGISTRIES_CONF"), own) {
        (None, Some(own)) => (own, vec![]),
        (named, _) => (named.unwrap_or_else(|| system.join("registries.conf")), vec![system.to_owned()]),
    };
    let mut files = vec![main];
    for dir in dirs.into_iter().chain(user) {
        files.extend(drop_ins(&dir.join("registries.conf.d"))?);
    }
    Ok(files)
}

/// The `.conf` files of a directory, by name.
fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>> {
    let reading = |error| Error::new(ErrorKind::Config, format!("read {}", dir.display())).with_source(error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(reading(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(reading)).collect::<Result<Vec<_>>>()?;
    let is_conf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "conf") && path.is_file();
    let mut paths: Vec<PathBuf> = paths.into_iter().filter(is_conf).collect();
    paths.sort();
    Ok(paths)
}
