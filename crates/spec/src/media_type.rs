//! Media types: an open string with names for the ones that registries live by.
//!
//! What a media type *means* (manifest, index, layer, how compressed, its OCI twin) is answered here by one table;
//! whether bytes really are what their type says is left to those who read them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The type of some content, as its descriptor or `Content-Type` names it.
///
/// Made from text (`FromStr`, `From`), it loses parameters: `a/b; charset=x` becomes `a/b`. Inside JSON documents it is
/// kept as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

impl MediaType {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: Self = Self::from_static("application/vnd.oci.image.manifest.v1+json");
    /// An OCI image index.
    pub const OCI_INDEX: Self = Self::from_static("application/vnd.oci.image.index.v1+json");
    /// An OCI image config.
    pub const OCI_CONFIG: Self = Self::from_static("application/vnd.oci.image.config.v1+json");
    /// A layer, a plain tar archive.
    pub const OCI_LAYER: Self = Self::from_static("application/vnd.oci.image.layer.v1.tar");
    /// A layer compressed with gzip.
    pub const OCI_LAYER_GZIP: Self = Self::from_static("application/vnd.oci.image.layer.v1.tar+gzip");
    /// A layer compressed with Zstandard.
    pub const OCI_LAYER_ZSTD: Self = Self::from_static("application/vnd.oci.image.layer.v1.tar+zstd");
    /// A layer that may not be handed on. Deprecated by the spec.
    pub const OCI_LAYER_NONDISTRIBUTABLE: Self =
        Self::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar");
    /// A gzip layer that may not be handed on. Deprecated by the spec.
    pub const OCI_LAYER_NONDISTRIBUTABLE_GZIP: Self =
        Self::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    /// A Zstandard layer that may not be handed on. Deprecated by the spec.
    pub const OCI_LAYER_NONDISTRIBUTABLE_ZSTD: Self =
        Self::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd");
    /// The two bytes `{}` that stand where a descriptor is required and nothing is to be said.
    pub const OCI_EMPTY: Self = Self::from_static("application/vnd.oci.empty.v1+json");
    /// A Docker image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: Self = Self::from_static("application/vnd.docker.distribution.manifest.v2+json");
    /// A Docker manifest list.
    pub const DOCKER_MANIFEST_LIST: Self =
        Self::from_static("application/vnd.docker.distribution.manifest.list.v2+json");
    /// A Docker image config.
    pub const DOCKER_CONFIG: Self = Self::from_static("application/vnd.docker.container.image.v1+json");
    /// A Docker layer, a plain tar archive.
    pub const DOCKER_LAYER: Self = Self::from_static("application/vnd.docker.image.rootfs.diff.tar");
    /// A Docker layer compressed with gzip.
    pub const DOCKER_LAYER_GZIP: Self = Self::from_static("application/vnd.docker.image.rootfs.diff.tar.gzip");
    /// A Docker layer compressed with Zstandard.
    pub const DOCKER_LAYER_ZSTD: Self = Self::from_static("application/vnd.docker.image.rootfs.diff.tar.zstd");
    /// A Docker layer that is fetched from elsewhere.
    pub const DOCKER_LAYER_FOREIGN: Self = Self::from_static("application/vnd.docker.image.rootfs.foreign.diff.tar");
    /// A gzip Docker layer that is fetched from elsewhere.
    pub const DOCKER_LAYER_FOREIGN_GZIP: Self =
        Self::from_static("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    /// A Docker image manifest, schema 1: recognised, never parsed.
    pub const DOCKER_SCHEMA1: Self = Self::from_static("application/vnd.docker.distribution.manifest.v1+json");
    /// A signed Docker image manifest, schema 1: recognised, never parsed.
    pub const DOCKER_SCHEMA1_SIGNED: Self =
        Self::from_static("application/vnd.docker.distribution.manifest.v1+prettyjws");
    /// Bytes of which nothing is known.
    pub const OCTET_STREAM: Self = Self::from_static("application/octet-stream");
}

impl MediaType {
    /// Gives the media type of a literal, kept as it stands.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Gives the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether this is any kind of manifest or index, Docker's schema 1 included.
    pub fn is_manifest(&self) -> bool {
        matches!(self.kind(), Kind::Image | Kind::Index | Kind::Schema1)
    }

