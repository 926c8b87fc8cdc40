//! Who refers to a subject: by the API where a registry has it (end-12), else by the tag scheme, an index under a tag made
//! of the subject's digest.
//!
//! This file decides which of the two, and reads. What is written under the tag is decided in `merge.rs`, by whom in
//! `lines.rs`, and `update.rs` does it.

mod lines;
mod merge;
mod update;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::ready;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, iter, once};
use gantri_core::{Error, ErrorKind, Pull, Result};
use gantri_spec::wire::{Endpoint, ErrorCode, Page};
use gantri_spec::{Descriptor, Digest, Index, Manifest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use http::header::CONTENT_TYPE;

pub(crate) use self::lines::Lines;
use crate::habits::Shown;
use crate::pages::{Entries, Listing, items};
use crate::remote::Remote;
use crate::transport::{Unchallenged, Whole};

/// The referrers of a subject, of one type or of all, however the registry keeps them.
pub(crate) fn list(
    remote: Remote,
    repo: RepositoryName,
    subject: Digest,
    artifact_type: Option<MediaType>,
) -> BoxStream<'static, Result<Descriptor>> {
    let what = format!("referrers of {}@{subject}", remote.repository_name(&repo));
    let wanted = artifact_type.clone();
    once(async move {
        if remote.lists_referrers(&repo) != Shown::No
            && let Some(listed) = remote.referrers_by_api(&repo, &subject, artifact_type.as_ref()).await?
        {
            return Ok(listed);
        }
        remote.referrers_by_tag(&repo, &subject).await
    })
    .try_flatten()
    // Filtering is the registry's to offer, not to be relied on (end-12b).
    .try_filter(move |found| ready(wanted.is_none() || found.artifact_type == wanted))
    .map(move |found| found.map_err(|error| error.during(&what)))
    .boxed()
}

impl Remote {
    /// Whether the registry has shown that it lists the referrers of this repository.
    pub(crate) fn lists_referrers(&self, repo: &RepositoryName) -> Shown {
        self.habits().referrers.find(repo).unwrap_or_default()
    }

    pub(crate) fn shows_referrers(&self, repo: &RepositoryName, shown: Shown) {
        self.habits().referrers.keep(repo.clone(), shown);
    }

