//! References, `host/name[:tag][@digest]`, and selectors, the tag or digest that a registry is asked for.
//!
//! The grammar is that of the distribution project. What Docker lets users leave out is filled in here and nowhere
//! else: the host `docker.io`, and `library/` before a name of one component on that host.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::host::{Host, LOCALHOST};
use super::repository::RepositoryName;
use super::tag::{InvalidTag, Tag};
use crate::digest::{Digest, InvalidDigest};
use crate::text::{Fault, invalid, text_form};

/// A repository of a registry, with what was named in it.
///
/// Prints canonically (`docker.io/library/ubuntu:24.04`), and what it prints parses back to the same value.
///
/// ```
/// use gantri_spec::Reference;
///
/// let reference: Reference = "ghcr.io/gantri/demo:v1".parse()?;
/// assert_eq!(reference.host().as_str(), "ghcr.io");
/// assert_eq!(reference.repository().as_str(), "gantri/demo");
/// assert_eq!("Foo/Bar".parse::<Reference>().unwrap_err().offset(), 0);
/// # Ok::<(), gantri_spec::InvalidReference>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    host: Host,
    repository: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// Gives a reference to a whole repository. On Docker Hub a name of one component gets its `library/`.
    pub fn new(host: Host, repository: RepositoryName) -> Self {
        let repository = match official(&host, repository.as_str()) {
            // Over 255 bytes with its prefix, it is a name that the hub can't hold: leave it alone.
            Some(official) => official.parse().unwrap_or(repository),
            None => repository,
        };
        Self { host, repository, tag: None, digest: None }
    }

    /// Names a tag, in place of any named before.
    pub fn with_tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// Names a digest, in place of any named before.
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// Gives the registry.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Gives the repository.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Gives the tag, if one is named.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Gives the digest, if one is named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Gives what to ask the registry for: the digest, else the tag, else `latest`.
    pub fn selector(&self) -> Selector {
        Selector::named(self.tag.as_ref(), self.digest.as_ref())
    }

    /// Gives the shortest text that parses to this reference: `ubuntu` for `docker.io/library/ubuntu`.
    pub fn familiar(&self) -> String {
        let whole = self.to_string();
        let Some(name) = whole.strip_prefix("docker.io/") else {
            return whole;
        };
        let shorter = [name.strip_prefix(LIBRARY), Some(name)];
        let reads_back = |text: &&str| text.parse().as_ref() == Ok(self);
        shorter.into_iter().flatten().find(reads_back).map_or(whole.clone(), str::to_owned)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

text_form!(Reference, InvalidReference);

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        scan(text).map_err(|fault| {
            let hint = lower_case(text).or_else(|| without_scheme(text));
            InvalidReference::new(text, fault.with_hint(hint))
        })
    }
}

/// What a registry is asked for in a repository: the `<tag-or-digest>` of the spec.
#[expect(clippy::exhaustive_enums, reason = "closed by the spec")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// Whatever the tag points at now.
    Tag(Tag),
    /// Exactly this content.
    Digest(Digest),
}

impl Selector {
    /// Gives what is meant where a tag, a digest, both or neither are named: the digest, else the tag, else `latest`.
    pub fn named(tag: Option<&Tag>, digest: Option<&Digest>) -> Self {
        match (digest, tag) {
            (Some(digest), _) => Self::Digest(digest.clone()),
            (None, Some(tag)) => Self::Tag(tag.clone()),
            (None, None) => Self::Tag(Tag::latest()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

text_form!(Selector, InvalidSelector);

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        // No tag holds a colon, every digest does.
        if text.contains(':') {
            text.parse().map(Self::Digest).map_err(InvalidSelector::Digest)
        } else {
            text.parse().map(Self::Tag).map_err(InvalidSelector::Tag)
        }
    }
}

impl From<Tag> for Selector {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Selector {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

invalid! {
    /// A text that is not a reference.
    InvalidReference, "reference"
}

/// A text that is neither a tag nor a digest.
#[expect(clippy::exhaustive_enums, reason = "mirrors Selector, which is closed")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSelector {
    /// It has no colon and is not a tag.
    Tag(InvalidTag),
    /// It has a colon and is not a digest.
    Digest(InvalidDigest),
}

impl fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(error) => error.fmt(f),
            Self::Digest(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvalidSelector {}

/// Splits from the right, then reads from the left, so that the first fault is the one reported.
fn scan(text: &str) -> Result<Reference, Fault> {
    check_whole(text)?;
    let (rest, digest) = split(text, text.find('@'));
    let (path, tag) = split(rest, tag_colon(rest));
    let (host, remote) = split_host(path)?;
    let base = path.len() - remote.len();
    let repository = RepositoryName::scan(remote).map_err(|fault| fault.shifted(base))?;
    let repository = match official(&host, remote) {
        Some(official) => RepositoryName::scan(&official).map_err(|_| Fault::at(path.len(), TOO_LONG))?,
        None => repository,
    };
    let tag = tag.map(Tag::scan).transpose().map_err(|fault| fault.shifted(path.len() + 1))?;
    let digest = digest.map(Digest::scan).transpose().map_err(|fault| fault.shifted(rest.len() + 1))?;
    Ok(Reference { host, repository, tag, digest })
}

/// Faults that splitting would report at the wrong place.
fn check_whole(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::at(0, "a reference is not empty"));
    }
    if let Some(offset) = text.find("://") {
        return Err(Fault::at(offset, "a reference has no scheme"));
    }
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        let rule = "64 hex digits are an image id, not the name of a repository";
        return Err(Fault::at(0, rule));
    }
    Ok(())
}

/// What is before the byte at an offset, and what behind it.
fn split(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    match at {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// A tag starts at the colon after the last slash; a colon before it belongs to a port.
fn tag_colon(text: &str) -> Option<usize> {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    // The colons of a bracketed host without a path are no tag's either.
    if text.starts_with('[') && last == 0 {
        return None;
    }
    text[last..].find(':').map(|colon| last + colon)
}

/// The first component is a host if it can't be one of a name: it has a dot or colon, or is `localhost`.
fn split_host(path: &str) -> Result<(Host, &str), Fault> {
    match path.split_once('/') {
        Some((first, remote)) if first.contains(['.', ':']) || first == LOCALHOST => Ok((Host::scan(first)?, remote)),
        Some(_) | None => Ok((Host::docker_hub(), path)),
    }
}

/// The name with the `library/` that Docker Hub keeps names of one component under.
fn official(host: &Host, name: &str) -> Option<String> {
    (host.is_docker_hub() && !name.contains('/')).then(|| format!("{LIBRARY}{name}"))
}

/// The same text with its name, or else its digest too, in lower case, if that would parse.
fn lower_case(text: &str) -> Option<String> {
    let (rest, _) = split(text, text.find('@'));
    let (path, _) = split(rest, tag_colon(rest));
    let lower = |range: Range<usize>| text[range].to_ascii_lowercase();
    let name_lower = lower(0..path.len()) + &text[path.len()..];
    let both_lower = lower(0..path.len()) + &text[path.len()..rest.len()] + &lower(rest.len()..text.len());
    [name_lower, both_lower].into_iter().find(|lower| lower != text && scan(lower).is_ok())
}

fn without_scheme(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    scan(rest).is_ok().then(|| rest.to_owned())
}

const LIBRARY: &str = "library/";
const TOO_LONG: &str = "a repository name has at most 255 bytes, library/ included";

#[cfg(test)]
mod tests;
