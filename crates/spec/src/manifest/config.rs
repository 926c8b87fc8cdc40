//! The image config: what a container of the image runs, and the layers it is made of.
//!
//! Values are data, never instructions (M16): nothing here interprets a user, a path or a label. Docker's own fields
//! survive in `extra`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvalidManifest, strict};
use crate::annotations::Annotations;
use crate::descriptor;
use crate::digest::Digest;
use crate::lenient;
use crate::platform::Platform;

/// The config of an image, OCI's or Docker's.
///
/// Spec: [image configuration](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, as RFC 3339 says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The architecture that the image runs on; empty if it does not say.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub architecture: String,
    /// The operating system that the image runs on; empty if it does not say.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub os: String,
    /// The version of the operating system.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "lenient::null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What a container of the image starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<RuntimeConfig>,
    /// The layers, by the digests of their uncompressed archives.
    pub rootfs: RootFs,
    /// How each layer came to be, the lowest first.
    #[serde(default, deserialize_with = "lenient::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Fields that the spec does not know, as Docker writes them.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl ImageConfig {
    /// Gives the config of an image for a platform, made of layers with these uncompressed digests, the lowest first.
    pub fn new(platform: Platform, diff_ids: Vec<Digest>) -> Self {
        Self {
            created: None,
            author: None,
            architecture: platform.architecture,
            os: platform.os,
            os_version: platform.os_version,
            os_features: platform.os_features,
            variant: platform.variant,
            config: None,
            rootfs: RootFs::new(diff_ids),
            history: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Parses a config.
    ///
    /// # Errors
    /// [`InvalidManifest`] if it is not one object in well-formed JSON, nested at most 64 deep and with no key twice
    /// (M10), or lacks its `rootfs`.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        strict::check(bytes)?;
        super::from_json(bytes)
    }

    /// Gives the platform that the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            ..Platform::new(self.os.clone(), self.architecture.clone())
        }
    }

    /// Gives the bytes of a config built here, always the same for the same value.
    ///
    /// Not for a config that was received: that one has bytes already.
    pub fn to_bytes(&self) -> Bytes {
        super::to_json(self)
    }
}

/// The layers of an image, by the digests of their uncompressed archives.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// The kind of root file system: `layers`.
    #[serde(rename = "type", default = "layers")]
    pub kind: String,
    /// The digests, the lowest layer first.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub diff_ids: Vec<Digest>,
    /// Fields that the spec does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl RootFs {
    /// Gives the root file system of layers with these uncompressed digests, the lowest first.
    pub fn new(diff_ids: Vec<Digest>) -> Self {
        Self { kind: layers(), diff_ids, extra: BTreeMap::new() }
    }
}

/// How a layer came to be.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When the layer was made, as RFC 3339 says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command that made the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who made the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer at all.
    #[serde(default, deserialize_with = "lenient::null_is_default", skip_serializing_if = "is_false")]
    pub empty_layer: bool,
    /// Fields that the spec does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What a container of an image starts with, unless told otherwise.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeConfig {
    /// User, and maybe group, by name or number, as it was written: parse it as a [`User`](crate::User) before anything
    /// runs as it (M16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Ports, as `port/protocol`.
    #[serde(default, with = "lenient::set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// Environment, as `NAME=value`.
    #[serde(default, deserialize_with = "lenient::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The command's fixed arguments.
    #[serde(default, deserialize_with = "lenient::one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The command's default arguments.
    #[serde(default, deserialize_with = "lenient::one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Directories that hold data of their own.
    #[serde(default, with = "lenient::set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// The directory that the command starts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Labels, data only.
    #[serde(default, skip_serializing_if = "descriptor::is_empty")]
    pub labels: Annotations,
    /// The signal that asks the command to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Fields that the spec does not know: Docker's `Healthcheck`, `OnBuild`, `Shell`.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

fn layers() -> String {
    "layers".to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests;