    /// Whether the tag scheme is to be used; asks the API if that is not known.
    pub(crate) async fn has_no_referrers_api(&self, repo: &RepositoryName, subject: &Digest) -> Result<bool> {
        match self.lists_referrers(repo) {
            Shown::Yes => Ok(false),
            Shown::No => Ok(true),
            Shown::Nothing => match self.referrers_by_api(repo, subject, None).await {
                Ok(listed) => Ok(listed.is_none()),
                // Whoever may not ask does not learn from it either.
                Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unauthorized) => Ok(true),
                Err(error) => Err(error),
            },
        }
    }

    /// What the API lists; `None` if there is no API.
    async fn referrers_by_api(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<Option<BoxStream<'static, Result<Descriptor>>>> {
        let (repo, digest, artifact_type) = (repo.clone(), subject.clone(), artifact_type.cloned());
        let listing = Listing {
            first: Endpoint::Referrers { repo: repo.clone(), digest, artifact_type, page: Page::default() },
            what: format!("referrers of {}@{subject}", self.repository_name(&repo)),
            absent: ErrorKind::ManifestUnknown,
            read: listed,
        };
        let mut listed = items(self.clone(), listing);
        let first = match listed.try_next().await {
            Ok(first) => first,
            Err(error) => {
                let Some(remember) = without_api(&error) else { return Err(error) };
                tracing::debug!(%error, ?remember, "no referrers api");
                if remember == Lasting::Yes && self.lists_referrers(&repo) == Shown::Nothing {
                    self.shows_referrers(&repo, Shown::No);
                }
                return Ok(None);
            }
        };
        self.shows_referrers(&repo, Shown::Yes);
        // The subject is no referrer of itself, whoever says so (M13).
        let subject = subject.clone();
        let listed = iter(first.map(Ok)).chain(listed);
        Ok(Some(listed.try_filter(move |found| ready(found.digest != subject)).boxed()))
    }

    /// What the index under the tag lists: only those whose own word for their subject it is (M13). Each is read once.
    async fn referrers_by_tag(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
    ) -> Result<BoxStream<'static, Result<Descriptor>>> {
        let index = match self.index_under_tag(repo, subject).await? {
            Found::Index(index) => index,
            Found::Nothing | Found::Subject => return Ok(iter([]).boxed()),
            Found::Other(what) => {
                tracing::warn!(%subject, what, "no list of referrers under their tag");
                return Ok(iter([]).boxed());
            }
        };
        let most = self.limits().graph_nodes;
        if index.manifests.len() as u64 > most {
            return Err(Error::limit("the index under the tag", "graph_nodes", most));
        }
        let mut seen = HashSet::new();
        let mut children = index.manifests;
        children.retain(|child| seen.insert(child.digest.clone()));
        let at_once = self.limits().concurrent_requests;
        let (remote, repo, subject) = (self.clone(), repo.clone(), subject.clone());
        let verified = iter(children).map(move |child| {
            let (remote, repo, subject) = (remote.clone(), repo.clone(), subject.clone());
            async move { remote.verified_referrer(&repo, &subject, &child.digest).await }
        });
        Ok(verified.buffered(at_once).try_filter_map(|found| ready(Ok(found))).boxed())
    }

    /// How a manifest is listed, if it is there and refers to the subject by its own word.
    async fn verified_referrer(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
    ) -> Result<Option<Descriptor>> {
        let key = (repo.clone(), subject.clone(), digest.clone());
        if digest == subject {
            return Ok(None);
        }
        if let Some(found) = self.habits().verified.find(&key) {
            return Ok(Some(found));
        }
        let found = match self.manifest(repo, &digest.clone().into()).await {
            Ok(found) => found,
            Err(error) if is_about_content(error.kind()) => {
                tracing::warn!(%subject, %digest, %error, "left out of the referrers");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let parsed = found.parse().unwrap_or(Manifest::Unknown);
        if parsed.subject().is_none_or(|named| named.digest != *subject) {
            tracing::warn!(%subject, %digest, "left out of the referrers: it does not refer to the subject");
            return Ok(None);
        }
        let listed = parsed.referrer(found.descriptor());
        self.habits().verified.keep(key, listed.clone());
        Ok(Some(listed))
    }

    /// What stands under the tag of a subject's referrers.
    async fn index_under_tag(&self, repo: &RepositoryName, subject: &Digest) -> Result<Found> {
        let found = match self.manifest(repo, &Selector::Tag(tag_of(subject)?)).await {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown) => {
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        // GitLab reads the tag as the digest that it is made of.
        if subject.algorithm().digest(found.bytes()).as_ref() == Some(subject) {
            return Ok(Found::Subject);
        }
        match found.parse() {
            Ok(Manifest::Index(index)) if *found.media_type() == MediaType::OCI_INDEX => {
                Ok(Found::Index(Box::new(index)))
            }
            _ => Ok(Found::Other(format!("{} {}", found.media_type(), found.digest()))),
        }
    }
}

/// What a tag of the scheme points at.
enum Found {
    Nothing,
    Index(Box<Index>),
    /// The subject itself, under a tag that nobody set.
    Subject,
    /// Something of somebody's that is no list.
    Other(String),
}

/// The tag of the scheme: algorithm and hash cut to what a tag has room for, and no character that a tag can't have.
///
/// Spec: [referrers tag schema](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema).
fn tag_of(subject: &Digest) -> Result<Tag> {
    let fit = |text: &str, most: usize| -> String {
        let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        text.chars().take(most).map(fit).collect()
    };
    let tag = format!("{}-{}", fit(subject.algorithm_name(), 32), fit(subject.encoded(), 64));
    tag.parse().map_err(|error| {
        Error::new(ErrorKind::Unsupported, format!("referrers of {subject}: no tag can be made of it"))
            .with_source(error)
    })
}

/// Whether the answer will be the same for every subject of the repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lasting {
    Yes,
    No,
}

/// Whether a refusal says that there is no API (H10).
fn without_api(error: &Error) -> Option<Lasting> {
    // A registry that knows the route may not know the repository (or hide it): that says nothing about the others.
    let of_content = |code: &ErrorCode| matches!(code, ErrorCode::NameUnknown | ErrorCode::ManifestUnknown);
    match error.status().map(|status| status.as_u16()) {
        Some(404) if error.codes().iter().any(of_content) => Some(Lasting::No),
        Some(404 | 405 | 406 | 501) => Some(Lasting::Yes),
        // Quay; but the digest may be one that it does not know.
        Some(400) => Some(Lasting::No),
        // Old Harbor.
        Some(401) if Unchallenged::is_behind(error) => Some(Lasting::No),
        _ if error.kind() == ErrorKind::NotARegistry => Some(Lasting::No),
        _ => None,
    }
}

/// Whether the fault is of the one manifest, so that it must not hide the others.
fn is_about_content(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ManifestUnknown
            | ErrorKind::ManifestInvalid
            | ErrorKind::DigestMismatch
            | ErrorKind::SizeMismatch
            | ErrorKind::LimitExceeded
            | ErrorKind::NotARegistry
            | ErrorKind::Unsupported
    )
}

