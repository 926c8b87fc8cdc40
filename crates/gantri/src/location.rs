//! Where an image is: in a registry, or in an OCI image layout on disk. Grammar only; nothing is looked up here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gantri_core::{Error, ErrorKind};
use gantri_spec::{Reference, Selector, Tag};

/// A place that holds images, and which one of them.
///
/// | written | is |
/// | --- | --- |
/// | `ghcr.io/a/b:v1`, `alpine`, `localhost:5000/a@sha256:…` | an image in a registry |
/// | `oci:DIR`, `oci:DIR:TAG` | an image in an OCI image layout directory |
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Location {
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI image layout directory.
    Layout(LayoutPath),
}

/// `oci:DIR[:TAG]`: an image layout directory, and a tag in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayoutPath {
    dir: PathBuf,
    tag: Option<Tag>,
}

impl LayoutPath {
    /// The layout in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), tag: None }
    }

    /// The image tagged `tag` in it.
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
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

    /// What to ask the layout for: the tag, else `latest`.
    pub fn selector(&self) -> Selector {
        Selector::Tag(self.tag.clone().unwrap_or_else(Tag::latest))
    }
}

const LAYOUT_SCHEME: &str = "oci:";

impl FromStr for LayoutPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some(rest) = text.strip_prefix(LAYOUT_SCHEME) else {
            return Err(invalid(text, "an image layout is written oci:DIR or oci:DIR:TAG"));
        };
        // A colon can stand in a directory's name too; what can't be a tag, for it holds a slash, belongs to the directory.
        let (dir, tag) = match rest.rsplit_once(':') {
            Some((dir, tag)) if !tag.contains('/') => (dir, Some(tag)),
            _ => (rest, None),
        };
        if dir.is_empty() {
            return Err(invalid(text, "the directory is missing"));
        }
        let tag = tag
            .map(Tag::from_str)
            .transpose()
            .map_err(|source| Error::new(ErrorKind::NameInvalid, format!("location {text:?}")).with_source(source))?;
        Ok(Self { dir: dir.into(), tag })
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

impl fmt::Display for LayoutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LAYOUT_SCHEME}{}", self.dir.display())?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
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
            ("ghcr.io/a/b:v1", None),
            ("alpine", None),
        ];
        for (text, layout) in cases {
            match (text.parse::<Location>().unwrap(), layout) {
                (Location::Layout(parsed), Some((dir, tag))) => {
                    assert_eq!((parsed.dir(), parsed.tag().map(Tag::as_str)), (Path::new(dir), tag), "{text}");
                    assert_eq!(parsed.to_string(), text);
                }
                (Location::Registry(_), None) => {}
                (parsed, _) => panic!("{text}: {parsed:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["oci:", "oci::v1", "oci:dir:", "oci:dir:-v", "", "Upper/case", "a b"] {
            assert_eq!(text.parse::<Location>().unwrap_err().kind(), ErrorKind::NameInvalid, "{text}");
        }
    }
}
