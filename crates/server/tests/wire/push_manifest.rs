//! Push: manifests, what is accepted and what is not.

use gantri_core::{Limits, Memory, MissingChildren};
use gantri_server::ServerOptions;
use gantri_spec::{Descriptor, ImageManifest, Index, MediaType};

use crate::harness::{digest, head, image, read_answer, serve, serve_over, serve_with};

const OCI: (&str, &str) = ("content-type", "application/vnd.oci.image.manifest.v1+json");
const INDEX: (&str, &str) = ("content-type", "application/vnd.oci.image.index.v1+json");

#[tokio::test]
async fn a_manifest_by_tag_and_by_digest() {
    let served = serve().await;
    let manifest = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    let digest = manifest.digest().as_str();
    for at in ["v1", digest] {
        let answer = served.ask(&format!("PUT /v2/a/manifests/{at}"), &[OCI], manifest.bytes()).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
        assert_eq!(answer.header("docker-content-digest"), digest);
        assert_eq!(answer.header("oci-tag"), "");
        assert_eq!(served.get(&format!("GET /v2/a/manifests/{at}")).await.body, *manifest.bytes());
    }
}

/// end-7b.
#[tokio::test]
async fn a_manifest_by_digest_takes_several_tags() {
    let served = serve().await;
    let manifest = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    let request = format!("PUT /v2/a/manifests/{}?tag=v1&tag=latest", manifest.digest());
    let answer = served.ask(&request, &[OCI], manifest.bytes()).await;
    assert_eq!(answer.status, 201);
    let taken: Vec<_> = answer.headers.get_all("oci-tag").iter().collect();
    assert_eq!(taken, ["v1", "latest"]);
    for tag in ["v1", "latest"] {
        assert_eq!(served.get(&format!("HEAD /v2/a/manifests/{tag}")).await.status, 200);
    }
}

#[tokio::test]
async fn the_bytes_of_a_manifest_are_kept_as_they_are() {
    let served = serve().await;
    let compact = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    let text = std::str::from_utf8(compact.bytes()).unwrap().replacen('{', "{\n\t \"unknown.field\" : [1.0e2],", 1);
    let answer = served.ask("PUT /v2/a/manifests/v1", &[OCI], &text).await;
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest(text.as_bytes()).as_str()));
    assert_eq!(served.get("GET /v2/a/manifests/v1").await.text(), text);
}

#[tokio::test]
async fn a_subject_is_confirmed() {
    let served = serve().await;
    let subject = served.image("a", &["v1"]).await;
    let mut referrer = ImageManifest::new(served.blob("a", b"{}").await, vec![]);
    referrer.subject = Some(subject.descriptor().clone());
    let answer = served.ask("PUT /v2/a/manifests/sig", &[OCI], referrer.to_raw().bytes()).await;
    assert_eq!((answer.status, answer.header("oci-subject")), (201, subject.digest().as_str()));
}

