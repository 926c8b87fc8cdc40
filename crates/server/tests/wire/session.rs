//! Uploads between requests: who may write, until when, and what a broken connection leaves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use gantri_core::Memory;
use gantri_server::{RegistryService, ServerOptions};
use http::{Request, Response};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::harness::{Served, digest, head, read_answer, serve, serve_with};

/// R4.
#[tokio::test]
async fn an_upload_that_ended_is_unknown_to_every_verb() {
    let served = serve().await;
    let digest = digest(b"");
    for end in ["cancel", "commit"] {
        let upload = served.upload("a").await;
        let (request, status) = match end {
            "cancel" => (format!("DELETE {upload}"), 204),
            _ => (format!("PUT {upload}?digest={digest}"), 201),
        };
        assert_eq!(served.get(&request).await.status, status);
        for request in ["GET", "PATCH", "DELETE", "PUT"] {
            let answer = served.get(&format!("{request} {upload}?digest={digest}")).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"), "{request} after {end}");
        }
    }
}

/// R2, R6.
#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let served = serve().await;
    let upload = served.upload("a").await;
    let elsewhere = upload.replacen("/a/", "/b/", 1);
    for request in [format!("GET {elsewhere}"), format!("DELETE {elsewhere}"), "GET /v2/a/blobs/uploads/0".to_owned()] {
        assert_eq!(served.get(&request).await.code(), "BLOB_UPLOAD_UNKNOWN", "{request}");
    }
    assert_eq!(served.get(&format!("GET {upload}")).await.status, 204);
}

/// R4: of two that close an upload, one does.
#[tokio::test]
async fn an_upload_is_closed_once() {
    let served = serve().await;
    let digest = digest(b"hello");
    let upload = served.upload("a").await;
    assert_eq!(served.ask(&format!("PATCH {upload}"), &[], "hello").await.status, 202);
    let put = format!("PUT {upload}?digest={digest}");
    let (one, two, three) = tokio::join!(served.get(&put), served.get(&put), served.get(&put));
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404, 404]);
}

/// A chunk whose client breaks off, and the range header of where the upload stands then.
async fn break_off(served: &Served, upload: &str, part: &[u8]) {
    let mut stream = served.raw(head(&format!("PATCH {upload}"), &[], 100).as_bytes()).await;
    stream.write_all(part).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_client_that_breaks_off_can_go_on_where_it_was_acknowledged() {
    let served = serve().await;
    let upload = served.upload("a").await;
    break_off(&served, &upload, b"0123456789").await;
    // The server may hear of the bytes after the question; it must not forget them once it has acknowledged them.
    let mut acknowledged = 0;
    while acknowledged != 10 {
        let status = served.get(&format!("GET {upload}")).await;
        assert_eq!(status.status, 204);
        let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
        let now = if last == 0 { 0 } else { last + 1 };
        assert!(now >= acknowledged, "{now} after {acknowledged}");
        acknowledged = now;
    }
    let rest = served.ask(&format!("PATCH {upload}"), &[("content-range", "10-14")], "abcde").await;
    assert_eq!((rest.status, rest.header("range")), (202, "0-14"));
    let digest = digest(b"0123456789abcde");
    assert_eq!(served.get(&format!("PUT {upload}?digest={digest}")).await.status, 201);
}

/// R3: also a single POST whose length nobody knew.
#[tokio::test]
async fn a_single_post_that_breaks_off_is_an_upload_that_will_be_forgotten() {
    let served = serve_with(ServerOptions::default().with_uploads(1)).await;
    let request = format!(
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         transfer-encoding: chunked\r\n\r\n",
        digest(b"hello")
    );
    let mut stream = served.raw(request.as_bytes()).await;
    let mut go_ahead = vec![0; 25];
    stream.read_exact(&mut go_ahead).await.unwrap();
    drop(stream);
    assert_eq!(served.get("POST /v2/a/blobs/uploads/").await.status, 429);
}

/// A connection can die without a word. Whoever comes back must not wait until the server gives up on it.
#[tokio::test]
async fn a_client_that_comes_back_takes_over_from_the_connection_it_lost() {
    let served = serve().await;
    let upload = served.upload("a").await;
    let mut lost = served.raw(head(&format!("PATCH {upload}"), &[], 100).as_bytes()).await;
    lost.write_all(b"01234").await.unwrap();
    let patch = format!("PATCH {upload}");
    loop {
        let answer = served.ask(&patch, &[("content-range", "5-9")], "56789").await;
        match answer.status {
            202 => break,
            // The five bytes before had not arrived yet.
            416 => assert_eq!(answer.header("range"), "0-0"),
            other => panic!("{other}"),
        }
        if answer.header("range") == "0-0" {
            // The takeover made the server let go of the lost request: its bytes are gone, so send them again.
            let again = served.ask(&patch, &[("content-range", "0-4")], "01234").await;
            assert!(matches!(again.status, 202 | 416));
        }
    }
    let digest = digest(b"0123456789");
    assert_eq!(served.get(&format!("PUT {upload}?digest={digest}")).await.status, 201);
    let answer = read_answer(&mut lost, false).await;
    assert_eq!(answer.code(), "RANGE_INVALID");
}

/// R4: a request that was held up on its way finds that its client has sent the same bytes again, and goes on.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_comes_too_late_does_not_stop_the_one_that_is_in_order() {
    let mut service = RegistryService::new(Arc::new(Memory::new()), ServerOptions::default());
    let started = call(&mut service, "POST", "/v2/a/blobs/uploads/").await;
    let upload = started.headers()["location"].to_str().unwrap().to_owned();
    let patch = |range: &str| Request::patch(&upload).header("content-range", range);
    let first = || patch("0-4").body(Full::new(Bytes::from("01234"))).unwrap();
    assert_eq!(service.call(first()).await.unwrap().status(), 202);

    let (answered, is_answered) = oneshot::channel();
    let last_bytes = is_answered.map(|_| Bytes::from("89"));
    let body = stream::iter([Bytes::from("567")]).chain(stream::once(last_bytes));
    let body = StreamBody::new(body.map(|chunk| Ok::<_, gantri_core::Error>(Frame::data(chunk))));
    let in_order = service.call(patch("5-9").body(body).unwrap());
    let late = service.call(first()).map(|answer| {
        answered.send(()).unwrap();
        answer.unwrap()
    });
    let (in_order, late) = tokio::join!(in_order, late);
    assert_eq!((late.status().as_u16(), &late.headers()["range"]), (416, &"0-7".parse().unwrap()));
    let in_order = in_order.unwrap();
    assert_eq!((in_order.status().as_u16(), &in_order.headers()["range"]), (202, &"0-9".parse().unwrap()));
}

