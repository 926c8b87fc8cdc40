//! Push: blobs in one request, in two, in many; uploads in steps; mounts.

use gantri_spec::Algorithm;

use crate::harness::{digest, serve};

#[tokio::test]
async fn a_blob_in_one_post() {
    let served = serve().await;
    let digest = digest(b"hello");
    let answer = served.ask(&format!("POST /v2/a/b/blobs/uploads/?digest={digest}"), &[], "hello").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest.as_str());
    assert_eq!(served.get(&format!("GET /v2/a/b/blobs/{digest}")).await.text(), "hello");
}

#[tokio::test]
async fn a_blob_of_unknown_length_in_one_post() {
    let served = serve().await;
    let digest = digest(b"hello");
    let request = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    );
    let answer = crate::harness::read_answer(&mut served.raw(request.as_bytes()).await, false).await;
    assert_eq!(answer.status, 201);
    assert_eq!(served.get(&format!("GET /v2/a/blobs/{digest}")).await.text(), "hello");
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing_however_it_was_sent() {
    let served = serve().await;
    let wrong = digest(b"hello");
    let upload = served.upload("a").await;
    for request in [format!("POST /v2/a/blobs/uploads/?digest={wrong}"), format!("PUT {upload}?digest={wrong}")] {
        let answer = served.ask(&request, &[], "hullo").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"), "{request}");
    }
    assert_eq!(served.get(&format!("HEAD /v2/a/blobs/{wrong}")).await.status, 404);
    assert_eq!(served.get(&format!("GET {upload}")).await.status, 404);
}

#[tokio::test]
async fn a_blob_in_post_and_put() {
    let served = serve().await;
    let digest = digest(b"hello");
    let upload = served.upload("a").await;
    let answer = served.ask(&format!("PUT {upload}?digest={digest}"), &[], "hello").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), format!("/v2/a/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest.as_str());
    assert_eq!(served.get(&format!("GET /v2/a/blobs/{digest}")).await.text(), "hello");
}

#[tokio::test]
async fn an_upload_starts_at_nothing_under_a_random_id() {
    let served = serve().await;
    let answer = served.get("POST /v2/a/b/blobs/uploads/").await;
    assert_eq!((answer.status, answer.header("content-length")), (202, "0"));
    let id = answer.header("docker-upload-uuid");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(answer.header("location"), format!("/v2/a/b/blobs/uploads/{id}"));
    assert_eq!(answer.header("range"), "0-0");
    assert_ne!(served.upload("a/b").await, answer.header("location"));
}

#[tokio::test]
async fn a_blob_in_chunks_with_its_status_in_between() {
    let served = serve().await;
    let upload = served.upload("a").await;
    for (range, chunk, stands) in [("0-3", "0123", "0-3"), ("4-4", "4", "0-4"), ("5-8", "5678", "0-8")] {
        let answer = served.ask(&format!("PATCH {upload}"), &[("content-range", range)], chunk).await;
        assert_eq!(answer.status, 202);
        let status = served.get(&format!("GET {upload}")).await;
        assert_eq!(status.status, 204);
        for answer in [answer, status] {
            assert_eq!(answer.header("range"), stands);
            assert_eq!(answer.header("location"), upload);
            assert!(upload.ends_with(answer.header("docker-upload-uuid")));
        }
    }
    let digest = digest(b"0123456789");
    let answer = served.ask(&format!("PUT {upload}?digest={digest}"), &[("content-range", "9-9")], "9").await;
    assert_eq!(answer.status, 201);
    assert_eq!(served.get(&format!("GET /v2/a/blobs/{digest}")).await.text(), "0123456789");
}

/// docker and skopeo: a stream of unknown length without `Content-Range`, then an empty PUT.
#[tokio::test]
async fn a_blob_streamed_without_ranges() {
    let served = serve().await;
    let upload = served.upload("a").await;
    let request = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    );
    let answer = crate::harness::read_answer(&mut served.raw(request.as_bytes()).await, false).await;
    assert_eq!((answer.status, answer.header("range")), (202, "0-4"));
    let digest = digest(b"hello");
    assert_eq!(served.get(&format!("PUT {upload}?digest={digest}")).await.status, 201);
    assert_eq!(served.get(&format!("GET /v2/a/blobs/{digest}")).await.text(), "hello");
}

/// R4.
#[tokio::test]
async fn a_chunk_out_of_order_is_told_where_the_upload_stands() {
    let served = serve().await;
    let upload = served.upload("a").await;
    let first = served.ask(&format!("PATCH {upload}"), &[("content-range", "0-3")], "0123").await;
    assert_eq!(first.status, 202);
    let digest = digest(b"01234567");
    for range in ["0-3", "2-5", "5-8", "7-4", "rubbish", "4"] {
        for request in [format!("PATCH {upload}"), format!("PUT {upload}?digest={digest}")] {
            let answer = served.ask(&request, &[("content-range", range)], "4567").await;
            assert_eq!((answer.status, answer.code().as_str()), (416, "RANGE_INVALID"), "{request} {range}");
            assert_eq!(answer.header("range"), "0-3", "{range}");
            assert_eq!(answer.header("location"), upload, "{range}");
        }
    }
    let last = served.ask(&format!("PUT {upload}?digest={digest}"), &[("content-range", "4-7")], "4567").await;
    assert_eq!(last.status, 201);
}

