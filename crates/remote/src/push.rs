//! Adding to a registry: blobs by `POST` and one streamed `PUT`, mounts, uploads in steps, manifests with their tags.

use async_trait::async_trait;
use gantri_core::{BlobBody, BlobUpload, ErrorKind, Mount, Pull, Push, PutManifest, Result, Retry, UploadSession};
use gantri_spec::wire::{Endpoint, Scope};
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};
use http::header::LOCATION;
use http::{Method, StatusCode};
use tokio::time::sleep;

use crate::http::policy::Admitted;
use crate::manifest::confirm;
use crate::remote::Remote;
use crate::transport::{Replay, Request, backoff, roll};
use crate::upload::{RemoteUpload, with_digest};

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
