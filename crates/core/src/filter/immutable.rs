//! `Immutable`: what a tag names once, it names for good.
//!
//! This file decides what would break that promise: moving a tag, deleting it, and deleting what it leads to. The look and
//! the write that follows it are held together by one lock a repository, for a tag that comes between the two would be
//! lost. Which content a tag leads to is `reach.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures_util::lock;
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};

use super::reach;
use crate::{
    BlobBody, BlobUpload, Error, ErrorKind, Limits, Manage, Mount, Push, PutManifest, Registry, Result, UploadSession,
    forward,
};

/// A registry whose tags never move.
///
/// * A tag that is set stays: putting another digest under it is a `Conflict`, putting the same again succeeds. If one tag
///   of several stands against a put, none is set and the manifest is not stored.
/// * No tag is deleted: `Unsupported`, which a registry may answer (end-9).
/// * Manifests and blobs can be deleted as long as no tag leads to them, else it is a `Conflict`: a tag whose content is
///   gone has moved to nothing. A tag leads to its manifest, to the manifests of an index and to their configs and layers,
///   not to subjects and referrers. To find out, every tag of the repository is resolved and, if need be, its manifests
///   are read: dear where there are many, and bounded by [`Limits::graph_nodes`] and [`Limits::index_depth`].
///
/// # What can't be promised
/// The OCI API has no conditional put. Writers that go through *one value* of this type never move a tag; another process,
/// a second value over the same registry, or whoever writes to the registry behind may set a tag between our look and our
/// put, and the later one wins then. The same goes for a put whose future was dropped: a server far away may still carry
/// it out. Where that matters, the registry behind has to keep the promise itself.
#[derive(Debug)]
pub struct Immutable<R> {
    inner: R,
    limits: Limits,
    turns: Turns,
}

impl<R> Immutable<R> {
    /// The same content under tags that stay, within the usual bounds.
    pub fn new(inner: R) -> Self {
        Self::with_limits(inner, Limits::default())
    }

    /// The same, with bounds of one's own. Read are [`Limits::graph_nodes`] and [`Limits::index_depth`].
    pub fn with_limits(inner: R, limits: Limits) -> Self {
        Self { inner, limits, turns: Turns::default() }
    }
}

impl<R: Registry> Immutable<R> {
    /// `Conflict` if one of the tags is set to something else.
    async fn check_tags(&self, repo: &RepositoryName, digest: &Digest, tags: &[Tag]) -> Result<()> {
        for tag in tags {
            match self.inner.resolve_manifest(repo, &Selector::Tag(tag.clone())).await {
                Ok(set) if set.digest == *digest => {}
                Ok(set) => return Err(stands(repo, tag, &set.digest)),
                Err(error) if is_unset(error.kind()) => {}
                Err(error) => return Err(error.during(format_args!("look at tag {repo}:{tag} before it is put"))),
            }
        }
        Ok(())
    }

    /// `Conflict` if a tag leads to the content.
    async fn check_unreached(&self, repo: &RepositoryName, digest: &Digest, sought: reach::Sought) -> Result<()> {
        match reach::tag_over(&self.inner, repo, digest, sought, &self.limits).await? {
            Some(tag) => {
                let what = format!("delete {repo}@{digest}: tag {tag} leads to it, and tags here are immutable");
                Err(Error::new(ErrorKind::Conflict, what))
            }
            None => Ok(()),
        }
    }
}

forward!(Immutable<R>, inner: Pull, Discover);

#[async_trait]
impl<R: Registry> Push for Immutable<R> {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        self.inner.put_blob(repo, blob, body).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        self.inner.mount_blob(repo, digest, from).await
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.inner.start_upload(repo, algorithm).await
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.inner.resume_upload(repo, session).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        if tags.is_empty() {
            return self.inner.put_manifest(repo, manifest, tags).await;
        }
        let turn = self.turns.of(repo);
        let _held = turn.lock().await;
        self.check_tags(repo, manifest.digest(), tags).await?;
        self.inner.put_manifest(repo, manifest, tags).await
    }
}

#[async_trait]
impl<R: Registry> Manage for Immutable<R> {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, format!("delete tag {repo}:{tag}: tags here are immutable")))
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let turn = self.turns.of(repo);
        let _held = turn.lock().await;
        self.check_unreached(repo, digest, reach::Sought::Manifest).await?;
        self.inner.delete_manifest(repo, digest).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let turn = self.turns.of(repo);
        let _held = turn.lock().await;
        self.check_unreached(repo, digest, reach::Sought::Blob).await?;
        self.inner.delete_blob(repo, digest).await
    }
}

/// One lock for each repository that somebody is just changing. A lock for each tag would not do: a delete has to keep out
/// every tag that could come to lead to what it deletes.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<RepositoryName, Weak<lock::Mutex<()>>>>);

impl Turns {
    /// The lock of the repository; it is kept for as long as somebody holds it or waits for it.
    fn of(&self, repo: &RepositoryName) -> Arc<lock::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(repo).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(lock::Mutex::new(()));
        turns.insert(repo.clone(), Arc::downgrade(&turn));
        turn
    }
}

fn is_unset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown)
}

fn stands(repo: &RepositoryName, tag: &Tag, set: &Digest) -> Error {
    let what = format!("put tag {repo}:{tag}: it is set to {set}, and tags here are immutable");
    Error::new(ErrorKind::Conflict, what)
}
