//! containerd's `hosts.toml` trees: for a host, which others are asked before it, and what each may be asked for.
//!
//! `DIR/HOST_PORT_/`, `DIR/HOST:PORT/` and `DIR/_default/` are looked for in this order. A directory without a `hosts.toml`
//! is one of certificates. What containerd only does to get by, this does not: a broken file is an error and never ignored,
//! and `http` means http, whatever else is said about TLS. See docs/hosts.md there.

mod host;

use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::Host;

pub use self::host::Header;
pub(super) use self::host::{Scheme, Server};
use super::certs_d;
use super::document::{self, Fields, Said, Source};

/// What a tree says about a host.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// Asked in this order.
    mirrors: Vec<Server>,
    /// Asked last.
    pub(super) server: Server,
    pub(super) said: Said,
    pub(super) notes: Vec<String>,
}

/// What is said about the host; `None` if the tree has nothing about it, nor about hosts in general.
///
/// # Errors
/// `Config`, naming file, line and key.
pub(super) fn of_host(tree: &Path, host: &Host) -> Result<Option<Hosts>> {
    let Some(dir) = directory(tree, host)? else { return Ok(None) };
    let path = dir.join("hosts.toml");
    if let Some(text) = document::read(&path)?.filter(|text| !text.is_empty()) {
        return parse(&path, &text, host).map(Some);
    }
    let certificates = certs_d::in_dir(&dir)?.unwrap_or_default();
    let said = Said::by(&dir);
    let server = Server { certificates, ..Server::itself(host, said.clone()) };
    Ok(Some(Hosts { mirrors: Vec::new(), server, said, notes: Vec::new() }))
}

/// The first of the candidates that is there. The tree was named: one that can't be looked at is an error.
fn directory(tree: &Path, host: &Host) -> Result<Option<PathBuf>> {
    for dir in candidates(tree, host) {
        match std::fs::metadata(&dir) {
            Ok(there) if there.is_dir() => return Ok(Some(dir)),
            Ok(_) => {}
            Err(error) if certs_d::is_absent(&error) => {}
            Err(error) => {
                return Err(Error::new(ErrorKind::Config, format!("read {}", dir.display())).with_source(error));
            }
        }
    }
    Ok(None)
}

fn candidates(tree: &Path, host: &Host) -> Vec<PathBuf> {
    let mut names = vec![host.as_str().to_owned(), "_default".to_owned()];
    if let (Some(_), Some((name, port))) = (host.port(), host.as_str().rsplit_once(':')) {
        names.insert(0, format!("{name}_{port}_"));
    }
    names.into_iter().map(|name| tree.join(name)).collect()
}

/// Understands the text of a `hosts.toml` about `host`.
///
/// # Errors
/// As [`of_host`].
fn parse(path: &Path, text: &str, host: &Host) -> Result<Hosts> {
    let source = Source { path, text };
    let root = source.parse()?;
    let root = Fields::root(source, &root);
    let base = path.parent().unwrap_or(path);
    let known: Vec<&str> = [&["server", "host"], host::KEYS].concat();
    let mut notes = root.unknown(&known);
    let server = if let Some(url) = root.text("server")?.filter(|text| !text.value.is_empty()) {
        Server::parse(&root, "server", &url, base, host)?
    } else {
        Server::itself(host, Said { file: path.to_owned(), line: None }).with(&root, base)?
    };
    let mut mirrors = Vec::new();
    if let Some(table) = root.table("host")? {
        for key in table.keys() {
            let Some(fields) = table.table(key.value)? else { continue };
            notes.extend(fields.unknown(host::KEYS));
            mirrors.push(Server::parse(&fields, "", &key, base, host)?);
        }
    }
    Ok(Hosts { mirrors, server, said: Said { file: path.to_owned(), line: Some(1) }, notes })
}

/// A path of the file, which stands relative to it.
fn beside(base: &Path, path: &str) -> PathBuf {
    base.join(path)
}

fn none_can(what: &str, said: &Said) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what}: no host in {said} has the capability"))
        .with_hint("add it to the capabilities of one of them")
}

impl Hosts {
    /// Where what is written goes: the first that may be pushed to.
    ///
    /// # Errors
    /// `Unsupported` if none may.
    pub(super) fn target(&self, host: &Host) -> Result<&Server> {
        let all = self.mirrors.iter().chain([&self.server]);
        let found = all.into_iter().find(|server| server.push);
        found.ok_or_else(|| none_can(&format!("push to {}", host.as_str()), &self.said))
    }

    /// The host that all of it is about, where it is one of those that are asked.
    pub(super) fn itself(&self) -> Option<&Server> {
        self.mirrors.iter().chain([&self.server]).find(|server| !server.is_other)
    }

    /// Those that are read from, and the one that is read from last: it may say what tags name, if that is wanted.
    ///
    /// # Errors
    /// `Unsupported` if there is none.
    pub(super) fn sources(&self, host: &Host, by_tag: bool) -> Result<(Vec<&Server>, &Server)> {
        let all = self.mirrors.iter().chain([&self.server]);
        let mut usable: Vec<&Server> = all.filter(|server| server.pull || (by_tag && server.resolve)).collect();
        let fits = |server: &&Server| server.pull && (server.resolve || !by_tag);
        let last = usable.iter().rposition(fits);
        let what = if by_tag { "pull and resolve from" } else { "pull from" };
        let last = last.ok_or_else(|| none_can(&format!("{what} {}", host.as_str()), &self.said))?;
        let last = usable.remove(last);
        Ok((usable, last))
    }
}
