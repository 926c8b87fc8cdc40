//! Finding out what a registry holds. Nothing is sent before a stream is read, and no page before it is needed.

use std::sync::Arc;

use futures_util::future::ready;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use gantri_core::error::display_untrusted;
use gantri_core::{Discover, Error, ErrorKind, Result};
use gantri_spec::wire::{Endpoint, Page, RepositoryList, TagList};
use gantri_spec::{Descriptor, Digest, Manifest, MediaType, RawManifest, RepositoryName, Tag};
use serde::de::DeserializeOwned;

use crate::pages::{Items, Listing, items};
use crate::remote::Remote;
use crate::transport::Whole;

impl Discover for Remote {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let after = after.cloned();
        let listing = Listing {
            first: Endpoint::Repositories { page: self.page(after.as_ref().map(RepositoryName::as_str)) },
            what: format!("repositories of {}", self.host()),
            // The catalog is no part of the OCI spec: a registry without one has nothing there.
            absent: ErrorKind::Unsupported,
            read: |whole| Ok(names(read::<RepositoryList>(whole)?.repositories)),
        };
        let listed = items::<RepositoryName>(self.clone(), listing);
        listed.try_filter(move |repo| ready(after.as_ref().is_none_or(|after| repo > after))).boxed()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let after = after.cloned();
        let page = self.page(after.as_ref().map(Tag::as_str));
        let listing = Listing {
            first: Endpoint::Tags { repo: repo.clone(), page },
            what: format!("tags of {}", self.repository_name(repo)),
            absent: ErrorKind::RepositoryUnknown,
            read: |whole| Ok(names(read::<TagList>(whole)?.tags)),
        };
        // Some registries take no notice of where to start.
        let listed = items::<Tag>(self.clone(), listing);
        listed.try_filter(move |tag| ready(after.as_ref().is_none_or(|after| tag > after))).boxed()
    }

    /// From the referrers API; a registry that has none answers `Unsupported`.
    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let wanted = artifact_type.cloned();
        let listing = Listing {
            first: Endpoint::Referrers {
                repo: repo.clone(),
                digest: subject.clone(),
                artifact_type: artifact_type.cloned(),
                page: Page::default(),
            },
            what: format!("referrers of {}@{subject}", self.repository_name(repo)),
            absent: ErrorKind::Unsupported,
            read: referrers,
        };
        let listed = items(self.clone(), listing);
        // Filtering is the registry's to offer, not to be relied on (end-12b).
        listed
            .try_filter(move |found| ready(wanted.is_none() || found.artifact_type == wanted))
            .map(|found| found.map_err(without_referrers))
            .boxed()
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
fn names<T: std::str::FromStr>(entries: Vec<String>) -> Items<T> {
    let parse = |entry: String| {
        let parsed = entry.parse().ok();
        if parsed.is_none() {
            tracing::warn!(entry = display_untrusted(&entry), "left out of the listing: not a valid name");
        }
        Some((Arc::from(entry), parsed?))
    };
    entries.into_iter().filter_map(parse).collect()
}

fn referrers(whole: &Whole) -> Result<Items<Descriptor>> {
    let index = RawManifest::new(MediaType::OCI_INDEX, whole.bytes.clone());
    match index.parse() {
        Ok(Manifest::Index(index)) => {
            Ok(index.manifests.into_iter().map(|found| (Arc::from(found.digest.as_str()), found)).collect())
        }
        Ok(_) => Err(Error::new(ErrorKind::ManifestInvalid, "an index was expected")),
        Err(error) => Err(Error::new(ErrorKind::ManifestInvalid, "no index").with_source(error)),
    }
}

/// What registries without the API answer instead of 404 (H10).
fn without_referrers(error: Error) -> Error {
    match error.status().map(|status| status.as_u16()) {
        Some(404..=406) if error.kind() != ErrorKind::Unsupported => {
            Error::new(ErrorKind::Unsupported, "the registry has no referrers api").with_source(error)
        }
        _ => error,
    }
}
