//! From a request line to an [`Endpoint`], or to the reason why it is none.
//!
//! Routes are told by the last segments of the path, for a repository name has any number of them and may itself hold
//! words such as `manifests`. All parts come out typed; nothing of the path is passed on as text but the id of an
//! upload, whose alphabet is closed here (R2). How big a page may be is the server's (R1).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use http::{Method, StatusCode};

use super::{Endpoint, Page};
use crate::text::cut;
use crate::wire::ErrorCode;
use crate::{Algorithm, Digest, MediaType, RepositoryName, Selector, Tag};
use crate::{InvalidDigest, InvalidRepositoryName, InvalidTag};

/// Why a request line is no endpoint.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// No route looks like this.
    NotFound,
    /// The path is right, the method is not.
    MethodNotAllowed {
        /// What would be, as the value of an `Allow` header.
        allow: &'static str,
    },
    /// What stands where a repository name belongs is none.
    NameInvalid(InvalidRepositoryName),
    /// What stands where a digest belongs is none.
    DigestInvalid(InvalidDigest),
    /// An upload is to be hashed with an algorithm that we can't compute.
    AlgorithmUnsupported(String),
    /// What stands where a tag to be written belongs is none.
    TagInvalid(InvalidTag),
    /// What stands where a manifest to be read is named is neither tag nor digest, so there can be none.
    ManifestUnknown(InvalidTag),
    /// No upload has an id like this.
    UploadUnknown,
    /// The size of a page is not a number.
    PageInvalid(String),
}

impl EndpointError {
    /// The code to answer with.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound | Self::MethodNotAllowed { .. } => ErrorCode::Unsupported,
            Self::NameInvalid(_) => ErrorCode::NameInvalid,
            Self::DigestInvalid(_) | Self::AlgorithmUnsupported(_) => ErrorCode::DigestInvalid,
            Self::TagInvalid(_) => ErrorCode::TagInvalid,
            Self::ManifestUnknown(_) => ErrorCode::ManifestUnknown,
            Self::UploadUnknown => ErrorCode::BlobUploadUnknown,
            Self::PageInvalid(_) => ErrorCode::Other("PAGINATION_NUMBER_INVALID".into()),
        }
    }

    /// The status to answer with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::PageInvalid(_) => StatusCode::BAD_REQUEST,
            other => other.code().status(),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("request: no such endpoint"),
            Self::MethodNotAllowed { allow } => write!(f, "request: method not allowed (but {allow})"),
            Self::NameInvalid(why) => why.fmt(f),
            Self::DigestInvalid(why) => why.fmt(f),
            Self::AlgorithmUnsupported(name) => write!(f, "digest algorithm {name:?}: not supported"),
            Self::TagInvalid(why) | Self::ManifestUnknown(why) => why.fmt(f),
            Self::UploadUnknown => f.write_str("upload: no such id"),
            Self::PageInvalid(n) => write!(f, "page size {n:?}: not a number"),
        }
    }
}

impl Error for EndpointError {}

pub(super) fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Endpoint, EndpointError> {
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let query = Query::parse(query);
    match segments.as_slice() {
        [] | [""] => ping(method),
        ["_catalog"] => repositories(method, &query),
        [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => uploads(method, name, &query),
        [name @ .., "blobs", "uploads", id] => upload(method, name, id, &query),
        [name @ .., "blobs", digest] => blob(method, name, digest),
        [name @ .., "manifests", at] => manifest(method, name, at, &query),
        [name @ .., "tags", "list"] => tags(method, name, &query),
        [name @ .., "referrers", digest] => referrers(method, name, digest, &query),
        _ => Err(EndpointError::NotFound),
    }
}

/// What follows `/v2/`, cut at the slashes that are written as such, then decoded.
fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, EndpointError> {
    let rest = path.strip_prefix("/v2").ok_or(EndpointError::NotFound)?;
    let segments = rest.strip_prefix('/').map(|rest| rest.split('/'));
    if segments.is_none() && !rest.is_empty() {
        return Err(EndpointError::NotFound);
    }
    let decode = |segment| {
        let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
        // An encoded slash would be a second way to spell a path (R2).
        decoded.ok().filter(|text| !text.contains('/')).ok_or(EndpointError::NotFound)
    };
    segments.into_iter().flatten().map(decode).collect()
}

fn ping(method: &Method) -> Result<Endpoint, EndpointError> {
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::Ping),
        _ => not_allowed("GET, HEAD"),
    }
}

fn repositories(method: &Method, query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    match *method {
        Method::GET => Ok(Endpoint::Repositories { page: query.page()? }),
        _ => not_allowed("GET"),
    }
}

fn tags(method: &Method, name: &[&str], query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    let repo = repository(name)?;
    match *method {
        Method::GET => Ok(Endpoint::Tags { repo, page: query.page()? }),
        _ => not_allowed("GET"),
    }
}

fn referrers(method: &Method, name: &[&str], subject: &str, query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    let repo = repository(name)?;
    if *method != Method::GET {
        return not_allowed("GET");
    }
    let artifact_type = query.get("artifactType").and_then(|kind| MediaType::from_str(kind).ok());
    Ok(Endpoint::Referrers { repo, digest: digest(subject)?, artifact_type, page: query.page()? })
}

