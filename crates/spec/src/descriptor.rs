//! Descriptors: what points at content, by digest and size.
//!
//! A descriptor says what content must be; it never proves that content is so. `data` and `urls` are carried and
//! trusted by nobody here: whoever uses them verifies what they give (M17, A1).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::annotations::Annotations;
use crate::digest::Digest;
use crate::lenient;
use crate::media_type::MediaType;
use crate::platform::Platform;

/// The type, name and size of some content.
///
/// Spec: [content descriptors](https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md).
///
/// ```
/// use gantri_spec::{Descriptor, MediaType};
///
/// let layer = Descriptor::of(MediaType::OCI_LAYER, b"tar").with_annotation("colour", "red");
/// assert_eq!(layer.size, 3);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes, at most `i64::MAX` when read from a document (M6).
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Where else the content may be had. Not to be used unless the user asked for it (A1).
    #[serde(default, deserialize_with = "lenient::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations of the descriptor, not of the content.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub annotations: Annotations,
    /// The content itself, base64 in JSON. Good only if digest and size match (M17).
    #[serde(default, with = "lenient::base64_bytes", skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
    /// The type of artifact that the content is a manifest of.
    #[serde(default, deserialize_with = "lenient::empty_is_none", skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The platform that the content is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Fields that the spec does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Descriptor {
    /// Gives a descriptor of content that is known by digest and size (in bytes).
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::default(),
            data: None,
            artifact_type: None,
            platform: None,
            extra: BTreeMap::new(),
        }
    }

    /// Gives the descriptor of some bytes, named by SHA-256.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Sets the platform.
    pub fn with_platform(self, platform: Platform) -> Self {
        Self { platform: Some(platform), ..self }
    }

    /// Adds an annotation, in place of any with the same key.
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets all annotations.
    pub fn with_annotations(self, annotations: Annotations) -> Self {
        Self { annotations, ..self }
    }

    /// Sets the artifact type.
    pub fn with_artifact_type(self, artifact_type: MediaType) -> Self {
        Self { artifact_type: Some(artifact_type), ..self }
    }

    /// Embeds the content. Whether it matches the digest is not checked.
    pub fn with_data(self, data: Bytes) -> Self {
        Self { data: Some(data), ..self }
    }

    /// Sets where else the content may be had.
    pub fn with_urls(self, urls: Vec<String>) -> Self {
        Self { urls, ..self }
    }
}

/// Refuses what other implementations, which count in `i64`, would read otherwise (M6).
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    if i64::try_from(size).is_err() {
        return Err(D::Error::custom(format_args!("size {size} is over 2^63 - 1")));
    }
    Ok(size)
}

/// For `skip_serializing_if`, which can't see through `Deref`.
pub(crate) fn is_empty(annotations: &Annotations) -> bool {
    annotations.is_empty()
}
