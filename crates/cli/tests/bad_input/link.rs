//! The way to a registry, with a fault: it cuts connections after so many bytes, or is slow enough for somebody to be killed
//! on it. It counts what passes, and holds what is sent of an upload against what the registry has acknowledged.
//!
//! What passes lies in the buffers of the two kernels until somebody reads it: little of it as long as he keeps up, and many
//! times what a client may lose if the machine is busy with other things. So the buffer on this side is kept small, and what
//! is unread on the other when a client is killed is counted ([`Link::unread`]): nobody ever had it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Random numbers, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// From the registry.
    Down,
    /// To the registry.
    Up,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Every so many bytes on the average, that way, the connection is cut: by an end or by a reset.
    Cuts(Way, u64),
    /// None, but it is no faster than a good link.
    None,
}

/// A way to a registry; ends when it is dropped.
pub(crate) struct Link {
    _runtime: Runtime,
    pub(crate) host: String,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    fault: Fault,
    dice: Mutex<Dice>,
    /// Bytes to the next cut.
    left: AtomicI64,
    down: AtomicU64,
    up: AtomicU64,
    /// Who has it lets bytes pass.
    turn: Mutex<()>,
    unread: AtomicU64,
    cuts: AtomicU64,
    /// Bytes of the upload that the registry has acknowledged.
    acknowledged: AtomicU64,
    /// Those of them that were sent again.
    again: AtomicU64,
}

