//! Taking a tag away where only digests can be deleted, without taking anything else along.
//!
//! The tag is moved to a manifest that nobody else can have, and that one is deleted by its digest: whoever moves the tag
//! meanwhile keeps it. Before the tag is touched the same is done with a manifest without a tag, for a registry that puts
//! but does not delete would leave the tag pointing at nothing. regclient does it so too, without the rehearsal.

use gantri_core::{Error, ErrorKind, Pull, Result};
use gantri_spec::{Digest, Index, RawManifest, RepositoryName, Selector, Tag};

use crate::habits::Shown;
use crate::remote::Remote;
use crate::transport::roll;

/// What tells an index of nothing from all others.
const NONCE: &str = "dev.gantri.removed";

/// An index of nothing, unlike any other: deleting it by digest hurts nobody.
pub(crate) fn tombstone() -> RawManifest {
    let mut index = Index::new(Vec::new());
    index.annotations.insert(NONCE.to_owned(), format!("{:016x}{:016x}", roll(), roll()));
    index.to_raw()
}

/// The same index without what made it a tombstone.
pub(crate) fn without_mark(mut index: Index) -> Index {
    index.annotations.remove(NONCE);
    index
}

impl Remote {
    /// Removes a tag and nothing else, by digest.
    ///
    /// # Errors
    /// `ManifestUnknown` if there is no such tag; `Unsupported` if manifests can't be deleted either: then nothing has
    /// changed. If it fails later the tag is put back, or the error says that it was not.
    pub(crate) async fn untag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        let what = format!("delete {}", self.manifest_name(repo, &tag.clone().into()));
        let proven = self.habits().deletes_by_digest.shown() == Shown::Yes;
        if !proven {
            self.ask_for_deletes(repo).await.map_err(|error| error.during(&what))?;
        }
        let before = self.manifest(repo, &tag.clone().into()).await.map_err(|error| error.during(&what))?;
        if !proven {
            self.rehearse(repo).await.map_err(|error| error.during(&what))?;
        }
        let marker = tombstone();
        let moved = self.put_manifest_at(repo, &marker, tag.clone().into(), Vec::new()).await;
        let removed = match moved {
            Ok(_) => self.remove_marker(repo, tag, marker.digest()).await,
            // A tag that may neither be deleted nor moved is refused for what it is, not for who asks.
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Conflict) => {
                return Err(Error::new(ErrorKind::Unsupported, error.to_string()).with_source(error).during(what));
            }
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => Ok(()),
            Err(error) => Err(self.put_back(repo, tag, &before, marker.digest(), error).await.during(what)),
        }
    }

    /// Finds out whether manifests can be deleted by digest without changing anything: asked of one that is not there, a
    /// registry that deletes nothing says so.
    async fn ask_for_deletes(&self, repo: &RepositoryName) -> Result<()> {
        match self.delete_by_digest(repo, tombstone().digest()).await {
            // Some say that it is gone now. That proves nothing.
            Ok(()) => self.habits().deletes_by_digest.shows(Shown::Nothing),
            Err(error) if matches!(error.kind(), ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Puts a manifest that no tag points at, and deletes it.
    async fn rehearse(&self, repo: &RepositoryName) -> Result<()> {
        let marker = tombstone();
        self.put_manifest_at(repo, &marker, marker.digest().clone().into(), Vec::new()).await?;
        self.delete_by_digest(repo, marker.digest())
            .await
            .map_err(|error| error.during(format_args!("the tag is as it was, but {} was left there", marker.digest())))
    }

    /// Deletes the marker if the tag points at it, or if nothing does any more.
    async fn remove_marker(&self, repo: &RepositoryName, tag: &Tag, marker: &Digest) -> Result<()> {
        match self.resolve_manifest(repo, &tag.clone().into()).await {
            // Somebody moved the tag since: it is theirs now, and the marker is in nobody's way.
            Ok(now) if now.digest != *marker => {
                tracing::debug!(%tag, now = %now.digest, "moved by somebody else while it was being deleted");
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ManifestUnknown => {}
            Err(error) => return Err(error),
        }
        self.delete_by_digest(repo, marker).await
    }

    /// Points the tag again at what it pointed at, unless it points at something else already.
    async fn put_back(
        &self,
        repo: &RepositoryName,
        tag: &Tag,
        before: &RawManifest,
        marker: &Digest,
        error: Error,
    ) -> Error {
        let selector = Selector::Tag(tag.clone());
        match self.resolve_manifest(repo, &selector).await {
            Ok(now) if now.digest != *marker => return error,
            Err(gone) if matches!(gone.kind(), ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown) => {
                return error.during("the tag is gone, but not all went well");
            }
            _ => {}
        }
        match self.put_manifest_at(repo, before, selector, Vec::new()).await {
            Ok(_) => error,
            Err(worse) => {
                let left =
                    format!("the tag now points at {marker}, an index of nothing, and not at {}", before.digest());
                error.during(format_args!("{left}: it could not be put back ({worse})"))
            }
        }
    }
}
