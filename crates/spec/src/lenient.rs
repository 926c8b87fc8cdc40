//! How fields are read that the ecosystem writes in more than one way: `null` for an empty list, `""` for nothing.
//!
//! Serde helpers only, for use in `deserialize_with` and `with`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::media_type::MediaType;

/// Reads `null` as the default: Go writes a nil slice or map so (M10).
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads an empty media type as none.
pub(crate) fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MediaType>, D::Error> {
    let media_type = Option::<MediaType>::deserialize(deserializer)?;
    Ok(media_type.filter(|media_type| !media_type.as_str().is_empty()))
}

/// Reads one string as a list of one: Docker's oldest images write commands so.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    Ok(match Option::deserialize(deserializer)? {
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
        None => Vec::new(),
    })
}

/// A set, written as a map from its members to empty objects.
pub(crate) mod set {
    use super::{BTreeMap, BTreeSet, Deserializer, Serialize, Serializer, Value, null_is_default};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
        let map: BTreeMap<String, Value> = null_is_default(deserializer)?;
        Ok(map.into_keys().collect())
    }

    pub(crate) fn serialize<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Empty {}

        serializer.collect_map(set.iter().map(|member| (member, Empty {})))
    }
}

/// Bytes, written as base64 text.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        STANDARD.decode(text).map(|bytes| Some(bytes.into())).map_err(D::Error::custom)
    }

    #[expect(clippy::ref_option, reason = "serde asks for this signature")]
    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }
}
