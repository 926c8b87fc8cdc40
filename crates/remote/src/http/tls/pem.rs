//! The text of a PEM file, with the name that errors call it by; what is wrong with one is told here.

use std::fmt;

use gantri_core::{Error, ErrorKind, Result};
use rustls::pki_types::pem::{Error as Fault, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// Certificates, a key, or both, as they stand in a file. Never printed, and wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Pem {
    label: String,
    text: Zeroizing<Vec<u8>>,
}

impl Pem {
    /// The text of a file, and what errors call that: its path.
    pub fn new(label: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { label: label.into(), text: Zeroizing::new(text.into()) }
    }

    /// What errors call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// All certificates in it.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let found: std::result::Result<Vec<_>, Fault> = CertificateDer::pem_slice_iter(&self.text).collect();
        match found {
            Ok(found) if found.is_empty() => Err(self.fault("no certificate in it (PEM)")),
            Ok(found) => Ok(found),
            Err(fault) => Err(self.unreadable(&fault)),
        }
    }

    /// The first key in it.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>> {
        match PrivateKeyDer::from_pem_slice(&self.text) {
            Ok(key) => Ok(key),
            Err(Fault::NoItemsFound) if self.is_encrypted() => {
                let hint = format!("decrypt it first: openssl pkey -in {} -out PLAIN", self.label);
                Err(self.fault("the key in it is encrypted").with_hint(hint))
            }
            Err(Fault::NoItemsFound) => Err(self.fault("no key in it (PEM: PKCS#8, SEC1 or PKCS#1)")),
            Err(fault) => Err(self.unreadable(&fault)),
        }
    }

    /// An error about this file.
    pub(super) fn fault(&self, what: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Config, format!("tls: {}: {what}", self.label))
    }

    /// The parser's own words may hold a line of the file, and that may be half a key.
    fn unreadable(&self, fault: &Fault) -> Error {
        self.fault(match fault {
            Fault::MissingSectionEnd { .. } => "a section has no end",
            Fault::IllegalSectionStart { .. } => "a section has no proper start",
            _ => "not PEM",
        })
    }

    fn is_encrypted(&self) -> bool {
        const MARK: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
        self.text.windows(MARK.len()).any(|window| window == MARK)
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("label", &self.label).finish_non_exhaustive()
    }
}
