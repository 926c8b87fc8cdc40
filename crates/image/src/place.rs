//! A repository of some registry: where a job reads from, or writes to.

use std::fmt;
use std::sync::Arc;

use gantri_core::Registry;
use gantri_spec::RepositoryName;

/// A repository of a registry.
///
/// Two places are in the same registry, so that one can mount what the other has, if they hold the same `Arc`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Place {
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// The repository.
    pub repo: RepositoryName,
    name: Option<String>,
}

impl Place {
    /// This repository of this registry.
    pub fn new(registry: Arc<dyn Registry>, repo: RepositoryName) -> Self {
        Self { registry, repo, name: None }
    }

    /// What messages call it: a job knows no host and no directory. Default: the repository's name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Tells registries apart for as long as this place lives.
    pub(crate) fn registry_id(&self) -> RegistryId {
        RegistryId(Arc::as_ptr(&self.registry).cast::<()>().addr())
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.registry_id() == other.registry_id() && self.repo == other.repo
    }
}

/// Which registry, among those that a job holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RegistryId(usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => self.repo.fmt(f),
        }
    }
}
