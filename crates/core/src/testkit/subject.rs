//! The registry that a test runs on, with whatever has to live as long as it.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Content;
use crate::{Push, Registry, Result};

/// A fresh registry for one test.
///
/// It reads as the registry itself. What has to stay alive meanwhile - a temporary directory, a server's task - is
/// handed over with [`holding`](Self::holding) and dropped after the test, the latest first, still inside its runtime.
pub struct Subject {
    registry: Arc<dyn Registry>,
    seed: Arc<dyn Push>,
    // After the registry, and the latest first: a server's task before its directory.
    guards: Vec<Box<dyn Any + Send>>,
}

impl Subject {
    /// This registry.
    pub fn new(registry: impl Registry) -> Self {
        Self::shared(Arc::new(registry))
    }

    /// A registry that others hold too.
    pub fn shared(registry: Arc<dyn Registry>) -> Self {
        let seed: Arc<dyn Push> = registry.clone();
        Self { registry, seed, guards: Vec::new() }
    }

    /// Prepares content by another way in: for a registry that can't be written to, the one behind it.
    pub fn seeded_by(mut self, seed: impl Push) -> Self {
        self.seed = Arc::new(seed);
        self
    }

    /// Keeps `guard` until the test is over.
    pub fn holding(mut self, guard: impl Any + Send) -> Self {
        self.guards.insert(0, Box::new(guard));
        self
    }

    /// Puts the declared content there.
    ///
    /// # Errors
    /// Whatever the registry answers.
    pub async fn hold(&self, content: &Content) -> Result<()> {
        content.push_to(self.seed()).await
    }

    /// The way in that content is prepared by: the registry itself, if it was not told otherwise.
    pub fn seed(&self) -> &dyn Push {
        &*self.seed
    }

    /// Another handle on the registry, for a task of its own.
    pub fn share(&self) -> Arc<dyn Registry> {
        self.registry.clone()
    }
}

impl Deref for Subject {
    type Target = dyn Registry;

    fn deref(&self) -> &Self::Target {
        &*self.registry
    }
}

impl<R: Registry> From<R> for Subject {
    fn from(registry: R) -> Self {
        Self::new(registry)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("registry", &self.registry).finish_non_exhaustive()
    }
}
