//! Connections: both versions of HTTP, who is shown out, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantri_core::{BlobBody, Memory, Push};
use gantri_server::{Server, ServerOptions};
use gantri_spec::{Descriptor, MediaType};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{digest, head, parse_answer, read_answer, serve, serve_with};

/// Longer than anything here takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn http_2_is_spoken_to_who_knows_it_beforehand() {
    let served = serve().await;
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);

    let digest = digest(b"hello");
    let put =
        Request::post(format!("http://x/v2/a/blobs/uploads/?digest={digest}")).body(Full::new(Bytes::from("hello")));
    let answer = client.send_request(put.unwrap()).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (http::StatusCode::CREATED, http::Version::HTTP_2));
    let get = Request::get(format!("http://x/v2/a/blobs/{digest}")).body(Full::default()).unwrap();
    let answer = client.send_request(get).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let head = Request::head("http://x/v2/a/manifests/v1").body(Full::default()).unwrap();
    let answer = client.send_request(head).await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let served = serve().await;
    let mut stream = served.raw(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut first = vec![0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(first, b"HTTP/1.1 200");
    stream.write_all(head("GET /v2/", &[], 0).as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let second = rest.windows(12).position(|window| window == b"HTTP/1.1 200").unwrap();
    assert_eq!(parse_answer(&rest[second..]).unwrap().text(), "{}");
}

#[tokio::test]
async fn a_refusal_while_the_body_is_still_coming_costs_neither_the_answer_nor_the_connection() {
    let served = serve().await;
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    for target in ["/v2/a/blobs/uploads/0123", "/v2/A/blobs/uploads/0123", "/v2/"] {
        let body = Full::new(Bytes::from(vec![0; 8 << 20]));
        let request = Request::patch(target).header("host", "x").body(body).unwrap();
        client.ready().await.unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert!(answer.status().is_client_error(), "{target}");
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn a_client_that_waits_for_a_go_ahead_gets_it_or_the_refusal() {
    let served = serve().await;
    let digest = digest(b"hello");
    let expect = [("expect", "100-continue")];
    let refused = head(&format!("PUT /v2/a/blobs/uploads/0123?digest={digest}"), &expect, 5);
    let answer = read_answer(&mut served.raw(refused.as_bytes()).await, false).await;
    assert_eq!(answer.status, 404);

    let wanted = head(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), &expect, 5);
    let mut stream = served.raw(wanted.as_bytes()).await;
    let mut go_ahead = vec![0; 25];
    stream.read_exact(&mut go_ahead).await.unwrap();
    assert_eq!(go_ahead, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read_answer(&mut stream, false).await.status, 201);
}

/// R3: silence, half a preface, half a head, HTTP/2 without a request, and a kept connection without its next one.
#[tokio::test]
async fn who_does_not_ask_in_time_is_shown_out() {
    let served = serve_with(ServerOptions::default().with_head(Duration::from_millis(50))).await;
    let cases: [&[u8]; 5] = [
        b"",
        b"PRI * HT",
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n",
    ];
    for bytes in cases {
        let mut stream = served.raw(bytes).await;
        let mut heard = Vec::new();
        // Ends, one way or the other; the test hangs if the server waits for ever.
        let _ = stream.read_to_end(&mut heard).await;
    }
}

/// R3.
#[tokio::test]
async fn a_body_that_pauses_too_long_is_given_up_and_its_upload_goes_on() {
    let served = serve_with(ServerOptions::default().with_body_idle(Duration::from_millis(50))).await;
    let upload = served.upload("a").await;
    let mut stream = served.raw(head(&format!("PATCH {upload}"), &[], 100).as_bytes()).await;
    stream.write_all(b"01234").await.unwrap();
    assert_eq!(read_answer(&mut stream, false).await.status, 503);
    assert_eq!(served.get(&format!("GET {upload}")).await.header("range"), "0-4");
}

/// R3.
#[tokio::test]
async fn too_many_headers_are_refused() {
    let served = serve().await;
    let many = "x: y\r\n".repeat(200);
    let long = format!("x: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, long] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let _ = stream.write_all(format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        assert!(!heard.starts_with(b"HTTP/1.1 200"));
    }
}

/// R3: who comes when all places are taken waits until one is free.
#[tokio::test]
async fn connections_are_capped() {
    let options = ServerOptions::default().with_connections(1).with_head(Duration::from_millis(50));
    let served = serve_with(options).await;
    let first = served.raw(b"").await;
    assert_eq!(served.get("GET /v2/").await.status, 200);
    // So the first must be gone by now.
    assert_eq!(first.try_read(&mut [0]).unwrap(), 0);
}

/// R3: in both versions of HTTP, who asks for a blob and does not take it gives its place up.
#[tokio::test]
async fn who_stops_reading_is_shown_out() {
    let idle = Duration::from_millis(100);
    let served = serve_with(ServerOptions::default().with_connections(1).with_head(idle).with_client_idle(idle)).await;
    let blob = Descriptor::of(MediaType::OCTET_STREAM, &vec![0; 64 << 20]);
    let repo = "a".parse().unwrap();
    served.memory.put_blob(&repo, &blob, BlobBody::bytes(vec![0; 64 << 20])).await.unwrap();
    let target = format!("/v2/a/blobs/{}", blob.digest);

    let _reads_nothing = served.raw(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    // There is one place: this is answered when the first has given it up.
    assert_eq!(timeout(SOON, served.get("GET /v2/")).await.unwrap().status, 200);

    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let get = Request::get(format!("http://x{target}")).body(Full::<Bytes>::default()).unwrap();
    let _takes_nothing = client.send_request(get).await.unwrap();
    assert_eq!(timeout(SOON, served.get("GET /v2/")).await.unwrap().status, 200);
}

/// A server in a task, with what stops it.
async fn stoppable(options: ServerOptions) -> (std::net::SocketAddr, oneshot::Sender<()>, JoinSet<()>) {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Arc::new(Memory::new()), options).await.unwrap();
    let address = server.local_addr();
    assert_eq!(server.url(), format!("http://{address}"));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        server.run(stopped).await.unwrap();
    });
    (address, stop, tasks)
}

/// A single POST of which the last byte is still to come, but the server has begun to read.
async fn half_sent(address: std::net::SocketAddr) -> TcpStream {
    let request = format!("POST /v2/a/blobs/uploads/?digest={}", digest(b"hello"));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head(&request, &[("expect", "100-continue")], 5).as_bytes()).await.unwrap();
    let mut go_ahead = vec![0; 25];
    stream.read_exact(&mut go_ahead).await.unwrap();
    stream.write_all(b"hell").await.unwrap();
    stream
}

/// R11.
#[tokio::test]
async fn a_stop_lets_requests_in_flight_end_and_nobody_in() {
    let (address, stop, mut tasks) = stoppable(ServerOptions::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = vec![0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let mut stream = half_sent(address).await;
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {}
    // An idle connection is closed at once, one in use is heard out.
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    stream.write_all(b"o").await.unwrap();
    assert_eq!(read_answer(&mut stream, false).await.status, 201);
    tasks.join_next().await.unwrap().unwrap();
}

/// R11.
#[tokio::test]
async fn a_stop_waits_only_so_long() {
    let (address, stop, mut tasks) = stoppable(ServerOptions::default().with_drain(Duration::from_millis(50))).await;
    let mut stream = half_sent(address).await;
    stop.send(()).unwrap();
    tasks.join_next().await.unwrap().unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn a_dropped_server_leaves_no_connection() {
    let (address, _stop, tasks) = stoppable(ServerOptions::default()).await;
    let mut stream = half_sent(address).await;
    drop(tasks);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert!(heard.is_empty(), "{heard:?}");
}
