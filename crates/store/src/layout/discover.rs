//! Listing what a layout holds: a snapshot taken when the listing is first polled.

use futures_util::TryFutureExt;
use futures_util::stream::BoxStream;
use gantri_core::{Discover, Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};

use super::{Layout, Shape, tree};
use crate::blocking::blocking;
use crate::{entries, reading};

impl Discover for Layout {
    fn repositories(&self, after: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let (layout, after) = (self.clone(), after.cloned());
        reading::listing(async move {
            match layout.0.shape {
                Shape::Tree => blocking(move || tree::list(&layout.0.root, &layout.0.limits, after.as_ref())).await,
                Shape::Single => {
                    let what = format!("list {}: an image layout has one repository", layout.0.root.path().display());
                    Err(Error::new(ErrorKind::Unsupported, what))
                }
            }
        })
    }

    fn tags(&self, repo: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let (layout, repo, after) = (self.clone(), repo.clone(), after.cloned());
        reading::listing(async move {
            let tags = layout.on(&repo, |here| Ok(entries::tags(&here.index()?))).await?;
            Ok(tags.into_iter().filter(|tag| after.as_ref().is_none_or(|after| tag > after)).collect())
        })
    }

    /// The subject need not exist, so neither need its repository: who asks gets an empty list, as end-12 wants it.
    fn referrers(
        &self,
        repo: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let (layout, repo) = (self.clone(), repo.clone());
        let (subject, artifact_type) = (subject.clone(), artifact_type.cloned());
        reading::listing(
            async move {
                layout
                    .on(&repo, move |here| here.held(&here.index()?).referrers(&subject, artifact_type.as_ref()))
                    .await
            }
            .or_else(|error| async move {
                if error.kind() == ErrorKind::RepositoryUnknown { Ok(Vec::new()) } else { Err(error) }
            }),
        )
    }
}
