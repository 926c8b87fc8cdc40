//! Tags: the `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` of the spec.

use std::str::FromStr;
use std::sync::Arc;

use crate::text::{Fault, checked_str, invalid, text_form};

/// The name a repository gives to a manifest, of 1 to 128 bytes.
///
/// Spec: [pulling manifests](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Gives the tag that is meant where none is named: `latest`.
    pub fn latest() -> Self {
        Self("latest".into())
    }
}

checked_str!(Tag);
text_form!(Tag, InvalidTag);

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        Self::scan(text).map_err(|fault| InvalidTag::new(text, fault))
    }
}

impl Tag {
    pub(super) fn scan(text: &str) -> Result<Self, Fault> {
        let bad = |(offset, byte): (usize, u8)| match byte {
            b'_' => false,
            b'.' | b'-' => offset == 0,
            _ => !byte.is_ascii_alphanumeric(),
        };
        if text.is_empty() {
            return Err(Fault::at(0, "a tag is not empty"));
        }
        if let Some(offset) = text.bytes().enumerate().position(bad) {
            return Err(Fault::at(offset, "a tag is [A-Za-z0-9_][A-Za-z0-9._-]*"));
        }
        if text.len() > MAX_BYTES {
            return Err(Fault::at(MAX_BYTES, "a tag has at most 128 bytes"));
        }
        Ok(Self(text.into()))
    }
}

invalid! {
    /// A text that is not a tag.
    InvalidTag, "tag"
}

/// Bytes of a tag, at most.
const MAX_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_meet_the_grammar_or_are_refused_at_the_first_bad_byte() {
        for text in ["latest", "_", "A.b-C_1", "0", &"x".repeat(128)] {
            assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
        }
        let long = "x".repeat(129);
        let cases = [("", 0), (".a", 0), ("-a", 0), ("a:b", 1), ("a/b", 1), ("a@b", 1), ("a b", 1), (&long, 128)];
        for (text, offset) in cases {
            assert_eq!(text.parse::<Tag>().unwrap_err().offset(), offset, "{text:?}");
        }
    }
}
