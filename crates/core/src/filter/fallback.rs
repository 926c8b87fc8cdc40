//! `Fallback`: content is asked of mirrors before it is asked of its origin.
//!
//! This file decides who is asked for what and in which order, and which failure of a mirror is told instead of asking the
//! next; how a blob goes on that breaks off in the middle is `relay.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest, RepositoryName, Selector};

use super::relay;
use crate::{BlobReader, Error, ErrorKind, Pull, Result, forward};

/// An origin with mirrors before it.
///
/// * **By digest**, the mirrors are asked first, in their order, then the origin; the first who has it answers.
/// * **Tags** are the origin's to say, for a mirror may be stale; what they name is then fetched by digest as above. That
///   costs a request for the descriptor, and no mirror can pass off an old image as the newest. A mirror that is trusted
///   to say what tags name is added as one that [serves them](Serves).
/// * **Listings** are the origin's alone: a mirror knows but a part.
/// * **Writes** go to the origin alone. What is deleted there may live on in a mirror, and is then still found by digest.
///
/// A mirror's failure is the reason to ask the next, never the answer, be it that it has no such thing, does not answer in
/// time, does not let us in, or sends a manifest that is not the one asked for; if nobody has it, the error is the
/// origin's. Only a `Config` error ends the search, so that it is heard of.
///
/// A blob that breaks off at a mirror goes on at the next from the byte that it has reached. That the bytes of a mirror are
/// *wrong* is seen at the end only, and what was read cannot be unread: the read ends with `DigestMismatch` like any other
/// of wrong bytes, nothing is kept, and it is not begun again elsewhere. Whoever meets that should part with the mirror.
///
/// ```
/// use std::sync::Arc;
/// use gantri_core::Memory;
/// use gantri_core::filter::Fallback;
///
/// let (near, far) = (Memory::new(), Memory::new());
/// let registry = Fallback::new(far).with_mirror(Arc::new(near));
/// ```
#[derive(Debug)]
pub struct Fallback<R> {
    origin: Arc<R>,
    mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug)]
struct Mirror {
    registry: Arc<dyn Pull>,
    serves: Serves,
}

/// What a mirror is asked for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Serves {
    /// Content, by its digest: nothing that it sends has to be believed.
    #[default]
    Digests,
    /// What tags name, and no other content: it may be stale, and works while the origin is away.
    Tags,
    /// Both.
    All,
}

impl Serves {
    /// Whether it is asked for content by its digest.
    pub fn digests(self) -> bool {
        self != Self::Tags
    }

    /// Whether it is asked for what tags name.
    pub fn tags(self) -> bool {
        self != Self::Digests
    }
}

impl<R> Fallback<R> {
    /// Only the origin, yet.
    pub fn new(origin: R) -> Self {
        Self { origin: Arc::new(origin), mirrors: Vec::new() }
    }

    /// One mirror more, asked for content after those before it.
    pub fn with_mirror(self, mirror: Arc<dyn Pull>) -> Self {
        self.with_mirror_for(mirror, Serves::default())
    }

    /// One mirror more, asked for what it serves after those before it.
    pub fn with_mirror_for(mut self, mirror: Arc<dyn Pull>, serves: Serves) -> Self {
        self.mirrors.push(Mirror { registry: mirror, serves });
        self
    }

    /// The mirrors that have a say in what this names.
    fn mirrors_for(&self, at: &Selector) -> Vec<&dyn Pull> {
        match at {
            Selector::Tag(_) => self.mirrors_that(Serves::tags),
            Selector::Digest(_) => self.mirrors_that(Serves::digests),
        }
    }

    fn mirrors_that(&self, fits: impl Fn(Serves) -> bool) -> Vec<&dyn Pull> {
        self.mirrors.iter().filter(|mirror| fits(mirror.serves)).map(|mirror| &*mirror.registry).collect()
    }
}

forward!(Fallback<R>, origin: Push, Discover, Manage);

