//! What can be asked of a registry without touching what it holds: whether it is one and lets us in, and whether it would
//! let us write.
//!
//! No other method asks these first; they are for whoever wants to know it now, as `login` does.

use gantri_core::{ErrorKind, Result};
use gantri_spec::RepositoryName;
use gantri_spec::wire::Endpoint;

use crate::remote::Remote;
use crate::upload;

/// How a registry let us in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ping {
    /// It did not ask who we are: nothing is known about our credentials.
    Open,
    /// It asked, and took what it was told.
    Authorized,
}

impl Remote {
    /// Asks whether there is a registry, and whether it lets us in (end-1): one request, and once it has asked who we are,
    /// those that an answer to that takes. What a token is for is not asked about: this says nothing about any repository.
    ///
    /// # Errors
    /// `Unauthorized` or `Denied` if the registry, or its token server, does not take the credentials; `Credentials` if
    /// they can't be looked up or may not be sent there; `NotARegistry` if something else answers; `Connect`, `Timeout` and
    /// `Unavailable` if nothing does.
    ///
    /// # Cancel safety
    /// It only reads: dropping the future leaves nothing.
    pub async fn ping(&self) -> Result<Ping> {
        let what = format!("registry {}", self.host());
        let mut request = self.request(&Endpoint::Ping, what.as_str()).absent(ErrorKind::NotARegistry);
        let response = self.transport().send(&mut request).await?;
        if response.is_html() {
            return Err(response.not_a_registry(&what).await);
        }
        Ok(if self.transport().was_challenged() { Ping::Authorized } else { Ping::Open })
    }

    /// Asks whether a blob could be pushed to a repository, by starting an upload and cancelling it: a token that says so
    /// is no proof, for some token servers (Docker Hub's) say so of everything.
    ///
    /// It costs two requests, beside those that a first authorization takes. Nothing is stored. A registry that makes
    /// repositories as they are pushed to may make an empty one, and one that can't cancel uploads (ECR) keeps the session
    /// until it forgets it.
    ///
    /// # Errors
    /// `Unauthorized` or `Denied` if it could not; `RepositoryUnknown` where repositories are not made by pushing to them;
    /// else why it can't be told.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the session behind, which the registry forgets in time.
    pub async fn check_push(&self, repo: &RepositoryName) -> Result<()> {
        upload::check(self, repo).await
    }
}
