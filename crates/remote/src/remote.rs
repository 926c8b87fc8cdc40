//! [`Remote`]: a handle on one registry. Its clones share connections, tokens and the throttle; what it can do is in
//! `pull`, `push`, `discover` and `manage`.

use std::fmt;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::wire::Endpoint;
use gantri_spec::{Digest, Host, RepositoryName, Selector};
use http::header::{HeaderValue, LOCATION};

use crate::builder::RemoteBuilder;
use crate::habits::Habits;
use crate::http::policy::{Admitted, Purpose, Speaker, Supplier, outbound_policy};
use crate::http::url::Redacted;
use crate::referrers::Lines;
use crate::transport::{RateLimit, Request, Response, Transport};
use crate::upload::{Lessons, UploadSessions};

/// A registry behind HTTP.
///
/// Cheap to clone. No request is sent but those that its methods are about: no ping, and nothing when it is made.
///
/// ```
/// use gantri_remote::Remote;
///
/// let remote = Remote::builder("ghcr.io".parse()?).build()?;
/// assert_eq!(remote.host().as_str(), "ghcr.io");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) host: Host,
    pub(crate) supplier: Arc<Supplier>,
    /// The path that stands in place of `/v2`.
    pub(crate) api_root: String,
    pub(crate) transport: Transport,
    pub(crate) limits: Arc<Limits>,
    pub(crate) page_size: Option<u32>,
    /// The registry that this one stands in for.
    pub(crate) namespace: Option<Host>,
    /// What the registry has shown of itself.
    pub(crate) habits: Habits,
    /// Who waits to change the referrers of a subject.
    pub(crate) lines: Lines,
    pub(crate) lessons: Lessons,
    /// Where uploads are kept between processes; nowhere by default.
    pub(crate) upload_sessions: Option<Arc<dyn UploadSessions>>,
}

impl Remote {
    /// Starts the description of a registry.
    pub fn builder(host: Host) -> RemoteBuilder {
        RemoteBuilder::new(host)
    }

    /// The registry's host, as the user named it.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// How many requests the registry allows and how many are left, as it said last; `None` if it has said nothing of that.
    /// Nothing is sent to find it out: Docker Hub says it with manifests.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.transport().rate_limit()
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What this registry has taught about uploads.
    pub(crate) fn lessons(&self) -> &Lessons {
        &self.0.lessons
    }

    pub(crate) fn upload_sessions(&self) -> Option<&dyn UploadSessions> {
        self.0.upload_sessions.as_deref()
    }

    /// The page size to ask for: the one that was told, or the shorter one that the registry made of it.
    pub(crate) fn page_size(&self) -> Option<u32> {
        self.habits().page.find(&()).unwrap_or(self.0.page_size)
    }

    pub(crate) fn habits(&self) -> &Habits {
        &self.0.habits
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.0.lines
    }

    pub(crate) fn request(&self, endpoint: &Endpoint, what: impl Into<String>) -> Request {
        let request = Request::new(&self.0.supplier.origin, &self.0.api_root, endpoint, what);
        match &self.0.namespace {
            Some(host) => request.standing_in_for(host),
            None => request,
        }
    }

    /// What errors call a manifest.
    pub(crate) fn manifest_name(&self, repo: &RepositoryName, at: &Selector) -> String {
        let mark = match at {
            Selector::Tag(_) => ':',
            Selector::Digest(_) => '@',
        };
        format!("manifest {}/{repo}{mark}{at}", self.0.host)
    }

    /// What errors call a blob.
    pub(crate) fn blob_name(&self, repo: &RepositoryName, digest: &Digest) -> String {
        format!("blob {}/{repo}@{digest}", self.0.host)
    }

    /// What errors call a repository.
    pub(crate) fn repository_name(&self, repo: &RepositoryName) -> String {
        format!("{}/{repo}", self.0.host)
    }

    /// Where an answer says to go on with an upload (A5): absolute or relative, its query kept.
    ///
    /// # Errors
    /// `Protocol` if it says nothing, or names a place where a registry may not lead.
    pub(crate) fn location(&self, response: &Response) -> Result<Admitted> {
        let location = response.text(&LOCATION).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "the answer names no location").with_status(response.head.status)
        })?;
        self.admit(Purpose::Upload, response.speaker(), location)
    }

    /// A URL that the registry supplied, if it may be opened.
    ///
    /// # Errors
    /// `Protocol` if it is none, or may not.
    pub(crate) fn admit(&self, purpose: Purpose, from: Speaker<'_>, to: &str) -> Result<Admitted> {
        let refused = |why: &dyn fmt::Display| {
            let thing = if purpose == Purpose::NextPage { "next page" } else { "location" };
            Error::new(ErrorKind::Protocol, format!("{thing} refused: {why}"))
        };
        let to = from.url.join(to).map_err(|error| refused(&error))?;
        let shown = Redacted(&to).to_string();
        outbound_policy(purpose, &self.0.supplier, from, to).map_err(|why| refused(&format_args!("{shown}: {why}")))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("origin", &Redacted(&self.0.supplier.origin)).finish_non_exhaustive()
    }
}

/// A header value of text that is known to be plain.
pub(crate) fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Protocol, "text that no header can hold").with_source(error))
}
