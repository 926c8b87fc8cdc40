//! Configuration files of the ecosystem, one file each. Nothing here is read unless a caller asks for it.

mod credentials;
mod environment;

pub use self::credentials::{CredentialChain, CredentialFile, CredentialPlace, CredentialSource};
pub use self::environment::Environment;
