//! Listening: who is let in, how long they may idle, and how it all ends.
//!
//! The only file that starts tasks, every one of them in a set that dies with the server's future. What is answered is
//! the business of `service.rs`.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use gantri_core::{Error, Registry, Result};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::options::ServerOptions;
use crate::pulse::{Pulse, Watched};
use crate::service::RegistryService;

/// A registry that listens for HTTP/1.1 and HTTP/2 (with prior knowledge) on one address, without TLS.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: RegistryService,
    options: ServerOptions,
}

impl Server {
    /// Listens on `address`; port 0 takes one that is free. Connections wait until [`run`](Self::run) takes them.
    ///
    /// # Errors
    /// `Io` if the address can't be had.
    ///
    /// # Cancel safety
    /// Dropping the future, or the server, closes the listener.
    pub async fn bind(address: SocketAddr, registry: Arc<dyn Registry>, options: ServerOptions) -> Result<Self> {
        let listen = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen
            .await
            .map_err(|source: std::io::Error| Error::io(format!("listen on {address}: {source}"), source))?;
        let mut options = options;
        options.url.get_or_insert_with(|| format!("http://{address}"));
        Ok(Self { listener, address, service: RegistryService::new(registry, options.clone()), options })
    }

    /// The address it listens on, with the port it has.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, `http://127.0.0.1:5000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `shutdown` is ready; then lets requests in flight end, for a bounded time, and closes (R11).
    ///
    /// # Errors
    /// None at this time: whatever goes wrong with one connection ends that connection.
    ///
    /// # Cancel safety
    /// Dropping the future closes every connection at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let tasks = Tasks::default();
        let graceful = GracefulShutdown::new();
        let builder = protocol(&self.options, &tasks);
        let places = Arc::new(Semaphore::new(self.options.connections));
        let mut shutdown = pin!(shutdown);
        tasks.spawn(reap(self.service.clone(), self.options.upload_idle));
        loop {
            let (stream, place) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let options = &self.options;
            let (head, idle) = (options.head, options.client_idle);
            let connection = Connection { stream, place, service: self.service.clone(), head, idle };
            tasks.spawn(connection.serve(builder.clone(), graceful.watcher()));
        }
        drop(self.listener);
        if timeout(self.options.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(drain = ?self.options.drain, "requests were still in flight, and were cut off");
        }
        tasks.stop().await;
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).field("service", &self.service).finish_non_exhaustive()
    }
}

/// Waits for a place and then for somebody to take it, so that those who must wait do so in the kernel's queue (R3).
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                // Most likely no file descriptors are left: others have to close theirs first.
                tracing::warn!(%error, "could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    place: Option<OwnedSemaphorePermit>,
    service: RegistryService,
    head: Duration,
    idle: Duration,
}

impl Connection {
    async fn serve(self, builder: auto::Builder<Spawner>, watcher: Watcher) {
        let Self { stream, place: _place, service, head, idle } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small answers will be slower");
        }
        let pulse = Pulse::new();
        let service = service_fn(|request| {
            let (work, pulse) = (pulse.work(), pulse.clone());
            let answer = service.clone().call(request);
            async move {
                let answer = answer.await.map(|answer| answer.map(|body| Watched::new(body, pulse)));
                drop(work);
                answer
            }
        });
        let mut served = pin!(watcher.watch(builder.serve_connection(TokioIo::new(stream), service)));
        tokio::select! {
            ended = &mut served => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection broke off");
                }
            }
            () = overdue(&pulse, head, idle) => tracing::debug!("closed a connection whose client was silent"),
        }
    }
}

/// Ends when a client has been silent for too long (R3).
///
/// hyper bounds the head of an HTTP/1 request once it knows that it is one. Whoever does not even get that far, speaks
/// HTTP/2 and asks nothing, or takes nothing of what it asked for, is shown out here.
async fn overdue(pulse: &Pulse, head: Duration, idle: Duration) {
    sleep(head).await;
    if pulse.was_asked() {
        pulse.stops(idle).await;
    }
}

/// Forgets uploads that rest, also while nobody asks for anything.
async fn reap(service: RegistryService, upload_idle: Duration) {
    loop {
        sleep(upload_idle.min(REAP)).await;
        service.reap().await;
    }
}

fn protocol(options: &ServerOptions, tasks: &Tasks) -> auto::Builder<Spawner> {
    let mut builder = auto::Builder::new(tasks.spawner());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Every task of one server. Dropping it ends them: what runs in the set knows it weakly.
#[derive(Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner().execute(task);
    }

    fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.0))
    }

    /// Ends whatever still runs, and waits until it has.
    async fn stop(self) {
        let mut set = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        set.shutdown().await;
    }
}

/// Starts tasks in a set, for connections and for the requests that HTTP/2 runs side by side.
#[derive(Clone)]
struct Spawner(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        let Some(set) = self.0.upgrade() else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            if let Err(error) = ended {
                tracing::warn!(%error, "a connection ended in a panic");
            }
        }
        set.spawn(task);
    }
}

const REAP: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const MAX_HEADERS: usize = 128;
/// Bytes of the head of an HTTP/1 request, and of what is read at once. Enough for any token.
const MAX_HEAD: usize = 128 << 10;
/// Bytes of the header fields of an HTTP/2 request.
const MAX_HEADER_LIST: u32 = 64 << 10;
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
/// Bytes that a blob on its way in may be ahead of whoever stores it.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

#[cfg(test)]
mod tests {
    use gantri_core::{ErrorKind, Memory, Push};
    use gantri_spec::RepositoryName;

    use super::*;

    /// R3.
    #[tokio::test(start_paused = true)]
    async fn uploads_that_rest_are_forgotten_while_nobody_asks() {
        let (memory, repo): (_, RepositoryName) = (Memory::new(), "a".parse().unwrap());
        let server =
            Server::bind(([127, 0, 0, 1], 0).into(), Arc::new(memory.clone()), ServerOptions::default()).await.unwrap();
        let request = http::Request::post("/v2/a/blobs/uploads/").body(http_body_util::Empty::new()).unwrap();
        assert_eq!(server.service.clone().call(request).await.unwrap().status(), 202);
        let behind = gantri_core::UploadSession::new("1", 0, gantri_spec::Algorithm::Sha256);
        memory.resume_upload(&repo, behind.clone()).await.unwrap();
        timeout(Duration::from_secs(62 * 60), server.run(std::future::pending())).await.unwrap_err();
        assert_eq!(memory.resume_upload(&repo, behind).await.unwrap_err().kind(), ErrorKind::UploadUnknown);
    }
}
