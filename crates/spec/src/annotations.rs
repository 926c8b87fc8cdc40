//! Annotations: free key-value text on descriptors, manifests and indexes, and the keys that the image spec reserves.
//!
//! Kept in key order, so that what we build has one serialised form. They are data only, never options (M16).

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient;

/// An ordered map of annotations. In JSON, `null` reads as empty.
///
/// Spec: [annotations](https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Annotations(BTreeMap<String, String>);

impl Annotations {
    /// Date and time the image was built on, as RFC 3339 says it.
    pub const CREATED: &'static str = "org.opencontainers.image.created";
    /// Whom to contact about the image.
    pub const AUTHORS: &'static str = "org.opencontainers.image.authors";
    /// Where to find more about the image.
    pub const URL: &'static str = "org.opencontainers.image.url";
    /// Where to find the documentation of the image.
    pub const DOCUMENTATION: &'static str = "org.opencontainers.image.documentation";
    /// Where to find the source code the image is built from.
    pub const SOURCE: &'static str = "org.opencontainers.image.source";
    /// Version of the packaged software.
    pub const VERSION: &'static str = "org.opencontainers.image.version";
    /// Revision of the source code the image is built from.
    pub const REVISION: &'static str = "org.opencontainers.image.revision";
    /// Who distributes the image.
    pub const VENDOR: &'static str = "org.opencontainers.image.vendor";
    /// Licences the contained software is under, as an SPDX expression.
    pub const LICENSES: &'static str = "org.opencontainers.image.licenses";
    /// The name of what a descriptor in an image layout's index points at; its tag.
    pub const REF_NAME: &'static str = "org.opencontainers.image.ref.name";
    /// Title of the image for people.
    pub const TITLE: &'static str = "org.opencontainers.image.title";
    /// Description of the image for people.
    pub const DESCRIPTION: &'static str = "org.opencontainers.image.description";
    /// Digest of the image this one is built upon.
    pub const BASE_DIGEST: &'static str = "org.opencontainers.image.base.digest";
    /// Reference of the image this one is built upon.
    pub const BASE_NAME: &'static str = "org.opencontainers.image.base.name";

    /// Gives no annotations.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Deref for Annotations {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Annotations {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Annotations {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl From<BTreeMap<String, String>> for Annotations {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

impl<'a> IntoIterator for &'a Annotations {
    type Item = (&'a String, &'a String);
    type IntoIter = std::collections::btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::null_is_default(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_order_and_null_is_empty() {
        let annotations: Annotations = [("b", "2"), ("a", "1")].into_iter().collect();
        assert_eq!(serde_json::to_string(&annotations).unwrap(), r#"{"a":"1","b":"2"}"#);
        assert_eq!(serde_json::from_str::<Annotations>("null").unwrap(), Annotations::new());
        assert!(serde_json::from_str::<Annotations>(r#"{"a":1}"#).is_err());
    }
}
