//! Digests: the names that content has by its bytes, and the hashers that compute them.
//!
//! A [`Digest`] that exists meets the grammar of the image spec, so it is safe in a path or URL (M2). SHA-256 and SHA-512
//! are verified; any other algorithm is a name that can be carried but not checked (M3). Comparing content with a
//! digest is left to [`RawManifest`](crate::RawManifest) and to whoever reads blobs.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use sha2::Digest as _;

use crate::text::{Fault, checked_str, invalid, text_form};

/// The name of content: `algorithm:encoded`.
///
/// Spec: [descriptor, digests](https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests).
///
/// ```
/// use gantri_spec::Digest;
///
/// let digest = Digest::of(b"hello");
/// assert_eq!(digest.algorithm_name(), "sha256");
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Gives the SHA-256 digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::sha256();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Gives the algorithm, [`Algorithm::Other`] if it is one that can't be verified here.
    pub fn algorithm(&self) -> Algorithm {
        match self.algorithm_name() {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => Algorithm::Other,
        }
    }

    /// Gives the part before the colon.
    pub fn algorithm_name(&self) -> &str {
        self.parts().0
    }

    /// Gives the part after the colon.
    pub fn encoded(&self) -> &str {
        self.parts().1
    }

    /// Gives a hasher that computes digests comparable to this one; `None` if the algorithm can't be verified here.
    pub fn hasher(&self) -> Option<Hasher> {
        self.algorithm().hasher()
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or((&self.0, ""))
    }
}

checked_str!(Digest);
text_form!(Digest, InvalidDigest);

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        Self::scan(text).map_err(|fault| InvalidDigest::new(text, fault))
    }
}

impl Digest {
    pub(crate) fn scan(text: &str) -> Result<Self, Fault> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

/// A digest algorithm, as far as it matters here.
#[expect(clippy::exhaustive_enums, reason = "what is not verified is Other; a new algorithm is a new promise")]
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256, which every registry must support.
    Sha256,
    /// SHA-512.
    Sha512,
    /// An algorithm whose digests are carried but never verified.
    Other,
}

impl Algorithm {
    /// Gives the registered name; `"other"` for [`Algorithm::Other`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Other => "other",
        }
    }

    /// Gives a fresh hasher; `None` for [`Algorithm::Other`].
    pub fn hasher(self) -> Option<Hasher> {
        match self {
            Self::Sha256 => Some(Hasher::sha256()),
            Self::Sha512 => Some(Hasher::sha512()),
            Self::Other => None,
        }
    }

    /// Gives the digest of some bytes; `None` for [`Algorithm::Other`].
    pub fn digest(self, bytes: &[u8]) -> Option<Digest> {
        let mut hasher = self.hasher()?;
        hasher.update(bytes);
        Some(hasher.finish())
    }
}

/// Computes a digest piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher(State);

impl Hasher {
    /// Gives a fresh SHA-256 hasher.
    pub fn sha256() -> Self {
        Self(State::Sha256(sha2::Sha256::new()))
    }

    /// Gives a fresh SHA-512 hasher.
    pub fn sha512() -> Self {
        Self(State::Sha512(sha2::Sha512::new()))
    }

    /// Feeds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Gives the algorithm of the digest to come.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Gives the digest of all bytes fed.
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        match self.0 {
            State::Sha256(state) => named(algorithm, &state.finalize()),
            State::Sha512(state) => named(algorithm, &state.finalize()),
        }
    }
}

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

invalid! {
    /// A text that is not a digest.
    InvalidDigest, "digest"
}

fn named(algorithm: Algorithm, hash: &[u8]) -> Digest {
    let mut text = format!("{}:", algorithm.as_str());
    for byte in hash {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    Digest(text.into())
}

fn check(text: &str) -> Result<(), Fault> {
    if text.len() > MAX_BYTES {
        return Err(Fault::at(MAX_BYTES, "a digest has at most 256 bytes"));
    }
    let (algorithm, encoded) = text.split_once(':').unwrap_or((text, ""));
    check_algorithm(algorithm)?;
    if algorithm.len() == text.len() {
        return Err(Fault::at(text.len(), "a digest has the form algorithm:encoded"));
    }
    let encoded_fault = match algorithm {
        "sha256" => check_hex(encoded, 64, "sha256 needs exactly 64 lower-case hex digits"),
        "sha512" => check_hex(encoded, 128, "sha512 needs exactly 128 lower-case hex digits"),
        _ => check_encoded(encoded),
    };
    encoded_fault.map_err(|fault| {
        let lower = format!("{algorithm}:{}", encoded.to_ascii_lowercase());
        let meant = lower != text && check(&lower).is_ok();
        fault.shifted(algorithm.len() + 1).with_hint(meant.then_some(lower))
    })
}

/// `[a-z0-9]+([+._-][a-z0-9]+)*`
fn check_algorithm(algorithm: &str) -> Result<(), Fault> {
    const RULE: &str = "an algorithm is [a-z0-9]+ with single + . _ - between";
    let mut after_separator = true;
    for (offset, byte) in algorithm.bytes().enumerate() {
        let separator = matches!(byte, b'+' | b'.' | b'_' | b'-');
        let good = byte.is_ascii_lowercase() || byte.is_ascii_digit() || (separator && !after_separator);
        if !good {
            return Err(Fault::at(offset, RULE));
        }
        after_separator = separator;
    }
    if after_separator {
        return Err(Fault::at(algorithm.len(), RULE));
    }
    Ok(())
}

fn check_hex(encoded: &str, length: usize, rule: &'static str) -> Result<(), Fault> {
    let bad = encoded.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match bad {
        Some(offset) => Err(Fault::at(offset, rule)),
        None if encoded.len() == length => Ok(()),
        None => Err(Fault::at(encoded.len().min(length), rule)),
    }
}

/// `[a-zA-Z0-9=_-]+`
fn check_encoded(encoded: &str) -> Result<(), Fault> {
    let bad = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-'));
    match encoded.bytes().position(bad) {
        Some(offset) => Err(Fault::at(offset, "the encoded part is [a-zA-Z0-9=_-]+")),
        None if encoded.is_empty() => Err(Fault::at(0, "the encoded part is empty")),
        None => Ok(()),
    }
}

/// Bytes of a digest, at most.
const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests;
