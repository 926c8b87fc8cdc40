//! Floods of HTTP/2 frames, and a window that never opens (H21): they end in an error, within a time, and with little read and
//! less kept. The versions of `h2` that hold this are the least that `hyper` takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gantri_core::{BlobBody, ErrorKind, Limits, Push};
use gantri_remote::{HttpVersion, PlainHttp, Remote};
use gantri_spec::{Descriptor, Digest, MediaType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::net::{Net, Socket, ask, shown};
use crate::script::repo;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The next frame: kind, flags, stream.
async fn read(socket: &mut Socket) -> Option<(u8, u8, u32)> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    socket.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
}

/// Greets, with these settings, and waits for the head of a request; gives its stream.
async fn greet(socket: &mut Socket, settings: &[u8]) -> Option<u32> {
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).await.ok()?;
    socket.write_all(&frame(SETTINGS, 0, 0, settings)).await.ok()?;
    request(socket).await
}

async fn request(socket: &mut Socket) -> Option<u32> {
    loop {
        match read(socket).await? {
            (HEADERS, _, stream) => return Some(stream),
            (SETTINGS, 0, _) => socket.write_all(&frame(SETTINGS, ACK, 0, &[])).await.ok()?,
            _ => {}
        }
    }
}

/// A registry that answers a request with the same bytes for ever; and how many of them were taken.
fn flooding(
    settings: &'static [u8],
    first: fn(u32) -> Vec<u8>,
    again: fn(u32) -> Vec<u8>,
) -> (Remote, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let net = Net::default().name("registry.test", &["192.0.2.1"]).host("192.0.2.1:80", move |mut socket| {
        let count = Arc::clone(&count);
        async move {
            let Some(stream) = greet(&mut socket, settings).await else { return };
            let mut bytes = first(stream);
            while socket.write_all(&bytes).await.is_ok() {
                count.fetch_add(bytes.len(), Ordering::SeqCst);
                bytes = again(stream);
            }
        }
    });
    let builder = net.builder("registry.test").plain_http(PlainHttp::Always).http_version(HttpVersion::Http2);
    (builder.build().unwrap(), taken)
}

/// What is taken of a flood: buffers on the way, and the bound on headers.
const LITTLE: usize = 2 << 20;

/// RUSTSEC-2024-0332: headers that never end.
#[tokio::test(start_paused = true)]
async fn headers_without_end_are_given_up() {
    let headers = |stream| frame(HEADERS, END_STREAM, stream, &[0x88]);
    // A header that is neither indexed nor huffman coded: `x: yyy..`
    let more = |stream| frame(CONTINUATION, 0, stream, &[&[0, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(100));
    let empty = |stream| frame(CONTINUATION, 0, stream, &[]);
    for again in [more, empty] {
        let (remote, taken) = flooding(&[], headers, again);
        let error = ask(&remote).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", shown(&error));
        assert!(taken.load(Ordering::SeqCst) < LITTLE, "{taken:?}");
    }
}

/// RUSTSEC-2024-0003 and its kin: frames that want an answer, from somebody who reads none.
#[tokio::test(start_paused = true)]
async fn frames_that_want_answers_are_not_taken_faster_than_those_are_read() {
    let settings = |_| frame(SETTINGS, 0, 0, &[]);
    let pings = |_| frame(PING, 0, 0, &[0; 8]);
    for again in [settings, pings] {
        let (remote, taken) = flooding(&[], again, again);
        let started = Instant::now();
        let error = ask(&remote).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{}", shown(&error));
        assert_eq!(started.elapsed(), Limits::default().first_byte);
        assert!(taken.load(Ordering::SeqCst) < LITTLE, "{taken:?}");
    }
}

/// A window that never opens: the push ends in time, and has read no more of its source than is held to be sent again.
#[tokio::test(start_paused = true)]
async fn a_window_that_never_opens_ends_a_push() {
    // SETTINGS_INITIAL_WINDOW_SIZE, 0.
    const SHUT: [u8; 6] = [0, 4, 0, 0, 0, 0];
    const CHUNK: usize = 64 << 10;
    let net = Net::default().name("registry.test", &["192.0.2.1"]).host("192.0.2.1:80", |mut socket| async move {
        let mut stream = greet(&mut socket, &SHUT).await;
        let mut answers = [&b"\x08\x03404"[..], b"\x08\x03202\x0f\x1f\x05/up/1\x0f\x0d\x010"].into_iter();
        while let Some(at) = stream {
            if let Some(answer) = answers.next() {
                let answer = frame(HEADERS, END_HEADERS | END_STREAM, at, answer);
                socket.write_all(&answer).await.unwrap();
            }
            stream = request(&mut socket).await;
        }
    });
    let builder = net.builder("registry.test").plain_http(PlainHttp::Always).http_version(HttpVersion::Http2);
    let remote = builder.build().unwrap();
    let chunk = Bytes::from(vec![7; CHUNK]);
    let chunks = 1000;
    let whole = chunk.repeat(chunks);
    let descriptor = Descriptor::new(MediaType::OCI_LAYER, Digest::of(&whole), whole.len() as u64);
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let body = futures_util::stream::iter((0..chunks).map(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(chunk.clone())
    }));
    let started = Instant::now();
    let error = remote.put_blob(&repo(), &descriptor, BlobBody::once(body.boxed())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", shown(&error));
    assert!(started.elapsed() <= 2 * Limits::default().first_byte + Duration::from_secs(1), "{:?}", started.elapsed());
    let held = usize::try_from(Limits::default().chunk).unwrap();
    assert!(opened.load(Ordering::SeqCst) * CHUNK <= held + CHUNK, "{opened:?}");
}
