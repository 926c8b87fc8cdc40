//! Adding to a registry: blobs by `POST` and one streamed `PUT`, mounts, uploads in steps, manifests with their tags.

use async_trait::async_trait;
use gantri_core::{BlobBody, BlobUpload, ErrorKind, Mount, Pull, Push, PutManifest, Result, Retry, UploadSession};
use gantri_spec::wire::{Endpoint, Scope};
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{Method, StatusCode};
use tokio::time::sleep;

use crate::http::policy::Admitted;
use crate::manifest::{DIGEST_HEADER, agree};
use crate::remote::{Remote, header};
use crate::transport::{Replay, Request, Response, backoff, roll};
use crate::upload::{RemoteUpload, with_digest};

const SUBJECT_HEADER: HeaderName = HeaderName::from_static("oci-subject");
const TAG_HEADER: HeaderName = HeaderName::from_static("oci-tag");

#[async_trait]
impl Push for Remote {
    /// Two requests. If the answer to the second is lost, the registry is asked whether it has the blob before anything is
    /// sent again (H18).
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        let what = format!("push {}", self.blob_name(repo, &blob.digest));
        let algorithm = blob.digest.algorithm();
        let start = self.start(repo, algorithm, &what).await?;
        let mut put = Request::to(Method::PUT, with_digest(&start, &blob.digest), Scope::push(repo), &what)
            .absent(ErrorKind::UploadUnknown)
            .blob(blob, body)
            .replay(Replay::Never);
        let mut tries = 1;
        loop {
            let error = match self.transport().send(&mut put).await {
                Ok(response) => return confirm(&response, &blob.digest).map_err(|error| error.during(&what)),
                Err(error) => error,
            };
            if error.retry() == Retry::Never {
                return Err(error);
            }
            if self.resolve_blob(repo, &blob.digest).await.is_ok() {
                return Ok(());
            }
            if !put.body_can_be_sent_again() || tries >= self.limits().request_tries {
                return Err(error);
            }
            sleep(backoff(tries, roll())).await;
            tries += 1;
            let start = self.start(repo, algorithm, &what).await?;
            put.aim(with_digest(&start, &blob.digest));
        }
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        let what = format!("mount {}", self.blob_name(repo, digest));
        let endpoint = Endpoint::MountBlob { repo: repo.clone(), digest: digest.clone(), from: from.cloned() };
        let mut request = self.request(&endpoint, &what).absent(ErrorKind::BlobUnknown).replay(Replay::Safe);
        match self.transport().send(&mut request).await {
            Ok(response) if response.head.status == StatusCode::CREATED => Ok(Mount::Mounted),
            Ok(response) if response.text(&LOCATION).is_some() => {
                let at = self.location(&response).map_err(|error| error.during(&what))?;
                let upload = RemoteUpload::new(self.clone(), repo.clone(), at, digest.algorithm());
                Ok(Mount::Started(Box::new(upload)))
            }
            Ok(_) => Ok(Mount::Unavailable),
            // Whoever may not mount may still upload (A11).
            Err(error) if may_still_upload(error.kind()) => Ok(Mount::Unavailable),
            Err(error) => Err(error),
        }
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        let what = format!("upload to {}", self.repository_name(repo));
        let at = self.start(repo, algorithm, &what).await?;
        Ok(Box::new(RemoteUpload::new(self.clone(), repo.clone(), at, algorithm)))
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        Ok(Box::new(RemoteUpload::resume(self.clone(), repo.clone(), session).await?))
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
    /// Opens an upload session (end-4a, end-4c).
    async fn start(&self, repo: &RepositoryName, algorithm: Algorithm, what: &str) -> Result<Admitted> {
        let algorithm = Some(algorithm).filter(|algorithm| *algorithm != Algorithm::Sha256);
        let endpoint = Endpoint::StartUpload { repo: repo.clone(), algorithm };
        // A session that nobody uses costs nobody anything.
        let mut request = self.request(&endpoint, what).replay(Replay::Safe);
        let response = self.transport().send(&mut request).await?;
        self.location(&response).map_err(|error| error.during(what))
    }

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

fn may_still_upload(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unauthorized
            | ErrorKind::Denied
            | ErrorKind::BlobUnknown
            | ErrorKind::RepositoryUnknown
            | ErrorKind::Unsupported
    )
}
