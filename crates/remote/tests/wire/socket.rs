//! What sockets do: raw loopback servers against the built-in client.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use gantri_core::{BlobBody, Error, ErrorKind, Limits, Pull, Push, Result};
use gantri_remote::{PlainHttp, Remote, RemoteBuilder};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType};

use crate::script::{repo, tag};

/// A server that treats each connection as it is told, and remembers the requests' heads.
struct Raw {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Each connection is answered request by request: `answer` is given the head and how many requests came before, and
    /// gives what to send; the connection ends after an answer that does not `keep`.
    fn start(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // A client that hangs up is the test's doing.
                thread::spawn(move || drop(converse(stream, &seen, &*answer)));
            }
        });
        Self { address, heads }
    }

    fn builder(&self) -> RemoteBuilder {
        Remote::builder(self.address.to_string().parse().unwrap())
    }

    fn remote(&self) -> Remote {
        self.builder().build().unwrap()
    }

    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

struct Answer {
    bytes: Vec<u8>,
    end: End,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Keep,
    Close,
    /// Nothing more is read or said.
    Hold,
    /// Goes on with chunks, for ever.
    Repeat,
}

impl Answer {
    fn keep(head: &str, body: &[u8]) -> Self {
        Self { bytes: [head.as_bytes(), b"\r\n\r\n", body].concat(), end: End::Keep }
    }

    fn close(head: &str, body: &[u8]) -> Self {
        Self { end: End::Close, ..Self::keep(head, body) }
    }
}

fn converse(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str, usize) -> Answer,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
            // A TLS handshake has no end that we would see.
            if head[0] == 0x16 && head.len() > 50 {
                break;
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        // A small body is read before it is answered; a big one is not waited for.
        let length =
            head.to_ascii_lowercase().split("content-length: ").nth(1).map(|rest| rest.lines().next().unwrap().parse());
        if let Some(Ok(length @ 1..=1000)) = length {
            stream.read_exact(&mut vec![0; length])?;
        }
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(head.clone());
            seen.len() - 1
        };
        let answer = answer(&head, before);
        stream.write_all(&answer.bytes)?;
        match answer.end {
            End::Keep => {}
            End::Close => return stream.shutdown(Shutdown::Both),
            End::Hold => loop {
                thread::park();
            },
            End::Repeat => loop {
                stream.write_all(&[&b"10000\r\n"[..], &vec![b'x'; 0x10000][..], b"\r\n"].concat())?;
            },
        }
    }
}

fn blob() -> Bytes {
    (0..200_000_u32).map(|byte| u8::try_from(byte % 251).unwrap()).collect()
}

fn ok() -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}", blob().len())
}

async fn pull(remote: &Remote) -> Result<Bytes> {
    remote.blob(&repo(), &Digest::of(&blob()), ByteRange::Full).await?.bytes(1 << 20).await
}

async fn manifest_error(remote: &Remote) -> Error {
    remote.manifest(&repo(), &tag("v1")).await.unwrap_err()
}

#[tokio::test]
async fn a_blob_comes_over_one_connection_that_is_used_again() {
    let server = Raw::start(|_, _| Answer::keep(&ok(), &blob()));
    let remote = server.remote();
    assert_eq!(pull(&remote).await.unwrap(), blob());
    assert_eq!(pull(&remote).await.unwrap(), blob());
    assert_eq!(server.count(), 2);
    assert!(server.heads.lock().unwrap()[0].starts_with("GET /v2/a/b/blobs/sha256:"));
}

