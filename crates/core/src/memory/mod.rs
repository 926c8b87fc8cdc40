//! A registry in memory: the reference backend, and what tests and `serve` without a directory run on.
//!
//! This file decides how the state is shared: one mutex around a map of repositories. Its guard is not `Send`, so none of
//! the futures here could hold it over an await. What a repository is made of is `repository.rs`; what each workflow
//! promises is in the file of that workflow.

mod discover;
mod manage;
mod pull;
mod push;
mod repository;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantri_spec::RepositoryName;

use self::repository::Repository;
use self::upload::Slot;
use crate::{Error, ErrorKind, MissingChildren, Result};

/// A registry that lives and dies with the process.
///
/// A value is a handle: clones are cheap and see the same content. Everything put is verified before it can be seen,
/// writes are atomic, and readers keep what they opened even when it is deleted meanwhile.
///
/// ```
/// use gantri_core::spec::{ByteRange, Descriptor, MediaType, RepositoryName};
/// use gantri_core::{BlobBody, Memory, Pull, Push};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let registry = Memory::new();
/// let repo: RepositoryName = "team/app".parse()?;
/// let blob = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
///
/// registry.put_blob(&repo, &blob, BlobBody::bytes("hello")).await?;
///
/// let reader = registry.blob(&repo, &blob.digest, ByteRange::Full).await?;
/// assert_eq!(reader.bytes(1024).await?, "hello");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    missing_children: MissingChildren,
}

/// Everything the registry holds.
#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<RepositoryName, Repository>,
    uploads: HashMap<String, Slot>,
    /// Uploads ever started: the next id. Ids are never used twice.
    started: u64,
}

impl Memory {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same registry; what is put through this handle, and through clones of it, may name what is not there or not.
    #[must_use]
    pub fn with_missing_children(mut self, policy: MissingChildren) -> Self {
        self.missing_children = policy;
        self
    }

    /// Looks at one repository; `RepositoryUnknown` if nothing was ever put there.
    fn look<T>(&self, repo: &RepositoryName, look: impl FnOnce(&Repository) -> Result<T>) -> Result<T> {
        let state = self.lock();
        let repository = state.repositories.get(repo).ok_or_else(|| unknown_repository(repo))?;
        look(repository)
    }

    /// Changes one repository that must be there already.
    fn change<T>(&self, repo: &RepositoryName, change: impl FnOnce(&mut Repository) -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        let repository = state.repositories.get_mut(repo).ok_or_else(|| unknown_repository(repo))?;
        change(repository)
    }

    /// The state, also after some thread panicked with the lock in hand: every change is made by one call that either
    /// ran or did not, so there is no half-made one to fear.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The repository of that name, made now if it is new.
    fn repository(&mut self, repo: &RepositoryName) -> &mut Repository {
        self.repositories.entry(repo.clone()).or_default()
    }
}

fn unknown_repository(repo: &RepositoryName) -> Error {
    Error::new(ErrorKind::RepositoryUnknown, format!("{repo}: repository unknown"))
}