fn manifest(method: &Method, name: &[&str], at: &str, query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    let repo = repository(name)?;
    match *method {
        Method::GET => Ok(Endpoint::Manifest { repo, at: selector(at)? }),
        Method::HEAD => Ok(Endpoint::ResolveManifest { repo, at: selector(at)? }),
        Method::DELETE => Ok(Endpoint::DeleteManifest { repo, at: selector(at)? }),
        Method::PUT => {
            let at = if at.contains(':') { digest(at)?.into() } else { tag(at)?.into() };
            let tags = query.all("tag").map(tag).collect::<Result<_, _>>()?;
            Ok(Endpoint::PutManifest { repo, at, tags })
        }
        _ => not_allowed("GET, HEAD, PUT, DELETE"),
    }
}

fn blob(method: &Method, name: &[&str], which: &str) -> Result<Endpoint, EndpointError> {
    let repo = repository(name)?;
    match *method {
        Method::GET => Ok(Endpoint::Blob { repo, digest: digest(which)? }),
        Method::HEAD => Ok(Endpoint::ResolveBlob { repo, digest: digest(which)? }),
        Method::DELETE => Ok(Endpoint::DeleteBlob { repo, digest: digest(which)? }),
        _ => not_allowed("GET, HEAD, DELETE"),
    }
}

/// A mount that also names a digest is a mount: the upload is what it falls back to.
fn uploads(method: &Method, name: &[&str], query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    let repo = repository(name)?;
    if *method != Method::POST {
        return not_allowed("POST");
    }
    if let Some(mount) = query.get("mount") {
        let from = query.get("from").map(|from| repository(&[from])).transpose()?;
        return Ok(Endpoint::MountBlob { repo, digest: digest(mount)?, from });
    }
    if let Some(whole) = query.get("digest") {
        return Ok(Endpoint::PutBlobAtOnce { repo, digest: digest(whole)? });
    }
    let algorithm = query.get("digest-algorithm").map(algorithm).transpose()?;
    Ok(Endpoint::StartUpload { repo, algorithm })
}

fn upload(method: &Method, name: &[&str], id: &str, query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    let repo = repository(name)?;
    if !is_upload_id(id) {
        return Err(EndpointError::UploadUnknown);
    }
    let id = id.to_owned();
    match *method {
        Method::GET => Ok(Endpoint::UploadStatus { repo, id }),
        Method::PATCH => Ok(Endpoint::WriteUpload { repo, id }),
        Method::PUT => {
            let digest = digest(query.get("digest").unwrap_or_default())?;
            Ok(Endpoint::CommitUpload { repo, id, digest })
        }
        Method::DELETE => Ok(Endpoint::CancelUpload { repo, id }),
        _ => not_allowed("GET, PATCH, PUT, DELETE"),
    }
}

fn not_allowed(allow: &'static str) -> Result<Endpoint, EndpointError> {
    Err(EndpointError::MethodNotAllowed { allow })
}

fn repository(name: &[&str]) -> Result<RepositoryName, EndpointError> {
    if name.is_empty() {
        return Err(EndpointError::NotFound);
    }
    name.join("/").parse().map_err(EndpointError::NameInvalid)
}

fn digest(text: &str) -> Result<Digest, EndpointError> {
    text.parse().map_err(EndpointError::DigestInvalid)
}

fn tag(text: &str) -> Result<Tag, EndpointError> {
    text.parse().map_err(EndpointError::TagInvalid)
}

/// Names a manifest to be read. What can't be a tag is the name of no manifest, which is 404 and not 400: the
/// conformance suite of the spec asks for `.INVALID_MANIFEST_NAME`.
fn selector(text: &str) -> Result<Selector, EndpointError> {
    if text.contains(':') {
        return digest(text).map(Selector::Digest);
    }
    text.parse().map(Selector::Tag).map_err(EndpointError::ManifestUnknown)
}

fn algorithm(name: &str) -> Result<Algorithm, EndpointError> {
    let known = [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|known| known.as_str() == name);
    known.ok_or_else(|| EndpointError::AlgorithmUnsupported(cut(name)))
}

/// Unreserved characters only, and neither `.` nor `..`: an id is never a path (R2).
fn is_upload_id(id: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=256).contains(&id.len()) && id.bytes().all(unreserved) && !id.bytes().all(|byte| byte == b'.')
}

/// The parameters of a query, decoded. The first of equal names counts, but for those that may be repeated.
struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    fn parse(query: Option<&'a str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// A number beyond `u32` asks for everything, as a very big one within does (R1).
    fn page(&self) -> Result<Page, EndpointError> {
        let number = |n: &str| {
            let digits = !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
            let invalid = || EndpointError::PageInvalid(cut(n));
            digits.then(|| n.parse().unwrap_or(u32::MAX)).ok_or_else(invalid)
        };
        let n = self.get("n").map(number).transpose()?;
        Ok(Page { n, last: self.get("last").map(str::to_owned) })
    }
}