/// H2 on a socket: the connection is closed in mid-body, and the rest comes by range.
#[tokio::test]
async fn a_body_cut_by_the_socket_is_taken_up_again() {
    let server = Raw::start(|head, _| match head.to_ascii_lowercase().split("range: bytes=").nth(1) {
        None => Answer::close(&ok(), &blob()[..70_000]),
        Some(range) => {
            let start: usize = range.split('-').next().unwrap().parse().unwrap();
            let total = blob().len();
            let head = format!(
                "HTTP/1.1 206 x\r\ncontent-length: {}\r\ncontent-range: bytes {start}-{}/{total}",
                total - start,
                total - 1
            );
            Answer::keep(&head, &blob()[start..])
        }
    });
    assert_eq!(pull(&server.remote()).await.unwrap(), blob());
    let heads = server.heads.lock().unwrap();
    assert_eq!(heads.len(), 2);
    assert!(heads[1].to_ascii_lowercase().contains("range: bytes=70000-"), "{}", heads[1]);
}

/// H1: a connection that is closed before the answer begins.
#[tokio::test]
async fn a_connection_closed_before_the_answer_is_tried_again() {
    let server = Raw::start(|_, before| match before {
        0 => Answer { bytes: Vec::new(), end: End::Close },
        _ => Answer::keep(&ok(), &blob()),
    });
    assert_eq!(pull(&server.remote()).await.unwrap(), blob());
    assert_eq!(server.count(), 2);
}

/// H23: a pooled connection that the server has closed meanwhile.
#[tokio::test]
async fn a_pooled_connection_that_has_died_is_replaced() {
    let server = Raw::start(|_, before| match before {
        0 => Answer::close(&ok(), &blob()),
        _ => Answer::keep(&ok(), &blob()),
    });
    let mut limits = Limits::default();
    limits.request_tries = 1;
    let remote = server.builder().limits(limits).build().unwrap();
    assert_eq!(pull(&remote).await.unwrap(), blob());
    assert_eq!(pull(&remote).await.unwrap(), blob());
}

/// H23: some servers say 408 to a connection that rests, and close it. It is the answer to nothing.
#[tokio::test]
async fn a_408_to_a_connection_at_rest_is_no_answer() {
    let server = Raw::start(|_, before| match before {
        0 => {
            let timed_out = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            Answer { bytes: [Answer::keep(&ok(), &blob()).bytes, timed_out.to_vec()].concat(), end: End::Close }
        }
        _ => Answer::keep(&ok(), &blob()),
    });
    let mut limits = Limits::default();
    limits.request_tries = 1;
    let remote = server.builder().limits(limits).build().unwrap();
    assert_eq!(pull(&remote).await.unwrap(), blob());
    assert_eq!(pull(&remote).await.unwrap(), blob());
    assert_eq!(server.count(), 2);
}

/// H11: a server that takes nothing of what is sent to it. The clock is the kernel's, so this takes a moment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_takes_nothing_is_given_up() {
    let server = Raw::start(|head, _| match head.split(' ').next() {
        Some("HEAD") => Answer::keep("HTTP/1.1 404 x\r\ncontent-length: 0", b""),
        Some("POST") => Answer::keep("HTTP/1.1 202 x\r\nlocation: /v2/u/1\r\ncontent-length: 0", b""),
        Some("PUT") => Answer { bytes: Vec::new(), end: End::Hold },
        _ => Answer::keep("HTTP/1.1 204 x\r\ncontent-length: 0", b""),
    });
    let mut limits = Limits::default();
    (limits.idle, limits.resume_tries) = (std::time::Duration::from_millis(300), 1);
    let remote = server.builder().limits(limits).build().unwrap();
    let bytes = Bytes::from(vec![0; 60 << 20]);
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, &bytes);
    let started = std::time::Instant::now();
    let error = remote.put_blob(&repo(), &descriptor, BlobBody::bytes(bytes)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Limits::default().idle, "{:?}", started.elapsed());
}

/// H4 on a socket: the wrong range is not joined on.
#[tokio::test]
async fn a_wrong_content_range_is_not_joined_on() {
    let server = Raw::start(|head, before| match (before, head.to_ascii_lowercase().contains("range: ")) {
        (0, _) => Answer::close(&ok(), &blob()[..70_000]),
        (_, true) => {
            let head = "HTTP/1.1 206 x\r\ncontent-length: 10\r\ncontent-range: bytes 0-9/200000";
            Answer::keep(head, &blob()[..10])
        }
        (_, false) => Answer::keep(&ok(), &blob()),
    });
    assert_eq!(pull(&server.remote()).await.unwrap(), blob());
    assert_eq!(server.count(), 3);
}

