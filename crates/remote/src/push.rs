//! Adding to a registry: blobs, which are `upload`'s business, and manifests with their tags.

use async_trait::async_trait;
use gantri_core::{BlobBody, BlobUpload, Mount, Push, PutManifest, Result, UploadSession};
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};

use crate::remote::Remote;
use crate::upload::{self, RemoteUpload};

#[async_trait]
impl Push for Remote {
    /// Asks first; what is there is not sent. Breaks are mended as far as the body can be read again, and a session that
    /// is given up is cancelled.
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        upload::put(self, repo, blob, body).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        upload::mount(self, repo, digest, from).await
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        Ok(Box::new(RemoteUpload::start(self, repo, algorithm).await?))
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        Ok(Box::new(RemoteUpload::resume(self, repo, &session).await?))
    }

    /// One request if there is at most one tag, or the registry takes all of them at once (end-7b; up to ten with each
    /// request); else one for each tag. A manifest with a subject, on a registry that is not known to list referrers, is put
    /// before its tags, and onto the list that is kept under the tag of its subject: three requests more, and a short wait
    /// to see whether somebody else wrote the list too.
    ///
    /// # Errors
    /// Beside those of the trait: `LimitExceeded` if it is too large for the registry; `DigestMismatch` if the registry
    /// says that it stored something else; `Conflict` if what is to hold the list of referrers holds something else, or
    /// others keep writing over it: the manifest is there then, and the error says so.
    ///
    /// # Cancel safety
    /// As the trait's; a referrer that is there may not be listed yet, which putting it again mends.
    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        self.push_manifest(repo, manifest, tags).await
    }
}
