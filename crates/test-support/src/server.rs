//! A server that answers just as the test says, byte for byte, and remembers what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use bytes::Bytes;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer, right or wrong.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    length: Option<u64>,
    body: Body,
}

/// What a body does on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// So many bytes of it, then the connection is closed.
    Cut(Bytes, usize),
    /// So many bytes of it, then nothing until the server ends.
    Stall(Bytes, usize),
    /// The same bytes again and again, until the other side has had enough.
    Endless(Bytes),
}

impl Reply {
    /// This status, with no body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), length: None, body: Body::Whole(Bytes::new()) }
    }

    /// 200 with these bytes.
    pub fn ok(bytes: impl Into<Bytes>) -> Self {
        Self::new(200).body(Body::Whole(bytes.into()))
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Announces another length than the body's own.
    pub fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }
}

/// The server; ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    stalled: Mutex<bool>,
    stopped: Condvar,
    over: AtomicBool,
    ended: Condvar,
    end: Mutex<()>,
    open: Mutex<Vec<TcpStream>>,
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

impl ScriptedServer {
    /// Starts to answer with what `handler` says.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the port that was bound");
        let shared = Arc::new(Shared::default());
        let handler: Arc<Handler> = Arc::new(handler);
        let state = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &state, &handler));
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it was asked so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no panic in the server").clone()
    }

    /// Waits until a request has come whose target holds `part`.
    pub fn wait_for(&self, part: &str) {
        let requests = self.shared.requests.lock().expect("no panic in the server");
        let missing = |requests: &mut Vec<Request>| !requests.iter().any(|request| request.target.contains(part));
        drop(self.shared.arrived.wait_while(requests, missing).expect("no panic in the server"));
    }

    /// Waits until an answer has stalled: all that will ever be sent of it is on its way.
    pub fn wait_for_stall(&self) {
        let stalled = self.shared.stalled.lock().expect("no panic in the server");
        drop(self.shared.stopped.wait_while(stalled, |stalled| !*stalled).expect("no panic in the server"));
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.ended.notify_all();
        for stream in self.shared.open.lock().expect("no panic in the server").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, handler: &Arc<Handler>) {
    for stream in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(clone) = stream.try_clone() {
            shared.open.lock().expect("no panic in the server").push(clone);
        }
        let (shared, handler) = (Arc::clone(shared), Arc::clone(handler));
        thread::spawn(move || {
            // A client that goes away is the test's business.
            let _ = converse(&stream, &shared, &*handler);
            // The list of open connections holds another handle: dropping this one would not close it.
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn converse(stream: &TcpStream, shared: &Shared, handler: &Handler) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader)? {
        shared.requests.lock().expect("no panic in the server").push(request.clone());
        shared.arrived.notify_all();
        let reply = handler(&request);
        if write_reply(&mut writer, &request, &reply, shared)? == Then::Close {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    request.body = read_body(reader, &request)?;
    Ok(Some(request))
}

fn read_body(reader: &mut impl BufRead, request: &Request) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = request.header("content-length").and_then(|length| length.parse().ok()) {
        reader.take(length).read_to_end(&mut body)?;
        return Ok(body);
    }
    if request.header("transfer-encoding").is_none() {
        return Ok(body);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        reader.take(length).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if length == 0 {
            return Ok(body);
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Then {
    GoOn,
    Close,
}

fn write_reply(writer: &mut impl Write, request: &Request, reply: &Reply, shared: &Shared) -> io::Result<Then> {
    let own_length = match &reply.body {
        Body::Whole(bytes) | Body::Cut(bytes, _) | Body::Stall(bytes, _) => Some(bytes.len() as u64),
        Body::Endless(_) => None,
    };
    let mut head = Vec::new();
    write!(head, "HTTP/1.1 {} x\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    match reply.length.or(own_length) {
        Some(length) if reply.status != 204 => write!(head, "content-length: {length}\r\n\r\n")?,
        // Without a length the body ends with the connection.
        _ => write!(head, "\r\n")?,
    }
    writer.write_all(&head)?;
    if request.method == "HEAD" {
        return Ok(Then::GoOn);
    }
    match &reply.body {
        Body::Whole(bytes) => {
            writer.write_all(bytes)?;
            let honest = reply.length.is_none_or(|length| length == bytes.len() as u64);
            Ok(if honest { Then::GoOn } else { Then::Close })
        }
        Body::Cut(bytes, at) => {
            writer.write_all(&bytes[..*at])?;
            Ok(Then::Close)
        }
        Body::Stall(bytes, at) => {
            writer.write_all(&bytes[..*at])?;
            writer.flush()?;
            *shared.stalled.lock().expect("no panic in the server") = true;
            shared.stopped.notify_all();
            let waiting = shared.end.lock().expect("no panic in the server");
            drop(shared.ended.wait_while(waiting, |()| !shared.over.load(Ordering::SeqCst)));
            Ok(Then::Close)
        }
        Body::Endless(bytes) => {
            while !shared.over.load(Ordering::SeqCst) {
                writer.write_all(bytes)?;
            }
            Ok(Then::Close)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &ScriptedServer, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_answers_as_told_and_remembers() {
        let server = ScriptedServer::start(|request| match request.target.as_str() {
            "/cut" => Reply::ok("0123456789").body(Body::Cut("0123456789".into(), 3)),
            _ => Reply::ok("hello").header("x", "y"),
        });
        assert!(ask(&server, "GET / HTTP/1.1\r\nA: b\r\n\r\n").ends_with("x: y\r\ncontent-length: 5\r\n\r\nhello"));
        assert!(ask(&server, "GET /cut HTTP/1.1\r\n\r\n").ends_with("content-length: 10\r\n\r\n012"));
        assert!(ask(&server, "HEAD / HTTP/1.1\r\n\r\n").ends_with("content-length: 5\r\n\r\n"));
        ask(&server, "PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc");
        server.wait_for("/cut");
        let requests = server.requests();
        assert_eq!(requests[0].header("a"), Some("b"));
        assert_eq!(requests[3].body, b"abc");
    }
}