#[tokio::test]
async fn the_type_may_stand_in_the_document_alone_but_must_stand_somewhere() {
    let served = serve().await;
    let manifest = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    for headers in [&[][..], &[("content-type", "application/json")]] {
        assert_eq!(served.ask("PUT /v2/a/manifests/v1", headers, manifest.bytes()).await.status, 201);
        assert_eq!(served.get("HEAD /v2/a/manifests/v1").await.header("content-type"), OCI.1);
        assert_eq!(served.get("DELETE /v2/a/manifests/v1").await.status, 202);
        let answer = served.ask("PUT /v2/a/manifests/v2", headers, "{\"schemaVersion\":2}").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_INVALID"));
    }
    let page = [("content-type", "text/html")];
    let answer = served.ask("PUT /v2/a/manifests/v1", &page, manifest.bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_INVALID"));
}

/// R5, M1.
#[tokio::test]
async fn what_is_no_manifest_is_refused_with_its_reason() {
    let served = serve().await;
    let (config, layer) = (served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    let good = image(config.clone(), layer.clone());
    let text = std::str::from_utf8(good.bytes()).unwrap().to_owned();
    let absent = Descriptor::of(MediaType::OCI_LAYER, b"absent");
    let lacking = image(config.clone(), absent.clone());
    let both = text.replacen('{', "{\"manifests\":[],", 1);
    let list = format!(
        "{{\"schemaVersion\":2,\"manifests\":[{{\"mediaType\":\"{}\",\"digest\":\"{}\",\"size\":6}}]}}",
        OCI.1, absent.digest
    );
    let other = format!("PUT /v2/a/manifests/{}", absent.digest);
    let tag = "PUT /v2/a/manifests/v1";
    let cases = [
        ("other digest", other.as_str(), OCI, text.as_str(), "DIGEST_INVALID"),
        ("missing layer", tag, OCI, std::str::from_utf8(lacking.bytes()).unwrap(), "MANIFEST_BLOB_UNKNOWN"),
        ("missing child", tag, INDEX, &list, "MANIFEST_BLOB_UNKNOWN"),
        ("two things at once", tag, OCI, &both, "MANIFEST_INVALID"),
        ("two things at once, as index", tag, INDEX, &both, "MANIFEST_INVALID"),
        ("image pushed as index", tag, INDEX, &text, "MANIFEST_INVALID"),
        ("no JSON", tag, OCI, "manifest", "MANIFEST_INVALID"),
        ("nothing", tag, OCI, "", "MANIFEST_INVALID"),
    ];
    for (case, request, content_type, body, code) in cases {
        let answer = served.ask(request, &[content_type], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{case}");
    }
    let list = served.get("GET /v2/a/tags/list").await;
    assert_eq!(list.json()["tags"], serde_json::json!([]));
}

/// R5: what is missing may be missing, if the registry behind was made so. An index then shows what is there.
#[tokio::test]
async fn children_may_be_missing_where_that_is_the_policy() {
    let sparse = Memory::new().with_missing_children(MissingChildren::Allowed);
    let served = serve_over(sparse, ServerOptions::default()).await;
    let absent = Descriptor::of(MediaType::OCI_LAYER, b"absent");
    let lacking = image(served.blob("a", b"{}").await, absent.clone());
    assert_eq!(served.ask("PUT /v2/a/manifests/v1", &[OCI], lacking.bytes()).await.status, 201);
    let there = served.image("a", &[]).await;
    let index = Index::new(vec![there.descriptor().clone(), Descriptor::of(MediaType::OCI_MANIFEST, b"absent")]);
    assert_eq!(served.ask("PUT /v2/a/manifests/v2", &[INDEX], index.to_raw().bytes()).await.status, 201);
    for (at, status) in [("v1", 200), ("v2", 200), (there.digest().as_str(), 200), (absent.digest.as_str(), 404)] {
        assert_eq!(served.get(&format!("GET /v2/a/manifests/{at}")).await.status, status, "{at}");
    }
    // What is no manifest is refused all the same.
    assert_eq!(served.ask("PUT /v2/a/manifests/v3", &[OCI], "manifest").await.code(), "MANIFEST_INVALID");
}

#[tokio::test]
async fn more_tags_at_once_than_may_be_are_refused_and_none_is_set() {
    let served = serve_with(ServerOptions::default().with_put_tags(2)).await;
    let manifest = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    let request = format!("PUT /v2/a/manifests/{}?tag=1&tag=2&tag=3", manifest.digest());
    assert_eq!(served.ask(&request, &[OCI], manifest.bytes()).await.status, 414);
    assert_eq!(served.get("GET /v2/a/tags/list").await.json()["tags"], serde_json::json!([]));
}

/// R5.
#[tokio::test]
async fn a_manifest_over_the_limit_is_413_announced_or_not() {
    let mut limits = Limits::default();
    limits.manifest = 1000;
    let served = serve_with(ServerOptions::default().with_limits(limits)).await;
    let long = "x".repeat(3_000_000);
    let announced = served.ask("PUT /v2/a/manifests/v1", &[OCI], &long).await;
    assert_eq!((announced.status, announced.code().as_str()), (413, "SIZE_INVALID"));
    // Who waits for a go-ahead need not send it at all.
    let waits = head("PUT /v2/a/manifests/v1", &[OCI, ("expect", "100-continue")], long.len());
    let answer = read_answer(&mut served.raw(waits.as_bytes()).await, false).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "SIZE_INVALID"));
    let chunked = format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        OCI.1,
        long.len()
    );
    let answer = read_answer(&mut served.raw(chunked.as_bytes()).await, false).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "SIZE_INVALID"));
}