/// A page of the API: an OCI index, or it is none (M13).
fn listed(whole: &Whole) -> Result<Entries<Descriptor>> {
    let declared = whole.text(&CONTENT_TYPE).map_or(MediaType::OCTET_STREAM, MediaType::from);
    let page = RawManifest::new(declared, whole.bytes.clone());
    if *page.media_type() != MediaType::OCI_INDEX {
        return Err(whole.not_a_registry("no list of referrers"));
    }
    match page.parse() {
        Ok(Manifest::Index(index)) => {
            let entry = |found: Descriptor| (Arc::from(found.digest.as_str()), Some(found));
            Ok(index.manifests.into_iter().map(entry).collect())
        }
        Ok(_) => Err(Error::new(ErrorKind::ManifestInvalid, "an index was expected")),
        Err(error) => Err(Error::new(ErrorKind::ManifestInvalid, "no index").with_source(error)),
    }
}

#[cfg(test)]
mod tests {
    use gantri_spec::Algorithm;
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_subject_has_one_tag() {
        let sha256 = Digest::of(b"x");
        assert_eq!(tag_of(&sha256).unwrap().as_str(), format!("sha256-{}", sha256.encoded()));
        let sha512 = Algorithm::Sha512.digest(b"x").unwrap();
        assert_eq!(tag_of(&sha512).unwrap().as_str(), format!("sha512-{}", &sha512.encoded()[..64]));
        let long = format!("{}+b:{}", "a".repeat(40), "c".repeat(80)).parse().unwrap();
        assert_eq!(tag_of(&long).unwrap().as_str(), format!("{}-{}", "a".repeat(32), "c".repeat(64)));
        let odd = "multi+hash:QmX=_y".parse().unwrap();
        assert_eq!(tag_of(&odd).unwrap().as_str(), "multi-hash-QmX-_y");
    }

    /// H10: what says that there is no API, and whether that is worth remembering.
    #[test]
    fn no_api_has_many_voices() {
        let cases: [(u16, Option<ErrorCode>, Option<Lasting>); 11] = [
            (404, None, Some(Lasting::Yes)),
            (404, Some(ErrorCode::Unsupported), Some(Lasting::Yes)),
            (404, Some(ErrorCode::NameUnknown), Some(Lasting::No)),
            (404, Some(ErrorCode::ManifestUnknown), Some(Lasting::No)),
            (405, None, Some(Lasting::Yes)),
            (406, None, Some(Lasting::Yes)),
            (501, None, Some(Lasting::Yes)),
            (400, None, Some(Lasting::No)),
            (401, None, None),
            (403, None, None),
            (503, None, None),
        ];
        for (status, code, expected) in cases {
            let body = code.map(|code| gantri_spec::wire::ErrorBody::one(code, ""));
            let error = Error::from_wire(StatusCode::from_u16(status).unwrap(), body, "x");
            assert_eq!(without_api(&error), expected, "{status}");
        }
        let unchallenged = Error::from_wire(StatusCode::UNAUTHORIZED, None, "x").with_source(Unchallenged);
        assert_eq!(without_api(&unchallenged), Some(Lasting::No));
        assert_eq!(without_api(&Error::new(ErrorKind::NotARegistry, "x")), Some(Lasting::No));
        assert_eq!(without_api(&Error::new(ErrorKind::Connect, "x")), None);
    }
}
