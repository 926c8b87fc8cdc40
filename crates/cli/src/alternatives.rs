//! What there is, told to whoever asked for what there is not.
//!
//! Asked for only after a job has failed, for a moment at most; what can't be had is left out.

use std::fmt::Display;
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt};
use gantri::{Client, Error, ErrorKind, Location};

use crate::failure::Failure;

/// Time that the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the library advises, which knows no command to do it by.
const LOG_IN: &str = "log in, or check the credentials for this registry";
/// Names that are shown.
const SHOWN: usize = 12;

/// Adds the tags that there are to an unknown tag, and the repositories that there are to an unknown repository.
pub(crate) async fn told(client: &Client, asked: &Location, error: Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::Unauthorized if error.hint().is_none_or(|hint| hint == LOG_IN) => login(asked),
        _ if error.hint().is_some() => None,
        ErrorKind::ManifestUnknown if asked.digest().is_none() => tags_or_repositories(client, asked).await,
        ErrorKind::RepositoryUnknown => repositories(client, asked).await,
        _ => None,
    };
    Failure::Job(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

/// The command that helps who is not let in.
fn login(asked: &Location) -> Option<String> {
    let Location::Registry(reference) = asked else { return None };
    Some(format!("gantri login {}", reference.host()))
}

/// A registry may have told an unknown repository as an unknown manifest.
async fn tags_or_repositories(client: &Client, asked: &Location) -> Option<String> {
    match listed("tags", client.tags(&asked.repository()).await).await {
        Ok(tags) => tags,
        Err(error) if error.kind() == ErrorKind::RepositoryUnknown => repositories(client, asked).await,
        Err(_) => None,
    }
}

async fn repositories(client: &Client, asked: &Location) -> Option<String> {
    let Location::Registry(reference) = asked else { return None };
    listed("repositories", client.repositories(reference.host())).await.ok().flatten()
}

/// The first names of a listing, in one line.
async fn listed<T: Display>(
    what: &str,
    listing: Result<impl Stream<Item = Result<T, Error>>, Error>,
) -> Result<Option<String>, Error> {
    let first = listing?.take(SHOWN + 1).map_ok(|name| name.to_string()).try_collect::<Vec<_>>();
    let Ok(names) = tokio::time::timeout(PATIENCE, first).await else { return Ok(None) };
    let mut names = names?;
    if names.is_empty() {
        return Ok(Some(format!("there are no {what}")));
    }
    if names.len() > SHOWN {
        names.truncate(SHOWN);
        names.push("and more".to_owned());
    }
    Ok(Some(format!("{what} there are: {}", names.join(", "))))
}
