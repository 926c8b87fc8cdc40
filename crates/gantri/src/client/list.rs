//! Finding out what there is: repositories, tags, referrers.

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use gantri_core::Result;
use gantri_spec::{Descriptor, Digest, Host, MediaType, RepositoryName, Tag};

use super::Client;
use super::places::Opened;
use crate::location::Location;

impl Client {
    /// The repositories of a registry, where it has a catalog.
    ///
    /// # Errors
    /// Those of [`Discover::repositories`](gantri_core::Discover::repositories), as the stream's last item.
    ///
    /// # Cancel safety
    /// Only reads.
    pub fn repositories(&self, host: &Host) -> Result<BoxStream<'static, Result<RepositoryName>>> {
        let doing = format!("repositories of {host}");
        let repositories = self.registries.at(host).map_err(|error| error.during(&doing))?.repositories(None);
        Ok(during(repositories, doing))
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// Those of [`Discover::tags`](gantri_core::Discover::tags), as the stream's last item.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn tags(&self, source: &Location) -> Result<BoxStream<'static, Result<Tag>>> {
        let doing = format!("tags of {source}");
        let Opened { place, .. } = self.open(source).await.map_err(|error| error.during(&doing))?;
        Ok(during(place.registry.tags(&place.repo, None), doing))
    }

    /// The manifests of the location's repository that name `subject` as theirs, of one artifact type or of all. The subject
    /// need not be there.
    ///
    /// # Errors
    /// Those of [`Discover::referrers`](gantri_core::Discover::referrers), as the stream's last item.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn referrers(
        &self,
        source: &Location,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> Result<BoxStream<'static, Result<Descriptor>>> {
        let doing = format!("referrers of {}", source.at_digest(subject.clone()));
        let Opened { place, .. } = self.open(source).await.map_err(|error| error.during(&doing))?;
        Ok(during(place.registry.referrers(&place.repo, subject, artifact_type), doing))
    }
}

fn during<T: 'static>(listing: BoxStream<'static, Result<T>>, doing: String) -> BoxStream<'static, Result<T>> {
    listing.map_err(move |error| error.during(&doing)).boxed()
}
