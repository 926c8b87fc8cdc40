//! What a challenge demands, and who can meet it.

use gantri_core::Result;
use gantri_spec::wire::{Challenge, Scheme, Scope};

use super::credentials::Credential;
use super::token;
use crate::http::policy::{Admitted, Supplier};

/// How a registry wants to be asked.
#[derive(Clone, Debug)]
pub(super) enum Demand {
    Basic,
    Bearer { realm: Admitted, service: Option<String> },
}

impl Demand {
    /// What a challenge demands and the scope it names, if it is of a kind that anybody could meet.
    ///
    /// # Errors
    /// `Protocol`: its token server is none that the registry may send us to (A2).
    pub(super) fn of(challenge: &Challenge, supplier: &Supplier) -> Result<Option<(Self, Scope)>> {
        Ok(match (challenge.scheme(), challenge.realm()) {
            (Scheme::Basic, _) => Some((Self::Basic, Scope::default())),
            (Scheme::Bearer, Some(realm)) => {
                let realm = token::realm(supplier, realm)?;
                let service = challenge.service().map(str::to_owned);
                Some((Self::Bearer { realm, service }, challenge.scope().unwrap_or_default()))
            }
            _ => None,
        })
    }

    /// A token server may know anybody; a password is all that Basic takes, but for a token that is sent as it is.
    pub(super) fn is_met_by(&self, credential: &Credential) -> bool {
        match self {
            Self::Bearer { .. } => true,
            Self::Basic => matches!(credential, Credential::Basic { .. } | Credential::Bearer(_)),
        }
    }
}