#[tokio::test]
async fn a_chunk_must_be_as_long_as_its_range() {
    let served = serve().await;
    let upload = served.upload("a").await;
    for range in ["0-2", "0-9"] {
        let answer = served.ask(&format!("PATCH {upload}"), &[("content-range", range)], "0123").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "SIZE_INVALID"), "{range}");
    }
    // Of unknown length: what is too long is not taken, what is too short stays.
    for (range, stands) in [("0-2", "0-0"), ("0-9", "0-4")] {
        let request = format!(
            "PATCH {upload} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-range: {range}\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let answer = crate::harness::read_answer(&mut served.raw(request.as_bytes()).await, false).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "SIZE_INVALID"), "{range}");
        assert_eq!(served.get(&format!("GET {upload}")).await.header("range"), stands, "{range}");
    }
}

#[tokio::test]
async fn an_empty_blob_by_every_way() {
    let served = serve().await;
    let digest = digest(b"");
    let (one, two) = (served.upload("a").await, served.upload("b").await);
    assert_eq!(served.get(&format!("PUT {one}?digest={digest}")).await.status, 201);
    let chunk = served.ask(&format!("PATCH {two}"), &[("content-range", "0-0")], "").await;
    assert_eq!((chunk.status, chunk.header("range")), (202, "0-0"));
    assert_eq!(served.get(&format!("PUT {two}?digest={digest}")).await.status, 201);
    assert_eq!(served.get(&format!("POST /v2/c/blobs/uploads/?digest={digest}")).await.status, 201);
    for repo in ["a", "b", "c"] {
        assert_eq!(served.get(&format!("HEAD /v2/{repo}/blobs/{digest}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_digest_of_another_algorithm_is_verified_too() {
    let served = serve().await;
    let digest = Algorithm::Sha512.digest(b"hello").unwrap();
    let start = served.get("POST /v2/a/blobs/uploads/?digest-algorithm=sha512").await;
    let upload = start.header("location");
    assert_eq!(served.ask(&format!("PUT {upload}?digest={digest}"), &[], "hello").await.status, 201);
    assert_eq!(served.get(&format!("GET /v2/a/blobs/{digest}")).await.text(), "hello");
}

#[tokio::test]
async fn a_put_without_digest_is_refused_and_the_upload_goes_on() {
    let served = serve().await;
    let upload = served.upload("a").await;
    let answer = served.ask(&format!("PUT {upload}"), &[], "hello").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(served.get(&format!("GET {upload}")).await.header("range"), "0-0");
}

#[tokio::test]
async fn a_mount_gives_the_blob_or_an_upload_for_it() {
    let served = serve().await;
    let there = served.blob("from/here", b"hello").await.digest;
    for (repo, from) in [("named", "&from=from/here"), ("anonymous", "")] {
        let absent = digest(repo.as_bytes());
        let answer = served.get(&format!("POST /v2/{repo}/blobs/uploads/?mount={there}{from}")).await;
        assert_eq!((answer.status, answer.header("docker-content-digest")), (201, there.as_str()));
        assert_eq!(answer.header("location"), format!("/v2/{repo}/blobs/{there}"));
        assert_eq!(served.get(&format!("GET /v2/{repo}/blobs/{there}")).await.text(), "hello");

        let answer = served.get(&format!("POST /v2/{repo}/blobs/uploads/?mount={absent}{from}")).await;
        assert_eq!(answer.status, 202);
        let put = format!("PUT {}?digest={absent}", answer.header("location"));
        assert_eq!(served.ask(&put, &[], repo).await.status, 201);
    }
}

/// R6: absent and elsewhere look the same.
#[tokio::test]
async fn a_mount_from_nowhere_is_an_upload() {
    let served = serve().await;
    let there = served.blob("from/here", b"hello").await.digest;
    let odd = "blake3:00";
    for query in [format!("mount={there}&from=no/where"), format!("mount={odd}&from=from/here")] {
        let answer = served.get(&format!("POST /v2/to/blobs/uploads/?{query}")).await;
        assert_eq!((answer.status, answer.header("range")), (202, "0-0"), "{query}");
    }
}

/// R9.
#[tokio::test]
async fn no_header_of_a_request_leads_a_location_elsewhere() {
    let served = serve().await;
    let forged = [("x-forwarded-host", "evil.test"), ("x-forwarded-proto", "https"), ("forwarded", "host=evil.test")];
    let start = served.ask("POST http://evil.test/v2/a/blobs/uploads/", &forged, "").await;
    assert_eq!(start.status, 202);
    assert!(start.header("location").starts_with("/v2/a/blobs/uploads/"));
}
