//! A repository of some registry: where a job reads from, or writes to.

use std::fmt;
use std::sync::Arc;

use gantri_core::Registry;
use gantri_spec::RepositoryName;

/// A repository of a registry.
///
/// Two places are in the same registry, so that one can mount what the other has, if they hold the same `Arc`, or their
/// [`home`](Self::at_home_in) is the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Place {
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// The repository.
    pub repo: RepositoryName,
    name: Option<String>,
    /// `None` is the registry itself.
    home: Option<Arc<dyn Registry>>,
}

impl Place {
    /// This repository of this registry.
    pub fn new(registry: Arc<dyn Registry>, repo: RepositoryName) -> Self {
        Self { registry, repo, name: None, home: None }
    }

    /// What messages call it: a job knows no host and no directory. Default: the repository's name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What is read here belongs to a repository of the same name in that registry, which may be asked to mount it from
    /// there: so it is with mirrors before a registry, and the registry itself.
    pub fn at_home_in(self, home: Arc<dyn Registry>) -> Self {
        Self { home: Some(home), ..self }
    }

    /// Tells registries apart for as long as this place lives.
    pub(crate) fn registry_id(&self) -> RegistryId {
        RegistryId(Arc::as_ptr(&self.registry).cast::<()>().addr())
    }

    /// Whether the other one's registry may have what is read here in another of its repositories, to mount it from there.
    pub(crate) fn can_be_mounted_in(&self, other: &Self) -> bool {
        let home = self.home.as_ref().unwrap_or(&self.registry);
        Arc::ptr_eq(home, &other.registry) && self.repo != other.repo
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
