//! A registry that may be spoken to with TLS or without, as `insecure = true` allows: which, is found out once.
//!
//! Https is tried first. Http is spoken only where https is not and http is, never where https was answered or kept silent,
//! and it never carries a secret off this machine (A12, A13). Where neither is there, nothing is learned: a name may have no
//! address for a moment, and a registry may be starting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};
use gantri_core::{BlobReader, Discover, ErrorKind, Pull, Result};
use gantri_remote::Remote;
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use tokio::sync::{Mutex, OnceCell};

use super::is_spoken;

/// Both ways to one registry.
#[derive(Clone, Debug)]
pub(crate) struct Either(Arc<Ways>);

#[derive(Debug)]
struct Ways {
    https: Way,
    http: Way,
    chosen: OnceCell<Remote>,
    /// Held while it is found out; how often that has failed.
    turn: Mutex<()>,
    failures: AtomicU64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) remote: Remote,
    /// The same with one try for each request.
    pub(super) probe: Remote,
}

impl Either {
    pub(super) fn new(https: Way, http: Way) -> Self {
        Self(Arc::new(Ways {
            https,
            http,
            chosen: OnceCell::new(),
            turn: Mutex::default(),
            failures: AtomicU64::default(),
        }))
    }

    /// The way that the registry is spoken to; https for this once where nobody answers.
    async fn chosen(&self) -> &Remote {
        let Ways { https, http, chosen, turn, failures } = &*self.0;
        let choose = || async {
            let error = match https.probe.ping().await {
                Err(error) if error.kind() == ErrorKind::Connect => error,
                _ => return Ok(https.remote.clone()),
            };
            match http.probe.ping().await {
                Err(answer) if !is_spoken(&answer) => return Err(()),
                _ => tracing::debug!(%error, "https is not spoken there, http is allowed and used"),
            }
            Ok(http.remote.clone())
        };
        if let Some(chosen) = chosen.get() {
            return chosen;
        }
        let before = failures.load(Ordering::Relaxed);
        let _turn = turn.lock().await;
        // Whoever waited for a probe that failed would only fail again.
        if failures.load(Ordering::Relaxed) != before {
            return &https.remote;
        }
        chosen.get_or_try_init(choose).await.unwrap_or_else(|()| {
            failures.fetch_add(1, Ordering::Relaxed);
            &https.remote
        })
    }

    fn listing<T: Send + 'static>(
        &self,
        list: impl FnOnce(&Remote) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let either = self.clone();
        futures_util::stream::once(async move { list(either.chosen().await) }).flatten().boxed()
    }
}

gantri_core::__table! { Push, __forward! { [] Either, this => this.chosen().await } }
gantri_core::__table! { Manage, __forward! { [] Either, this => this.chosen().await } }

#[async_trait]
impl Pull for Either {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.chosen().await.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.chosen().await.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.chosen().await.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        self.chosen().await.blob(repo, digest, range).await
    }

    fn guards_content(&self) -> bool {
        self.0.https.remote.guards_content()
    }
}

impl Discover for Either {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let after = after.cloned();
        self.listing(move |remote| remote.repositories(after.as_ref()))
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let (repo, after) = (repo.clone(), after.cloned());
        self.listing(move |remote| remote.tags(&repo, after.as_ref()))
    }

    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let (repo, subject, artifact_type) = (repo.clone(), subject.clone(), artifact_type.cloned());
        self.listing(move |remote| remote.referrers(&repo, &subject, artifact_type.as_ref()))
    }
}
