//! A blob from another repository of the same registry, without sending it (end-11).
//!
//! Only here is more asked for than the push itself needs: to read the repository that it comes from (A11). A registry that
//! does not allow that is pushed to as ever, by the narrower scope.

use gantri_core::{ErrorKind, Mount, Result};
use gantri_spec::wire::Endpoint;
use gantri_spec::{Digest, RepositoryName};
use http::StatusCode;
use http::header::LOCATION;

use super::RemoteUpload;
use crate::manifest::confirm;
use crate::remote::Remote;
use crate::transport::Replay;

/// See [`Push::mount_blob`](gantri_core::Push::mount_blob).
pub(crate) async fn mount(
    remote: &Remote,
    repo: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<Mount> {
    let what = format!("mount {}", remote.blob_name(repo, digest));
    let endpoint = Endpoint::MountBlob { repo: repo.clone(), digest: digest.clone(), from: from.cloned() };
    let mut request = remote.request(&endpoint, &what).absent(ErrorKind::BlobUnknown).replay(Replay::Safe);
    match remote.transport().send(&mut request).await {
        Ok(response) if response.head.status == StatusCode::CREATED => {
            confirm(&response, digest).map_err(|error| error.during(&what))?;
            Ok(Mount::Mounted)
        }
        Ok(response) if response.text(&LOCATION).is_some() => {
            let upload = RemoteUpload::answered(remote, repo, digest.algorithm(), &response);
            Ok(Mount::Started(Box::new(upload.map_err(|error| error.during(&what))?)))
        }
        Ok(_) => Ok(Mount::Unavailable),
        Err(error) if may_still_upload(error.kind()) => Ok(Mount::Unavailable),
        Err(error) => Err(error),
    }
}

/// Whoever may not mount may still upload (A11).
fn may_still_upload(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unauthorized
            | ErrorKind::Denied
            | ErrorKind::BlobUnknown
            | ErrorKind::RepositoryUnknown
            | ErrorKind::Unsupported
            // A proxy's page for what it does not know.
            | ErrorKind::NotARegistry
    )
}
