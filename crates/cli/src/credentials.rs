//! Who to be: what the command line and standard input say, before all configuration.

use std::path::Path;
use std::sync::Arc;

use gantri::config::{Configuration, CredentialChain, Environment};
use gantri::spec::Host;
use gantri::{Credential, Error, ErrorKind, Limits, Location, Secret};
use tokio::io::AsyncReadExt;

use crate::args::{BlobAction, Command, CredentialArgs, ManifestAction};
use crate::context::usage;
use crate::failure::Failure;

/// The chain of credentials that a command looks into.
pub(crate) fn chain(arguments: &CredentialArgs, configuration: Arc<Configuration>) -> CredentialChain {
    let mut chain = CredentialChain::new(Environment::of_process()).with_configuration(configuration);
    if let Some(file) = &arguments.auth_file {
        chain = chain.with_auth_file(file);
    }
    match &arguments.given {
        Some((host, credential)) => chain.with_credential(host.clone(), credential.clone()),
        None => chain,
    }
}

/// Reads the credential that the arguments announce. It is for the one registry that the command speaks to.
pub(crate) async fn read(arguments: &mut CredentialArgs, command: &Command) -> Result<(), Failure> {
    let is_login = matches!(command, Command::Login { .. });
    if let Some(file) = arguments.auth_file.as_ref().filter(|file| !is_login && !file.exists()) {
        let what = format!("--auth-file {}: no such file", file.display());
        return Err(Error::new(ErrorKind::Config, what).with_hint("gantri login makes it").into());
    }
    if is_login || !is_announced(arguments)? {
        return Ok(());
    }
    let host = only_host(command)?;
    if reads_standard_input(command) {
        return Err(usage("standard input can't be the password and the content: name a file for one, or log in"));
    }
    arguments.given = Some((host, from_standard_input(arguments).await?));
    Ok(())
}

/// Whether a credential is announced, in a way that makes sense.
pub(crate) fn is_announced(arguments: &CredentialArgs) -> Result<bool, Failure> {
    match (&arguments.username, arguments.password_stdin, arguments.token_stdin) {
        (Some(_), false, false) => Err(usage("--username: its password is read by --password-stdin")),
        (None, true, false) => Err(usage("--password-stdin: whose password it is, is said by --username")),
        (None, _, announced) => Ok(announced),
        (Some(_), _, true) => Err(usage("--token-stdin: a token is in place of a user and a password")),
        (Some(username), true, false) => plain_name(username).map(|()| true),
    }
}

/// A user name goes before a colon.
pub(crate) fn plain_name(username: &str) -> Result<(), Failure> {
    if username.is_empty() || username.contains(':') || username.contains(char::is_control) {
        return Err(usage(format!("{username:?}: a user name is not empty, and holds no colon")));
    }
    Ok(())
}

/// What stands on standard input, as the arguments say.
pub(crate) async fn from_standard_input(arguments: &CredentialArgs) -> Result<Credential, Failure> {
    let secret = secret_from_standard_input().await?;
    Ok(match &arguments.username {
        Some(username) => Credential::basic(username, secret),
        None => Credential::IdentityToken(secret),
    })
}

async fn secret_from_standard_input() -> Result<Secret, Failure> {
    let most = Limits::default().credential;
    let mut text = String::new();
    let read = tokio::io::stdin().take(most + 1).read_to_string(&mut text).await;
    let text = Secret::new(text);
    read.map_err(|error| Error::io("read a secret from standard input", error))?;
    if text.expose().len() as u64 > most {
        return Err(Error::limit("the secret on standard input", "credential", most).into());
    }
    line(&text).ok_or_else(|| usage("standard input: there is no secret"))
}

/// The text without the end of its line; `None` if nothing is left.
pub(crate) fn line(text: &Secret) -> Option<Secret> {
    let text = text.expose();
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() { None } else { Some(Secret::new(line)) }
}

/// A secret is for one origin: which of several, the command line does not say.
fn only_host(command: &Command) -> Result<Host, Failure> {
    let mut hosts: Vec<Host> = named(command).into_iter().filter_map(host_of).collect();
    if let Command::Repositories { host } = command {
        hosts.extend(host.parse());
    }
    hosts.sort();
    hosts.dedup();
    match &hosts[..] {
        [host] => Ok(host.clone()),
        [] => Err(usage("a user or a token is given, and no registry that it is for")),
        [one, other, ..] => Err(usage(format!(
            "a user or a token is given, and two registries, {one} and {other}: log in to them, gantri login"
        ))),
    }
}

fn host_of(place: &str) -> Option<Host> {
    match place.parse() {
        Ok(Location::Registry(reference)) => Some(reference.host().clone()),
        _ => None,
    }
}

/// The places that a command names.
fn named(command: &Command) -> Vec<&str> {
    match command {
        Command::Quickstart { .. }
        | Command::Serve(_)
        | Command::Build { .. }
        | Command::Repositories { .. }
        | Command::Login { .. }
        | Command::Logout { .. } => Vec::new(),
        Command::Pull { source, target, .. }
        | Command::Copy { source, target, .. }
        | Command::Mount { source, target } => vec![source, target],
        Command::Push { targets, .. } => targets.iter().map(String::as_str).collect(),
        Command::Unpack { source, .. }
        | Command::Fetch { source, .. }
        | Command::Tag { source, .. }
        | Command::Attach { subject: source, .. }
        | Command::Tags { repository: source }
        | Command::Referrers { source, .. }
        | Command::Delete { target: source }
        | Command::Config { source, .. }
        | Command::Digest { source, .. }
        | Command::Explain { source }
        | Command::Doctor { source }
        | Command::Manifest { action: Some(ManifestAction::Put { target: source, .. }), .. }
        | Command::Blob {
            action: Some(BlobAction::Put { target: source, .. } | BlobAction::Delete { target: source }),
            ..
        } => {
            vec![source]
        }
        Command::Manifest { source, .. } | Command::Blob { source, .. } => source.as_deref().into_iter().collect(),
    }
}

fn reads_standard_input(command: &Command) -> bool {
    match command {
        Command::Manifest { action: Some(ManifestAction::Put { file, .. }), .. }
        | Command::Blob { action: Some(BlobAction::Put { file, .. }), .. } => file == Path::new("-"),
        _ => false,
    }
}
