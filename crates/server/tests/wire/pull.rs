//! Pull: manifests, blobs, ranges, and what is not there.

use crate::harness::{digest, serve};

#[tokio::test]
async fn v2_answers_200_and_says_which_api_it_is() {
    let served = serve().await;
    for request in ["GET /v2/", "GET /v2", "HEAD /v2/"] {
        assert_eq!(served.get(request).await.status, 200, "{request}");
    }
}

#[tokio::test]
async fn a_manifest_comes_as_it_was_put_with_type_length_and_digest() {
    let served = serve().await;
    let manifest = served.image("a/b", &["v1"]).await;
    for at in ["v1", manifest.digest().as_str()] {
        for method in ["GET", "HEAD"] {
            let answer = served.get(&format!("{method} /v2/a/b/manifests/{at}")).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("docker-content-digest"), manifest.digest().as_str());
            assert_eq!(answer.header("content-type"), "application/vnd.oci.image.manifest.v1+json");
            assert_eq!(answer.header("content-length"), manifest.bytes().len().to_string());
            if method == "GET" {
                assert_eq!(answer.body, *manifest.bytes());
            }
        }
    }
}

#[tokio::test]
async fn a_blob_comes_with_length_and_digest_and_as_bytes_only() {
    let served = serve().await;
    let blob = served.blob("a", b"0123456789").await;
    for method in ["GET", "HEAD"] {
        let answer = served.get(&format!("{method} /v2/a/blobs/{}", blob.digest)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), "10");
        assert_eq!(answer.header("docker-content-digest"), blob.digest.as_str());
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.text(), if method == "GET" { "0123456789" } else { "" });
    }
}

/// R7.
#[tokio::test]
async fn ranges_are_served_as_rfc_9110_says() {
    let served = serve().await;
    let blob = served.blob("a", b"0123456789").await;
    let cases = [
        ("bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("bytes=5-", 206, "bytes 5-9/10", "56789"),
        ("bytes=0-", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=-99", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=8-99", 206, "bytes 8-9/10", "89"),
        ("bytes=9-9", 206, "bytes 9-9/10", "9"),
        ("bytes=0-1,3-4", 200, "", "0123456789"),
        ("pages=1-2", 200, "", "0123456789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=5-4", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
        ("bytes=a-b", 416, "bytes */10", ""),
        ("bytes=18446744073709551615-", 416, "bytes */10", ""),
    ];
    for (range, status, content_range, body) in cases {
        let answer = served.ask(&format!("GET /v2/a/blobs/{}", blob.digest), &[("range", range)], "").await;
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        if status == 416 {
            assert_eq!(answer.code(), "RANGE_INVALID", "{range}");
        } else {
            assert_eq!(answer.text(), body, "{range}");
            assert_eq!(answer.header("docker-content-digest"), blob.digest.as_str(), "{range}");
        }
    }
}

/// R7.
#[tokio::test]
async fn head_has_no_ranges() {
    let served = serve().await;
    let blob = served.blob("a", b"0123456789").await;
    for range in ["bytes=0-3", "bytes=99-"] {
        let answer = served.ask(&format!("HEAD /v2/a/blobs/{}", blob.digest), &[("range", range)], "").await;
        assert_eq!((answer.status, answer.header("content-length")), (200, "10"));
    }
}

#[tokio::test]
async fn an_empty_blob_is_an_empty_body_and_has_no_ranges() {
    let served = serve().await;
    let blob = served.blob("a", b"").await;
    let request = format!("GET /v2/a/blobs/{}", blob.digest);
    let whole = served.get(&request).await;
    assert_eq!((whole.status, whole.header("content-length")), (200, "0"));
    let part = served.ask(&request, &[("range", "bytes=0-")], "").await;
    assert_eq!((part.status, part.header("content-range")), (416, "bytes */0"));
}

#[tokio::test]
async fn what_is_not_there_is_a_404_that_says_what_is_not() {
    let served = serve().await;
    served.image("a", &["v1"]).await;
    let absent = digest(b"absent");
    let cases = [
        ("/v2/a/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/blobs/{absent}"), "BLOB_UNKNOWN"),
        ("/v2/nowhere/manifests/v1".to_owned(), "NAME_UNKNOWN"),
        (format!("/v2/nowhere/blobs/{absent}"), "NAME_UNKNOWN"),
    ];
    for (path, code) in cases {
        let answer = served.get(&format!("GET {path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, code), "{path}");
        assert_eq!(served.get(&format!("HEAD {path}")).await.status, 404, "{path}");
    }
}

/// M2, R2.
#[tokio::test]
async fn names_that_are_none_go_no_further() {
    let served = serve().await;
    let hex = "0".repeat(64);
    let cases = [
        ("/".to_owned(), 404, "UNSUPPORTED"),
        ("/v1/".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/a/b".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/A/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/../../etc/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/a%2Fb/manifests/v1".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/a/blobs/sha256:../../x".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/a/blobs/sha256:..%2f..%2fx".to_owned(), 404, "UNSUPPORTED"),
        (format!("/v2/a/blobs/sha256:{}", &hex[1..]), 400, "DIGEST_INVALID"),
        (format!("/v2/a/blobs/sha256:{hex}0"), 400, "DIGEST_INVALID"),
        (format!("/v2/a/blobs/sha256:{}", hex.replace('0', "A")), 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/sha256:".to_owned(), 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/uploads/..%2f..".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/a/blobs/uploads/..".to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
    ];
    for (path, status, code) in cases {
        let answer = served.get(&format!("GET {path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_which_are() {
    let served = serve().await;
    let answer = served.get("POST /v2/a/manifests/v1").await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"));
    assert_eq!(answer.header("allow"), "GET, HEAD, PUT, DELETE");
}
