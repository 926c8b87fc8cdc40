//! Listing what memory holds: a snapshot taken when the listing is asked for, in lexical order.
//!
//! Later changes do not show in a listing that was begun; `after` is exclusive.

use std::ops::Bound;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use gantri_spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};

use super::Memory;
use crate::{Discover, Result};

impl Discover for Memory {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.lock();
        let names = state.repositories.range::<RepositoryName, _>((from, Bound::Unbounded));
        listing(Ok(names.map(|(name, _)| name.clone()).collect()))
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        listing(self.look(repo, |repository| Ok(repository.tags(after))))
    }

    /// The subject need not exist, so neither need its repository: who asks gets an empty list, as end-12 wants it.
    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let mut found = self.lock().repositories.get(repo).map(|held| held.referrers(subject)).unwrap_or_default();
        found.retain(|referrer| artifact_type.is_none_or(|wanted| referrer.artifact_type.as_ref() == Some(wanted)));
        listing(Ok(found))
    }
}

/// A listing that is there already, or the one error it consists of.
fn listing<T: Send + 'static>(items: Result<Vec<T>>) -> BoxStream<'static, Result<T>> {
    match items {
        Ok(items) => stream::iter(items.into_iter().map(Ok)).boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}
