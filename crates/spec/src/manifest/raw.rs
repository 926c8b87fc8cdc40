//! Raw manifests: the bytes that came, with their digest and media type.
//!
//! The bytes are the truth: what is forwarded or stored is these bytes, never a parsed view written out again. The media
//! type is decided here once, from what the sender said or, if that says nothing, from the document.

use std::fmt;

use bytes::Bytes;

use super::shape::Shape;
use super::{InvalidManifest, Manifest};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::media_type::MediaType;

/// A manifest as its bytes.
///
/// ```
/// use gantri_spec::{Index, Manifest, RawManifest};
///
/// let raw: RawManifest = Index::new(vec![]).to_raw();
/// assert!(matches!(raw.parse()?, Manifest::Index(_)));
/// assert_eq!(raw.descriptor().size, raw.bytes().len() as u64);
/// # Ok::<(), gantri_spec::InvalidManifest>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    bytes: Bytes,
    descriptor: Descriptor,
}

impl RawManifest {
    /// Gives the manifest of some bytes, named by SHA-256.
    pub fn new(media_type: MediaType, bytes: Bytes) -> Self {
        let digest = Digest::of(&bytes);
        Self::named(media_type, digest, bytes)
    }

    /// Gives the manifest of some bytes if they are what the descriptor says, which is then the manifest's own.
    ///
    /// # Errors
    /// [`ManifestMismatch`] if size or digest differ, or the digest's algorithm can't be verified here (M3).
    pub fn expect(descriptor: &Descriptor, bytes: Bytes) -> Result<Self, ManifestMismatch> {
        let actual = bytes.len() as u64;
        if actual != descriptor.size {
            return Err(ManifestMismatch::Size { expected: descriptor.size, actual });
        }
        verify(&descriptor.digest, &bytes)?;
        let mut descriptor = descriptor.clone();
        descriptor.media_type = decide(descriptor.media_type, &bytes);
        Ok(Self { bytes, descriptor })
    }

    /// Gives the manifest of some bytes if they have the digest, which is verified by its own algorithm.
    ///
    /// # Errors
    /// [`ManifestMismatch`] if the digest differs, or its algorithm can't be verified here (M3).
    pub fn expect_digest(digest: &Digest, media_type: MediaType, bytes: Bytes) -> Result<Self, ManifestMismatch> {
        verify(digest, &bytes)?;
        Ok(Self::named(media_type, digest.clone(), bytes))
    }

    /// Gives the bytes, as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Gives the media type that was decided on.
    pub fn media_type(&self) -> &MediaType {
        &self.descriptor.media_type
    }

    /// Gives the digest of the bytes.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// Gives the descriptor of the bytes.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Parses the bytes by their media type.
    ///
    /// # Errors
    /// [`InvalidManifest`] if they are not such a document, or could be taken for another (M1, M10).
    pub fn parse(&self) -> Result<Manifest, InvalidManifest> {
        super::parse(self.media_type(), &self.bytes)
    }

    /// The digest has been computed or verified.
    fn named(media_type: MediaType, digest: Digest, bytes: Bytes) -> Self {
        let media_type = decide(media_type, &bytes);
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        Self { bytes, descriptor }
    }
}

/// Why some bytes are not the manifest that was asked for.
#[expect(clippy::exhaustive_enums, reason = "a descriptor says no more that could differ")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestMismatch {
    /// The bytes have another digest.
    Digest {
        /// The digest asked for.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// There are more or fewer bytes.
    Size {
        /// The size asked for, in bytes.
        expected: u64,
        /// The number of bytes.
        actual: u64,
    },
    /// The algorithm of this digest can't be verified here.
    Algorithm(Digest),
}

impl fmt::Display for ManifestMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest { expected, actual } => write!(f, "digest is {actual}, not {expected}"),
            Self::Size { expected, actual } => write!(f, "size is {actual} bytes, not {expected}"),
            Self::Algorithm(digest) => write!(f, "{digest} can't be verified: unsupported algorithm"),
        }
    }
}

impl std::error::Error for ManifestMismatch {}

fn verify(expected: &Digest, bytes: &[u8]) -> Result<(), ManifestMismatch> {
    match expected.algorithm().digest(bytes) {
        None => Err(ManifestMismatch::Algorithm(expected.clone())),
        Some(actual) if actual != *expected => Err(ManifestMismatch::Digest { expected: expected.clone(), actual }),
        Some(_) => Ok(()),
    }
}

/// A type that says nothing is replaced by what the document says, or looks like (M1).
fn decide(given: MediaType, bytes: &[u8]) -> MediaType {
    if !given.is_generic() {
        return given;
    }
    Shape::of(bytes).and_then(Shape::decide).unwrap_or(given)
}
