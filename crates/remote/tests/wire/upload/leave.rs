//! H12 on a socket: a large body waits for the registry's leave, so that one that is refused or sent elsewhere is not sent
//! for nothing; and one that is refused on its way is not sent to its end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, pending};
use gantri_core::{BlobBody, Error, Limits, Push};
use gantri_remote::Remote;
use gantri_spec::{Descriptor, MediaType};

use crate::script::repo;

/// What the server does with a request that has a body.
#[derive(Clone, Copy, Debug)]
enum Ways {
    /// Gives leave, reads it, and takes it.
    Leave,
    /// Says nothing, reads it, and takes it.
    Silent,
    /// Answers before it has read a byte, and then reads whatever comes.
    Answers(&'static str),
    /// Sends it elsewhere, where there is leave.
    Elsewhere,
}

/// What came over one connection after another: heads, and how many bytes of each body.
type Seen = Arc<Mutex<Vec<(String, usize)>>>;

struct Server {
    address: SocketAddr,
    seen: Seen,
}

impl Server {
    fn start(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&noted);
                thread::spawn(move || drop(converse(stream, ways, &seen)));
            }
        });
        Self { address, seen }
    }

    /// The request lines, and the bytes of body that came with each.
    fn requests(&self) -> Vec<(String, usize)> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(head, count)| (head.split(" http/").next().unwrap().to_owned(), *count)).collect()
    }

    fn asked_for_leave(&self) -> Vec<bool> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(head, _)| head.contains("expect: 100-continue")).collect()
    }
}

fn converse(mut stream: TcpStream, ways: Ways, seen: &Seen) -> std::io::Result<()> {
    loop {
        let Some(head) = head(&mut stream)? else { return Ok(()) };
        let length: usize =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let at = {
            let mut seen = seen.lock().unwrap();
            seen.push((head.clone(), 0));
            seen.len() - 1
        };
        let expects = head.contains("expect: 100-continue");
        match (head.split(' ').next().unwrap(), ways) {
            ("HEAD", _) => stream.write_all(b"HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n")?,
            ("POST", _) => stream.write_all(b"HTTP/1.1 202 x\r\nlocation: /v2/u/1\r\ncontent-length: 0\r\n\r\n")?,
            ("DELETE", _) => stream.write_all(b"HTTP/1.1 204 x\r\n\r\n")?,
            (_, Ways::Answers(answer)) if expects || !answer.starts_with("417") => {
                stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 6\r\n\r\n").as_bytes())?;
                // The reason comes late, and is read all the same.
                thread::sleep(Duration::from_millis(50));
                stream.write_all(b"reason")?;
                return read(&mut stream, usize::MAX, at, seen);
            }
            (_, Ways::Elsewhere) if !head.contains(" /v2/elsewhere") => {
                stream.write_all(b"HTTP/1.1 307 x\r\nlocation: /v2/elsewhere\r\ncontent-length: 0\r\n\r\n")?;
                return read(&mut stream, usize::MAX, at, seen);
            }
            (_, ways) => {
                if expects && !matches!(ways, Ways::Silent) {
                    stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")?;
                }
                read(&mut stream, length, at, seen)?;
                stream.write_all(b"HTTP/1.1 201 x\r\ncontent-length: 0\r\n\r\n")?;
            }
        }
    }
}

fn head(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (method, rest) = head.split_once(' ').unwrap();
    Ok(Some(format!("{method} {}", rest.to_ascii_lowercase())))
}

/// Reads so many bytes of a body, or to the end of the connection.
fn read(stream: &mut TcpStream, length: usize, at: usize, seen: &Seen) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut left = length;
    while left > 0 {
        let count = stream.read(&mut buffer[..left.min(64 << 10)])?;
        if count == 0 {
            break;
        }
        left -= count;
        seen.lock().unwrap()[at].1 += count;
    }
    Ok(())
}

fn big() -> Bytes {
    Bytes::from(vec![7; 8 << 20])
}

async fn put(server: &Server, set: impl FnOnce(&mut Limits)) -> Result<Duration, Error> {
    let mut limits = Limits::default();
    // Longer than any test takes.
    limits.expect_wait = Duration::from_secs(60);
    set(&mut limits);
    let remote = Remote::builder(server.address.to_string().parse().unwrap()).limits(limits).build().unwrap();
    push(&remote).await
}

