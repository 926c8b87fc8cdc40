//! One request, one answer: what was asked is read once, then one `match` hands it to its handler.
//!
//! What a request line means is decided in `gantri-spec`; what is answered, in the handlers. This file decides what all
//! requests have in common: the span they run in, and that there is always an answer.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gantri_core::{Registry, Result};
use gantri_spec::wire::Endpoint;
use http::request::Parts;
use http::{Method, Request, Version, header};
use hyper::body::Body;
use tower_service::Service;
use tracing::Instrument;

use crate::access;
use crate::body::RequestBody;
use crate::options::ServerOptions;
use crate::quirks::{Quirk, Quirks};
use crate::respond::{self, Response, ResponseBody};
use crate::uploads::Uploads;
use crate::{discover, manage, pull, push};

/// Any registry as a [`tower_service::Service`] of HTTP requests; clones are handles on the same one.
///
/// It expects the whole path, `/v2/` included, needs a tokio runtime with time enabled, and never fails: whatever goes
/// wrong is a response.
///
/// # Cancel safety
/// A request whose future is dropped leaves nothing half done: an upload in steps stands at what was acknowledged, all
/// else happened or did not.
#[derive(Clone)]
pub struct RegistryService(Arc<Served>);

/// What the handlers work on.
pub(crate) struct Served {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) options: ServerOptions,
    pub(crate) uploads: Uploads,
    quirks: Quirks,
}

impl RegistryService {
    /// A service over this registry.
    pub fn new(registry: Arc<dyn Registry>, mut options: ServerOptions) -> Self {
        let (uploads, quirks) = (Uploads::new(&options), Quirks::new(&options.quirks));
        if quirks.has(Quirk::TokenDance) {
            options.access = access::token_dance(options.access);
        }
        Self(Arc::new(Served { registry, options, uploads, quirks }))
    }

    /// Forgets uploads that have rested for too long (R3). Every request about uploads does so first; a service that is
    /// mounted elsewhere than in a [`Server`](crate::Server) may want to call this now and then, for times of no requests.
    pub async fn reap(&self) {
        self.0.uploads.reap().await;
    }

    async fn answer(self, head: Parts, body: RequestBody) -> Response {
        let begun = Instant::now();
        let storage = self.0.quirks.storage(head.uri.path());
        let endpoint = Endpoint::parse(&head.method, storage.unwrap_or(head.uri.path()), head.uri.query());
        let span = span(&head, endpoint.as_ref().ok());
        let answer = async {
            let mut response = match endpoint {
                Ok(endpoint) if storage.is_some() => self.0.handle(&endpoint, &head, &body).await,
                Ok(endpoint) => self.0.respond(endpoint, &head, &body).await,
                Err(_) if head.uri.path() == access::TOKEN_PATH => self.0.token(&head).await,
                Err(error) => respond::no_endpoint(&error),
            };
            let status = response.status();
            if head.version < Version::HTTP_2 && (status.is_client_error() || status.is_server_error()) {
                body.linger(head.headers.contains_key(header::EXPECT)).await;
            }
            if head.method == Method::HEAD {
                *response.body_mut() = ResponseBody::empty();
            }
            tracing::debug!(status = status.as_u16(), after = ?begun.elapsed(), "answered");
            response
        };
        answer.instrument(span).await
    }
}

impl Served {
    /// What is answered to a request of the spec: whether it may be asked comes before what there is to be said (R6).
    async fn respond(&self, asked: Endpoint, head: &Parts, body: &RequestBody) -> Response {
        let response = match self.quirks.before(asked.clone(), head, body.clone()) {
            Ok((endpoint, body)) => {
                match access::admit(&*self.options.access, self.url(), &head.headers, endpoint).await {
                    Ok(endpoint) => self.handle(&endpoint, head, &body).await,
                    Err(refusal) => refusal,
                }
            }
            Err(refusal) => *refusal,
        };
        self.quirks.after(&asked, head, body, response).await
    }

    async fn token(&self, head: &Parts) -> Response {
        access::token(&*self.options.access, self.url(), head).await
    }

    fn url(&self) -> &str {
        self.options.url.as_deref().unwrap_or_default()
    }

    async fn handle(&self, endpoint: &Endpoint, head: &Parts, body: &RequestBody) -> Response {
        let handled = self.try_handle(endpoint, head, body).await;
        handled.unwrap_or_else(|error| respond::failure_behind(&error))
    }

    async fn try_handle(&self, endpoint: &Endpoint, head: &Parts, body: &RequestBody) -> Result<Response> {
        let headers = &head.headers;
        match endpoint {
            Endpoint::Ping => pull::ping(),
            Endpoint::ResolveManifest { repo, at } => pull::resolve_manifest(self, repo, at).await,
            Endpoint::Manifest { repo, at } => pull::manifest(self, repo, at).await,
            Endpoint::ResolveBlob { repo, digest } => pull::resolve_blob(self, repo, digest).await,
            Endpoint::Blob { repo, digest } => pull::blob(self, repo, digest, headers).await,

            Endpoint::StartUpload { repo, algorithm } => push::start_upload(self, repo, *algorithm).await,
            Endpoint::PutBlobAtOnce { repo, digest } => push::put_blob_at_once(self, repo, digest, body).await,
            Endpoint::MountBlob { repo, digest, from } => push::mount_blob(self, repo, digest, from.as_ref()).await,
            Endpoint::UploadStatus { repo, id } => push::upload_status(self, repo, id).await,
            Endpoint::WriteUpload { repo, id } => push::write_upload(self, repo, id, headers, body).await,
            Endpoint::CommitUpload { repo, id, digest } => {
                push::commit_upload(self, repo, id, digest, headers, body).await
            }
            Endpoint::CancelUpload { repo, id } => push::cancel_upload(self, repo, id).await,
            Endpoint::PutManifest { repo, at, tags } => {
                push::put_manifest(self, repo, at, tags.clone(), headers, body).await
            }

            Endpoint::Tags { repo, page } => discover::tags(self, repo, page).await,
            Endpoint::Repositories { page } => discover::repositories(self, page).await,
            Endpoint::Referrers { repo, digest, artifact_type, page } => {
                discover::referrers(self, repo, digest, artifact_type.as_ref(), page).await
            }

            Endpoint::DeleteManifest { repo, at } => manage::delete_manifest(self, repo, at).await,
            Endpoint::DeleteBlob { repo, digest } => manage::delete_blob(self, repo, digest).await,
        }
    }
}

impl<B> Service<Request<B>> for RegistryService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = http::Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let body = RequestBody::new(body, self.0.options.body_idle);
        self.clone().answer(head, body).map(Ok).boxed()
    }
}

impl fmt::Debug for RegistryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryService").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}

/// One span a request. Never the query: a day will come when somebody puts a secret there.
fn span(head: &Parts, endpoint: Option<&Endpoint>) -> tracing::Span {
    let id = endpoint.map(Endpoint::id);
    let repository = endpoint.and_then(Endpoint::repository).map(tracing::field::display);
    tracing::info_span!("request", method = %head.method, path = head.uri.path(), endpoint = id, repository)
}
