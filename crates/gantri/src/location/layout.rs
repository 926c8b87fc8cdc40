//! `oci:DIR[:TAG][@DIGEST]`: an image layout directory, and an image in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gantri_core::Error;
use gantri_spec::{Digest, Selector, Tag};

use super::{invalid, split_digest, wrong};

pub(super) const SCHEME: &str = "oci:";

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
        Selector::named(self.tag.as_ref(), self.digest.as_ref())
    }
}

impl FromStr for LayoutPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
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

impl fmt::Display for LayoutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.dir.display())?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}
