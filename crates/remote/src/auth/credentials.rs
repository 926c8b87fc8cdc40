//! Who asks: where credentials come from, and the type that keeps them out of every log.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use gantri_core::Result;
use gantri_spec::{Host, RepositoryName};
use zeroize::Zeroizing;

/// Looks up who the user is at a registry.
///
/// Asked only after the registry has asked (A12), and again when what it gave was refused, so that a helper can renew what
/// it hands out.
#[async_trait]
pub trait Credentials: Debug + Send + Sync + 'static {
    /// The credential for exactly this host, and on it for this repository; [`Credential::Anonymous`] if there is none.
    /// `None` is the registry as a whole, and every repository of a host that is not asked about [by
    /// repository](Self::by_repository).
    ///
    /// # Errors
    /// `Credentials` if it can't be looked up: never replaced by another host's, or by none.
    ///
    /// # Cancel safety
    /// Dropping the future must leave nothing running.
    async fn credential(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Credential>;

    /// Whether repositories of this host may have credentials of their own: then each is asked about, else the host once.
    fn by_repository(&self, _host: &Host) -> bool {
        false
    }

    /// Whether every host is answered alike, known or not: then a host that only a file has named, as mirrors are, is not
    /// told what was meant for another (A15).
    fn answers_every_host(&self) -> bool {
        false
    }
}

/// Who the user is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credential {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user name and a password.
    Basic {
        /// The name, which is no secret.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that a token server exchanges for short-lived ones (an OAuth2 refresh token).
    IdentityToken(Secret),
    /// A token that the registry takes as it is.
    Bearer(Secret),
}

impl Credential {
    /// A user name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic { username: username.into(), password: password.into() }
    }

    /// Whether there is nothing in it that must be kept secret.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// What tells this identity from another one: part of the key of every cached token (A9).
    pub(super) fn identity(&self, within: Option<&RepositoryName>) -> Identity {
        let who = match self {
            Self::Anonymous => Who::Anonymous,
            Self::Basic { username, .. } => Who::User(username.clone()),
            Self::IdentityToken(_) => Who::Exchanged,
            Self::Bearer(_) => Who::Bearer,
        };
        Identity { who, within: within.cloned() }
    }
}

/// One credential, whatever the host: for a registry whose credential is at hand.
#[async_trait]
impl Credentials for Credential {
    async fn credential(&self, _host: &Host, _repository: Option<&RepositoryName>) -> Result<Self> {
        Ok(self.clone())
    }

    fn answers_every_host(&self) -> bool {
        true
    }
}

/// Whose token it is, as far as a key needs to know. One name may have a password for each repository.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Identity {
    who: Who,
    /// The repository that the credential was looked up for; `None` if it is the host's.
    within: Option<RepositoryName>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Who {
    Anonymous,
    User(String),
    Exchanged,
    Bearer,
}

/// Text that must not be seen (A16): it is not printed by `Debug`, has no `Display` and no `Serialize`, and is wiped from
/// memory when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps this text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let credentials = [
            Credential::basic("me", "canary"),
            Credential::IdentityToken("canary".into()),
            Credential::Bearer("canary".into()),
        ];
        for credential in credentials {
            assert!(!format!("{credential:?} {credential:#?}").contains("canary"));
        }
    }
}
