//! The image manifest: a config and layers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::index::SchemaVersion;
use super::raw::RawManifest;
use crate::annotations::Annotations;
use crate::descriptor::{self, Descriptor};
use crate::lenient;
use crate::media_type::MediaType;

/// The manifest of one image or artifact: OCI, or Docker's schema 2, which has the same fields.
///
/// Received bytes are read by [`RawManifest::parse`], which also refuses what could be taken for something else.
///
/// Spec: [image manifest](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    #[serde(default)]
    schema_version: SchemaVersion,
    /// The media type that the document names.
    #[serde(default, deserialize_with = "lenient::empty_is_none", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of artifact, if this is not a container image.
    #[serde(default, deserialize_with = "lenient::empty_is_none", skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The config.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the manifest.
    #[serde(default, skip_serializing_if = "descriptor::is_empty")]
    pub annotations: Annotations,
    /// Fields that the spec does not know. A key that it does know must not be put here.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl ImageManifest {
    /// Gives an OCI manifest of a config and layers, the lowest first.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: SchemaVersion,
            media_type: Some(MediaType::OCI_MANIFEST),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::default(),
            extra: BTreeMap::new(),
        }
    }

    /// Gives the bytes of a manifest built here, always the same for the same value. Its type is OCI's if none is set.
    ///
    /// Not for a manifest that was received: that one has bytes already.
    pub fn to_raw(&self) -> RawManifest {
        let mut document = self.clone();
        let media_type = document.media_type.get_or_insert(MediaType::OCI_MANIFEST).clone();
        RawManifest::new(media_type, super::to_json(&document))
    }
}
