//! Repository names: the `<name>` of the spec.
//!
//! Path components `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` joined by `/`, 255 bytes at most, lower case only. A host is
//! never part of it; what `docker.io` adds to a name is decided in `reference.rs`.

use std::str::FromStr;
use std::sync::Arc;

use crate::text::{Fault, checked_str, invalid, text_form};

/// The name of a repository inside one registry.
///
/// Spec: [pulling manifests](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

checked_str!(RepositoryName);
text_form!(RepositoryName, InvalidRepositoryName);

impl FromStr for RepositoryName {
    type Err = InvalidRepositoryName;

    fn from_str(text: &str) -> Result<Self, InvalidRepositoryName> {
        Self::scan(text).map_err(|fault| {
            let lower = text.to_ascii_lowercase();
            let meant = lower != text && Self::scan(&lower).is_ok();
            InvalidRepositoryName::new(text, fault.with_hint(meant.then_some(lower)))
        })
    }
}

impl RepositoryName {
    pub(super) fn scan(text: &str) -> Result<Self, Fault> {
        let mut start = 0;
        for component in text.split('/') {
            scan_component(component).map_err(|fault| fault.shifted(start))?;
            start += component.len() + 1;
        }
        if text.len() > MAX_BYTES {
            return Err(Fault::at(MAX_BYTES, "a repository name has at most 255 bytes"));
        }
        Ok(Self(text.into()))
    }
}

invalid! {
    /// A text that is not the name of a repository.
    InvalidRepositoryName, "repository name"
}

fn scan_component(component: &str) -> Result<(), Fault> {
    let bytes = component.as_bytes();
    let mut at = 0;
    loop {
        let run = count(&bytes[at..], |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if run == 0 {
            return Err(Fault::at(at, rule_at(bytes, at)));
        }
        at += run;
        if at == bytes.len() {
            return Ok(());
        }
        let separator = separator(&bytes[at..]);
        if separator == 0 {
            return Err(Fault::at(at, rule_at(bytes, at)));
        }
        at += separator;
    }
}

/// Length of the separator that the bytes start with, 0 if they start with none.
fn separator(bytes: &[u8]) -> usize {
    match bytes {
        [b'_', b'_', ..] => 2,
        [b'.' | b'_', ..] => 1,
        _ => count(bytes, |byte| byte == b'-'),
    }
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| is(byte)).count()
}

fn rule_at(bytes: &[u8], at: usize) -> &'static str {
    match bytes.get(at) {
        None if at == 0 => "a path component is not empty",
        None => "a path component ends with a letter or digit",
        Some(byte) if byte.is_ascii_uppercase() => "a repository name is lower case",
        Some(b'.' | b'_' | b'-') if at == 0 => "a path component starts with a letter or digit",
        Some(b'.' | b'_' | b'-') => "separators are one of . _ __ or dashes, between letters or digits",
        Some(_) => "a repository name is made of a-z, 0-9 and . _ - / between",
    }
}

/// Bytes of a repository name, at most.
const MAX_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet_the_grammar_or_are_refused_at_the_first_bad_byte() {
        for text in ["a", "0", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a-----b", "a1.b2_c3/d", &"x".repeat(255)] {
            assert_eq!(text.parse::<RepositoryName>().unwrap().as_str(), text);
        }
        let long = "x".repeat(256);
        let cases = [
            ("", 0),
            ("/", 0),
            ("a/", 2),
            ("a//b", 2),
            (".a", 0),
            ("a.", 2),
            ("a..b", 2),
            ("a___b", 3),
            ("a.-b", 2),
            ("a-_b", 2),
            ("a/..", 2),
            ("a:b", 1),
            ("aB", 1),
            ("a%2fb", 1),
            ("a\0", 1),
            ("\u{430}", 0),
            (&long, 255),
        ];
        for (text, offset) in cases {
            let error = text.parse::<RepositoryName>().unwrap_err();
            assert_eq!(error.offset(), offset, "{text:?}: {error}");
        }
    }

    #[test]
    fn upper_case_is_refused_with_what_was_meant() {
        let error = "Foo/Bar".parse::<RepositoryName>().unwrap_err();
        assert!(error.to_string().ends_with("did you mean \"foo/bar\"?"), "{error}");
    }
}
