//! A key that only this process has, for digests that nobody else can make.

use std::fmt;

use gantri_core::{Error, ErrorKind, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// As long as a block of the hash, so that it is used as it is.
pub(super) struct Key([u8; 64]);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// `Unavailable` if the machine has no random bits.
    pub(super) fn random() -> Result<Self> {
        let mut key = [0; 64];
        getrandom::fill(&mut key)
            .map_err(|source| Error::new(ErrorKind::Unavailable, "access: no random key").with_source(source))?;
        Ok(Self(key))
    }

    /// A digest under the key, of these bytes.
    pub(super) fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new(&self.0.into()).chain_update(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}
