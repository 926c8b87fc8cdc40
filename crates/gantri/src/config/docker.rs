//! Docker's `config.json`: which credentials belong to which host.
//!
//! Order for a host: its own helper (`credHelpers`), else the general one (`credsStore`), else what stands in `auths`.
//! A helper that says "not found" leaves the answer to `auths`; a helper that *fails* is an error for that host and never
//! sends the question elsewhere (A14). Hosts are compared whole, never by prefix (A15).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantri_core::{Error, ErrorKind, Result};
use gantri_remote::{Credential, Credentials, Secret};
use gantri_spec::{Host, RepositoryName};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::helper::Helper;

/// Credentials as docker's `config.json` gives them.
#[derive(Debug)]
pub struct DockerConfig {
    path: PathBuf,
    auths: BTreeMap<Host, Entry>,
    helpers: BTreeMap<Host, Helper>,
    store: Option<Helper>,
}

impl DockerConfig {
    /// Reads `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; `None` if there is no such file.
    fn from_environment() -> Result<Option<Self>> {
        let dir = environment("DOCKER_CONFIG").or_else(|| environment("HOME").map(|home| home.join(".docker")));
        let Some(path) = dir.map(|dir| dir.join("config.json")) else { return Ok(None) };
        match read(&path) {
            Ok(text) => Self::parse(&path, &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::new(ErrorKind::Config, format!("read {}", path.display())).with_source(error)),
        }
    }

    /// Understands the text of a `config.json`; `path` is for messages.
    ///
    /// # Errors
    /// `Config` if it is not such a file, or names a helper that no program can be called (A14).
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let file: Result<File, _> = serde_json::from_slice(text);
        // A list of the fields' values would be taken for the file too.
        let is_object = text.trim_ascii_start().starts_with(b"{");
        if !is_object && file.as_ref().err().is_none_or(serde_json::Error::is_data) {
            let what = "not docker's configuration: it is JSON, but not an object";
            return Err(Error::new(ErrorKind::Config, format!("{}: {what}", path.display())));
        }
        let file = file.map_err(|error| not_understood(path, error))?;
        let in_file = |error: Error| error.during(path.display());
        let auths = file.auths.into_iter().flatten().filter_map(|(key, entry)| Some((host_of(&key)?, entry))).collect();
        let helpers = file
            .cred_helpers
            .into_iter()
            .flatten()
            .filter_map(|(key, suffix)| Some((host_of(&key)?, suffix)))
            .map(|(host, suffix)| Ok((host, Helper::new(&suffix)?)))
            .collect::<Result<_>>()
            .map_err(in_file)?;
        let store = file.creds_store.filter(|suffix| !suffix.is_empty());
        let store = store.map(|suffix| Helper::new(&suffix)).transpose().map_err(in_file)?;
        Ok(Self { path: path.to_owned(), auths, helpers, store })
    }

    async fn look_up(&self, host: &Host) -> Result<Credential> {
        if let Some(helper) = self.helpers.get(host).or(self.store.as_ref())
            && let Some(found) = helper.get(&server_key(host)).await?
        {
            return Ok(found);
        }
        self.auths.get(host).map_or(Ok(Credential::Anonymous), Entry::credential)
    }
}

#[async_trait]
impl Credentials for DockerConfig {
    async fn credential(&self, host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        self.look_up(host).await.map_err(|error| error.during(format_args!("{}: {host}", self.path.display())))
    }
}

/// The credentials of this machine's user, from docker's `config.json`, which is read when the first registry asks: what
/// needs no credentials does not stumble over a broken file.
#[derive(Debug, Default)]
pub struct DockerCredentials {
    config: OnceCell<Option<DockerConfig>>,
}

#[async_trait]
impl Credentials for DockerCredentials {
    async fn credential(&self, host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        match self.config.get_or_try_init(|| async { DockerConfig::from_environment() }).await? {
            Some(config) => config.credential(host, None).await,
            None => Ok(Credential::Anonymous),
        }
    }
}

/// What is no JSON is told in the parser's words. A value of the wrong type is not: the parser would quote it, and it may be
/// a secret (A16).
fn not_understood(path: &Path, error: serde_json::Error) -> Error {
    let path = path.display();
    if error.is_data() {
        let (line, column) = (error.line(), error.column());
        let what = format!("{path}: not docker's configuration: an unexpected value at line {line} column {column}");
        return Error::new(ErrorKind::Config, what);
    }
    Error::new(ErrorKind::Config, path.to_string()).with_source(error)
}

/// Docker Hub's credentials stand under a URL of its first API.
const HUB_KEY: &str = "https://index.docker.io/v1/";

fn server_key(host: &Host) -> String {
    if host.is_docker_hub() { HUB_KEY.to_owned() } else { host.as_str().to_owned() }
}

/// The host that a key of `auths` speaks of: keys are hosts, or URLs with or without a path.
fn host_of(key: &str) -> Option<Host> {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next()?.parse().ok()
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
#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry { .. }")
    }
}

