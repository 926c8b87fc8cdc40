//! Misbehaviour on demand: what the registries of the world do otherwise than the spec, for tests of clients.
//!
//! This file names each [`Quirk`] and where it was met. What it does to a request and to its answer is in `apply.rs`, and
//! nowhere else: the handlers know of none.

mod apply;

pub(crate) use self::apply::Quirks;

/// One way in which some registry differs from the spec, or uses a freedom that clients forget about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Quirk {
    /// No referrers API: 404, and no `OCI-Subject`. GHCR, Quay in part.
    NoReferrersApi,
    /// The referrers API is refused with a 406. Artifactory (go-containerregistry #2026).
    ReferrersNotAcceptable,
    /// The referrers API is refused with a 400. Quay.
    ReferrersBadRequest,
    /// The referrers API is refused with a 401 that challenges nobody. Old Harbor (regclient #389).
    ReferrersUnauthorized,
    /// `artifactType` is not looked at: all referrers come, without `OCI-Filters-Applied`. The spec leaves it to each
    /// registry.
    ReferrersUnfiltered,
    /// No referrers API, and the tag that should lead to an index of referrers is the subject itself. GitLab (oras-go #1396).
    ReferrersTagIsSubject,
    /// No `Docker-Content-Digest` to a HEAD. Red Hat's registry (regclient #363, containerd #3238).
    NoDigestOnHead,
    /// No `Docker-Content-Digest` to a PUT. Nexus in some set-ups (distribution #3849).
    NoDigestOnPut,
    /// No `Docker-Content-Digest` for what is asked for by tag. ECR in some answers (distribution #3792).
    NoDigestByTag,
    /// HEAD is refused with a 405. Proxies that know only GET.
    HeadNotAllowed,
    /// Listings are cut where the page ends, and no `Link` says so.
    NoLinkHeader,
    /// A page of more entries is refused with a 400. ECR over 1,000 (go-containerregistry #1091).
    PageSizeRefused(u32),
    /// No tags are `null` and not an empty list (rust-oci-client #277).
    NullTags,
    /// A chunk of more bytes is refused with a 416. GHCR over 4 MiB (rust-oci-client #35, ocx #237).
    ChunkOutOfRange(u64),
    /// A body of more bytes is refused with a 413 and a page of HTML. nginx in front of any registry (distribution #970).
    BodyTooLarge(u64),
    /// The `Range` after a chunk is that from before it. ECR (containers-roadmap #2831).
    StaleRange,
    /// The `Range` after a chunk counts that chunk alone. Aliyun (regclient #627).
    ChunkRange,
    /// No `Range` after a chunk. Aliyun (regclient #627).
    NoRange,
    /// A chunk is answered with a 201. ECR (containers-roadmap #2831).
    ChunkCreated,
    /// A `Location` is a whole URL, with `http:` whatever clients came by. distribution behind a proxy that it was not told
    /// of (distribution #996).
    AbsoluteLocation,
    /// A `Location` is a whole URL without the port. distribution behind a proxy (distribution #2862).
    PortlessLocation,
    /// The `Location` of an upload has a query, and without it the upload is not found. distribution.
    LocationState,
    /// A mount is refused with a 401 that challenges nobody (go-containerregistry #1681).
    MountUnauthorized,
    /// A mount is refused with a 403 (go-containerregistry #1681).
    MountDenied,
    /// A mount is refused with a 404.
    MountNotFound,
    /// A mount is refused with a 405.
    MountNotAllowed,
    /// A mount is an upload, always. The spec leaves it to each registry.
    MountStartsUpload,
    /// Nothing can be deleted: 405. ECR, and distribution unless it is told otherwise.
    DeleteNotAllowed,
    /// Nothing can be deleted: 400, as the spec lets a registry say it for tags.
    DeleteBadRequest,
    /// Deleting is answered with a 200.
    DeleteOk,
    /// Deleting is answered with a 204.
    DeleteNoContent,
    /// Tags can't be deleted, only manifests: 405. distribution before tags could be.
    DeleteTagUnsupported,
    /// Chunks but the last must have so many bytes, says `OCI-Chunk-Min-Length`; after a shorter one the upload takes no
    /// more: 416. Registries that store chunks in S3, where a part has 5 MiB.
    ChunkMinLength(u64),
    /// Further tags of a pushed manifest (`?tag=`) are not looked at, and there is no `OCI-Tag`. Every registry older than
    /// that part of the spec.
    MultiTagIgnored,
    /// One upload, the first that comes to so many bytes, is lost: 404 from then on. Registries that are started anew, or
    /// have several instances that share nothing.
    SessionLost(u64),
    /// What was stored is answered with a 500. Any registry whose proxy gives up too early.
    CommitFails,
    /// Everybody may do everything, but by token only. Docker Hub, GHCR and most hosted registries, for public content.
    TokenDance,
    /// The first requests, so many, are refused with a 429 and a `Retry-After` of one second. Docker Hub (moby #41644).
    Throttled(u32),
    /// A blob is to be had at another path: 307. Docker Hub, GAR, registry.k8s.io and whoever keeps blobs in a bucket.
    BlobsRedirected,
}

impl Quirk {
    /// Every quirk there is, with bounds that small content reaches.
    pub const ALL: &[Self] = &[
        Self::NoReferrersApi,
        Self::ReferrersNotAcceptable,
        Self::ReferrersBadRequest,
        Self::ReferrersUnauthorized,
        Self::ReferrersUnfiltered,
        Self::ReferrersTagIsSubject,
        Self::NoDigestOnHead,
        Self::NoDigestOnPut,
        Self::NoDigestByTag,
        Self::HeadNotAllowed,
        Self::NoLinkHeader,
        Self::PageSizeRefused(1_000),
        Self::NullTags,
        Self::ChunkOutOfRange(64 << 10),
        Self::BodyTooLarge(64 << 10),
        Self::StaleRange,
        Self::ChunkRange,
        Self::NoRange,
        Self::ChunkCreated,
        Self::AbsoluteLocation,
        Self::PortlessLocation,
        Self::LocationState,
        Self::MountUnauthorized,
        Self::MountDenied,
        Self::MountNotFound,
        Self::MountNotAllowed,
        Self::MountStartsUpload,
        Self::DeleteNotAllowed,
        Self::DeleteBadRequest,
        Self::DeleteOk,
        Self::DeleteNoContent,
        Self::DeleteTagUnsupported,
        Self::ChunkMinLength(4 << 10),
        Self::MultiTagIgnored,
        Self::SessionLost(1 << 10),
        Self::CommitFails,
        Self::TokenDance,
        Self::Throttled(1),
        Self::BlobsRedirected,
    ];
}
