//! Taking away from what a registry holds.

use async_trait::async_trait;
use gantri_core::{ErrorKind, Manage, Result};
use gantri_spec::wire::Endpoint;
use gantri_spec::{Digest, RepositoryName, Selector, Tag};

use crate::remote::Remote;

#[async_trait]
impl Manage for Remote {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        self.delete_manifest_at(repo, tag.clone().into()).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.delete_manifest_at(repo, digest.clone().into()).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let what = format!("delete {}", self.blob_name(repo, digest));
        let endpoint = Endpoint::DeleteBlob { repo: repo.clone(), digest: digest.clone() };
        self.delete(&endpoint, what, ErrorKind::BlobUnknown).await
    }
}

impl Remote {
    async fn delete_manifest_at(&self, repo: &RepositoryName, at: Selector) -> Result<()> {
        let what = format!("delete {}", self.manifest_name(repo, &at));
        self.delete(&Endpoint::DeleteManifest { repo: repo.clone(), at }, what, ErrorKind::ManifestUnknown).await
    }

    /// 200, 202 and 204 all say that it is gone.
    async fn delete(&self, endpoint: &Endpoint, what: String, absent: ErrorKind) -> Result<()> {
        let mut request = self.request(endpoint, what).absent(absent);
        self.transport().send(&mut request).await.map(drop)
    }
}
