//! Manifests: the raw bytes that are the truth, and the parsed view of them.
//!
//! This file decides what a document is, once, from its media type and shape, and refuses one that could be read as two
//! things (M1). How JSON must look at all is decided in `strict.rs`; the fields are in `image.rs` and `index.rs`.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::annotations::Annotations;
use crate::descriptor::Descriptor;
use crate::media_type::MediaType;
use crate::text::cut;

use image::ImageManifest;
use index::Index;
use shape::Shape;

pub(crate) mod config;
pub(crate) mod image;
pub(crate) mod index;
pub(crate) mod raw;
mod shape;
mod strict;
pub(crate) mod user;

/// A manifest, parsed.
#[expect(
    clippy::large_enum_variant,
    reason = "lives shortly, on the stack of who asked; a box would show in every match"
)]
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// The manifest of one image or artifact, OCI or Docker schema 2.
    Image(ImageManifest),
    /// A list of manifests, OCI index or Docker manifest list.
    Index(Index),
    /// Something else, of which only the bytes are known; Docker's schema 1 is never parsed (M17).
    Unknown,
}

impl Manifest {
    /// Gives what the manifest points at: config and layers in order, or manifests in order. The subject is not a child.
    pub fn children(&self) -> Vec<&Descriptor> {
        match self {
            Self::Image(image) => std::iter::once(&image.config).chain(&image.layers).collect(),
            Self::Index(index) => index.manifests.iter().collect(),
            Self::Unknown => Vec::new(),
        }
    }

    /// Gives the manifest that this one refers to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
            Self::Unknown => None,
        }
    }

    /// Gives the artifact type as the list of referrers reports it: an image without one has that of its config.
    ///
    /// Spec: [listing referrers](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers).
    pub fn artifact_type(&self) -> Option<&MediaType> {
        match self {
            Self::Image(image) => image.artifact_type.as_ref().or(Some(&image.config.media_type)),
            Self::Index(index) => index.artifact_type.as_ref(),
            Self::Unknown => None,
        }
    }

    /// What a listing of referrers says of this manifest, whose descriptor is given (end-12): its artifact type and its
    /// own annotations.
    pub fn referrer(&self, descriptor: &Descriptor) -> Descriptor {
        let Descriptor { media_type, digest, size, .. } = descriptor.clone();
        let mut listed = Descriptor::new(media_type, digest, size);
        listed.artifact_type = self.artifact_type().cloned();
        listed.annotations = self.annotations().cloned().unwrap_or_default();
        listed
    }

    /// Gives the annotations; `None` if the manifest is unknown.
    pub fn annotations(&self) -> Option<&Annotations> {
        match self {
            Self::Image(image) => Some(&image.annotations),
            Self::Index(index) => Some(&index.annotations),
            Self::Unknown => None,
        }
    }
}

/// Parses a document whose media type has been decided.
fn parse(media_type: &MediaType, bytes: &[u8]) -> Result<Manifest, InvalidManifest> {
    if media_type.is_schema1() {
        return Ok(Manifest::Unknown);
    }
    if !media_type.is_manifest() && !media_type.is_generic() {
        return match Shape::of(bytes).and_then(|shape| shape.media_type) {
            // Others would take the body's word and see in it what we do not.
            Some(body) if body.is_manifest() => Err(InvalidManifest::mismatch(media_type, &body)),
            _ => Ok(Manifest::Unknown),
        };
    }
    strict::check(bytes)?;
    let shape = Shape::of(bytes).ok_or(InvalidManifest::NotAnObject)?;
    shape.check(media_type)?;
    if media_type.is_image() {
        from_json(bytes).map(Manifest::Image)
    } else if media_type.is_index() {
        from_json(bytes).map(Manifest::Index)
    } else {
        Ok(Manifest::Unknown)
    }
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidManifest> {
    serde_json::from_slice(bytes).map_err(|error| InvalidManifest::Json(error.to_string()))
}

#[expect(clippy::expect_used, reason = "our documents have string keys and no number that JSON can't write")]
fn to_json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).expect("documents of string keys serialise").into()
}

/// Why some bytes are not the document that they should be.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidManifest {
    /// Not JSON, or a field is missing or of the wrong type; with what the parser says.
    Json(String),
    /// JSON, but not an object.
    NotAnObject,
    /// Nested deeper than 64 levels (M10).
    TooDeep,
    /// An object has a key twice (M10).
    DuplicateKey(String),
    /// A key is spelled in another case than the field that other parsers read it as (M1).
    MisspeltKey(String),
    /// The document could be read as an image and as an index, or has the fields of another type than its own (M1).
    Ambiguous {
        /// The field that must not be there.
        field: &'static str,
        /// The media type that the document came with.
        media_type: MediaType,
    },
    /// The document names another media type than it came with (M1).
    MediaTypeMismatch {
        /// The media type that the document came with.
        given: MediaType,
        /// The media type that the document names.
        body: MediaType,
    },
}

impl InvalidManifest {
    fn mismatch(given: &MediaType, body: &MediaType) -> Self {
        Self::MediaTypeMismatch { given: given.clone(), body: body.clone() }
    }
}

impl fmt::Display for InvalidManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(detail) => write!(f, "not a valid document: {detail}"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            Self::TooDeep => f.write_str("nested deeper than 64 levels"),
            Self::DuplicateKey(key) => write!(f, "key {:?} appears twice", cut(key)),
            Self::MisspeltKey(key) => write!(f, "key {:?} is a known field in another case", cut(key)),
            Self::Ambiguous { field, media_type } => {
                write!(f, "field {field} has no place in {:?}", cut(media_type.as_str()))
            }
            Self::MediaTypeMismatch { given, body } => {
                let (given, body) = (cut(given.as_str()), cut(body.as_str()));
                write!(f, "came as {given:?} but says it is {body:?}")
            }
        }
    }
}

impl std::error::Error for InvalidManifest {}

#[cfg(test)]
mod tests;