/// R3.
#[tokio::test]
async fn uploads_are_capped_and_the_next_is_told_to_come_again() {
    let served = serve_with(ServerOptions::default().with_uploads(2)).await;
    let first = served.upload("a").await;
    served.upload("a").await;
    let there = served.blob("b", b"hello").await.digest;
    for query in ["", &format!("?mount={}", digest(b"absent"))] {
        let answer = served.get(&format!("POST /v2/a/blobs/uploads/{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (429, "TOOMANYREQUESTS"));
    }
    assert_eq!(served.get(&format!("DELETE {first}")).await.status, 204);
    served.upload("a").await;
    assert_eq!(served.get(&format!("HEAD /v2/b/blobs/{there}")).await.status, 200);
}

/// R3: told as soon as it is known, and what was acknowledged stays.
#[tokio::test]
async fn a_blob_over_the_bound_is_413_however_it_comes() {
    let served = serve_with(ServerOptions::default().with_blob(5)).await;
    let upload = served.upload("a").await;
    assert_eq!(served.ask(&format!("PATCH {upload}"), &[], "012").await.status, 202);
    let (put, digest) = (format!("PUT {upload}?digest={}", digest(b"012345")), digest(b"012345"));
    for (request, body) in [
        (format!("PATCH {upload}"), "345"),
        (put, "345"),
        (format!("POST /v2/a/blobs/uploads/?digest={digest}"), "012345"),
    ] {
        let answer = served.ask(&request, &[], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "SIZE_INVALID"), "{request}");
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunked = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let answer = read_answer(&mut served.raw(chunked.as_bytes()).await, false).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "SIZE_INVALID"), "{request}, chunked");
        assert_eq!(served.get(&format!("GET {upload}")).await.header("range"), "0-2", "{request}");
    }
    assert_eq!(served.ask(&format!("PATCH {upload}"), &[], "34").await.header("range"), "0-4");
}

async fn call(service: &mut RegistryService, method: &str, path: &str) -> Response<gantri_server::ResponseBody> {
    let request = Request::builder().method(method).uri(path).body(Full::new(Bytes::new())).unwrap();
    service.call(request).await.unwrap()
}

/// R3.
#[tokio::test(start_paused = true)]
async fn an_upload_that_rests_too_long_is_forgotten() {
    let options = ServerOptions::default().with_uploads(1);
    let mut service = RegistryService::new(Arc::new(Memory::new()), options);
    let started = call(&mut service, "POST", "/v2/a/blobs/uploads/").await;
    let upload = started.headers()["location"].to_str().unwrap().to_owned();

    tokio::time::advance(Duration::from_secs(59 * 60)).await;
    assert_eq!(call(&mut service, "PATCH", &upload).await.status(), 202);
    tokio::time::advance(Duration::from_secs(59 * 60)).await;
    assert_eq!(call(&mut service, "GET", &upload).await.status(), 204);
    assert_eq!(call(&mut service, "POST", "/v2/a/blobs/uploads/").await.status(), 429);

    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(call(&mut service, "POST", "/v2/a/blobs/uploads/").await.status(), 202);
    assert_eq!(call(&mut service, "GET", &upload).await.status(), 404);
}
