//! Changing the list of referrers that is kept under a tag: read, merge, write, and look again.
//!
//! The protocol has no conditional put that registries honour (distribution, zot and Harbor send an `ETag` and ignore
//! `If-Match`), so two processes can write over each other. Whoever was written over sees it when looking again, and
//! merges again. What can't be promised: a writer that takes longer between its read and its write than the others wait
//! before they look again takes away what they wrote in between.

use std::time::Duration;

use gantri_core::{Error, ErrorKind, Limits, Pull, Result};
use gantri_spec::wire::ErrorCode;
use gantri_spec::{Descriptor, Digest, Index, Manifest, RepositoryName, Tag};
use tokio::time::{Instant, sleep};

use super::merge::{Change, keep, merge};
use super::{Found, is_about_content, tag_of};
use crate::remote::Remote;
use crate::transport::roll;
use crate::untag::tombstone;

impl Remote {
    /// Puts a manifest on the list of its subject's referrers.
    ///
    /// # Errors
    /// `Conflict` if something else stands under the tag, or others keep writing over it; `Unsupported` if the registry
    /// can't keep the tag.
    pub(crate) async fn enlist(&self, repo: &RepositoryName, subject: &Digest, referrer: Descriptor) -> Result<()> {
        self.change_list(repo, subject, Change::Add(Box::new(referrer))).await
    }

    /// Takes a manifest off the list of its subject's referrers.
    ///
    /// # Errors
    /// As [`enlist`](Self::enlist).
    pub(crate) async fn unlist(&self, repo: &RepositoryName, subject: &Digest, referrer: &Digest) -> Result<()> {
        self.change_list(repo, subject, Change::Remove(referrer.clone())).await
    }

    /// The subject of a manifest, and how it is listed, if it is the tag scheme that lists it.
    pub(crate) async fn listed_under_tag(
        &self,
        repo: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(Digest, Descriptor)>> {
        if self.lists_referrers(repo) == crate::habits::Shown::Yes {
            return Ok(None);
        }
        let manifest = match self.manifest(repo, &digest.clone().into()).await {
            Ok(manifest) => manifest,
            // What can't be read any more may still be deleted; whether it is there at all is for the delete to say.
            Err(error) => {
                tracing::debug!(%digest, %error, "deleted without a look at its subject");
                return Ok(None);
            }
        };
        let parsed = manifest.parse().unwrap_or(Manifest::Unknown);
        let Some(subject) = parsed.subject().map(|subject| subject.digest.clone()) else { return Ok(None) };
        let by_tag = self.has_no_referrers_api(repo, &subject).await?;
        Ok(by_tag.then(|| (subject, parsed.referrer(manifest.descriptor()))))
    }

    async fn change_list(&self, repo: &RepositoryName, subject: &Digest, change: Change) -> Result<()> {
        let tag = tag_of(subject)?;
        let what = format!("list of referrers {}", self.manifest_name(repo, &tag.clone().into()));
        let act = |changes| self.write_list(repo, subject, &tag, changes);
        self.lines().change(repo, subject, change, act).await.map_err(|error| error.during(what))
    }

    async fn write_list(&self, repo: &RepositoryName, subject: &Digest, tag: &Tag, wanted: Vec<Change>) -> Result<()> {
        let limits = self.limits();
        let mut changes = wanted.clone();
        for round in 0..=limits.referrers_rounds {
            let started = Instant::now();
            let current = match self.index_under_tag(repo, subject).await? {
                Found::Nothing => None,
                Found::Index(index) => Some(index),
                // Perhaps the tag is only read so as long as nobody sets it.
                Found::Subject if round == 0 => None,
                Found::Subject => return Err(no_tag(tag)),
                Found::Other(other) => return Err(in_the_way(&other)),
            };
            let Some(next) = merge(current.as_deref(), &changes) else { return Ok(()) };
            if round == limits.referrers_rounds {
                break;
            }
            changes = keep(&self.replace_list(repo, tag, next).await?, &wanted);
            sleep(settling(limits, started.elapsed(), roll())).await;
        }
        Err(Error::new(ErrorKind::Conflict, format!("others wrote over it {} times", limits.referrers_rounds))
            .with_hint("try again when fewer clients attach to the same subject"))
    }

    /// Writes a list; gives what was written, without what is not there any more where a registry insists on that.
    async fn replace_list(&self, repo: &RepositoryName, tag: &Tag, next: Index) -> Result<Index> {
        if next.manifests.is_empty() {
            self.clear_list(repo, tag).await?;
            return Ok(next);
        }
        match self.put_manifest_at(repo, &next.to_raw(), tag.clone().into(), Vec::new()).await {
            Ok(_) => Ok(next),
            Err(error) if names_what_is_gone(&error) => {
                let Some(rest) = self.without_gone(repo, &next).await? else { return Err(error) };
                self.put_manifest_at(repo, &rest.to_raw(), tag.clone().into(), Vec::new()).await?;
                Ok(rest)
            }
            Err(error) => Err(error),
        }
    }

    /// Leaves an index of nothing, and deletes that if the registry deletes by digest: whoever puts a list there meanwhile
    /// keeps it, for theirs is another digest.
    async fn clear_list(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        let empty = tombstone();
        self.put_manifest_at(repo, &empty, tag.clone().into(), Vec::new()).await?;
        if let Err(error) = self.delete_by_digest(repo, empty.digest()).await {
            tracing::debug!(%tag, %error, "an empty list of referrers stays");
        }
        Ok(())
    }

    /// The list without what was deleted by clients that know of no lists; `None` if all is there.
    async fn without_gone(&self, repo: &RepositoryName, index: &Index) -> Result<Option<Index>> {
        let mut rest = index.clone();
        rest.manifests.clear();
        for listed in &index.manifests {
            match self.resolve_manifest(repo, &listed.digest.clone().into()).await {
                Ok(_) => rest.manifests.push(listed.clone()),
                Err(error) if is_about_content(error.kind()) => {
                    tracing::warn!(digest = %listed.digest, %error, "taken off the list of referrers: it is not there");
                }
                Err(error) => return Err(error),
            }
        }
        Ok((rest.manifests.len() < index.manifests.len()).then_some(rest))
    }
}

/// How long a list has to stay as it was written: longer than anybody takes from reading to writing, as far as our own
/// time for that tells; and not for all the same.
fn settling(limits: &Limits, took: Duration, roll: u64) -> Duration {
    let least = limits.referrers_settle.max(took.saturating_mul(4));
    let spread = u64::try_from(limits.referrers_settle.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    least + Duration::from_millis(roll % spread)
}

/// Whether a registry refuses an index because something that it names is not there.
fn names_what_is_gone(error: &Error) -> bool {
    error.codes().iter().any(|code| matches!(code, ErrorCode::ManifestBlobUnknown | ErrorCode::ManifestUnknown))
}

fn no_tag(tag: &Tag) -> Error {
    let what = format!("the registry takes {tag} for the subject itself, and keeps no list under it");
    Error::new(ErrorKind::Unsupported, what)
}

fn in_the_way(other: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{other} stands under the tag, which is no index; it is left as it is"))
        .with_hint("move that to another tag, or delete the tag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_settles_for_longer_than_it_took_to_write() {
        let limits = Limits::default();
        let millis = Duration::from_millis;
        for (took, roll, expected) in [(0, 0, 200), (50, 0, 200), (51, 0, 204), (1_000, 0, 4_000), (0, 200, 400)] {
            assert_eq!(settling(&limits, millis(took), roll), millis(expected), "{took} {roll}");
        }
        assert!(settling(&limits, millis(1_000), u64::MAX) <= millis(4_200));
    }
}
