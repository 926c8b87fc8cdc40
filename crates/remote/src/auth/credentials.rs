//! Who asks: where credentials come from, and the type that keeps them out of every log.

use std::fmt::{self, Debug};
use std::sync::Arc;

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

/// Several that are asked in their order, as the links of a chain of the caller's own: the first that knows who the user is
/// is believed. One that fails is an error, and sends the question nowhere else.
#[derive(Clone, Debug, Default)]
pub struct FirstCredentials(Vec<Arc<dyn Credentials>>);

impl FirstCredentials {
    /// Asks these, first things first.
    pub fn new(links: impl IntoIterator<Item = Arc<dyn Credentials>>) -> Self {
        Self(links.into_iter().collect())
    }
}

#[async_trait]
impl Credentials for FirstCredentials {
    async fn credential(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Credential> {
        for link in &self.0 {
            // Who knows the host as a whole is asked about that, whatever the others tell apart.
            let repository = repository.filter(|_| link.by_repository(host));
            let credential = link.credential(host, repository).await?;
            if !credential.is_anonymous() {
                return Ok(credential);
            }
        }
        Ok(Credential::Anonymous)
    }

    fn by_repository(&self, host: &Host) -> bool {
        self.0.iter().any(|link| link.by_repository(host))
    }

    /// As soon as one of them would: what it says can't be told from what the others do.
    fn answers_every_host(&self) -> bool {
        self.0.iter().any(|link| link.answers_every_host())
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
    use gantri_core::{Error, ErrorKind};

    use super::*;

    /// Knows one host, or one repository of it, or nothing for a reason.
    #[derive(Debug)]
    enum Link {
        Knows(&'static str, Option<&'static str>, &'static str),
        Fails,
    }

    #[async_trait]
    impl Credentials for Link {
        async fn credential(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Credential> {
            let asked = repository.map(ToString::to_string);
            match self {
                Self::Knows(of, within, name) if host.as_str() == *of && asked.as_deref() == *within => {
                    Ok(Credential::basic(*name, "canary"))
                }
                Self::Knows(..) => Ok(Credential::Anonymous),
                Self::Fails => Err(Error::new(ErrorKind::Credentials, "the keychain is locked")),
            }
        }

        fn by_repository(&self, _host: &Host) -> bool {
            matches!(self, Self::Knows(_, Some(_), _))
        }
    }

    /// G52: the first that knows somebody is believed, and one that fails is no one that knows nobody.
    #[tokio::test]
    async fn the_first_link_that_knows_the_user_is_believed() {
        let chain = |links: Vec<Link>| {
            FirstCredentials::new(links.into_iter().map(|link| Arc::new(link) as Arc<dyn Credentials>))
        };
        let cases: [(Vec<Link>, Option<&str>); 6] = [
            (Vec::new(), Some("")),
            (vec![Link::Knows("b.test", None, "b")], Some("")),
            (vec![Link::Knows("b.test", None, "b"), Link::Knows("a.test", None, "a")], Some("a")),
            (vec![Link::Knows("a.test", None, "a"), Link::Fails], Some("a")),
            (vec![Link::Fails, Link::Knows("a.test", None, "a")], None),
            (vec![Link::Knows("a.test", Some("x/y"), "xy"), Link::Knows("a.test", None, "a")], Some("xy")),
        ];
        let (host, repo): (Host, RepositoryName) = ("a.test".parse().unwrap(), "x/y".parse().unwrap());
        for (links, expected) in cases {
            let case = format!("{links:?}");
            let chain = chain(links);
            let asked = chain.by_repository(&host).then_some(&repo);
            let name = match chain.credential(&host, asked).await {
                Ok(Credential::Basic { username, .. }) => Some(username),
                Ok(credential) => credential.is_anonymous().then(String::new),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Credentials, "{case}");
                    None
                }
            };
            assert_eq!(name.as_deref(), expected, "{case}");
        }
        // A link that knows the host as a whole is not asked about a repository.
        let both = chain(vec![Link::Knows("a.test", Some("x/z"), "xz"), Link::Knows("a.test", None, "a")]);
        assert_eq!(both.credential(&host, Some(&repo)).await.unwrap(), Credential::basic("a", "canary"));
        // A15: what answers every host makes the chain one that does.
        assert!(!both.answers_every_host());
        assert!(
            FirstCredentials::new([Arc::new(both) as _, Arc::new(Credential::Anonymous) as _]).answers_every_host()
        );
    }

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
