//! HTTP/2 connections that end, against a server that speaks in frames made by hand (H1, H23; RFC 9113).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use gantri_core::{ErrorKind, Limits, Pull, Push, Result};
use gantri_remote::{HttpVersion, Remote};
use gantri_spec::{ByteRange, Digest, Index};

use crate::script::repo;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

/// What is done with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Answers 200 with this body.
    Answers(&'static [u8]),
    /// Answers 201 without a body.
    Creates,
    /// Begins to answer, and resets the stream.
    BreaksOff(&'static [u8]),
    Resets(u32),
    /// GOAWAY that leaves the request out, and the end of the connection.
    GoesAway,
    /// GOAWAY that lets the request be, which is answered.
    GoesAwayAfter(&'static [u8]),
    /// The end of the connection, without a word.
    HangsUp,
}

/// A server of one script, request by request over all its connections.
struct Server {
    address: SocketAddr,
    /// On which connection each request came.
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    fn start(script: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (noted, script) = (Arc::clone(&seen), Arc::new(script));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(std::io::Result::ok).enumerate() {
                let (noted, script) = (Arc::clone(&noted), Arc::clone(&script));
                // A client that hangs up is the test's doing.
                thread::spawn(move || drop(converse(stream, connection, &noted, &*script)));
            }
        });
        Self { address, seen }
    }

    /// A client that tries nothing twice that costs a try.
    fn remote(&self) -> Remote {
        let mut limits = Limits::default();
        limits.request_tries = 1;
        self.patient(limits)
    }

    fn patient(&self, limits: Limits) -> Remote {
        let builder = Remote::builder(self.address.to_string().parse().unwrap());
        builder.http_version(HttpVersion::Http2).limits(limits).build().unwrap()
    }

    /// The connections of the requests, in order.
    fn connections(&self) -> Vec<usize> {
        self.seen.lock().unwrap().clone()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:status: 200`, from HPACK's static table, and `content-length: 10`, by its name there.
const OK: &[u8] = &[0x88, 0x0f, 13, 2, b'1', b'0'];
/// `:status: 201`, as a literal under the name of the same table.
const CREATED: &[u8] = &[0x08, 3, b'2', b'0', b'1'];

fn converse(
    mut stream: TcpStream,
    connection: usize,
    seen: &Mutex<Vec<usize>>,
    script: &dyn Fn(usize) -> Does,
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
        let (kind, flags, id) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        stream.read_exact(&mut vec![0; length])?;
        if kind == SETTINGS && flags == 0 {
            stream.write_all(&frame(SETTINGS, 1, 0, &[]))?;
        }
        // A request is answered when it is there whole.
        if !matches!(kind, HEADERS | DATA) || flags & END_STREAM == 0 {
            continue;
        }
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(connection);
            seen.len() - 1
        };
        let go_away = |last: u32| frame(GOAWAY, 0, 0, &[last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat());
        let answer = |body| [frame(HEADERS, END_HEADERS, id, OK), frame(DATA, END_STREAM, id, body)].concat();
        match script(before) {
            Does::Answers(body) => stream.write_all(&answer(body))?,
            Does::Creates => stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, id, CREATED))?,
            Does::BreaksOff(body) => {
                let reset = frame(RST_STREAM, 0, id, &INTERNAL_ERROR.to_be_bytes());
                stream.write_all(&[frame(HEADERS, END_HEADERS, id, OK), frame(DATA, 0, id, body), reset].concat())?;
            }
            Does::Resets(reason) => stream.write_all(&frame(RST_STREAM, 0, id, &reason.to_be_bytes()))?,
            Does::GoesAway => {
                stream.write_all(&go_away(id.saturating_sub(2)))?;
                // Not closed with bytes unread, which would take the frame back.
                return std::io::copy(&mut stream, &mut std::io::sink()).map(drop);
            }
            Does::GoesAwayAfter(body) => stream.write_all(&[go_away(id), answer(body)].concat())?,
            Does::HangsUp => return Ok(()),
        }
    }
}

const BLOB: &[u8] = b"0123456789";

async fn pull(remote: &Remote) -> Result<Bytes> {
    remote.blob(&repo(), &Digest::of(BLOB), ByteRange::Full).await?.bytes(100).await
}

async fn put(remote: &Remote) -> Result<()> {
    remote.put_manifest(&repo(), &Index::new(vec![]).to_raw(), &[]).await.map(drop)
}

/// A request that was turned away, or that a GOAWAY leaves out, was not acted upon: even one that must not be sent twice is
/// sent again at once, and it is no try.
#[tokio::test]
async fn what_was_not_taken_is_sent_again_whatever_it_is() {
    for refusal in [Does::Resets(REFUSED_STREAM), Does::GoesAway] {
        let server = Server::start(move |before| match before {
            1 => refusal,
            _ => Does::Answers(BLOB),
        });
        let remote = server.remote();
        assert_eq!(pull(&remote).await.unwrap(), BLOB, "{refusal:?}");
        assert_eq!(pull(&remote).await.unwrap(), BLOB, "{refusal:?}");
        assert_eq!(server.connections().len(), 3, "{refusal:?}");

        let server = Server::start(move |before| if before == 0 { refusal } else { Does::Creates });
        put(&server.remote()).await.unwrap();
        assert_eq!(server.connections().len(), 2, "{refusal:?}: and no HEAD between the two");
    }
}

/// Any other end of a stream leaves open what was done: what may be sent twice is, the rest is looked into.
#[tokio::test]
async fn of_other_ends_nobody_knows() {
    for end in [Does::Resets(INTERNAL_ERROR), Does::HangsUp] {
        let server = Server::start(move |before| if before == 0 { end } else { Does::Answers(BLOB) });
        assert_eq!(pull(&server.remote()).await.unwrap(), BLOB, "{end:?}");

        let server = Server::start(move |_| end);
        let error = put(&server.remote()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{end:?}");
        assert_eq!(server.connections().len(), 3, "{end:?}: the PUT once, then HEAD, which is replaced once");
    }
}

/// A body whose stream is reset goes on by range; here the registry gives the whole again, of which the rest is taken.
#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_is_taken_up_again() {
    let server = Server::start(|before| match before {
        0 => Does::BreaksOff(&BLOB[..4]),
        _ => Does::Answers(BLOB),
    });
    let remote = server.patient(Limits::default());
    assert_eq!(pull(&remote).await.unwrap(), BLOB);
}

/// A connection that is going away ends what it has, and gets nothing new.
#[tokio::test]
async fn a_connection_that_goes_away_gets_no_new_request() {
    let server = Server::start(|before| match before {
        0 => Does::GoesAwayAfter(BLOB),
        _ => Does::Answers(BLOB),
    });
    let remote = server.remote();
    assert_eq!(pull(&remote).await.unwrap(), BLOB);
    assert_eq!(pull(&remote).await.unwrap(), BLOB);
    assert_eq!(server.connections(), [0, 1]);
}
