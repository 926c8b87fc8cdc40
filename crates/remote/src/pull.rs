//! Reading from a registry: one request for each manifest and each blob when nothing is wrong.

use async_trait::async_trait;
use gantri_core::error::display_untrusted;
use gantri_core::{BlobReader, Error, ErrorKind, Pull, Result};
use gantri_spec::wire::{ContentRange, Endpoint};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_RANGE};

use crate::download::Download;
use crate::manifest::{self, DIGEST_HEADER};
use crate::remote::Remote;
use crate::transport::{Attempt, Bound, Request, Response};

#[async_trait]
impl Pull for Remote {
    /// One HEAD; a GET as well if the registry can't answer HEAD, or leaves digest, type or length out (M4).
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.resolve_manifest_within(repo, at, &mut Attempt::first()).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        let what = self.manifest_name(repo, at);
        let endpoint = Endpoint::Manifest { repo: repo.clone(), at: at.clone() };
        let bound = Bound("manifest", self.limits().manifest);
        let whole = self.transport().fetch(bound, || self.manifest_request(&endpoint, &what)).await?;
        if whole.head.status != StatusCode::OK || whole.bytes.is_empty() {
            return Err(whole.not_a_registry(&what));
        }
        manifest::of_body(&whole, at, &what).map_err(|error| match error.kind() {
            ErrorKind::NotARegistry => error,
            _ => error.during(&what),
        })
    }

    /// One HEAD; a GET of one byte if the registry can't answer HEAD, or leaves the length out.
    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        let size = match self.size_by_head(repo, digest).await? {
            Some(size) => size,
            None => self.size_by_get(repo, digest).await?,
        };
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size))
    }

    /// One GET. If the body breaks off, it goes on from the byte it has reached, under the verifier (H2).
    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        if range.is_empty() {
            let what = format!("{}: an empty range", self.blob_name(repo, digest));
            return Err(Error::new(ErrorKind::RangeInvalid, what));
        }
        let download = Download::open(self.clone(), repo.clone(), digest.clone(), range).await?;
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), download.size());
        let seams = download.seams().clone();
        Ok(BlobReader::new(descriptor, range, download.into_stream()).with_seams(seams))
    }

    fn guards_content(&self) -> bool {
        true
    }
}

impl Remote {
    /// [`resolve_manifest`](Pull::resolve_manifest), as one of several requests that are tried again together.
    pub(crate) async fn resolve_manifest_within(
        &self,
        repo: &RepositoryName,
        at: &Selector,
        attempt: &mut Attempt,
    ) -> Result<Descriptor> {
        let what = self.manifest_name(repo, at);
        let endpoint = Endpoint::ResolveManifest { repo: repo.clone(), at: at.clone() };
        let mut request = self.manifest_request(&endpoint, &what);
        match self.transport().send_within(&mut request, attempt).await {
            Ok(response) if response.is_web_page() => Err(response.not_a_registry(&what).await),
            Ok(response) => match manifest::of_head(&response, at).map_err(|error| error.during(&what))? {
                Some(descriptor) => Ok(descriptor),
                None => self.manifest(repo, at).await.map(|manifest| manifest.descriptor().clone()),
            },
            Err(error) if cannot_head(&error) => {
                self.manifest(repo, at).await.map(|manifest| manifest.descriptor().clone())
            }
            Err(error) => Err(error),
        }
    }

    /// A GET of a blob, or of the part that a `Range` header names.
    pub(crate) async fn blob_response(
        &self,
        repo: &RepositoryName,
        digest: &Digest,
        range: Option<String>,
    ) -> Result<Response> {
        self.blob_response_within(repo, digest, range, &mut Attempt::first()).await
    }

    /// The same, as one of several that are tried again together.
    pub(crate) async fn blob_response_within(
        &self,
        repo: &RepositoryName,
        digest: &Digest,
        range: Option<String>,
        attempt: &mut Attempt,
    ) -> Result<Response> {
        let what = self.blob_name(repo, digest);
        let endpoint = Endpoint::Blob { repo: repo.clone(), digest: digest.clone() };
        let mut request = self.request(&endpoint, &what).absent(ErrorKind::BlobUnknown).range(range);
        let response = self.transport().send_within(&mut request, attempt).await?;
        self.check_blob(response, digest, &what).await
    }

    fn manifest_request(&self, endpoint: &Endpoint, what: &str) -> Request {
        self.request(endpoint, what).absent(ErrorKind::ManifestUnknown).header(ACCEPT, manifest::ACCEPT)
    }

    async fn size_by_head(&self, repo: &RepositoryName, digest: &Digest) -> Result<Option<u64>> {
        let what = self.blob_name(repo, digest);
        let endpoint = Endpoint::ResolveBlob { repo: repo.clone(), digest: digest.clone() };
        let mut request = self.request(&endpoint, &what).absent(ErrorKind::BlobUnknown);
        match self.transport().send(&mut request).await {
            Ok(response) => Ok(self.check_blob(response, digest, &what).await?.length()),
            Err(error) if cannot_head(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The size that a registry names when it is asked for the first byte; the body is not read.
    async fn size_by_get(&self, repo: &RepositoryName, digest: &Digest) -> Result<u64> {
        let first_byte = ByteRange::Span { start: 0, end: 1 }.header();
        let size = match self.blob_response(repo, digest, first_byte).await {
            Ok(response) if response.head.status == StatusCode::PARTIAL_CONTENT => {
                let range = response.text(&CONTENT_RANGE).and_then(|text| text.parse::<ContentRange>().ok());
                range.and_then(|range| range.total)
            }
            Ok(response) => response.length(),
            // Only an empty blob has no first byte.
            Err(error) if error.kind() == ErrorKind::RangeInvalid => Some(0),
            Err(error) => return Err(error),
        };
        size.ok_or_else(|| {
            Error::new(ErrorKind::Protocol, format!("{}: the registry names no length", self.blob_name(repo, digest)))
        })
    }

    /// What must hold for every answer about a blob before its body is looked at (M4, M8, M9).
    async fn check_blob(&self, response: Response, digest: &Digest, what: &str) -> Result<Response> {
        if response.is_web_page() || response.head.status == StatusCode::NO_CONTENT {
            return Err(response.not_a_registry(what).await);
        }
        response.check_encoding().map_err(|error| error.during(what))?;
        match response.text(&DIGEST_HEADER).map(str::parse::<Digest>) {
            Some(Ok(named)) => manifest::agree(digest, &named).map_err(|error| error.during(what))?,
            Some(Err(_)) => {
                let named = display_untrusted(response.text(&DIGEST_HEADER).unwrap_or_default());
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("{what}: docker-content-digest {named}: no digest"),
                ));
            }
            None => {}
        }
        Ok(response)
    }
}

/// Whether a registry has no answer to HEAD for anything.
fn cannot_head(error: &Error) -> bool {
    matches!(error.status(), Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED))
}
