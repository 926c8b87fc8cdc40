//! Configuration files of the ecosystem, one file each. Nothing here is read unless a caller asks for it.

mod docker;
mod helper;

pub use self::docker::{DockerConfig, DockerCredentials};