impl Link {
    pub(crate) fn to(host: &str, fault: Fault, seed: u64) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(async { listen() });
        let own = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            to: host.parse().unwrap(),
            fault,
            dice: Mutex::new(Dice::new(seed)),
            left: AtomicI64::new(0),
            down: AtomicU64::new(0),
            up: AtomicU64::new(0),
            turn: Mutex::default(),
            unread: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            again: AtomicU64::new(0),
        });
        shared.deal();
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                ways.spawn(Arc::clone(&serving).join(client));
                // What has ended need not be remembered.
                while ways.try_join_next().is_some() {}
            }
        });
        Self { _runtime: runtime, host: own, shared }
    }

    pub(crate) fn passed(&self, way: Way) -> u64 {
        self.shared.counter(way).load(Ordering::SeqCst)
    }

    /// Has `kill` end a client that has stopped, while nothing passes; remembers what it, or the registry, had not read.
    pub(crate) fn around<T>(&self, way: Way, kill: impl FnOnce() -> T) -> T {
        let _turn = self.shared.turn.lock().unwrap();
        let port = if way == Way::Down { &self.host } else { &self.shared.to.to_string() };
        self.shared.unread.fetch_add(unread(port, way), Ordering::SeqCst);
        kill()
    }

    /// Bytes that were lost unread when clients were killed.
    pub(crate) fn unread(&self) -> u64 {
        self.shared.unread.load(Ordering::SeqCst)
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Bytes of an upload that were sent again after the registry had acknowledged them.
    pub(crate) fn sent_again(&self) -> u64 {
        self.shared.again.load(Ordering::SeqCst)
    }

    /// How far the registry says that the upload is.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn join(self: Arc<Self>, client: TcpStream) {
        let Ok(registry) = socket().connect(self.to).await else { return };
        let (client_reads, client_writes) = client.into_split();
        let (registry_reads, registry_writes) = registry.into_split();
        let up = Arc::clone(&self).pump(Way::Up, client_reads, registry_writes);
        let down = Arc::clone(&self).pump(Way::Down, registry_reads, client_writes);
        // Where one way is cut, the other is too.
        tokio::select! {
            ends = up => ends,
            ends = down => ends,
        };
    }

    /// Passes bytes on until one side ends, or the link is cut.
    async fn pump(self: Arc<Self>, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; PIECE];
        loop {
            let Ok(count) = from.read(&mut buffer).await else { return };
            if count == 0 {
                // The other way may still have something to say.
                let _ = to.shutdown().await;
                return std::future::pending().await;
            }
            let bytes = &buffer[..count];
            self.listen(way, bytes);
            let passed = self.allowed(way, count);
            if self.pass(way, &bytes[..passed], &to).await.is_err() {
                return;
            }
            if passed < count {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                if self.dice.lock().unwrap().below(2) == 0 {
                    let _ = from.as_ref().set_zero_linger();
                    let _ = to.as_ref().set_zero_linger();
                }
                self.deal();
                return;
            }
            // The rate of a link, so that it is the link that is full and not the buffers on it.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Hands these on, and counts them as they go.
    async fn pass(&self, way: Way, mut bytes: &[u8], to: &OwnedWriteHalf) -> io::Result<()> {
        while !bytes.is_empty() {
            to.writable().await?;
            let _turn = self.turn.lock().unwrap();
            match to.try_write(bytes) {
                Ok(count) => {
                    self.counter(way).fetch_add(count as u64, Ordering::SeqCst);
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn counter(&self, way: Way) -> &AtomicU64 {
        if way == Way::Down { &self.down } else { &self.up }
    }

    /// How many of these bytes pass before the next cut.
    fn allowed(&self, way: Way, count: usize) -> usize {
        match self.fault {
            Fault::Cuts(cut, _) if cut == way => {
                let left = self.left.fetch_sub(i64::try_from(count).unwrap(), Ordering::SeqCst);
                usize::try_from(left.max(0)).unwrap().min(count)
            }
            _ => count,
        }
    }

    /// Says where the next cut is: after half to one and a half of the average.
    fn deal(&self) {
        if let Fault::Cuts(_, every) = self.fault {
            let left = every / 2 + self.dice.lock().unwrap().below(every);
            self.left.store(i64::try_from(left).unwrap(), Ordering::SeqCst);
        }
    }

    /// Reads what the two sides say of an upload. Heads come at the beginning of what is read.
    fn listen(&self, way: Way, bytes: &[u8]) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
        let number = |name: &str| {
            let value = text.split(name).nth(1)?.split("\r\n").next()?;
            let (start, end) = value.trim().trim_start_matches("bytes ").split_once('-')?;
            Some((start.parse::<u64>().ok()?, end.parse::<u64>().ok()?))
        };
        match way {
            Way::Up if text.starts_with("patch ") => {
                let Some((start, end)) = number("\r\ncontent-range:") else { return };
                let known = self.acknowledged.load(Ordering::SeqCst).min(end + 1);
                self.again.fetch_add(known.saturating_sub(start), Ordering::SeqCst);
            }
            Way::Down if text.starts_with("http/1.1 20") && text.contains("/blobs/uploads/") => {
                if let Some((0, last)) = number("\r\nrange:").filter(|(_, last)| *last > 0) {
                    self.acknowledged.fetch_max(last + 1, Ordering::SeqCst);
                }
            }
            _ => {}
        }
    }
}

/// A socket that buffers little of what is sent; those that a listener accepts are like it.
fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(u32::try_from(PIECE).unwrap()).unwrap();
    socket
}

fn listen() -> TcpListener {
    let socket = socket();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(128).unwrap()
}

/// Bytes that have come to sockets connected with this port, or to those at this port, and that nobody has read yet.
fn unread(host: &str, way: Way) -> u64 {
    let port: u16 = host.rsplit_once(':').unwrap().1.parse().unwrap();
    let port = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Established: the queue of one that listens is another thing.
        let [_, local, remote, "01", queues, ..] = words[..] else { return None };
        let ours = if way == Way::Down { remote } else { local };
        let (_, received) = queues.split_once(':').filter(|_| ours.ends_with(&port))?;
        u64::from_str_radix(received, 16).ok()
    };
    table.lines().filter_map(of).sum()
}

/// Bytes that pass at once.
const PIECE: usize = 64 << 10;
/// With a piece, 32 MiB a second at the most.
const PAUSE: Duration = Duration::from_millis(2);
