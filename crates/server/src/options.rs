//! Every knob of the server, with its unit and its reason.
//!
//! What may be set is decided here and nowhere else; what a bound means when it is hit is for the file that hits it.

use std::sync::Arc;
use std::time::Duration;

use gantri_core::Limits;

use crate::access::{Access, Open};
use crate::quirks::Quirk;

/// How a server behaves. Start from [`ServerOptions::default`] and set what differs.
///
/// ```
/// use std::time::Duration;
/// use gantri_server::ServerOptions;
///
/// let options = ServerOptions::default().with_drain(Duration::from_secs(2)).with_uploads(16);
/// ```
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(crate) limits: Limits,
    pub(crate) drain: Duration,
    pub(crate) head: Duration,
    pub(crate) body_idle: Duration,
    pub(crate) client_idle: Duration,
    pub(crate) upload_idle: Duration,
    pub(crate) uploads: usize,
    pub(crate) connections: usize,
    pub(crate) blob: u64,
    pub(crate) put_tags: usize,
    pub(crate) tags_page: u32,
    pub(crate) repositories_page: u32,
    pub(crate) referrers_page: u32,
    pub(crate) referrers_bytes: usize,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) url: Option<String>,
    pub(crate) quirks: Vec<Quirk>,
}

impl ServerOptions {
    /// The bounds shared with the rest of the library. The server reads [`Limits::manifest`].
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long requests in flight may go on once the server was told to stop (R11). Default 10 seconds.
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// How long a connection may take to send the head of its next request (R3). Default 10 seconds.
    pub fn with_head(mut self, head: Duration) -> Self {
        self.head = head;
        self
    }

    /// How long a request's body may pause between two chunks (R3). Default 60 seconds.
    pub fn with_body_idle(mut self, idle: Duration) -> Self {
        self.body_idle = idle;
        self
    }

    /// How long a client may take nothing of what it asked for, and ask nothing, before its connection is closed (R3).
    /// Default 60 seconds.
    pub fn with_client_idle(mut self, idle: Duration) -> Self {
        self.client_idle = idle;
        self
    }

    /// How long an upload may rest between two chunks before it is forgotten (R3). Default 1 hour.
    pub fn with_upload_idle(mut self, idle: Duration) -> Self {
        self.upload_idle = idle;
        self
    }

    /// Uploads under way at the same time (R3); who comes later is told to try again. Default 1,024.
    pub fn with_uploads(mut self, most: usize) -> Self {
        self.uploads = most;
        self
    }

    /// Connections open at the same time (R3); who comes later waits in the listener's queue. Default 1,024.
    pub fn with_connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// Bytes of one blob (R3); more are refused with a 413. Default 1 TiB.
    pub fn with_blob(mut self, most: u64) -> Self {
        self.blob = most;
        self
    }

    /// Tags that one manifest may be pushed with in one request (end-7b); more are refused with a 414. Default 120: each comes
    /// back in a header, and clients commonly take 128 of them.
    pub fn with_put_tags(mut self, most: usize) -> Self {
        self.put_tags = most;
        self
    }

    /// Tags on one page, and on the page of those who name no size (R1). Default 10,000.
    pub fn with_tags_page(mut self, most: u32) -> Self {
        self.tags_page = most;
        self
    }

    /// Repositories on one page, and on the page of those who name no size (R1). Default 1,000.
    pub fn with_repositories_page(mut self, most: u32) -> Self {
        self.repositories_page = most;
        self
    }

    /// Referrers on one page (M11). Default 1,000.
    pub fn with_referrers_page(mut self, most: u32) -> Self {
        self.referrers_page = most;
        self
    }

    /// Bytes of the referrers on one page; a single one that is longer has a page to itself (M11). Default 2 MiB, for a
    /// client may hold the page to the 4 MiB that the spec wants of every manifest.
    pub fn with_referrers_bytes(mut self, most: usize) -> Self {
        self.referrers_bytes = most;
        self
    }

    /// Who may do what. Default: everybody everything.
    pub fn with_access(mut self, access: impl Access) -> Self {
        self.access = Arc::new(access);
        self
    }

    /// Where clients reach the server, such as `https://registry.example`: challenges point there for tokens. Default: the
    /// address it listens on. No header of a request has a say in it (R9).
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into().trim_end_matches('/').to_owned());
        self
    }

    /// Misbehaves like this too. For tests of clients.
    pub fn with_quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.push(quirk);
        self
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            drain: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(60),
            client_idle: Duration::from_secs(60),
            upload_idle: Duration::from_secs(60 * 60),
            uploads: 1_024,
            connections: 1_024,
            blob: 1 << 40,
            put_tags: 120,
            tags_page: 10_000,
            repositories_page: 1_000,
            referrers_page: 1_000,
            referrers_bytes: 2 << 20,
            access: Arc::new(Open),
            url: None,
            quirks: Vec::new(),
        }
    }
}
