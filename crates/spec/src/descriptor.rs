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

    /// Embeds the content. Whether it matches the digest is not checked.
    pub fn with_data(self, data: Bytes) -> Self {
        Self { data: Some(data), ..self }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_size(size: &str) -> serde_json::Result<Descriptor> {
        let digest = Digest::of(b"");
        serde_json::from_str(&format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":{size}}}"#))
    }

    /// M6: every size is a whole number that all implementations can count to.
    #[test]
    fn sizes_are_whole_numbers_below_2_to_the_63() {
        for (text, size) in
            [("0", 0), ("4611686018427387904", 1 << 62), ("9223372036854775807", i64::MAX.unsigned_abs())]
        {
            assert_eq!(with_size(text).unwrap().size, size, "{text}");
        }
        let bad = ["-1", "9223372036854775808", "18446744073709551616", "1e400", "1e2", "5.0", "\"5\"", "null", "[5]"];
        for text in bad {
            assert!(with_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_field_survives_a_round_trip() {
        let json = serde_json::json!({
            "mediaType": "a/b; c=d",
            "digest": Digest::of(b"hi"),
            "size": 2,
            "urls": ["https://example.com/x"],
            "annotations": {"k": "v"},
            "data": "aGk=",
            "artifactType": "x/y",
            "platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0", "os.features": ["win32k"],
                "features": ["sse4"], "variant": "v2"},
            "com.example.unknown": {"deep": [1, null]},
        });
        let descriptor: Descriptor = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(descriptor.data.as_deref(), Some(&b"hi"[..]));
        assert_eq!(descriptor.platform.as_ref().and_then(|platform| platform.os_version.as_deref()), Some("10.0"));
        assert_eq!(serde_json::to_value(&descriptor).unwrap(), json);
    }

    #[test]
    fn nulls_and_blanks_are_nothing() {
        let json = format!(
            r#"{{"mediaType":"a/b","digest":"{}","size":0,"urls":null,"annotations":null,"data":null,
            "artifactType":"","platform":null}}"#,
            Digest::of(b"")
        );
        let descriptor: Descriptor = serde_json::from_str(&json).unwrap();
        assert_eq!(descriptor, Descriptor::of("a/b".into(), b""));
    }

    #[test]
    fn a_builder_sets_what_it_says() {
        let descriptor = Descriptor::of(MediaType::OCI_LAYER, b"hi")
            .with_platform(Platform::new("linux", "amd64"))
            .with_annotations([("a", "b")].into_iter().collect())
            .with_annotation("c", "d")
            .with_data(Bytes::from_static(b"hi"));
        assert_eq!((descriptor.size, descriptor.annotations.len()), (2, 2));
        let json = serde_json::to_string(&descriptor).unwrap();
        assert_eq!(serde_json::from_str::<Descriptor>(&json).unwrap(), descriptor);
    }

    #[test]
    fn data_that_is_no_base64_is_refused() {
        let json = format!(r#"{{"mediaType":"a/b","digest":"{}","size":0,"data":"!"}}"#, Digest::of(b""));
        assert!(serde_json::from_str::<Descriptor>(&json).is_err());
    }
}
