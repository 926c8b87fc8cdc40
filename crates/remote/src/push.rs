//! Adding to a registry: blobs, which are `upload`'s business, and manifests with their tags.

use async_trait::async_trait;
use gantri_core::{BlobBody, BlobUpload, Mount, Push, PutManifest, Result, UploadSession};
use gantri_spec::wire::Endpoint;
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};
use http::header::{CONTENT_TYPE, HeaderName};

use crate::manifest::{DIGEST_HEADER, agree};
use crate::remote::{Remote, header};
use crate::transport::Response;
use crate::upload::{self, RemoteUpload};

const SUBJECT_HEADER: HeaderName = HeaderName::from_static("oci-subject");
const TAG_HEADER: HeaderName = HeaderName::from_static("oci-tag");

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

    /// One request if there is at most one tag, or the registry takes all of them at once (end-7b); else one more for each
    /// tag that it did not confirm.
    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        let (at, at_once) = match tags {
            [only] if manifest.digest().algorithm() == Algorithm::Sha256 => (only.clone().into(), Vec::new()),
            tags => (manifest.digest().clone().into(), tags.to_vec()),
        };
        let response = self.put_manifest_at(repo, manifest, at, at_once).await?;
        let subject = response.text(&SUBJECT_HEADER).and_then(|subject| subject.parse().ok());
        if let [_, _, ..] = tags {
            let taken: Vec<Tag> = taken_tags(&response);
            for tag in tags.iter().filter(|tag| !taken.contains(tag)) {
                self.put_manifest_at(repo, manifest, tag.clone().into(), Vec::new()).await?;
            }
        }
        Ok(PutManifest::new(tags.to_vec(), subject))
    }
}

impl Remote {
    async fn put_manifest_at(
        &self,
        repo: &RepositoryName,
        manifest: &RawManifest,
        at: Selector,
        tags: Vec<Tag>,
    ) -> Result<Response> {
        let what = format!("push {}", self.manifest_name(repo, &at));
        let endpoint = Endpoint::PutManifest { repo: repo.clone(), at, tags };
        let mut request = self
            .request(&endpoint, &what)
            .header(CONTENT_TYPE, header(manifest.media_type().as_str())?)
            .bytes(manifest.bytes().clone());
        let response = self.transport().send(&mut request).await?;
        confirm(&response, manifest.digest()).map_err(|error| error.during(&what))?;
        Ok(response)
    }
}

/// Refuses an answer that names something else than what was sent (H19).
fn confirm(response: &Response, sent: &Digest) -> Result<()> {
    match response.text(&DIGEST_HEADER).and_then(|text| text.parse().ok()) {
        Some(named) => agree(sent, &named),
        None => Ok(()),
    }
}

fn taken_tags(response: &Response) -> Vec<Tag> {
    let values = response.head.headers.get_all(TAG_HEADER).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|tag| tag.trim().parse().ok()).collect()
}
