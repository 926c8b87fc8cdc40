//! Where a credential comes from, told without the credential.

use std::fmt;
use std::path::PathBuf;

use gantri_core::error::display_untrusted;

/// What a credential was found in, or would be looked for in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CredentialSource {
    /// It was given with the call.
    Given,
    /// An entry of `auths`.
    Entry {
        /// What holds the entry.
        place: CredentialPlace,
        /// The entry's key, as it is written there: a host, a URL, or a host and the beginning of a repository's name.
        key: String,
    },
    /// A credential helper.
    Helper {
        /// What says that it is to be asked.
        place: CredentialPlace,
        /// The setting that says so: `credHelpers`, `credsStore` or `credential-helpers`.
        setting: &'static str,
        /// The program, `docker-credential-` and its name.
        program: String,
    },
}

/// What holds entries of credentials, or names helpers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CredentialPlace {
    /// A variable of the environment.
    Variable(&'static str),
    /// A file.
    File(PathBuf),
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("given with the call"),
            Self::Entry { place, key } => write!(f, "{place}: auths \"{}\"", display_untrusted(key)),
            Self::Helper { place, setting, program } => write!(f, "{place}: {setting}: {program}"),
        }
    }
}

impl fmt::Display for CredentialPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
