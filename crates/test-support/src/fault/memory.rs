//! The proxy in memory: whoever dials gets one end of a pipe, and the other is served by a task. With the clock of tokio
//! paused, nothing is waited for in earnest.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::FaultProxy;
use super::detour::Detours;
use super::link::Pipe;
use super::record::Record;
use super::serve::serve;
use super::shared::Shared;

/// A proxy in memory; ends with all its connections when it is dropped.
pub struct MemoryProxy {
    shared: Arc<Shared>,
    connections: Mutex<JoinSet<()>>,
}

/// As much as a pipe holds on its way: less than any body worth cutting, so that writers wait for readers.
const PIPE: usize = 16 << 10;

impl MemoryProxy {
    pub(super) fn new(plan: FaultProxy, elsewhere: &str) -> Self {
        let detours = Detours::new(elsewhere.to_owned(), 8443);
        Self { shared: Arc::new(Shared::new(plan, detours)), connections: Mutex::default() }
    }

    /// Connects, wherever to: all addresses are this proxy's.
    ///
    /// # Errors
    /// If the script says so.
    pub fn dial(&self, address: SocketAddr) -> io::Result<Pipe> {
        if self.shared.refuses_next() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = Pipe::pair(PIPE);
        let wants_tls = matches!(address.port(), 443 | 8443);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.spawn(serve(Arc::clone(&self.shared), far, wants_tls));
        Ok(near)
    }

    /// What it was asked so far, in the order of arrival.
    pub fn records(&self) -> Vec<Record> {
        self.shared.records.all()
    }
}

impl fmt::Debug for MemoryProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProxy").field("shared", &self.shared).finish_non_exhaustive()
    }
}
