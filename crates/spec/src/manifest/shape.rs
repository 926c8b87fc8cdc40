//! What a document looks like from outside: the few keys by which readers tell an image from an index.
//!
//! Go's JSON reader takes keys in any case, so `Manifests` makes a document an index for most of the ecosystem; keys are
//! folded here the way it folds them, so that no reader sees more in a document than we do (M1).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::InvalidManifest;
use crate::media_type::MediaType;

/// The telling keys of a document's outermost object. A key counts even if its value is `null`.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) media_type: Option<MediaType>,
    fields: Vec<&'static str>,
    /// A telling key that is spelled in another case.
    misspelt: Option<String>,
}

impl Shape {
    /// Looks at a document; `None` if it is not a JSON object.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Gives the media type that the document has by its own word, or else by its fields.
    pub(super) fn decide(self) -> Option<MediaType> {
        if self.media_type.is_some() {
            return self.media_type;
        }
        match (self.has(MANIFESTS), self.has(CONFIG) || self.has(LAYERS), self.has(FS_LAYERS)) {
            (true, false, false) => Some(MediaType::OCI_INDEX),
            (false, true, false) => Some(MediaType::OCI_MANIFEST),
            (false, false, true) if self.has(SIGNATURES) => Some(MediaType::DOCKER_SCHEMA1_SIGNED),
            (false, false, true) => Some(MediaType::DOCKER_SCHEMA1),
            _ => None,
        }
    }

    /// Refuses a document that could be taken for another than its media type says.
    pub(super) fn check(&self, media_type: &MediaType) -> Result<(), InvalidManifest> {
        // Of a type that says nothing, the document must at least not be both.
        let index = media_type.is_index() || (!media_type.is_image() && self.has(MANIFESTS));
        let foreign: &[&'static str] = match (media_type.is_image(), index) {
            (true, _) => &[MANIFESTS, FS_LAYERS],
            (_, true) => &[LAYERS, CONFIG, FS_LAYERS],
            (false, false) => &[],
        };
        if let Some(&field) = foreign.iter().find(|field| self.has(field)) {
            return Err(InvalidManifest::Ambiguous { field, media_type: media_type.clone() });
        }
        if let Some(key) = &self.misspelt {
            return Err(InvalidManifest::MisspeltKey(key.clone()));
        }
        match &self.media_type {
            Some(body) if body != media_type => Err(InvalidManifest::mismatch(media_type, body)),
            _ => Ok(()),
        }
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let Some(field) = telling(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            shape.fields.push(field);
            if key != field {
                shape.misspelt.get_or_insert(key.into_owned());
            }
            if field == MEDIA_TYPE {
                let value = map.next_value::<serde_json::Value>()?;
                shape.media_type = value.as_str().filter(|text| !text.is_empty()).map(|text| text.to_owned().into());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(shape)
    }
}

/// The telling field that a key is read as by a reader that folds case as Go does.
fn telling(key: &str) -> Option<&'static str> {
    // Both ways: the long s has only an upper case in ASCII, the Kelvin sign only a lower.
    let folded = key.to_lowercase().to_uppercase().to_ascii_lowercase();
    TELLING.into_iter().find(|field| field.eq_ignore_ascii_case(&folded))
}

const MEDIA_TYPE: &str = "mediaType";
const MANIFESTS: &str = "manifests";
const CONFIG: &str = "config";
const LAYERS: &str = "layers";
const FS_LAYERS: &str = "fsLayers";
const SIGNATURES: &str = "signatures";
const TELLING: [&str; 8] = [MEDIA_TYPE, MANIFESTS, CONFIG, LAYERS, FS_LAYERS, SIGNATURES, "subject", "schemaVersion"];
