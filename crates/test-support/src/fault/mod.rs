//! A proxy that breaks things on purpose: it stands before any registry, speaks HTTP/1.1 as bytes, and does to the n-th
//! request of a route what a script says. It remembers every request.
//!
//! ```no_run
//! use test_support::fault::{FaultProxy, Mode, Operation, When::Nth};
//!
//! let proxy = FaultProxy::before("127.0.0.1:5000").fail(Operation::PullBlob, Nth(1), Mode::TruncateAt(100)).start();
//! println!("ask {} instead, and see {:?}", proxy.host(), proxy.records());
//! ```
//!
//! It listens on a socket, with a thread of its own, or lives in memory among the tasks of a test, where time can be paused.

mod canned;
mod change;
mod detour;
mod forward;
mod link;
mod memory;
mod mode;
mod record;
mod route;
mod serve;
mod shared;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::sync::Arc;

pub use self::link::{Pipe, Stream, Upstream};
pub use self::memory::MemoryProxy;
pub use self::mode::{
    Detour, ErrorPage, FramingMode, Group, Mode, Pause, RangeMode, STATUSES, SlowLink, TlsMode, UploadMode,
};
pub use self::record::Record;
pub use self::route::{Operation, Route, When};
use self::shared::Fault;
pub use self::socket::RunningProxy;
pub use self::tls::Certificates;

/// A proxy that is not running yet.
#[derive(Clone, Debug)]
#[must_use]
pub struct FaultProxy {
    upstream: Upstream,
    script: Vec<Fault>,
    link: Option<SlowLink>,
    certificates: Option<Arc<Certificates>>,
    authorized_only: bool,
    seed: u64,
}

impl FaultProxy {
    /// Stands before a registry, and does no harm yet.
    pub fn before(upstream: impl Into<Upstream>) -> Self {
        let (script, link, certificates) = (Vec::new(), None, None);
        Self { upstream: upstream.into(), script, link, certificates, authorized_only: false, seed: 0 }
    }

    /// Adds a fault. Of several that meet one request, the first is done to it. Modes of connections are counted by
    /// connection, whatever the route; those of ranges are done to requests with a `Range` alone.
    pub fn fail(mut self, route: impl Into<Route>, when: When, mode: Mode) -> Self {
        self.script.push(Fault { route: route.into(), when, mode, seen: 0 });
        self
    }

    /// Makes every connection slow.
    pub fn slow(mut self, link: SlowLink) -> Self {
        self.link = Some(link);
        self
    }

    /// Sets what is drawn where something is left to chance.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Speaks TLS to clients; in memory, on port 443 alone.
    pub fn tls(mut self, certificates: Arc<Certificates>) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// Leaves requests without an authorization alone, and does not count them, but those to the token server.
    pub fn authorized_only(mut self) -> Self {
        self.authorized_only = true;
        self
    }

    /// Listens on loopback, on a port that the system picks, with a thread of its own.
    ///
    /// # Panics
    /// If it can't.
    pub fn start(self) -> RunningProxy {
        RunningProxy::start(self, "127.0.0.1:0")
    }

    /// Runs in memory, among the tasks of the runtime that it is called in; other hosts lead to `elsewhere`.
    pub fn in_memory(self, elsewhere: &str) -> MemoryProxy {
        MemoryProxy::new(self, elsewhere)
    }
}
