//! `login`, `logout`: credentials are tried, then kept where every command finds them, and forgotten again.

use gantri::config::{CredentialChain, CredentialPlace, CredentialSource};
use gantri::spec::{Host, InvalidRepositoryName, RepositoryName};
use gantri::{Credential, Error, Event, Limits, Ping, display_untrusted};
use serde_json::json;

use crate::args::{CredentialArgs, Global};
use crate::context::{Context, Settings, host as parse, usage};
use crate::credentials::{from_standard_input, is_announced, line, plain_name};
use crate::failure::Failure;
use crate::progress;
use crate::terminal::{Echo, ask};

/// Asks the registry whether it takes the credential, and keeps it if it does.
pub(crate) async fn login(global: &Global, host: &str) -> Result<(), Failure> {
    let host = parse(host)?;
    let credential = credential(&global.credentials, &host).await?;
    let context = Context::new(global, Settings::default())?;
    let ping = context.client.login_check(&host, credential.clone()).await?;
    let username = match &credential {
        Credential::Basic { username, .. } => Some(display_untrusted(username)),
        _ => None,
    };
    let kept = context.credentials.store(&host, &credential).await;
    let kept = kept.map_err(|error| error.during(format_args!("login {host}")))?;
    if ping == Ping::Open {
        let note = format!("{host} let us in without asking who we are: nobody has looked at the credential");
        progress::observer(global.quiet).event(&Event::Notice(&note));
    }
    let who = username.as_deref().unwrap_or("the owner of the token");
    let kept = kept.to_string();
    let json = json!({ "registry": host, "username": username, "verified": ping != Ping::Open, "kept": kept });
    Ok(context.output.value(&format!("logged in to {host} as {who}: {kept}"), &json).await?)
}

/// Forgets what there is for the registry, or for some repositories of it.
pub(crate) async fn logout(global: &Global, typed: &str) -> Result<(), Failure> {
    let (host, path) = named(typed)?;
    let context = Context::new(global, Settings::default())?;
    let during = |error: Error| error.during(format_args!("logout {host}"));
    let removed = match &path {
        Some(path) => context.credentials.erase_repositories(&host, path).await,
        None => context.credentials.erase(&host).await,
    };
    let removed = removed.map_err(during)?;
    for note in stays(&context.credentials, &host, path.as_ref()).map_err(during)? {
        progress::observer(global.quiet).event(&Event::Notice(&note));
    }
    let removed: Vec<String> = removed.iter().map(ToString::to_string).collect();
    let of = path.map_or_else(|| host.to_string(), |path| format!("{host}/{path}"));
    let text = match removed.len() {
        0 => format!("{of}: there was nothing to forget"),
        _ => format!("logged out of {of}: {}", removed.join(", ")),
    };
    Ok(context.output.value(&text, &json!({ "registry": of, "removed": removed })).await?)
}

/// The registry, and the repositories of it that are meant; none if it is all of it. The root of an API behind a host says no
/// more than the host: so files are keyed, docker's for its hub among them.
fn named(typed: &str) -> Result<(Host, Option<RepositoryName>), Failure> {
    if typed.contains('@') || typed.contains("://") {
        return Ok((parse(typed.trim_end_matches('/'))?, None));
    }
    match typed.split_once('/') {
        Some((host, path)) if !matches!(path, "" | "v1/" | "v2/") => {
            let path = path.trim_end_matches('/').parse();
            Ok((parse(host)?, Some(path.map_err(|error: InvalidRepositoryName| usage(error.to_string()))?)))
        }
        Some((host, _)) => Ok((parse(host)?, None)),
        None => Ok((parse(typed)?, None)),
    }
}

/// What still says who to be where one has logged out.
fn stays(chain: &CredentialChain, host: &Host, path: Option<&RepositoryName>) -> Result<Vec<String>, Error> {
    let sources = chain.sources(host, path)?.into_iter();
    let stays = sources.filter(|source| match (source, path) {
        (CredentialSource::Helper { .. }, _) => false,
        // A host's own entry is not what was to be forgotten.
        (CredentialSource::Entry { place, .. }, Some(_)) => matches!(place, CredentialPlace::Variable(_)),
        _ => true,
    });
    let stays = stays.map(|source| format!("{source} still says who to be at {host}, and can't be changed from here"));
    let mut notes: Vec<String> = stays.collect();
    if path.is_none() {
        let below = chain.sources_of_repositories(host)?.into_iter();
        notes.extend(below.map(|(source, path)| {
            format!("{source} still says who to be at {host}/{path}: gantri logout {host}/{path} forgets it")
        }));
    }
    Ok(notes)
}

/// From standard input if the arguments say so, else from whoever sits at the terminal.
async fn credential(arguments: &CredentialArgs, host: &Host) -> Result<Credential, Failure> {
    let is_asked = !arguments.password_stdin && !arguments.token_stdin;
    if !is_asked && is_announced(arguments)? {
        return from_standard_input(arguments).await;
    }
    let most = Limits::default().credential;
    let asking = |error| Error::io("ask at the terminal", error);
    let nobody = || usage(format!("{host}: there is no terminal to ask at: give --username and --password-stdin"));
    let username = if let Some(username) = &arguments.username {
        username.clone()
    } else {
        let typed = ask(&format!("user at {host}"), Echo::Shown, most).await.map_err(asking)?.ok_or_else(nobody)?;
        line(&typed).map(|name| name.expose().to_owned()).unwrap_or_default()
    };
    plain_name(&username)?;
    let question = format!("password of {} at {host}", display_untrusted(&username));
    let typed = ask(&question, Echo::Hidden, most).await.map_err(asking)?.ok_or_else(nobody)?;
    let password = line(&typed).ok_or_else(|| usage("the password is empty"))?;
    Ok(Credential::basic(username, password))
}
