//! The behaviour suite over the registry in memory, and over one that lists next to nothing: what it lacks it has to refuse,
//! and the suite has to see that it does.

use futures_util::stream::{self, BoxStream, StreamExt};
use gantri_core::spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};
use gantri_core::testkit::{Feature, Profile};
use gantri_core::{Discover, Error, ErrorKind, Memory, Result, registry_suite};

registry_suite! {
    memory => async { Memory::new() };
    profile: Profile::FULL;
}

registry_suite! {
    unlisted => async { Unlisted { inner: Memory::new() } };
    profile: Profile::FULL.without(Feature::Repositories).without(Feature::Referrers);
}

/// A registry that knows tags, but neither a catalog nor referrers.
#[derive(Debug)]
struct Unlisted {
    inner: Memory,
}

gantri_core::forward!(Unlisted, inner: Pull, Push, Manage);

impl Discover for Unlisted {
    fn repositories(&self, _: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        refused()
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        self.inner.tags(repo, after)
    }

    fn referrers(
        &self,
        _: &RepositoryName,
        _: &Digest,
        _: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        refused()
    }
}

fn refused<T: Send + 'static>() -> BoxStream<'static, Result<T>> {
    stream::iter([Err(Error::new(ErrorKind::Unsupported, "this is not listed"))]).boxed()
}