#[async_trait]
impl<R: Pull> Pull for Fallback<R> {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        match first(&self.mirrors_for(at), |mirror| mirror.resolve_manifest(repo, at)).await? {
            Some(found) => Ok(found),
            None => self.origin.resolve_manifest(repo, at).await,
        }
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        if let Some(found) = first(&self.mirrors_for(at), |mirror| mirror.manifest(repo, at)).await? {
            return Ok(found);
        }
        // Those that could not be asked about a tag. Without any the origin can say it all in one request.
        let rest = self.mirrors_that(|serves| !serves.tags());
        let (Selector::Tag(_), false) = (at, rest.is_empty()) else { return self.origin.manifest(repo, at).await };
        let at = Selector::Digest(self.origin.resolve_manifest(repo, at).await?.digest);
        match first(&rest, |mirror| mirror.manifest(repo, &at)).await? {
            Some(found) => Ok(found),
            None => self.origin.manifest(repo, &at).await,
        }
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        match first(&self.mirrors_that(Serves::digests), |mirror| mirror.resolve_blob(repo, digest)).await? {
            Some(found) => Ok(found),
            None => self.origin.resolve_blob(repo, digest).await,
        }
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let mirrors = self.mirrors.iter().filter(|mirror| mirror.serves.digests());
        let mirrors = mirrors.map(|mirror| Arc::clone(&mirror.registry)).collect();
        relay::blob(mirrors, self.origin.clone(), repo, digest, range).await
    }

    fn guards_content(&self) -> bool {
        self.origin.guards_content()
    }
}

/// What the first mirror says that can; `None` if it is for the origin to say.
async fn first<'a, T, F>(mirrors: &[&'a dyn Pull], ask: impl Fn(&'a dyn Pull) -> F) -> Result<Option<T>>
where
    F: Future<Output = Result<T>>,
{
    for mirror in mirrors {
        match ask(*mirror).await {
            Ok(found) => return Ok(Some(found)),
            Err(error) => pass_over(error)?,
        }
    }
    Ok(None)
}

/// Goes on behind a mirror that failed, unless its error has to be told.
pub(super) fn pass_over(error: Error) -> Result<()> {
    match weigh(error.kind()) {
        Weight::Usual => tracing::debug!(%error, "the mirror can't say, the next is asked"),
        Weight::Odd => tracing::warn!(%error, "the mirror is at fault, the next is asked"),
        Weight::Told => return Err(error),
    }
    Ok(())
}

/// What a mirror's failure comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weight {
    /// Mirrors lack things, are away, or keep their doors shut.
    Usual,
    /// Somebody should look after that mirror.
    Odd,
    /// Somebody has to look after the configuration: going on would hide it.
    Told,
}

fn weigh(kind: ErrorKind) -> Weight {
    match kind {
        ErrorKind::RepositoryUnknown
        | ErrorKind::ManifestUnknown
        | ErrorKind::BlobUnknown
        | ErrorKind::Connect
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::RateLimited
        | ErrorKind::Unauthorized
        | ErrorKind::Denied
        | ErrorKind::Unsupported
        | ErrorKind::NameInvalid
        // The origin will say the same, unless it is the mirror that can't do ranges.
        | ErrorKind::RangeInvalid => Weight::Usual,
        ErrorKind::Config => Weight::Told,
        _ => Weight::Odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bad_configuration_is_told_instead_of_asking_the_next() {
        let cases = [
            (ErrorKind::ManifestUnknown, Weight::Usual),
            (ErrorKind::BlobUnknown, Weight::Usual),
            (ErrorKind::RepositoryUnknown, Weight::Usual),
            (ErrorKind::Connect, Weight::Usual),
            (ErrorKind::Unavailable, Weight::Usual),
            (ErrorKind::Timeout, Weight::Usual),
            (ErrorKind::RateLimited, Weight::Usual),
            (ErrorKind::Unauthorized, Weight::Usual),
            (ErrorKind::Denied, Weight::Usual),
            (ErrorKind::Unsupported, Weight::Usual),
            (ErrorKind::RangeInvalid, Weight::Usual),
            (ErrorKind::DigestMismatch, Weight::Odd),
            (ErrorKind::SizeMismatch, Weight::Odd),
            (ErrorKind::NotARegistry, Weight::Odd),
            (ErrorKind::Protocol, Weight::Odd),
            (ErrorKind::Credentials, Weight::Odd),
            (ErrorKind::Io, Weight::Odd),
            (ErrorKind::Config, Weight::Told),
        ];
        for (kind, weight) in cases {
            assert_eq!(weigh(kind), weight, "{kind:?}");
            assert_eq!(pass_over(Error::new(kind, "x")).is_err(), weight == Weight::Told, "{kind:?}");
        }
    }
}
