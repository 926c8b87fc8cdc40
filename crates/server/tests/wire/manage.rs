//! Content management: what goes, what stays, and what was never there.

use crate::harness::{digest, serve};

#[tokio::test]
async fn a_tag_goes_alone_and_a_manifest_takes_its_tags_along() {
    let served = serve().await;
    let manifest = served.image("a", &["v1", "v2"]).await;
    let by_digest = format!("/v2/a/manifests/{}", manifest.digest());

    assert_eq!(served.get("DELETE /v2/a/manifests/v1").await.status, 202);
    assert_eq!(served.get("HEAD /v2/a/manifests/v1").await.status, 404);
    assert_eq!(served.get("HEAD /v2/a/manifests/v2").await.status, 200);

    assert_eq!(served.get(&format!("DELETE {by_digest}")).await.status, 202);
    assert_eq!(served.get(&format!("HEAD {by_digest}")).await.status, 404);
    assert_eq!(served.get("HEAD /v2/a/manifests/v2").await.status, 404);
}

#[tokio::test]
async fn a_blob_goes() {
    let served = serve().await;
    let blob = format!("/v2/a/blobs/{}", served.blob("a", b"hello").await.digest);
    let answer = served.get(&format!("DELETE {blob}")).await;
    assert_eq!((answer.status, answer.text()), (202, ""));
    assert_eq!(served.get(&format!("HEAD {blob}")).await.status, 404);
}

#[tokio::test]
async fn what_is_not_there_cannot_go() {
    let served = serve().await;
    served.image("a", &["v1"]).await;
    let absent = digest(b"absent");
    let cases = [
        ("/v2/a/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        (format!("/v2/a/blobs/{absent}"), "BLOB_UNKNOWN"),
        ("/v2/nowhere/manifests/v1".to_owned(), "NAME_UNKNOWN"),
    ];
    for (path, code) in cases {
        let answer = served.get(&format!("DELETE {path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, code), "{path}");
    }
}
