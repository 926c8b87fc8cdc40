//! Handlers: content management. What is gone is gone with a 202; what was not there is a 404 by its kind.

use gantri_core::Result;
use gantri_spec::{Digest, RepositoryName, Selector};
use http::StatusCode;

use crate::respond::{Reply, Response};
use crate::service::Served;

/// end-9. By tag, the tag alone goes; by digest, the manifest and every tag that points at it.
pub(crate) async fn delete_manifest(served: &Served, repo: &RepositoryName, at: &Selector) -> Result<Response> {
    match at {
        Selector::Tag(tag) => served.registry.delete_tag(repo, tag).await?,
        Selector::Digest(digest) => served.registry.delete_manifest(repo, digest).await?,
    }
    Reply::new(StatusCode::ACCEPTED).empty()
}

/// end-10.
pub(crate) async fn delete_blob(served: &Served, repo: &RepositoryName, digest: &Digest) -> Result<Response> {
    served.registry.delete_blob(repo, digest).await?;
    Reply::new(StatusCode::ACCEPTED).empty()
}
