//! Finding out what a registry holds. Nothing is sent before a stream is read, and no page before it is needed.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt};
use gantri_core::error::display_untrusted;
use gantri_core::{Discover, Error, ErrorKind, Result};
use gantri_spec::wire::{Endpoint, Page, RepositoryList, TagList};
use gantri_spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::pages::{Entries, Listing, items};
use crate::referrers;
use crate::remote::Remote;
use crate::transport::{Unchallenged, Whole};

/// Entries that are no valid names are left out, with a warning; they hide no others. A listing that comes in one page is in
/// lexical order; in several, in the registry's.
impl Discover for Remote {
    /// From the catalog, which is no part of the OCI spec.
    ///
    /// # Errors
    /// `Unsupported` where there is none (ECR); `Unauthorized` or `Denied` where nobody may read it (Docker Hub).
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let listing = Listing {
            first: Endpoint::Repositories { page: self.page(after.map(RepositoryName::as_str)) },
            what: format!("repositories of {}", self.host()),
            absent: ErrorKind::Unsupported,
            read: |whole| Ok(names(read::<RepositoryList>(whole)?.repositories)),
        };
        items::<RepositoryName>(self.clone(), listing).map(|listed| listed.map_err(without_catalog)).boxed()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let listing = Listing {
            first: Endpoint::Tags { repo: repo.clone(), page: self.page(after.map(Tag::as_str)) },
            what: format!("tags of {}", self.repository_name(repo)),
            absent: ErrorKind::RepositoryUnknown,
            read: |whole| Ok(names(read::<TagList>(whole)?.tags)),
        };
        items::<Tag>(self.clone(), listing)
    }

    /// From the referrers API (end-12); from the tag that stands in for it where a registry has none. Either way they are
    /// of the type asked for, whatever the registry says of its filters, and the subject is not among them (M13).
    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        referrers::list(self.clone(), repo.clone(), subject.clone(), artifact_type.cloned())
    }
}

impl Remote {
    fn page(&self, last: Option<&str>) -> Page {
        Page { n: self.page_size(), last: last.map(str::to_owned) }
    }
}

fn read<T: DeserializeOwned>(whole: &Whole) -> Result<T> {
    serde_json::from_slice(&whole.bytes).map_err(|error| whole.not_a_registry("listing").with_source(error))
}

/// The entries that are what they should be. One odd entry must not hide the others.
fn names<T: std::str::FromStr>(entries: Vec<String>) -> Entries<T> {
    let parse = |entry: String| {
        let parsed = entry.parse().ok();
        if parsed.is_none() {
            tracing::warn!(entry = display_untrusted(&entry), "left out of the listing: not a valid name");
        }
        (Arc::from(entry), parsed)
    };
    entries.into_iter().map(parse).collect()
}

/// What registries without a catalog, or with one that is closed to all, answer.
fn without_catalog(error: Error) -> Error {
    match error.status() {
        Some(StatusCode::NOT_IMPLEMENTED) => {
            Error::new(ErrorKind::Unsupported, "the registry has no catalog").with_source(error)
        }
        Some(StatusCode::UNAUTHORIZED) if Unchallenged::is_behind(&error) => {
            Error::new(ErrorKind::Denied, "the registry opens its catalog to nobody").with_source(error)
        }
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => error.with_hint(
            "many registries, Docker Hub among them, list their repositories to nobody: name the repository",
        ),
        _ => error,
    }
}
