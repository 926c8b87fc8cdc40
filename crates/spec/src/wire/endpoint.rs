//! [`Endpoint`]: every request of the distribution spec, one variant each, with exactly the fields valid for it.
//!
//! The client prints an endpoint into method and target, the server parses it back; the two are inverse. The table of
//! paths and parameters is this file and `parse.rs`; headers and bodies belong to client and server. Where an upload
//! goes on is the registry's own and opaque: a client follows the `Location` it was given, so the upload variants are
//! for servers.

mod parse;
#[cfg(test)]
mod tests;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Algorithm, Digest, MediaType, RepositoryName, Selector, Tag, wire::Scope};

pub use parse::EndpointError;

/// A request that the distribution spec knows, by the id of its endpoint.
#[expect(clippy::exhaustive_enums, reason = "closed by the spec: a server must answer every one")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// end-1: is this a registry? 200.
    Ping,
    /// end-2 by HEAD: is the blob there, and how big? 200.
    ResolveBlob {
        /// Where.
        repo: RepositoryName,
        /// Which blob.
        digest: Digest,
    },
    /// end-2: the blob. 200, or 206 for a range.
    Blob {
        /// Where.
        repo: RepositoryName,
        /// Which blob.
        digest: Digest,
    },
    /// end-10: forget the blob. 202.
    DeleteBlob {
        /// Where.
        repo: RepositoryName,
        /// Which blob.
        digest: Digest,
    },
    /// end-3 by HEAD: the manifest's descriptor. 200.
    ResolveManifest {
        /// Where.
        repo: RepositoryName,
        /// Which manifest.
        at: Selector,
    },
    /// end-3: the manifest. 200.
    Manifest {
        /// Where.
        repo: RepositoryName,
        /// Which manifest.
        at: Selector,
    },
    /// end-7: store a manifest. 201.
    PutManifest {
        /// Where.
        repo: RepositoryName,
        /// Its tag or its digest.
        at: Selector,
        /// end-7b: further tags, beside a digest.
        tags: Vec<Tag>,
    },
    /// end-9: forget a manifest, or a tag only. 202.
    DeleteManifest {
        /// Where.
        repo: RepositoryName,
        /// Which manifest, or tag.
        at: Selector,
    },
    /// end-4a; end-4c with an algorithm: start an upload. 202 with a `Location`.
    StartUpload {
        /// Where.
        repo: RepositoryName,
        /// What the digest will be made with; sha256 if nothing is said.
        algorithm: Option<Algorithm>,
    },
    /// end-4b: a whole blob in one request. 201, or 202 from a registry that wants it in two.
    PutBlobAtOnce {
        /// Where.
        repo: RepositoryName,
        /// Which blob.
        digest: Digest,
    },
    /// end-11: take the blob from another repository. 201, or 202 and an upload instead.
    MountBlob {
        /// Where.
        repo: RepositoryName,
        /// Which blob.
        digest: Digest,
        /// The other repository; the registry looks for one if it is not named.
        from: Option<RepositoryName>,
    },
    /// end-13: how far is the upload? 204 with a `Range`.
    UploadStatus {
        /// Where.
        repo: RepositoryName,
        /// Which upload.
        id: String,
    },
    /// end-5: a chunk. 202.
    WriteUpload {
        /// Where.
        repo: RepositoryName,
        /// Which upload.
        id: String,
    },
    /// end-6: the end of the upload, with its last chunk if one is left. 201.
    CommitUpload {
        /// Where.
        repo: RepositoryName,
        /// Which upload.
        id: String,
        /// What has arrived.
        digest: Digest,
    },
    /// end-14: drop the upload. 204.
    CancelUpload {
        /// Where.
        repo: RepositoryName,
        /// Which upload.
        id: String,
    },
    /// end-8: the tags of a repository. 200.
    Tags {
        /// Where.
        repo: RepositoryName,
        /// Which part of the list.
        page: Page,
    },
    /// `_catalog`, not in the OCI spec: the repositories of a registry. 200.
    Repositories {
        /// Which part of the list.
        page: Page,
    },
    /// end-12: the manifests whose subject is `digest`. 200.
    Referrers {
        /// Where.
        repo: RepositoryName,
        /// The subject.
        digest: Digest,
        /// Only those of this type (end-12b).
        artifact_type: Option<MediaType>,
        /// Which part of the list. The spec pages by `Link` alone and says nothing of parameters, so no client may send
        /// them of its own.
        page: Page,
    },
}

