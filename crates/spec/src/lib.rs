//! The vocabulary and the wire grammar of OCI registries: pure data, pure functions.
//!
//! A value that exists is valid: every type parses where it is made (`FromStr`, `TryFrom<&str>`), prints canonically
//! (`Display`) and (de)serialises as that text. Nothing here reads a file, a socket or a clock.
//!
//! * names: [`Reference`] = [`Host`] + [`RepositoryName`] + [`Tag`] and [`Digest`]; [`Selector`] is one of the last two
//! * content: [`Descriptor`], [`MediaType`], [`Platform`], [`Annotations`]
//! * documents: [`RawManifest`] keeps the bytes that came, [`Manifest`] is the parsed view, [`ImageConfig`] the config
//! * [`wire`]: what client and server say to each other over HTTP
//!
//! ```
//! use gantri_spec::{Reference, Selector};
//!
//! let reference: Reference = "ubuntu:24.04".parse()?;
//! assert_eq!(reference.to_string(), "docker.io/library/ubuntu:24.04");
//! assert_eq!(reference.selector(), Selector::Tag("24.04".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod annotations;
mod descriptor;
mod digest;
mod lenient;
mod manifest;
mod media_type;
mod name;
mod platform;
mod text;
pub mod wire;

pub use annotations::Annotations;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Hasher, InvalidDigest};
pub use manifest::config::{History, ImageConfig, RootFs, RuntimeConfig};
pub use manifest::image::ImageManifest;
pub use manifest::index::Index;
pub use manifest::raw::{ManifestMismatch, RawManifest};
pub use manifest::user::{InvalidUser, Principal, User};
pub use manifest::{InvalidManifest, Manifest};
pub use media_type::{Compression, MediaType};
pub use name::host::{Host, InvalidHost};
pub use name::reference::{InvalidReference, InvalidSelector, Reference, Selector};
pub use name::repository::{InvalidRepositoryName, RepositoryName};
pub use name::tag::{InvalidTag, Tag};
pub use platform::{InvalidPlatform, Platform, Rank};
pub use wire::ByteRange;