async fn push(remote: &Remote) -> Result<Duration, Error> {
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, &big());
    // In chunks, as a file is read.
    let body = BlobBody::reopen(|offset| {
        let rest = big().slice(usize::try_from(offset).unwrap()..);
        let chunks: Vec<_> =
            (0..rest.len()).step_by(64 << 10).map(|at| Ok(rest.slice(at..(at + (64 << 10)).min(rest.len())))).collect();
        Box::pin(iter(chunks))
    });
    let started = Instant::now();
    remote.put_blob(&repo(), &descriptor, body).await?;
    Ok(started.elapsed())
}

#[tokio::test]
async fn a_large_body_waits_for_leave() {
    let server = Server::start(Ways::Leave);
    put(&server, |_| {}).await.unwrap();
    assert_eq!(server.asked_for_leave(), [false, false, true]);
    assert_eq!(server.requests()[2].1, 8 << 20);
}

#[tokio::test]
async fn a_body_below_the_bound_does_not_ask() {
    let server = Server::start(Ways::Leave);
    put(&server, |limits| limits.expect_from = (8 << 20) + 1).await.unwrap();
    assert_eq!(server.asked_for_leave(), [false, false, false]);
}

/// A body that is refused costs nothing, and the reason is heard.
#[tokio::test]
async fn a_refused_upload_costs_no_body() {
    for (answer, status) in [("401 x", 401), ("403 x", 403), ("400 x", 400)] {
        let server = Server::start(Ways::Answers(answer));
        let error = put(&server, |_| {}).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status, "{error}");
        let requests = server.requests();
        assert!(requests.iter().all(|(_, body)| *body == 0), "{answer}: {requests:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_sent_elsewhere_sends_its_body_once() {
    let server = Server::start(Ways::Elsewhere);
    put(&server, |_| {}).await.unwrap();
    let requests = server.requests();
    assert_eq!((&requests[2].1, &requests[3].0[..], requests[3].1), (&0, "PUT /v2/elsewhere", 8 << 20), "{requests:?}");
}

/// A proxy may not know the question.
#[tokio::test]
async fn who_does_not_like_to_be_asked_is_not() {
    let server = Server::start(Ways::Answers("417 x"));
    put(&server, |_| {}).await.unwrap();
    assert_eq!(server.asked_for_leave(), [false, false, true, false]);
    assert_eq!(server.requests()[3].1, 8 << 20);
}

/// Who says nothing is sent the body after a moment, and is not asked again.
#[tokio::test]
async fn who_gives_no_leave_is_waited_for_once() {
    let server = Server::start(Ways::Silent);
    let mut limits = Limits::default();
    limits.expect_wait = Duration::from_millis(50);
    let remote = Remote::builder(server.address.to_string().parse().unwrap()).limits(limits).build().unwrap();
    assert!(push(&remote).await.unwrap() >= Duration::from_millis(50));
    push(&remote).await.unwrap();
    assert_eq!(server.asked_for_leave(), [false, false, true, false, false, false]);
}

/// A registry that refuses while we are still sending is heard, and the rest of the body is let go.
#[tokio::test]
async fn an_early_refusal_is_reported_and_stops_the_body() {
    let server = Server::start(Ways::Answers("403 x"));
    let (held, gone) = tokio::sync::oneshot::channel::<()>();
    let held = Mutex::new(Some(held));
    let body = BlobBody::reopen(move |_| {
        let held = held.lock().unwrap().take();
        let some = iter((0..16).map(|_| Ok(Bytes::from(vec![7; 64 << 10]))));
        // It has more, in a while.
        Box::pin(some.chain(pending()).map(move |chunk| {
            let _until_it_is_dropped = &held;
            chunk
        }))
    });
    let mut limits = Limits::default();
    limits.expect_from = u64::MAX;
    let remote = Remote::builder(server.address.to_string().parse().unwrap()).limits(limits).build().unwrap();
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, &big());
    let error = remote.put_blob(&repo(), &descriptor, body).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 403, "{error}");
    assert!(tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap().is_err(), "nobody holds the body");
}
