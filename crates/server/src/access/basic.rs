//! A name and a password with each request.

use async_trait::async_trait;
use gantri_spec::wire::{Challenge, Scope};

use super::{Access, Asked, Caller, Decision, Permissions, Users};

/// Asks for a name and a password with each request (RFC 7617).
///
/// What everybody may do can be done without; a version check is always challenged, for clients ask by it whether a
/// password is right.
#[derive(Clone, Debug)]
pub struct Basic {
    users: Users,
    permissions: Permissions,
}

impl Basic {
    /// These users, who may do this.
    pub fn new(users: Users, permissions: Permissions) -> Self {
        Self { users, permissions }
    }
}

#[async_trait]
impl Access for Basic {
    async fn decide(&self, asked: Asked<'_>) -> Decision {
        let user = match asked.caller {
            Caller::Basic { user, password } if self.users.are(user, password).await => Some(user.as_str()),
            Caller::Anonymous if !asked.wanted.is_empty() => None,
            _ => return challenged(),
        };
        match (is_granted(&self.permissions, user, asked.wanted), user) {
            (true, _) => Decision::Allowed,
            (false, Some(_)) => Decision::Denied,
            (false, None) => challenged(),
        }
    }
}

fn is_granted(permissions: &Permissions, user: Option<&str>, wanted: &Scope) -> bool {
    permissions.granted(user, wanted).contains(wanted)
}

fn challenged() -> Decision {
    Decision::Challenged(Challenge::basic(REALM))
}

/// What the password is for.
pub(super) const REALM: &str = "registry";
