//! Where an image is: in a registry, or in an OCI image layout on disk. Grammar only; nothing is looked up here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gantri_core::{Error, ErrorKind};
use gantri_spec::{Digest, Reference, Selector, Tag};

/// A place that holds images, and which one of them.
///
/// | written | is |
/// | --- | --- |
/// | `ghcr.io/a/b:v1`, `alpine`, `localhost:5000/a@sha256:…` | an image in a registry |
/// | `oci:DIR`, `oci:DIR:TAG`, `oci:DIR@sha256:…` | an image in an OCI image layout directory |
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Location {
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI image layout directory.
    Layout(LayoutPath),
}

impl Location {
    /// The tag that it names.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Registry(reference) => reference.tag(),
            Self::Layout(layout) => layout.tag(),
        }
    }

    /// The digest that it names.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Registry(reference) => reference.digest(),
            Self::Layout(layout) => layout.digest(),
        }
    }

    /// What to ask the place for: the digest, else the tag, else `latest`.
    pub fn selector(&self) -> Selector {
        match self {
            Self::Registry(reference) => reference.selector(),
            Self::Layout(layout) => layout.selector(),
        }
    }

    /// The same place, whichever image was named in it.
    pub fn repository(&self) -> Self {
        match self {
            Self::Registry(reference) => {
                Reference::new(reference.host().clone(), reference.repository().clone()).into()
            }
            Self::Layout(layout) => LayoutPath::new(layout.dir()).into(),
        }
    }

    /// The image tagged `tag` in the same place.
    pub fn at_tag(&self, tag: Tag) -> Self {
        match self.repository() {
            Self::Registry(reference) => reference.with_tag(tag).into(),
            Self::Layout(layout) => layout.with_tag(tag).into(),
        }
    }

    /// Exactly this content in the same place.
    pub fn at_digest(&self, digest: Digest) -> Self {
        match self.repository() {
            Self::Registry(reference) => reference.with_digest(digest).into(),
            Self::Layout(layout) => layout.with_digest(digest).into(),
        }
    }
}

/// `oci:DIR[:TAG][@DIGEST]`: an image layout directory, and an image in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayoutPath {
    dir: PathBuf,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl LayoutPath {
    /// The layout in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), tag: None, digest: None }
    }

    /// The image tagged `tag` in it.
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Exactly this content in it.
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The tag, if one was named.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one was named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask the layout for: the digest, else the tag, else `latest`.
    pub fn selector(&self) -> Selector {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Selector::Digest(digest.clone()),
            (None, Some(tag)) => Selector::Tag(tag.clone()),
            (None, None) => Selector::Tag(Tag::latest()),
        }
    }
}

const LAYOUT_SCHEME: &str = "oci:";

impl FromStr for LayoutPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some(rest) = text.strip_prefix(LAYOUT_SCHEME) else {
            return Err(invalid(text, "an image layout is written oci:DIR or oci:DIR:TAG"));
        };
        let (rest, digest) = split_digest(rest);
        // A colon can stand in a directory's name too; what can't be a tag, for it holds a slash, belongs to the directory.
        let (dir, tag) = match rest.rsplit_once(':') {
            Some((dir, tag)) if !tag.contains('/') => (dir, Some(tag)),
            _ => (rest, None),
        };
        if dir.is_empty() {
            return Err(invalid(text, "the directory is missing"));
        }
        let tag = tag.map(Tag::from_str).transpose().map_err(|error| wrong(text, error))?;
        let digest = digest.map(Digest::from_str).transpose().map_err(|error| wrong(text, error))?;
        Ok(Self { dir: dir.into(), tag, digest })
    }
}

/// An `@` can stand in a directory's name too; only the digests that everybody knows are told from it.
fn split_digest(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((rest, digest)) if ["sha256:", "sha512:"].iter().any(|name| digest.starts_with(name)) => {
            (rest, Some(digest))
        }
        _ => (text, None),
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with(LAYOUT_SCHEME) {
            return text.parse().map(Self::Layout);
        }
        text.parse()
            .map(Self::Registry)
            .map_err(|invalid: gantri_spec::InvalidReference| Error::new(ErrorKind::NameInvalid, invalid.to_string()))
    }
}

fn invalid(text: &str, rule: &str) -> Error {
    Error::new(ErrorKind::NameInvalid, format!("location {text:?}: {rule}"))
}

fn wrong(text: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::NameInvalid, format!("location {text:?}")).with_source(error)
}

impl fmt::Display for LayoutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LAYOUT_SCHEME}{}", self.dir.display())?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Layout(layout) => layout.fmt(f),
        }
    }
}

impl From<Reference> for Location {
    fn from(reference: Reference) -> Self {
        Self::Registry(reference)
    }
}

impl From<LayoutPath> for Location {
    fn from(layout: LayoutPath) -> Self {
        Self::Layout(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_told_apart_by_their_form() {
        let cases = [
            ("oci:dir", Some(("dir", None))),
            ("oci:dir:v1", Some(("dir", Some("v1")))),
            ("oci:./a/b:v1", Some(("./a/b", Some("v1")))),
            ("oci:/a:b/c", Some(("/a:b/c", None))),
            ("oci:a:b:c", Some(("a:b", Some("c")))),
            ("oci:a@b:c", Some(("a@b", Some("c")))),
            ("ghcr.io/a/b:v1", None),
            ("alpine", None),
        ];
        for (text, layout) in cases {
            match (text.parse::<Location>().unwrap(), layout) {
                (Location::Layout(parsed), Some((dir, tag))) => {
                    assert_eq!((parsed.dir(), parsed.tag().map(Tag::as_str)), (Path::new(dir), tag), "{text}");
                    assert_eq!((parsed.digest(), parsed.to_string().as_str()), (None, text));
                }
                (Location::Registry(_), None) => {}
                (parsed, _) => panic!("{text}: {parsed:?}"),
            }
        }
    }

    #[test]
    fn content_of_a_layout_is_named_by_its_digest() {
        let digest = Digest::of(b"x");
        for (place, tag) in [("oci:dir", None), ("oci:a@b:v1", Some("v1")), ("ghcr.io/a:v1", Some("v1"))] {
            let text = format!("{place}@{digest}");
            let location: Location = text.parse().unwrap();
            assert_eq!((location.digest(), location.tag().map(Tag::as_str)), (Some(&digest), tag), "{text}");
            assert_eq!(location.selector(), Selector::Digest(digest.clone()));
            assert_eq!(location.to_string(), text);
            assert_eq!(location.repository().at_digest(digest.clone()).tag(), None);
            assert_eq!(location.at_tag(Tag::latest()).to_string(), format!("{}:latest", location.repository()));
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["oci:", "oci::v1", "oci:dir:", "oci:dir:-v", "oci:dir@sha256:abc", "", "Upper/case", "a b"] {
            assert_eq!(text.parse::<Location>().unwrap_err().kind(), ErrorKind::NameInvalid, "{text}");
        }
    }
}