    /// Tells whether this is the manifest of a single image, OCI or Docker schema 2.
    pub fn is_image(&self) -> bool {
        self.kind() == Kind::Image
    }

    /// Tells whether this is an OCI index or Docker manifest list.
    pub fn is_index(&self) -> bool {
        self.kind() == Kind::Index
    }

    /// Gives how a layer is compressed; `None` if this is not a known layer type.
    pub fn compression(&self) -> Option<Compression> {
        match self.kind() {
            Kind::Layer(compression) => Some(compression),
            _ => None,
        }
    }

    /// Gives the OCI type that says the same as this Docker type; `None` if this is not a Docker type or has no twin.
    pub fn oci_equivalent(&self) -> Option<Self> {
        let (_, twin) = TWINS.iter().find(|(docker, _)| docker == self)?;
        Some(twin.clone())
    }

    /// Tells whether this is a layer that by its type is fetched from elsewhere, and not pushed with its image.
    pub fn is_nondistributable(&self) -> bool {
        let elsewhere = [
            Self::OCI_LAYER_NONDISTRIBUTABLE,
            Self::OCI_LAYER_NONDISTRIBUTABLE_GZIP,
            Self::OCI_LAYER_NONDISTRIBUTABLE_ZSTD,
            Self::DOCKER_LAYER_FOREIGN,
            Self::DOCKER_LAYER_FOREIGN_GZIP,
        ];
        elsewhere.contains(self)
    }

    pub(crate) fn is_schema1(&self) -> bool {
        self.kind() == Kind::Schema1
    }

    /// Tells whether this says nothing about which JSON document it stands for.
    pub fn is_generic(&self) -> bool {
        GENERIC.contains(&self.as_str())
    }

    fn kind(&self) -> Kind {
        let known = KINDS.iter().find(|(media_type, _)| media_type == self);
        known.map_or(Kind::Other, |(_, kind)| *kind)
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(without_parameters(text).to_owned()))
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        let bare = without_parameters(&text);
        if bare.len() == text.len() { Self(Cow::Owned(text)) } else { bare.into() }
    }
}

impl FromStr for MediaType {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a layer is compressed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all: a plain tar archive.
    None,
    /// With gzip, maybe of many members.
    Gzip,
    /// With Zstandard.
    Zstd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Index,
    Schema1,
    Layer(Compression),
    Other,
}

fn without_parameters(text: &str) -> &str {
    text.split(';').next().unwrap_or(text).trim()
}

static KINDS: [(MediaType, Kind); 17] = [
    (MediaType::OCI_MANIFEST, Kind::Image),
    (MediaType::OCI_INDEX, Kind::Index),
    (MediaType::OCI_LAYER, Kind::Layer(Compression::None)),
    (MediaType::OCI_LAYER_GZIP, Kind::Layer(Compression::Gzip)),
    (MediaType::OCI_LAYER_ZSTD, Kind::Layer(Compression::Zstd)),
    (MediaType::OCI_LAYER_NONDISTRIBUTABLE, Kind::Layer(Compression::None)),
    (MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP, Kind::Layer(Compression::Gzip)),
    (MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD, Kind::Layer(Compression::Zstd)),
    (MediaType::DOCKER_MANIFEST, Kind::Image),
    (MediaType::DOCKER_MANIFEST_LIST, Kind::Index),
    (MediaType::DOCKER_LAYER, Kind::Layer(Compression::None)),
    (MediaType::DOCKER_LAYER_GZIP, Kind::Layer(Compression::Gzip)),
    (MediaType::DOCKER_LAYER_ZSTD, Kind::Layer(Compression::Zstd)),
    (MediaType::DOCKER_LAYER_FOREIGN, Kind::Layer(Compression::None)),
    (MediaType::DOCKER_LAYER_FOREIGN_GZIP, Kind::Layer(Compression::Gzip)),
    (MediaType::DOCKER_SCHEMA1, Kind::Schema1),
    (MediaType::DOCKER_SCHEMA1_SIGNED, Kind::Schema1),
];

