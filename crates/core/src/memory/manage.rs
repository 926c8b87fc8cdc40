//! Taking away from memory. What is absent is an error of its kind; readers that are open keep their bytes (R8).

use async_trait::async_trait;
use gantri_spec::{Digest, RepositoryName, Selector, Tag};

use super::Memory;
use super::pull::{unknown_blob, unknown_manifest};
use crate::{Manage, Result};

#[async_trait]
impl Manage for Memory {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        let unknown = || unknown_manifest(repo, &Selector::Tag(tag.clone()));
        self.change(repo, |repository| repository.delete_tag(tag).then_some(()).ok_or_else(unknown))
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let unknown = || unknown_manifest(repo, &Selector::Digest(digest.clone()));
        self.change(repo, |repository| repository.delete_manifest(digest).then_some(()).ok_or_else(unknown))
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let unknown = || unknown_blob(repo, digest);
        self.change(repo, |repository| repository.delete_blob(digest).then_some(()).ok_or_else(unknown))
    }
}
