//! Configuration files of the ecosystem, one file each. Nothing here is read unless a caller asks for it.

mod certs_d;
mod configuration;
mod credentials;
mod document;
mod environment;
mod hosts_toml;
mod registries_conf;
mod regular;
mod route;

pub use self::certs_d::{Certificates, ClientCertificate};
pub use self::configuration::Configuration;
pub use self::credentials::{CredentialChain, CredentialFile, CredentialPlace, CredentialSource};
pub use self::document::{Said, Told};
pub use self::environment::Environment;
pub use self::hosts_toml::Header;
pub use self::registries_conf::ShortName;
pub use self::route::{Endpoint, Route, Scheme, Stop};
