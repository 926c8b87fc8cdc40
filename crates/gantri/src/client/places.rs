//! Locations, opened: where a job reads, and where it writes.

use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Registry, Result};
use gantri_spec::{RepositoryName, Selector};
use gantri_store::{Draft, Layout};

use super::Client;
use crate::location::Location;

/// A location to read from.
pub(super) struct Opened {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) repository: RepositoryName,
    pub(super) selector: Selector,
}

/// A location to write to. What is new there becomes visible with [`publish`](Self::publish).
pub(super) struct Target {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) repository: RepositoryName,
    draft: Option<Draft>,
}

impl Client {
    pub(super) async fn open(&self, location: &Location) -> Result<Opened> {
        let selector = location.selector();
        match location {
            Location::Registry(reference) => Ok(Opened {
                registry: self.registries.at(reference.host())?,
                repository: reference.repository().clone(),
                selector,
            }),
            Location::Layout(path) => {
                let registry = Arc::new(Layout::open(path.dir()).await?);
                Ok(Opened { registry, repository: layout_repository()?, selector })
            }
        }
    }

    /// A layout is made if it is not there.
    pub(super) async fn target(&self, location: &Location) -> Result<Target> {
        match location {
            Location::Registry(reference) => Ok(Target {
                registry: self.registries.at(reference.host())?,
                repository: reference.repository().clone(),
                draft: None,
            }),
            Location::Layout(path) => {
                let draft = Layout::draft(path.dir()).await?;
                let registry = Arc::new(draft.layout().clone());
                Ok(Target { registry, repository: layout_repository()?, draft: Some(draft) })
            }
        }
    }
}

impl Target {
    /// Makes what was written visible, if it is not yet.
    pub(super) async fn publish(self) -> Result<()> {
        match self.draft {
            Some(draft) => draft.publish().await,
            None => Ok(()),
        }
    }
}

/// A single layout is a registry of one repository, whose name nobody sees.
pub(super) fn layout_repository() -> Result<RepositoryName> {
    "layout".parse().map_err(|error| Error::new(ErrorKind::NameInvalid, "the layout's repository").with_source(error))
}
