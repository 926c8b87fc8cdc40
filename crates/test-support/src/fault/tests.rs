//! Each kind of fault, as a client sees it on a socket.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{Reply, ScriptedServer};

/// A registry whose blob is `0123...`, and that takes everything.
fn registry() -> ScriptedServer {
    ScriptedServer::start(|request| match request.method.as_str() {
        "GET" | "HEAD" => Reply::ok(BLOB),
        "POST" => Reply::new(202).header("location", "/v2/a/blobs/uploads/1"),
        "PATCH" => Reply::new(202).header("location", "/v2/a/blobs/uploads/1").header("range", "0-9"),
        _ => Reply::new(201),
    })
}

const BLOB: &str = "0123456789";

const PULL: &str =
    "GET /v2/a/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 HTTP/1.1\r\n";

/// What comes back for these bytes; ` RESET` at its end if the connection was.
fn ask(proxy: &RunningProxy, request: &str) -> String {
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(_) => {
                answer.extend_from_slice(b" RESET");
                break;
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// What comes back for two requests, of which the second is the last: what it is by its end.
fn twice(mode: Mode) -> (String, Vec<Record>) {
    let registry = registry();
    let proxy = FaultProxy::before(registry.address()).fail(Operation::PullBlob, When::Nth(1), mode).start();
    let answer = ask(&proxy, &format!("{PULL}host: h\r\n\r\n{PULL}connection: close\r\nhost: h\r\n\r\n"));
    (answer, proxy.records())
}

#[test]
fn what_is_not_in_the_script_passes_and_is_written_down() {
    let registry = registry();
    let proxy = FaultProxy::before(registry.address()).fail(Operation::PullBlob, When::Nth(2), Mode::Hang).start();
    let put = "PUT /v2/a/manifests/x HTTP/1.1\r\ncontent-length: 3\r\nAuthorization: x\r\n\r\nabc";
    let answer = ask(&proxy, &format!("{PULL}\r\n{put}GET / HTTP/1.0\r\n\r\nnonsense"));
    assert!(answer.starts_with("HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\n0123456789HTTP/1.1 201"), "{answer}");
    let records = proxy.records();
    assert_eq!(records[0].sent, 10);
    assert_eq!((records[1].received, records[1].status), (3, Some(201)));
    assert_eq!(records[1].digest, Some(gantri_spec::Digest::of(b"abc")));
    assert_eq!(records[1].header("authorization"), Some("x"));
    assert_eq!(registry.requests()[1].body, b"abc");
}

#[test]
fn a_request_is_over_when_its_answer_is() {
    let registry = registry();
    let proxy = FaultProxy::before(registry.address()).fail(Operation::PullBlob, When::Nth(1), Mode::Dribble).start();
    let mut slow = TcpStream::connect(proxy.address()).unwrap();
    slow.write_all(format!("{PULL}\r\n").as_bytes()).unwrap();
    slow.read_exact(&mut [0]).unwrap();
    assert!(ask(&proxy, &format!("{PULL}\r\n")).ends_with(BLOB));
    assert_eq!(proxy.records().iter().map(|record| record.over).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_body_is_cut_reset_and_flipped() {
    let (answer, records) = twice(Mode::TruncateAt(4));
    assert!(answer.ends_with("content-length: 10\r\n\r\n0123"), "{answer}");
    assert_eq!((records[0].sent, records[0].mode), (4, Some(Mode::TruncateAt(4))));
    let (answer, _) = twice(Mode::ResetAt(4));
    assert!(answer.ends_with("\r\n\r\n0123 RESET"), "{answer}");
    let (answer, _) = twice(Mode::FlipAt(4));
    assert!(answer.contains("\r\n\r\n0123556789HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_cut_of_an_upload_reaches_the_registry_as_far_as_it_came() {
    let registry = registry();
    let proxy =
        FaultProxy::before(registry.address()).fail(Operation::PushChunked, When::Nth(1), Mode::ResetAt(4)).start();
    let patch = "PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\ncontent-length: 10\r\n\r\n0123456789";
    assert_eq!(ask(&proxy, patch), " RESET");
    assert_eq!(proxy.records()[0].received, 4);
}

#[test]
fn where_an_answer_ends_is_said_wrongly() {
    let cases = [
        (FramingMode::ExtraBytes, "content-length: 10\r\n\r\n0123456789and more"),
        (FramingMode::LengthTooBig, "content-length: 17\r\n\r\n0123456789"),
        (FramingMode::LengthTooSmall, "content-length: 3\r\n\r\n0123456789"),
        (FramingMode::LengthAbsent, "200 x\r\n\r\n0123456789"),
        (FramingMode::LengthTwice, "content-length: 10\r\ncontent-length: 11\r\n\r\n0123456789"),
        (FramingMode::ChunkedWithoutEnd, "transfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n"),
        (FramingMode::BadChunkSize, "transfer-encoding: chunked\r\n\r\nzz\r\n0123456789\r\n"),
        (FramingMode::Gzip, "content-encoding: gzip\r\n"),
        (FramingMode::Empty200, "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n"),
    ];
    for (mode, expected) in cases {
        let (answer, _) = twice(Mode::Framing(mode));
        assert!(answer.contains(expected), "{mode:?}: {answer}");
    }
}

#[test]
fn a_connection_ends_before_its_answer() {
    let cases = [
        (Mode::Refuse, " RESET"),
        (Mode::AcceptThenClose, ""),
        (Mode::ResetBeforeHeaders, " RESET"),
        (Mode::ResetMidHeaders, "HTTP/1.1 200 OK\r\ncontent-le RESET"),
        (Mode::HalfClose, ""),
    ];
    for (mode, expected) in cases {
        let (answer, _) = twice(mode);
        // Closed while bytes are still unread, a socket says reset.
        assert_eq!(answer.replace(" RESET", ""), expected.replace(" RESET", ""), "{mode}");
    }
}

#[test]
fn refusals_have_bodies_of_every_kind() {
    let (answer, _) = twice(Mode::Status(401, ErrorPage::Html));
    assert!(answer.contains("Bearer realm=\"http://h/token\"") && answer.contains("<h1>"), "{answer}");
    assert!(answer.trim_end_matches(" RESET").ends_with("0123456789"), "the second is well: {answer}");
    let (answer, _) = twice(Mode::Status(500, ErrorPage::Large));
    assert!(answer.contains("content-length: 1048576"));
    let (answer, _) = twice(Mode::RetryAfter(429, Pause::Year9999));
    assert!(answer.contains("retry-after: Fri, 31 Dec 9999"), "{answer}");
}

#[test]
fn a_redirect_leads_home_in_the_end() {
    let registry = registry();
    let proxy = FaultProxy::before(registry.address())
        .fail(Operation::PullBlob, When::Always, Mode::Redirect(Detour::Hops(2)))
        .fail(Operation::Tags, When::Always, Mode::Redirect(Detour::RejectsAuthorization))
        .start();
    assert!(ask(&proxy, &format!("{PULL}\r\nGET /x HTTP/1.0\r\n\r\n ")).contains("location: /detour/1/0"));
    assert!(ask(&proxy, "GET /detour/1/0 HTTP/1.0\r\n\r\n ").contains("location: /detour/1/1"));
    assert!(ask(&proxy, "GET /detour/1/1 HTTP/1.0\r\n\r\n ").contains("0123456789"));
    let tags = ask(&proxy, "GET /v2/a/tags/list HTTP/1.1\r\nhost: h\r\n\r\n ");
    assert!(tags.contains(&format!("location: http://localhost:{}/detour/2/0", proxy.address().port())), "{tags}");
    assert!(ask(&proxy, "GET /detour/2/0 HTTP/1.0\r\nAuthorization: x\r\n\r\n ").starts_with("HTTP/1.1 400"));
    assert!(ask(&proxy, "GET /detour/2/0 HTTP/1.0\r\n\r\n ").starts_with("HTTP/1.1 200"));
}

#[test]
fn what_is_left_to_chance_comes_from_the_seed() {
    let cuts = |seed| {
        let registry = registry();
        let plan = FaultProxy::before(registry.address()).seed(seed);
        let proxy = plan.fail(Operation::PullBlob, When::Always, Mode::CutBetween(1, 9)).start();
        for _ in 0..8 {
            ask(&proxy, &format!("{PULL}\r\n"));
        }
        proxy.records().iter().map(|record| record.sent).collect::<Vec<_>>()
    };
    let first = cuts(1);
    assert_eq!(first, cuts(1));
    assert_ne!(first, cuts(2));
    assert!(first.iter().all(|sent| (1..9).contains(sent)), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_takes_its_time() {
    let (near, far) = Pipe::pair(1 << 16);
    let far = std::sync::Mutex::new(Some(far));
    let link = SlowLink { latency: Duration::from_millis(200), rate: 1000 };
    let upstream = Upstream::memory(move || far.lock().unwrap().take().unwrap());
    let proxy = FaultProxy::before(upstream).slow(link).in_memory("storage.test");
    let mut client = proxy.dial("10.0.0.1:80".parse().unwrap()).unwrap();
    let started = tokio::time::Instant::now();
    let answer = async {
        let mut near = near;
        near.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 2000\r\n\r\n").await.unwrap();
        near.write_all(&[b'x'; 2000]).await.unwrap();
        let mut request = [0; 4];
        near.read_exact(&mut request).await.unwrap();
        near
    };
    let ask = async {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 2000 + 40];
        client.read_exact(&mut answer).await.unwrap();
    };
    tokio::join!(answer, ask);
    assert_eq!(started.elapsed().as_millis(), 2200);
}
