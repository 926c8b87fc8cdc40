//! How the JSON of a document must look before anybody reads meaning into it (M10).
//!
//! One object nested at most 64 deep, no key twice in any object, nothing behind it. Parsers differ in which of two
//! equal keys they take, so a document with both means different things to different readers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::InvalidManifest;

/// Checks a whole document.
pub(super) fn check(bytes: &[u8]) -> Result<(), InvalidManifest> {
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let result = Checker { depth: 0, fault: &mut fault }.deserialize(&mut json).and_then(|()| json.end());
    match (fault, result) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(InvalidManifest::Json(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

/// Walks a value, keeping nothing but the keys of the objects it is in.
struct Checker<'a> {
    depth: usize,
    /// Serde's errors are text; what was found is kept here.
    fault: &'a mut Option<InvalidManifest>,
}

impl Checker<'_> {
    fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.refuse(InvalidManifest::TooDeep) } else { Ok(()) }
    }

    fn child(&mut self) -> Checker<'_> {
        Checker { depth: self.depth, fault: self.fault }
    }

    fn refuse<T, E: Error>(&mut self, fault: InvalidManifest) -> Result<T, E> {
        *self.fault = Some(fault);
        Err(E::custom("refused"))
    }
}

impl<'de> DeserializeSeed<'de> for Checker<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checker<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if keys.contains(&key) {
                return self.refuse(InvalidManifest::DuplicateKey(key.into_owned()));
            }
            keys.insert(key);
            map.next_value_seed(self.child())?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.enter()?;
        while seq.next_element_seed(self.child())?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Levels of objects and lists, the outermost being the first.
const MAX_DEPTH: usize = 64;
