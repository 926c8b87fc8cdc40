//! `oci-archive:FILE[:TAG]` and `docker-archive:FILE[:NAME[:TAG]]`: an image archive, and an image in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gantri_core::Error;
use gantri_spec::{Digest, InvalidReference, Reference, Tag};
use gantri_store::ArchiveKind;

use super::{invalid, split_digest, wrong};

pub(super) const SCHEMES: [(&str, ArchiveKind); 2] =
    [("oci-archive:", ArchiveKind::Oci), ("docker-archive:", ArchiveKind::Docker)];

/// An image archive, and an image in it: by a tag, by a full name as `docker load` gives it, or by its digest.
///
/// The file is what stands before the first colon. A bare word is a tag of an `oci-archive`, and of a `docker-archive` the
/// name of a repository of Docker Hub, as with Docker; an archive that is read is asked for both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArchivePath {
    kind: ArchiveKind,
    file: PathBuf,
    name: Option<Name>,
    digest: Option<Digest>,
}

/// What an image is called, as it was written and as it is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Name {
    text: String,
    meaning: Meaning,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Meaning {
    Tag(Tag),
    Full(Reference, Tag),
}

impl ArchivePath {
    /// The archive in `file`.
    pub fn new(kind: ArchiveKind, file: impl Into<PathBuf>) -> Self {
        Self { kind, file: file.into(), name: None, digest: None }
    }

    /// The image tagged `tag` in it.
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.name = Some(Name { text: tag.to_string(), meaning: Meaning::Tag(tag) });
        self
    }

    /// The image of this full name in it, `latest` if it has no tag.
    pub fn with_name(mut self, name: &Reference) -> Self {
        let tag = name.tag().cloned().unwrap_or_else(Tag::latest);
        let full = Reference::new(name.host().clone(), name.repository().clone()).with_tag(tag.clone());
        self.name = Some(Name { text: full.familiar(), meaning: Meaning::Full(full, tag) });
        self
    }

    /// Exactly this content in it.
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Which tools it is for.
    pub fn kind(&self) -> ArchiveKind {
        self.kind
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The tag, if one was named, alone or in a full name.
    pub fn tag(&self) -> Option<&Tag> {
        match &self.name.as_ref()?.meaning {
            Meaning::Tag(tag) | Meaning::Full(_, tag) => Some(tag),
        }
    }

    /// The full name, if one was named. It has a tag.
    pub fn reference(&self) -> Option<&Reference> {
        match &self.name.as_ref()?.meaning {
            Meaning::Tag(_) => None,
            Meaning::Full(reference, _) => Some(reference),
        }
    }

    /// The digest, if one was named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask [`Archive::select`](gantri_store::Archive::select) for.
    pub(crate) fn wanted(&self) -> Option<&str> {
        self.name.as_ref().map(|name| name.text.as_str())
    }
}

impl FromStr for ArchivePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = SCHEMES.iter().find_map(|(scheme, kind)| Some((text.strip_prefix(scheme)?, *kind)));
        let Some((rest, kind)) = known else {
            return Err(invalid(
                text,
                "an image archive is written oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]",
            ));
        };
        let (rest, digest) = split_digest(rest);
        let (file, name) = rest.split_once(':').map_or((rest, None), |(file, name)| (file, Some(name)));
        if file.is_empty() {
            return Err(invalid(text, "the file is missing"));
        }
        let path = name.map_or(Ok(Self::new(kind, file)), |name| Self::new(kind, file).called(name));
        let digest = digest.map(Digest::from_str).transpose().map_err(|error| wrong(text, error))?;
        Ok(Self { digest, ..path.map_err(|error| wrong(text, error))? })
    }
}

impl ArchivePath {
    fn called(self, text: &str) -> Result<Self, InvalidReference> {
        let named = match (self.kind, text.parse()) {
            (ArchiveKind::Oci, Ok(tag)) => self.with_tag(tag),
            _ => self.with_name(&text.parse()?),
        };
        let name = named.name.map(|name| Name { text: text.to_owned(), ..name });
        Ok(Self { name, ..named })
    }
}

impl fmt::Display for ArchivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.file.display())?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, ":{}", name.text))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_a_file_and_perhaps_a_name() {
        let cases = [
            ("oci-archive:a.tar", "a.tar", None, None),
            ("oci-archive:./b/a.tar:v1", "./b/a.tar", Some("v1"), None),
            ("oci-archive:a.tar:ghcr.io/a/b:v1", "a.tar", Some("v1"), Some("ghcr.io/a/b:v1")),
            ("docker-archive:a.tar", "a.tar", None, None),
            ("docker-archive:a.tar:app", "a.tar", Some("latest"), Some("docker.io/library/app:latest")),
            ("docker-archive:/b/a.tar:app:v1", "/b/a.tar", Some("v1"), Some("docker.io/library/app:v1")),
            ("docker-archive:a.tar:localhost:5000/a:v1", "a.tar", Some("v1"), Some("localhost:5000/a:v1")),
        ];
        for (text, file, tag, reference) in cases {
            let path: ArchivePath = text.parse().unwrap();
            assert_eq!(path.file(), Path::new(file), "{text}");
            assert_eq!(path.tag().map(Tag::as_str), tag, "{text}");
            assert_eq!(path.reference().map(ToString::to_string).as_deref(), reference, "{text}");
            assert_eq!(path.to_string(), text);
            let digest = Digest::of(b"x");
            let by_digest: ArchivePath = format!("{text}@{digest}").parse().unwrap();
            assert_eq!(by_digest, path.with_digest(digest));
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        for text in ["oci-archive:", "docker-archive::app", "docker-archive:a.tar:App", "oci-archive:a.tar:", "oci:a"] {
            assert!(text.parse::<ArchivePath>().is_err(), "{text}");
        }
    }
}