impl Entry {
    fn credential(&self) -> Result<Credential> {
        let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = present(&self.registrytoken) {
            return Ok(Credential::Bearer(Secret::new(token)));
        }
        if let Some(token) = present(&self.identitytoken) {
            return Ok(Credential::IdentityToken(Secret::new(token)));
        }
        if let Some(auth) = present(&self.auth) {
            return basic(&auth);
        }
        match (present(&self.username), present(&self.password)) {
            (Some(username), Some(password)) => Ok(Credential::Basic { username, password: Secret::new(password) }),
            _ => Ok(Credential::Anonymous),
        }
    }
}

fn basic(auth: &str) -> Result<Credential> {
    let broken = || Error::new(ErrorKind::Credentials, "\"auth\" is not base64 of user:password");
    let decoded = STANDARD.decode(auth.trim()).map_err(|_| broken())?;
    let text = String::from_utf8(decoded).map_err(|_| broken())?;
    let (username, password) = text.split_once(':').ok_or_else(broken)?;
    // Old docker clients padded the password with NUL bytes.
    let password = Secret::new(password.trim_end_matches('\0').to_owned());
    Ok(Credential::Basic { username: username.to_owned(), password })
}

#[expect(clippy::disallowed_methods, reason = "this file is where the environment is asked for docker's configuration")]
fn environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
        "ghcr.io": {"auth": "dXNlcjpwOncA"},
        "https://quay.io/v2/": {"username": "u", "password": "p"},
        "acr.example:5000": {"auth": "eDp5", "identitytoken": "id"},
        "broken.example": {"auth": "%%%"},
        "empty.example": {}
    }, "psFormat": "x"}"#;

    async fn found(host: &str) -> String {
        let config = DockerConfig::parse(Path::new("config.json"), FILE.as_bytes()).unwrap();
        match config.credential(&host.parse().unwrap(), None).await {
            Ok(Credential::Anonymous) => "anonymous".into(),
            Ok(Credential::Basic { username, password }) => format!("{username} {}", password.expose()),
            Ok(Credential::IdentityToken(token)) => format!("identity {}", token.expose()),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn keys_of_every_form_are_found_for_their_host_alone() {
        let cases = [
            ("docker.io", "hub pw"),
            ("index.docker.io", "hub pw"),
            ("ghcr.io", "user p:w"),
            ("quay.io", "u p"),
            ("acr.example:5000", "identity id"),
            ("empty.example", "anonymous"),
            // look-alikes (A15)
            ("acr.example", "anonymous"),
            ("ghcr.io.evil.net", "anonymous"),
            ("xghcr.io", "anonymous"),
            ("ghcr.io:443", "anonymous"),
            ("quay.io.", "anonymous"),
            ("broken.example", "config.json: broken.example: \"auth\" is not base64 of user:password"),
        ];
        for (host, expected) in cases {
            if host.parse::<Host>().is_ok() {
                assert_eq!(found(host).await, expected, "{host}");
            }
        }
    }

    #[tokio::test]
    async fn null_stands_for_nothing() {
        let text = br#"{"auths": null, "credHelpers": null, "credsStore": null}"#;
        let config = DockerConfig::parse(Path::new("config.json"), text).unwrap();
        assert_eq!(config.credential(&"ghcr.io".parse().unwrap(), None).await.unwrap(), Credential::Anonymous);
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = DockerConfig::parse(Path::new("config.json"), FILE.as_bytes()).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("aHViOnB3") && !printed.contains("\"p\""), "{printed}");
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let error = DockerConfig::parse(Path::new("/x/config.json"), b"{").unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, "/x/config.json".to_owned()));
    }

    #[test]
    fn what_is_no_object_is_no_configuration() {
        for text in ["[]", " [null, null, null]", "3", "\"text\"", "null"] {
            let error = DockerConfig::parse(Path::new("config.json"), text.as_bytes()).unwrap_err();
            let expected = "config.json: not docker's configuration: it is JSON, but not an object";
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, expected), "{text}");
        }
    }

    #[test]
    fn a_value_in_the_wrong_place_is_told_by_its_place_and_never_shown() {
        let cases = [
            (r#"{"auths": []}"#, 10),
            (r#"{"auths": {"ghcr.io": "dXNlcjpodW50ZXIy"}}"#, 40),
            (r#"{"credHelpers": {"ghcr.io": {"hunter2": 1}}}"#, 28),
        ];
        for (text, column) in cases {
            let error = DockerConfig::parse(Path::new("config.json"), text.as_bytes()).unwrap_err();
            let expected =
                format!("config.json: not docker's configuration: an unexpected value at line 1 column {column}");
            assert_eq!(error.to_string(), expected, "{text}");
            assert!(std::error::Error::source(&error).is_none(), "{text}");
        }
    }
}