/// Which part of a listing is asked for (end-8b).
#[expect(clippy::exhaustive_structs, reason = "closed by the spec")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many entries at most; the registry may give fewer.
    pub n: Option<u32>,
    /// Only what comes after this entry, which need not exist.
    pub last: Option<String>,
}

impl Endpoint {
    /// Reads a request line. `path` and `query` are as they came, percent-encoded; `query` without its `?`.
    ///
    /// # Errors
    /// [`EndpointError`] says which part is not of the spec; it knows the code and the status to answer with.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, EndpointError> {
        parse::parse(method, path, query)
    }

    /// The method that says this.
    pub fn method(&self) -> Method {
        match self {
            Self::Ping
            | Self::Blob { .. }
            | Self::Manifest { .. }
            | Self::UploadStatus { .. }
            | Self::Tags { .. }
            | Self::Repositories { .. }
            | Self::Referrers { .. } => Method::GET,
            Self::ResolveBlob { .. } | Self::ResolveManifest { .. } => Method::HEAD,
            Self::StartUpload { .. } | Self::PutBlobAtOnce { .. } | Self::MountBlob { .. } => Method::POST,
            Self::WriteUpload { .. } => Method::PATCH,
            Self::PutManifest { .. } | Self::CommitUpload { .. } => Method::PUT,
            Self::DeleteBlob { .. } | Self::DeleteManifest { .. } | Self::CancelUpload { .. } => Method::DELETE,
        }
    }

    /// Path and query, percent-encoded; starts with `/v2/`.
    pub fn target(&self) -> String {
        match self {
            Self::Ping => "/v2/".to_owned(),
            Self::ResolveBlob { repo, digest } | Self::Blob { repo, digest } | Self::DeleteBlob { repo, digest } => {
                format!("/v2/{repo}/blobs/{digest}")
            }
            Self::ResolveManifest { repo, at } | Self::Manifest { repo, at } | Self::DeleteManifest { repo, at } => {
                format!("/v2/{repo}/manifests/{at}")
            }
            Self::PutManifest { repo, at, tags } => {
                let tags = tags.iter().map(|tag| ("tag", tag.as_str()));
                with_query(format!("/v2/{repo}/manifests/{at}"), tags)
            }
            Self::StartUpload { repo, algorithm } => {
                let known = algorithm.filter(|algorithm| *algorithm != Algorithm::Other);
                uploads(repo, known.iter().map(|algorithm| ("digest-algorithm", algorithm.as_str())))
            }
            Self::PutBlobAtOnce { repo, digest } => uploads(repo, [("digest", digest.as_str())]),
            Self::MountBlob { repo, digest, from } => {
                let from = from.iter().map(|from| ("from", from.as_str()));
                uploads(repo, [("mount", digest.as_str())].into_iter().chain(from))
            }
            Self::UploadStatus { repo, id } | Self::WriteUpload { repo, id } | Self::CancelUpload { repo, id } => {
                upload(repo, id)
            }
            Self::CommitUpload { repo, id, digest } => with_query(upload(repo, id), [("digest", digest.as_str())]),
            Self::Tags { repo, page } => paged(format!("/v2/{repo}/tags/list"), None, page),
            Self::Repositories { page } => paged("/v2/_catalog".to_owned(), None, page),
            Self::Referrers { repo, digest, artifact_type, page } => {
                let filter = artifact_type.as_ref().map(|kind| ("artifactType", kind.as_str()));
                paged(format!("/v2/{repo}/referrers/{digest}"), filter, page)
            }
        }
    }

    /// The repository it is about, if it is about one.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Ping | Self::Repositories { .. } => None,
            Self::ResolveBlob { repo, .. }
            | Self::Blob { repo, .. }
            | Self::DeleteBlob { repo, .. }
            | Self::ResolveManifest { repo, .. }
            | Self::Manifest { repo, .. }
            | Self::PutManifest { repo, .. }
            | Self::DeleteManifest { repo, .. }
            | Self::StartUpload { repo, .. }
            | Self::PutBlobAtOnce { repo, .. }
            | Self::MountBlob { repo, .. }
            | Self::UploadStatus { repo, .. }
            | Self::WriteUpload { repo, .. }
            | Self::CommitUpload { repo, .. }
            | Self::CancelUpload { repo, .. }
            | Self::Tags { repo, .. }
            | Self::Referrers { repo, .. } => Some(repo),
        }
    }

    /// What a token must allow for this. Giving up an upload is part of pushing.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Ping => Scope::default(),
            Self::Repositories { .. } => Scope::catalog(),
            Self::ResolveBlob { repo, .. }
            | Self::Blob { repo, .. }
            | Self::ResolveManifest { repo, .. }
            | Self::Manifest { repo, .. }
            | Self::Tags { repo, .. }
            | Self::Referrers { repo, .. } => Scope::pull(repo),
            Self::DeleteBlob { repo, .. } | Self::DeleteManifest { repo, .. } => Scope::delete(repo),
            Self::MountBlob { repo, from: Some(from), .. } => Scope::push(repo).union(&Scope::pull(from)),
            Self::PutManifest { repo, .. }
            | Self::StartUpload { repo, .. }
            | Self::PutBlobAtOnce { repo, .. }
            | Self::MountBlob { repo, .. }
            | Self::UploadStatus { repo, .. }
            | Self::WriteUpload { repo, .. }
            | Self::CommitUpload { repo, .. }
            | Self::CancelUpload { repo, .. } => Scope::push(repo),
        }
    }

    /// The id of the endpoint in the spec's table.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Ping => "end-1",
            Self::ResolveBlob { .. } | Self::Blob { .. } => "end-2",
            Self::ResolveManifest { .. } | Self::Manifest { .. } => "end-3",
            Self::StartUpload { algorithm: None, .. } => "end-4a",
            Self::PutBlobAtOnce { .. } => "end-4b",
            Self::StartUpload { .. } => "end-4c",
            Self::WriteUpload { .. } => "end-5",
            Self::CommitUpload { .. } => "end-6",
            Self::PutManifest { tags, .. } if tags.is_empty() => "end-7a",
            Self::PutManifest { .. } => "end-7b",
            Self::Tags { page: Page { n: None, last: None }, .. } => "end-8a",
            Self::Tags { .. } => "end-8b",
            Self::DeleteManifest { .. } => "end-9",
            Self::DeleteBlob { .. } => "end-10",
            Self::MountBlob { .. } => "end-11",
            Self::Referrers { artifact_type: None, .. } => "end-12a",
            Self::Referrers { .. } => "end-12b",
            Self::UploadStatus { .. } => "end-13",
            Self::CancelUpload { .. } => "end-14",
            Self::Repositories { .. } => "catalog",
        }
    }
}

fn uploads<'a>(repo: &RepositoryName, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    with_query(format!("/v2/{repo}/blobs/uploads/"), params)
}

fn upload(repo: &RepositoryName, id: &str) -> String {
    format!("/v2/{repo}/blobs/uploads/{}", utf8_percent_encode(id, ENCODED))
}

fn paged(path: String, filter: Option<(&str, &str)>, page: &Page) -> String {
    let n = page.n.map(|n| n.to_string());
    let n = n.as_deref().map(|n| ("n", n));
    let last = page.last.as_deref().map(|last| ("last", last));
    with_query(path, [filter, n, last].into_iter().flatten())
}

fn with_query<'a>(mut target: String, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    for (position, (name, value)) in params.into_iter().enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        target.extend(utf8_percent_encode(value, ENCODED));
    }
    target
}

/// Everything but what RFC 3986 leaves unreserved, and `:` and `/`, which digests and names are full of: the spec's
/// own examples do not encode them either.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');