/// M6, M7: a body without an end, for a blob whose size HEAD tells, and for a manifest.
#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let server = Raw::start(|head, _| {
        if head.starts_with("HEAD") {
            Answer::keep(&ok(), b"")
        } else {
            Answer { bytes: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), end: End::Repeat }
        }
    });
    let remote = server.remote();
    assert_eq!(pull(&remote).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
    assert_eq!(manifest_error(&remote).await.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn a_web_page_is_no_registry() {
    let server =
        Raw::start(|_, _| Answer::keep("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6", b"<html>"));
    let error = manifest_error(&server.remote()).await;
    assert_eq!(error.kind(), ErrorKind::NotARegistry);
    assert!(error.to_string().contains("<html>"), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_http_is_no_registry() {
    let server = Raw::start(|_, _| Answer { bytes: b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), end: End::Close });
    let error = manifest_error(&server.remote()).await;
    assert_eq!(error.kind(), ErrorKind::NotARegistry);
    assert!(error.hint().is_some());
}

/// A13: https meets a server that speaks plain http: it is said, and nothing is sent in the clear.
#[tokio::test]
async fn https_never_falls_back_to_http() {
    let server = Raw::start(|_, _| Answer::close("HTTP/1.1 400 Bad Request\r\ncontent-length: 0", b""));
    let remote = server.builder().plain_http(PlainHttp::Never).build().unwrap();
    let error = manifest_error(&remote).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("the server does not speak tls"), "{error}");
    assert!(error.hint().unwrap().contains("plain http"), "{error:?}");
    let heads = server.heads.lock().unwrap();
    assert!(heads.iter().all(|head| head.starts_with('\u{16}')), "{heads:?}");
    assert_eq!(heads.len(), 1);
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let remote = Remote::builder(port.to_string().parse().unwrap()).build().unwrap();
    let error = manifest_error(&remote).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!(error.hint().unwrap().contains(&port.to_string()));
}

#[tokio::test]
async fn a_blob_is_pushed_over_a_socket() {
    let server = uploads("HTTP/1.1 201 x\r\ncontent-length: 0");
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"small");
    server.remote().put_blob(&repo(), &descriptor, BlobBody::bytes("small")).await.unwrap();
    let heads = server.heads.lock().unwrap();
    let put = heads.last().unwrap();
    assert!(put.starts_with("PUT") && put.to_ascii_lowercase().contains("content-length: 5"), "{put}");
}

/// A registry that has nothing, opens a session, and answers to the rest as it is told.
fn uploads(answer: &'static str) -> Raw {
    Raw::start(move |head, _| match head.split(' ').next() {
        Some("HEAD") => Answer::keep("HTTP/1.1 404 x\r\ncontent-length: 0", b""),
        Some("POST") => Answer::keep("HTTP/1.1 202 x\r\nlocation: /v2/u/1\r\ncontent-length: 0", b""),
        _ => Answer::close(answer, b""),
    })
}

/// HTTP stops reading a body at the announced length: the lie must show before the last byte is sent.
#[tokio::test]
async fn a_body_that_lies_never_gets_there_whole() {
    let server = uploads("HTTP/1.1 201 x\r\ncontent-length: 0");
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"12345");
    for (bytes, kind) in [("123456", ErrorKind::SizeMismatch), ("12346", ErrorKind::DigestMismatch)] {
        let chunks: Vec<_> = bytes.bytes().map(|byte| Ok(Bytes::from(vec![byte]))).collect();
        let body = BlobBody::once(Box::pin(futures_util::stream::iter(chunks)));
        let error = server.remote().put_blob(&repo(), &descriptor, body).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bytes}");
    }
}
