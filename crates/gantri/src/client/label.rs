//! What is said of an image that is there: more tags, and artifacts that refer to it; and an artifact's files, back.

use std::path::Path;
use std::sync::Arc;

use gantri_core::{Error, Result};
use gantri_image::{Artifact, PullOptions, UnpackedArtifact, attach, tag, unpack_artifact};
use gantri_spec::{Descriptor, Tag};

use super::Client;
use super::places::Opened;
use crate::location::Location;

impl Client {
    /// Moves tags of the location's repository to the manifest that it names; says which one that is.
    ///
    /// # Errors
    /// `Conflict` for a tag that never moves; those of [`tag`](gantri_image::tag()).
    ///
    /// # Cancel safety
    /// Atomic for each tag.
    pub async fn tag(&self, source: &Location, tags: &[Tag]) -> Result<Descriptor> {
        let tagged = async {
            let Opened { place, selector, .. } = self.open_to_change(source).await?;
            tag(&place, &selector, tags).await
        };
        tagged.await.map_err(|error: Error| error.during(format_args!("tag {source}")))
    }

    /// Packs files as an artifact that refers to the manifest that the location names, and puts it beside it; says what it
    /// is.
    ///
    /// # Errors
    /// Those of [`attach`](gantri_image::attach()).
    ///
    /// # Cancel safety
    /// Blobs that were sent stay; the artifact is there with all its content, or not at all.
    pub async fn attach(&self, subject: &Location, artifact: Artifact) -> Result<Descriptor> {
        let attached = async {
            let Opened { place, selector, .. } = self.open_to_change(subject).await?;
            attach(&place, &selector, artifact, &self.push_options()).await
        };
        attached.await.map_err(|error: Error| error.during(format_args!("attach to {subject}")))
    }

    /// Fetches an artifact and writes its files into `dir`, which must not exist or be empty.
    ///
    /// # Errors
    /// Those of [`unpack_artifact`].
    ///
    /// # Cancel safety
    /// Atomic: `dir` appears complete, or not at all.
    pub async fn fetch(&self, source: &Location, dir: &Path) -> Result<UnpackedArtifact> {
        let fetched = async {
            let Opened { place, selector, .. } = self.open(source).await?;
            let mut options = PullOptions::default();
            options.limits = self.limits.clone();
            options.observer = Arc::clone(&self.observer);
            unpack_artifact(&place, &selector, dir, &options).await
        };
        fetched.await.map_err(|error: Error| error.during(format_args!("fetch {source}")))
    }
}
