//! The proxy on a socket: a thread with a runtime of its own, so that tests with and without one can use it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FaultProxy;
use super::detour::Detours;
use super::record::{Record, Records};
use super::serve::serve;
use super::shared::Shared;

/// A proxy that listens; ends with all its connections when it is dropped.
#[derive(Debug)]
pub struct RunningProxy {
    address: SocketAddr,
    records: Records,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningProxy {
    pub(super) fn start(plan: FaultProxy, address: &str) -> Self {
        let listen = |address: &str| {
            let listener = TcpListener::bind(address).expect("a free port");
            listener.set_nonblocking(true).expect("a listener that does not block");
            listener
        };
        let (listener, other) = (listen(address), listen("127.0.0.1:0"));
        let port = |listener: &TcpListener| listener.local_addr().expect("the address that was bound");
        let (address, other_port) = (port(&listener), port(&other).port());
        let detours = Detours::new(format!("localhost:{}", address.port()), other_port);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let shared = {
            let _entered = runtime.enter();
            Arc::new(Shared::new(plan, detours))
        };
        let records = shared.records.clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = thread::spawn(move || {
            runtime.block_on(async move {
                let serving = async { tokio::join!(accept(listener, &shared), accept(other, &shared)) };
                tokio::select! {
                    _ = serving => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        Self { address, records, stop, thread: Some(thread) }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked so far, in the order of arrival.
    pub fn records(&self) -> Vec<Record> {
        self.records.all()
    }

    /// Waits until the records are as wanted.
    pub async fn until(&self, wanted: impl Fn(&[Record]) -> bool) {
        self.records.until(wanted).await;
    }
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic of a connection ends that connection.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this runtime");
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Only speed is lost.
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(Arc::clone(shared), stream, true));
        while connections.try_join_next().is_some() {}
    }
}
