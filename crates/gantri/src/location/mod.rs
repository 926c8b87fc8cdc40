//! Where an image is: in a registry, in an OCI image layout, or in an archive. Grammar only; nothing is looked up here.

mod archive;
mod layout;

use std::fmt;
use std::str::FromStr;

use gantri_core::error::{display_place, display_untrusted};
use gantri_core::{Error, ErrorKind};
use gantri_spec::{Digest, Reference, Tag};

pub use self::archive::ArchivePath;
pub use self::layout::LayoutPath;

/// A place that holds images, and which one of them.
///
/// | written | is |
/// | --- | --- |
/// | `ghcr.io/a/b:v1`, `alpine`, `localhost:5000/a@sha256:…` | an image in a registry |
/// | `oci:DIR`, `oci:DIR:TAG`, `oci:DIR@sha256:…` | an image in an OCI image layout directory |
/// | `oci-archive:FILE[:TAG]` | an image in a tar archive of an OCI image layout |
/// | `docker-archive:FILE[:NAME[:TAG]]` | an image in an archive as `docker save` writes it |
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Location {
    /// An image in a registry.
    Registry(Reference),
    /// An image in an OCI image layout directory.
    Layout(LayoutPath),
    /// An image in an archive.
    Archive(ArchivePath),
}

impl Location {
    /// The tag that it names.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Registry(reference) => reference.tag(),
            Self::Layout(layout) => layout.tag(),
            Self::Archive(archive) => archive.tag(),
        }
    }

    /// The digest that it names.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Registry(reference) => reference.digest(),
            Self::Layout(layout) => layout.digest(),
            Self::Archive(archive) => archive.digest(),
        }
    }

    /// The same place, whichever image was named in it.
    pub fn repository(&self) -> Self {
        match self {
            Self::Registry(reference) => {
                Reference::new(reference.host().clone(), reference.repository().clone()).into()
            }
            Self::Layout(layout) => LayoutPath::new(layout.dir()).into(),
            Self::Archive(archive) => ArchivePath::new(archive.kind(), archive.file()).into(),
        }
    }

    /// The image tagged `tag` in the same place.
    pub fn at_tag(&self, tag: Tag) -> Self {
        match self.repository() {
            Self::Registry(reference) => reference.with_tag(tag).into(),
            Self::Layout(layout) => layout.with_tag(tag).into(),
            Self::Archive(archive) => archive.with_tag(tag).into(),
        }
    }

    /// Exactly this content in the same place.
    pub fn at_digest(&self, digest: Digest) -> Self {
        match self.repository() {
            Self::Registry(reference) => reference.with_digest(digest).into(),
            Self::Layout(layout) => layout.with_digest(digest).into(),
            Self::Archive(archive) => archive.with_digest(digest).into(),
        }
    }
}

/// An `@` can stand in the name of a directory or file too; only the digests that everybody knows are told from it.
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
        if text.starts_with(layout::SCHEME) {
            return text.parse().map(Self::Layout);
        }
        if archive::SCHEMES.iter().any(|(scheme, _)| text.starts_with(scheme)) {
            return text.parse().map(Self::Archive);
        }
        if let Some(error) = credentials_in(text) {
            return Err(error);
        }
        text.parse()
            .map(Self::Registry)
            .map_err(|invalid: gantri_spec::InvalidReference| Error::new(ErrorKind::NameInvalid, invalid.to_string()))
    }
}

/// `user:password@host/name` is refused, and not quoted (A16): what stands behind an `@` of ours is a digest.
fn credentials_in(text: &str) -> Option<Error> {
    let is_digest = |text: &str| {
        text.split_once(':').is_some_and(|(algorithm, hex)| {
            matches!(algorithm, "sha256" | "sha512")
                || (hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
    };
    let place = text.rsplit_once('@').filter(|(_, behind)| is_digest(behind)).map_or(text, |(place, _)| place);
    // A password may hold anything: it ends at the last `@`.
    let (before, behind) = place.rsplit_once('@')?;
    let is_user = behind.contains('/') || before.contains([':', '@']);
    is_user.then(|| {
        let host = display_untrusted(behind.split('/').next().unwrap_or_default());
        let what = format!("reference \"{}\": a reference carries no user and password", display_place(place));
        // A digest that was typed wrong looks much the same.
        let digest = if behind.contains('/') { "" } else { "; a digest is written @sha256:.. or @sha512:.." };
        Error::new(ErrorKind::NameInvalid, what).with_hint(format!("gantri login {host}{digest}"))
    })
}

fn invalid(text: &str, rule: &str) -> Error {
    Error::new(ErrorKind::NameInvalid, format!("location {text:?}: {rule}"))
}

fn wrong(text: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::NameInvalid, format!("location {text:?}")).with_source(error)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::Layout(layout) => layout.fmt(f),
            Self::Archive(archive) => archive.fmt(f),
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

impl From<ArchivePath> for Location {
    fn from(archive: ArchivePath) -> Self {
        Self::Archive(archive)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A16: what may be a password is not quoted.
    #[test]
    fn a_user_and_a_password_are_refused_and_not_quoted() {
        for text in [
            "me:canary@h.test/a:v2",
            "me:can/ary@h.test/a",
            "me:canary@at@h.test/a",
            "https://me:canary@h.test/a",
            "me:canary@h.test",
            "me:canary@h.test:5000",
            "canary@h.test:5000/a@sha256:x",
            "me:canary@h.test/a:v1@sha256:x",
            "me:can@ary@h.test/a@sha256:x",
            "me:c@can/ary@h.test",
            "me:can/ary@h.test",
            "me:can/ary@h.test:5000",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert!(error.to_string().ends_with(": a reference carries no user and password"), "{error}");
            let hint = error.hint().unwrap();
            assert!(hint.starts_with("gantri login h.test"));
            assert_eq!(hint.contains("@sha256:"), !error.to_string().contains('/'), "{hint}");
            assert!(!["can", "ary"].iter().any(|part| format!("{error:?}").contains(part)), "{error:?}");
        }
        for text in ["a@sha256:x", "a:v1@sha512:x", "h.test:80/a@sha256:0"] {
            assert!(!text.parse::<Location>().unwrap_err().to_string().contains("password"), "{text}");
        }
    }

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
        for (place, tag) in [
            ("oci:dir", None),
            ("oci:a@b:v1", Some("v1")),
            ("ghcr.io/a:v1", Some("v1")),
            ("oci-archive:a:v1", Some("v1")),
        ] {
            let text = format!("{place}@{digest}");
            let location: Location = text.parse().unwrap();
            assert_eq!((location.digest(), location.tag().map(Tag::as_str)), (Some(&digest), tag), "{text}");
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
