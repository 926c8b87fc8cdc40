//! Who may do what, as a list of grants: what no grant gives, nobody has.

use gantri_spec::RepositoryName;
use gantri_spec::wire::Scope;

/// Grants, each to somebody, over something. What none of them gives is refused.
///
/// ```
/// use gantri_server::access::{Action, Over, Permissions, Who};
///
/// let everybody_reads_and_ci_writes = Permissions::none()
///     .allow(Who::Anyone, Over::Everything, &[Action::Pull])
///     .allow(Who::User("ci".into()), Over::Below("team".parse()?), &[Action::Pull, Action::Push]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Permissions(Vec<Grant>);

#[derive(Clone, Debug)]
struct Grant {
    who: Who,
    over: Over,
    actions: Vec<Action>,
}

/// Whom a grant is for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Who {
    /// Everybody, those who do not say who they are included.
    Anyone,
    /// Every user that the server knows.
    Users,
    /// This user.
    User(String),
}

/// What a grant is over.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Over {
    /// All repositories, and with reading the list of them.
    Everything,
    /// This repository.
    Repository(RepositoryName),
    /// All repositories whose names begin with this one and a slash.
    Below(RepositoryName),
}

/// What a grant allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Reading.
    Pull,
    /// Writing. Clients ask for reading together with it, so grant both.
    Push,
    /// Deleting.
    Delete,
}

impl Permissions {
    /// Nothing to nobody.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Everything to every user, nothing to anybody else: what an htpasswd file means to Docker's registry.
    pub fn users() -> Self {
        Self::none().allow(Who::Users, Over::Everything, &[Action::Pull, Action::Push, Action::Delete])
    }

    /// With one grant more.
    #[must_use]
    pub fn allow(mut self, who: Who, over: Over, actions: &[Action]) -> Self {
        self.0.push(Grant { who, over, actions: actions.to_vec() });
        self
    }

    /// As much of what is wanted as this user, or nobody in particular, may have.
    pub(super) fn granted(&self, user: Option<&str>, wanted: &Scope) -> Scope {
        wanted.granted(|kind, name, action| self.allows(user, kind, name, action))
    }

    fn allows(&self, user: Option<&str>, kind: &str, name: &str, action: &str) -> bool {
        let holds = |action: Action| {
            self.0
                .iter()
                .any(|grant| grant.who.is(user) && grant.over.covers(kind, name) && grant.actions.contains(&action))
        };
        match (kind, action) {
            ("registry", "*") | ("repository", "pull") => holds(Action::Pull),
            ("repository", "push") => holds(Action::Push),
            ("repository", "delete") => holds(Action::Delete),
            ("repository", "*") => [Action::Pull, Action::Push, Action::Delete].into_iter().all(holds),
            _ => false,
        }
    }
}

impl Who {
    fn is(&self, user: Option<&str>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Users => user.is_some(),
            Self::User(name) => user == Some(name.as_str()),
        }
    }
}

impl Over {
    fn covers(&self, kind: &str, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Repository(repo) => kind == "repository" && name == repo.as_str(),
            Self::Below(repo) => {
                kind == "repository" && name.strip_prefix(repo.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_grant_gives_nobody_has() {
        let team = || "team".parse().unwrap();
        let permissions = Permissions::none()
            .allow(Who::Anyone, Over::Repository("public/app".parse().unwrap()), &[Action::Pull])
            .allow(Who::Users, Over::Everything, &[Action::Pull])
            .allow(Who::User("ann".into()), Over::Below(team()), &[Action::Pull, Action::Push, Action::Delete])
            .allow(Who::User("bob".into()), Over::Repository(team()), &[Action::Push]);
        let table = [
            (None, "repository:public/app:pull,push repository:team/a:pull", "repository:public/app:pull"),
            (None, "repository:*:pull registry:catalog:*", ""),
            (Some("ann"), "repository:team/a:pull,push,delete,*", "repository:team/a:*,delete,pull,push"),
            (Some("ann"), "repository:team:push repository:teams/a:push", ""),
            (Some("ann"), "registry:catalog:* repository:*:pull,push", "registry:catalog:* repository:*:pull"),
            (Some("bob"), "repository:team:pull,push,* repository:team/a:push", "repository:team:pull,push"),
            (Some("bob"), "repository(plugin):team:pull aws other:team:pull", ""),
        ];
        for (user, wanted, granted) in table {
            let held = permissions.granted(user, &wanted.parse().unwrap());
            assert_eq!(held, granted.parse().unwrap(), "{user:?} {wanted}");
        }
        let all: Scope = "repository:a:*,pull registry:catalog:*".parse().unwrap();
        assert_eq!(Permissions::users().granted(Some("ann"), &all), all);
        assert!(Permissions::users().granted(None, &all).is_empty());
    }
}