/// What Docker calls a thing, and what OCI does.
static TWINS: [(MediaType, MediaType); 8] = [
    (MediaType::DOCKER_MANIFEST, MediaType::OCI_MANIFEST),
    (MediaType::DOCKER_MANIFEST_LIST, MediaType::OCI_INDEX),
    (MediaType::DOCKER_CONFIG, MediaType::OCI_CONFIG),
    (MediaType::DOCKER_LAYER, MediaType::OCI_LAYER),
    (MediaType::DOCKER_LAYER_GZIP, MediaType::OCI_LAYER_GZIP),
    (MediaType::DOCKER_LAYER_ZSTD, MediaType::OCI_LAYER_ZSTD),
    (MediaType::DOCKER_LAYER_FOREIGN, MediaType::OCI_LAYER_NONDISTRIBUTABLE),
    (MediaType::DOCKER_LAYER_FOREIGN_GZIP, MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP),
];

/// What servers say that do not know, or do not care.
const GENERIC: [&str; 5] = ["", "application/octet-stream", "application/json", "text/json", "text/plain"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_of_one_kind() {
        use Compression::{Gzip, None as Plain, Zstd};
        // type, image, index, manifest, compression
        let cases = [
            (MediaType::OCI_MANIFEST, true, false, true, None),
            (MediaType::DOCKER_MANIFEST, true, false, true, None),
            (MediaType::OCI_INDEX, false, true, true, None),
            (MediaType::DOCKER_MANIFEST_LIST, false, true, true, None),
            (MediaType::DOCKER_SCHEMA1, false, false, true, None),
            (MediaType::DOCKER_SCHEMA1_SIGNED, false, false, true, None),
            (MediaType::OCI_CONFIG, false, false, false, None),
            (MediaType::OCI_EMPTY, false, false, false, None),
            (MediaType::OCTET_STREAM, false, false, false, None),
            (MediaType::OCI_LAYER, false, false, false, Some(Plain)),
            (MediaType::OCI_LAYER_GZIP, false, false, false, Some(Gzip)),
            (MediaType::OCI_LAYER_ZSTD, false, false, false, Some(Zstd)),
            (MediaType::DOCKER_LAYER, false, false, false, Some(Plain)),
            (MediaType::DOCKER_LAYER_GZIP, false, false, false, Some(Gzip)),
            (MediaType::DOCKER_LAYER_ZSTD, false, false, false, Some(Zstd)),
            (MediaType::DOCKER_LAYER_FOREIGN_GZIP, false, false, false, Some(Gzip)),
            (MediaType::OCI_LAYER_NONDISTRIBUTABLE_ZSTD, false, false, false, Some(Zstd)),
        ];
        for (media_type, image, index, manifest, compression) in cases {
            let seen = (media_type.is_image(), media_type.is_index(), media_type.is_manifest());
            assert_eq!(seen, (image, index, manifest), "{media_type}");
            assert_eq!(media_type.compression(), compression, "{media_type}");
        }
    }

    #[test]
    fn an_oci_twin_is_of_the_same_kind() {
        for (docker, oci) in &TWINS {
            assert_eq!(docker.oci_equivalent().as_ref(), Some(oci));
            assert_eq!(oci.oci_equivalent(), None);
            assert!(docker.kind() == oci.kind(), "{docker}");
        }
        assert_eq!(MediaType::from("application/vnd.acme").oci_equivalent(), None);
    }

    #[test]
    fn text_loses_its_parameters_and_json_does_not() {
        for text in ["a/b", "a/b;c=d", " a/b ; charset=utf-8"] {
            assert_eq!(MediaType::from(text).as_str(), "a/b", "{text:?}");
            assert_eq!(MediaType::from(text.to_owned()).as_str(), "a/b", "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            let kept: MediaType = serde_json::from_str(&json).unwrap();
            assert_eq!(kept.as_str(), text);
        }
    }

    #[test]
    fn a_constant_equals_its_text() {
        assert_eq!(MediaType::OCI_INDEX, "application/vnd.oci.image.index.v1+json".parse().unwrap());
    }
}
