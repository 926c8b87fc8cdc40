//! A network that is played: names, addresses, and what answers there. All of it is in memory, and no packet is sent; what
//! anybody tried to reach, and what was said there, is written down.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use gantri_remote::{Connection, Dial, Resolve};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The addresses of a name, when it is asked for the n-th time.
type Names = dyn Fn(&str, usize) -> Vec<&'static str> + Send + Sync;
/// The whole answer to a request, as it goes over the wire.
type Answer = dyn Fn(&Asked) -> Vec<u8> + Send + Sync;

/// The network.
#[derive(Clone)]
pub(crate) struct Network(Arc<Inner>);

struct Inner {
    names: Box<Names>,
    answer: Box<Answer>,
    lookups: Mutex<HashMap<String, usize>>,
    heard: Mutex<Vec<Heard>>,
}

/// One connection: where it led, and all that was sent on it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// A request that arrived.
pub(crate) struct Asked {
    pub(crate) at: SocketAddr,
    pub(crate) head: String,
}

impl Asked {
    pub(crate) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// An answer with these header lines and this body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{}\r\n", body.len(), headers.concat());
    [head.as_bytes(), body].concat()
}

impl Network {
    pub(crate) fn new(
        names: impl Fn(&str, usize) -> Vec<&'static str> + Send + Sync + 'static,
        answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (lookups, heard) = (Mutex::default(), Mutex::default());
        Arc::new(Self(Arc::new(Inner { names: Box::new(names), answer: Box::new(answer), lookups, heard })))
    }

    /// What was said so far, and where.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.0.heard.lock().unwrap().clone()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

#[async_trait]
impl Resolve for Network {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut lookups = self.0.lookups.lock().unwrap();
        let before = lookups.entry(name.to_owned()).or_default();
        let found = (self.0.names)(name, *before);
        *before += 1;
        Ok(found.into_iter().map(|address| address.parse().unwrap()).collect())
    }
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        let mut heard = self.0.heard.lock().unwrap();
        heard.push(Heard { at: to, bytes: Vec::new() });
        let place = heard.len() - 1;
        Ok(Box::new(Line {
            network: self.clone(),
            at: to,
            place,
            request: Vec::new(),
            reply: Vec::new(),
            reader: None,
        }))
    }
}

/// A connection with its server inside.
struct Line {
    network: Network,
    at: SocketAddr,
    place: usize,
    request: Vec<u8>,
    reply: Vec<u8>,
    reader: Option<Waker>,
}

impl Line {
    /// Takes a whole request off what has come.
    fn next(&mut self) -> Option<Asked> {
        let end = self.request.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let asked = Asked { at: self.at, head: String::from_utf8_lossy(&self.request[..end]).into_owned() };
        let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
        if self.request.len() < end + length {
            return None;
        }
        self.request.drain(..end + length);
        Some(asked)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let place = self.place;
        self.network.0.heard.lock().unwrap()[place].bytes.extend_from_slice(bytes);
        self.request.extend_from_slice(bytes);
        if self.request.first() == Some(&0x16) {
            // TLS is not spoken here.
            self.reply = b"HTTP/1.1 400 x\r\n\r\n".to_vec();
        }
        while let Some(asked) = self.next() {
            let answer = (self.network.0.answer)(&asked);
            self.reply.extend(answer);
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reply.is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = into.remaining().min(self.reply.len());
        into.put_slice(&self.reply[..count]);
        self.reply.drain(..count);
        Poll::Ready(Ok(()))
    }
}
