//! Taking away from what a registry holds, with the answers that real registries give: 200, 202 and 204 all say that it is
//! gone, 405 and some 400s that nothing can be deleted. How a tag is taken away where only digests can be deleted is
//! `untag.rs`; how a list of referrers is kept right is `referrers`.

use async_trait::async_trait;
use gantri_core::{Error, ErrorKind, Manage, Result};
use gantri_spec::wire::Endpoint;
use gantri_spec::{Digest, RepositoryName, Selector, Tag};
use http::StatusCode;

use crate::habits::Shown;
use crate::remote::Remote;

/// # Errors
/// Beside those of the trait: `Unsupported` if the registry deletes nothing, with a hint where that is switched on.
#[async_trait]
impl Manage for Remote {
    /// One `DELETE` by name, as the spec has it. distribution before version 3 deletes digests only: there a manifest of
    /// nothing, like no other, is put under the tag and then deleted by its digest, which takes the tag along and
    /// nothing else. That needs the right to push as well. It is tried on a manifest without a tag first, so the tag is
    /// not touched unless it can be done; a manifest is never deleted by digest for the sake of one tag.
    ///
    /// Whoever reads the tag in between sees that index of nothing.
    ///
    /// *Not every registry keeps to the spec.* Some delete, by the name of one tag, the manifest with all its tags; which
    /// they are can't be known beforehand.
    ///
    /// # Errors
    /// `Unsupported` if the registry deletes neither tags nor manifests. If it fails half-way the tag points where it did,
    /// or the error says that it does not.
    ///
    /// # Cancel safety
    /// Where tags are deleted by name, atomic. Elsewhere the tag may be left pointing at an index of nothing; deleting it
    /// again removes it.
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        if self.habits().deletes_by_tag.shown() == Shown::No {
            return self.untag(repo, tag).await;
        }
        match self.delete_manifest_at(repo, tag.clone().into()).await {
            Ok(()) => {
                self.habits().deletes_by_tag.shows(Shown::Yes);
                Ok(())
            }
            // Where tags were deleted before, this is about something else.
            Err(error) if wants_a_digest(&error) && self.habits().deletes_by_tag.shown() != Shown::Yes => {
                self.untag(repo, tag).await.map_err(|untagging| explain(untagging, error))?;
                self.habits().deletes_by_tag.shows(Shown::No);
                Ok(())
            }
            Err(error) => Err(advise(error)),
        }
    }

    /// One `DELETE`; on a registry that lists no referrers the manifest is read first, and if it has a subject it is taken
    /// off the list that is kept for that one.
    ///
    /// # Cancel safety
    /// Atomic, but for a referrer on a registry that does not list them: it may be off the list and still there.
    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let Some((subject, listed)) = self.listed_under_tag(repo, digest).await? else {
            return self.delete_by_digest(repo, digest).await;
        };
        // Names before content: GCR and its kin delete no manifest that an index names.
        self.unlist(repo, &subject, digest).await?;
        let Err(error) = self.delete_by_digest(repo, digest).await else { return Ok(()) };
        if error.kind() == ErrorKind::ManifestUnknown {
            return Err(error);
        }
        match self.enlist(repo, &subject, listed).await {
            Ok(()) => Err(error),
            Err(worse) => Err(error.during(format_args!("it is no longer listed for its subject {subject}: {worse}"))),
        }
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let what = format!("delete {}", self.blob_name(repo, digest));
        let endpoint = Endpoint::DeleteBlob { repo: repo.clone(), digest: digest.clone() };
        self.delete(&endpoint, what, ErrorKind::BlobUnknown).await.map_err(advise)
    }
}

impl Remote {
    pub(crate) async fn delete_by_digest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let deleted = self.delete_manifest_at(repo, digest.clone().into()).await.map_err(advise);
        if deleted.is_ok() {
            self.habits().deletes_by_digest.shows(Shown::Yes);
        }
        deleted
    }

    async fn delete_manifest_at(&self, repo: &RepositoryName, at: Selector) -> Result<()> {
        let what = format!("delete {}", self.manifest_name(repo, &at));
        self.delete(&Endpoint::DeleteManifest { repo: repo.clone(), at }, what, ErrorKind::ManifestUnknown).await
    }

    async fn delete(&self, endpoint: &Endpoint, what: String, absent: ErrorKind) -> Result<()> {
        let mut request = self.request(endpoint, what).absent(absent);
        match self.transport().send(&mut request).await {
            // An answer was lost, and now there is nothing: that was us (H18).
            Err(error) if error.kind() == absent && request.may_have_been_done() => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// Whether a tag can't be deleted by its name: distribution before version 3 answers 400 `DIGEST_INVALID`, or 405.
fn wants_a_digest(error: &Error) -> bool {
    let status = error.status().map(|status| status.as_u16());
    error.kind() == ErrorKind::Unsupported || matches!(status, Some(400 | 405 | 501))
}

/// Says of a refusal what can be done about it.
fn advise(error: Error) -> Error {
    let unsupported = error.kind() == ErrorKind::Unsupported
        || matches!(error.status(), Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED));
    if !unsupported {
        return error;
    }
    let mut told = Error::new(ErrorKind::Unsupported, error.to_string()).with_hint(
        "the registry deletes nothing this way: allow it there (distribution: REGISTRY_STORAGE_DELETE_ENABLED=true), or \
         delete with the registry's own tools",
    );
    if let Some(status) = error.status() {
        told = told.with_status(status);
    }
    told.with_source(error)
}

/// Why a tag could not be taken away, and what was answered to its name.
fn explain(untagging: Error, by_name: Error) -> Error {
    if untagging.kind() == ErrorKind::Unsupported {
        return Error::new(ErrorKind::Unsupported, untagging.to_string())
            .with_hint(
                "the registry removes no single tag; deleting the manifest by its digest, where that is allowed, removes it \
                 with all its tags",
            )
            .with_source(by_name);
    }
    untagging
}
