//! The index: a list of manifests, mostly one a platform.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::raw::RawManifest;
use crate::annotations::Annotations;
use crate::descriptor::{self, Descriptor};
use crate::lenient;
use crate::media_type::MediaType;

/// A list of manifests: an OCI index, or Docker's manifest list, which has the same fields.
///
/// Received bytes are read by [`RawManifest::parse`], which also refuses what could be taken for something else.
///
/// Spec: [image index](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    #[serde(default)]
    schema_version: SchemaVersion,
    /// The media type that the document names.
    #[serde(default, deserialize_with = "lenient::empty_is_none", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of artifact, if this is not a list of container images.
    #[serde(default, deserialize_with = "lenient::empty_is_none", skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The manifests. Each may itself be an index.
    #[serde(default, deserialize_with = "lenient::null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the index.
    #[serde(default, skip_serializing_if = "descriptor::is_empty")]
    pub annotations: Annotations,
    /// Fields that the spec does not know. A key that it does know must not be put here.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Index {
    /// Gives an OCI index of manifests.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: SchemaVersion,
            media_type: Some(MediaType::OCI_INDEX),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::default(),
            extra: BTreeMap::new(),
        }
    }

    /// Gives the bytes of an index built here, always the same for the same value. Its type is OCI's if none is set.
    ///
    /// Not for an index that was received: that one has bytes already.
    pub fn to_raw(&self) -> RawManifest {
        let mut document = self.clone();
        let media_type = document.media_type.get_or_insert(MediaType::OCI_INDEX).clone();
        RawManifest::new(media_type, super::to_json(&document))
    }
}

/// The `schemaVersion` of every document here: 2. Missing reads as 2, any other number is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SchemaVersion;

impl Serialize for SchemaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(2)
    }
}

impl<'de> Deserialize<'de> for SchemaVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            2 => Ok(Self),
            other => Err(D::Error::custom(format_args!("schemaVersion is {other}, not 2"))),
        }
    }
}
