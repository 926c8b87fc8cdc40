//! Holds a layer's uncompressed bytes to the `diff_id` that the config names for it (T20).

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Digest, Hasher};

/// The digest of an uncompressed layer in the making. Spec:
/// [Layer DiffID](https://github.com/opencontainers/image-spec/blob/main/config.md#layer-diffid).
#[derive(Debug)]
pub(crate) struct DiffId {
    expected: Digest,
    hasher: Hasher,
}

impl DiffId {
    /// Expects this diff id; `Unsupported` if its algorithm can't be computed.
    pub(crate) fn expect(expected: &Digest) -> Result<Self> {
        let Some(hasher) = expected.hasher() else {
            let what = format!("diff_id {expected}: this algorithm can't be verified");
            return Err(Error::new(ErrorKind::Unsupported, what));
        };
        Ok(Self { expected: expected.clone(), hasher })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// `DigestMismatch` unless all bytes together were what was expected.
    pub(crate) fn finish(self) -> Result<()> {
        let actual = self.hasher.finish();
        if actual == self.expected {
            return Ok(());
        }
        let what = format!("diff_id {} expected, {actual} unpacked", self.expected);
        Err(Error::new(ErrorKind::DigestMismatch, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_bytes_pass() {
        for (bytes, passes) in [(&b"layer"[..], true), (b"layer\0", false), (b"", false)] {
            let mut diff_id = DiffId::expect(&Digest::of(b"layer")).unwrap();
            diff_id.update(bytes);
            assert_eq!(diff_id.finish().is_ok(), passes, "{bytes:?}");
        }
    }

    #[test]
    fn an_algorithm_that_we_cannot_compute_is_an_error_and_no_pass() {
        let digest: Digest = "blake3:0000000000000000000000000000000000000000000000000000000000000000".parse().unwrap();
        assert_eq!(DiffId::expect(&digest).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
