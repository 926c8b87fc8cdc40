//! Each quirk on the wire: what a client of such a registry has to live with.

use std::collections::HashSet;

use gantri_server::{Quirk, ServerOptions};
use gantri_spec::wire::link;
use gantri_spec::{ImageManifest, RawManifest};
use serde_json::json;

use crate::harness::{Answer, Served, digest, image, serve_with};

const OCI: (&str, &str) = ("content-type", "application/vnd.oci.image.manifest.v1+json");

async fn quirky(quirk: Quirk) -> Served {
    serve_with(ServerOptions::default().with_quirk(quirk)).await
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

/// A referrer of an image that is there, not yet put.
async fn referrer(served: &Served) -> (RawManifest, RawManifest) {
    let subject = served.image("a", &["v1"]).await;
    let mut referrer = ImageManifest::new(served.blob("a", b"{}").await, vec![]);
    referrer.subject = Some(subject.descriptor().clone());
    referrer.artifact_type = Some("x/sig".parse().unwrap());
    (subject, referrer.to_raw())
}

#[test]
fn all_are_all_and_each_is_there_once() {
    let named: HashSet<_> = Quirk::ALL.iter().map(std::mem::discriminant).collect();
    assert_eq!(named.len(), Quirk::ALL.len());
    let source = include_str!("../../src/quirks/mod.rs");
    let (variants, _) = source.split_once("impl Quirk").unwrap();
    let declared = variants.lines().filter(|line| line.starts_with("    ") && line.ends_with(',')).count();
    assert_eq!(declared, Quirk::ALL.len());
}

#[tokio::test]
async fn the_referrers_api_may_be_missing_in_five_ways() {
    let cases = [
        (Quirk::NoReferrersApi, 404),
        (Quirk::ReferrersTagIsSubject, 404),
        (Quirk::ReferrersNotAcceptable, 406),
        (Quirk::ReferrersBadRequest, 400),
        (Quirk::ReferrersUnauthorized, 401),
    ];
    for (quirk, status) in cases {
        let served = quirky(quirk).await;
        let (subject, referrer) = referrer(&served).await;
        let put = served.ask("PUT /v2/a/manifests/sig", &[OCI], referrer.bytes()).await;
        assert_eq!((put.status, put.header("oci-subject")), (201, ""), "{quirk:?}");
        let listed = served.get(&format!("GET /v2/a/referrers/{}", subject.digest())).await;
        assert_eq!((listed.status, listed.header("www-authenticate")), (status, ""), "{quirk:?}");
    }
}

#[tokio::test]
async fn referrers_may_come_unfiltered() {
    let served = quirky(Quirk::ReferrersUnfiltered).await;
    let (subject, referrer) = referrer(&served).await;
    assert_eq!(served.ask("PUT /v2/a/manifests/sig", &[OCI], referrer.bytes()).await.status, 201);
    let listed = served.get(&format!("GET /v2/a/referrers/{}?artifactType=x/other", subject.digest())).await;
    assert_eq!((listed.status, listed.header("oci-filters-applied")), (200, ""));
    assert_eq!(listed.json()["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_tag_of_the_referrers_may_be_the_subject() {
    let served = quirky(Quirk::ReferrersTagIsSubject).await;
    let subject = served.image("a", &["v1"]).await;
    let tag = subject.digest().as_str().replace(':', "-");
    let answer = served.get(&format!("GET /v2/a/manifests/{tag}")).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &subject.bytes()[..]));
    assert_eq!(served.get("GET /v2/a/manifests/v1").await.status, 200);
    assert_eq!(served.get("GET /v2/a/manifests/sha256-x").await.status, 404);
}

#[tokio::test]
async fn the_digest_header_may_be_missing() {
    let requests =
        ["HEAD /v2/a/manifests/v1", "GET /v2/a/manifests/v1", "GET /v2/a/manifests/$D", "PUT /v2/a/manifests/v1"];
    let cases = [
        (Quirk::NoDigestOnHead, [false, true, true, true]),
        (Quirk::NoDigestOnPut, [true, true, true, false]),
        (Quirk::NoDigestByTag, [false, false, true, false]),
    ];
    for (quirk, expected) in cases {
        let served = quirky(quirk).await;
        let manifest = served.image("a", &["v1"]).await;
        for (request, is_there) in requests.iter().zip(expected) {
            let body: &[u8] = if request.starts_with("PUT") { manifest.bytes() } else { b"" };
            let answer = served.ask(&request.replace("$D", manifest.digest().as_str()), &[OCI], body).await;
            assert!(answer.status < 300, "{quirk:?} {request}");
            assert_eq!(!answer.header("docker-content-digest").is_empty(), is_there, "{quirk:?} {request}");
        }
    }
}

#[tokio::test]
async fn what_is_not_done_is_refused_in_the_registrys_own_way() {
    let blob = digest(b"layer");
    let mount = format!("POST /v2/b/blobs/uploads/?mount={blob}&from=a");
    let cases = [
        (Quirk::HeadNotAllowed, "HEAD /v2/a/manifests/v1", 405),
        (Quirk::HeadNotAllowed, "HEAD /v2/a/blobs/$D", 405),
        (Quirk::PageSizeRefused(1_000), "GET /v2/a/tags/list?n=1001", 400),
        (Quirk::PageSizeRefused(1_000), "GET /v2/_catalog?n=1001", 400),
        (Quirk::PageSizeRefused(1_000), "GET /v2/a/tags/list?n=1000", 200),
        (Quirk::MountUnauthorized, mount.as_str(), 401),
        (Quirk::MountDenied, mount.as_str(), 403),
        (Quirk::MountNotFound, mount.as_str(), 404),
        (Quirk::MountNotAllowed, mount.as_str(), 405),
        (Quirk::MountStartsUpload, mount.as_str(), 202),
        (Quirk::DeleteNotAllowed, "DELETE /v2/a/manifests/v1", 405),
        (Quirk::DeleteNotAllowed, "DELETE /v2/a/blobs/$D", 405),
        (Quirk::DeleteBadRequest, "DELETE /v2/a/manifests/v1", 400),
        (Quirk::DeleteBadRequest, "DELETE /v2/a/blobs/$D", 400),
        (Quirk::DeleteTagUnsupported, "DELETE /v2/a/manifests/v1", 405),
        (Quirk::DeleteTagUnsupported, "DELETE /v2/a/manifests/$M", 202),
        (Quirk::DeleteOk, "DELETE /v2/a/manifests/v1", 200),
        (Quirk::DeleteOk, "DELETE /v2/a/blobs/$D", 200),
        (Quirk::DeleteNoContent, "DELETE /v2/a/manifests/v1", 204),
        (Quirk::DeleteNoContent, "DELETE /v2/a/manifests/v2", 404),
    ];
    for (quirk, request, status) in cases {
        let served = quirky(quirk).await;
        let manifest = served.image("a", &["v1"]).await;
        let request = request.replace("$D", blob.as_str()).replace("$M", manifest.digest().as_str());
        assert_eq!(served.get(&request).await.status, status, "{quirk:?} {request}");
    }
}

#[tokio::test]
async fn listings_may_be_cut_without_a_word_and_empty_ones_null() {
    let served = quirky(Quirk::NoLinkHeader).await;
    served.image("a", &["v1", "v2", "v3"]).await;
    let page = served.get("GET /v2/a/tags/list?n=2").await;
    assert_eq!((page.json()["tags"].clone(), link::next([page.header("link")])), (json!(["v1", "v2"]), None));

    let served = quirky(Quirk::NullTags).await;
    served.image("a", &[]).await;
    assert_eq!(served.get("GET /v2/a/tags/list").await.json(), json!({"name": "a", "tags": null}));
    served.image("a", &["v1"]).await;
    assert_eq!(served.get("GET /v2/a/tags/list").await.json()["tags"], json!(["v1"]));
}

#[tokio::test]
async fn big_chunks_and_bodies_may_be_refused() {
    let served = quirky(Quirk::ChunkOutOfRange(4)).await;
    let patch = format!("PATCH {}", served.upload("a").await);
    assert_eq!(told(&served.ask(&patch, &[], "01234").await), (416, "RANGE_INVALID".to_owned()));
    assert_eq!(served.ask(&patch, &[("content-range", "0-3")], "0123").await.status, 202);

    let served = quirky(Quirk::BodyTooLarge(4)).await;
    let upload = served.upload("a").await;
    let chunked = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\n012\r\n3\r\n345\r\n0\r\n\r\n"
    );
    let cut = crate::harness::read_answer(&mut served.raw(chunked.as_bytes()).await, false).await;
    let whole = served.ask(&format!("POST /v2/a/blobs/uploads/?digest={}", digest(b"01234")), &[], "01234").await;
    for answer in [cut, whole] {
        assert_eq!((answer.status, answer.header("content-type")), (413, "text/html"));
        assert!(answer.text().starts_with("<html>"));
    }
}

#[tokio::test]
async fn the_range_after_a_chunk_may_be_any() {
    let cases = [
        (Quirk::StaleRange, 202, ["0-0", "0-3"]),
        (Quirk::ChunkRange, 202, ["0-3", "0-1"]),
        (Quirk::NoRange, 202, ["", ""]),
        (Quirk::ChunkCreated, 201, ["0-3", "0-5"]),
    ];
    for (quirk, status, ranges) in cases {
        let served = quirky(quirk).await;
        let upload = served.upload("a").await;
        for (chunk, range) in ["0123", "45"].into_iter().zip(ranges) {
            let answer = served.ask(&format!("PATCH {upload}"), &[], chunk).await;
            assert_eq!((answer.status, answer.header("range")), (status, range), "{quirk:?}");
        }
        assert_eq!(served.get(&format!("GET {upload}")).await.header("range"), "0-5", "{quirk:?}");
    }
}

#[tokio::test]
async fn a_location_may_be_of_any_form() {
    for (quirk, begin) in
        [(Quirk::AbsoluteLocation, "http://test:5000/v2/"), (Quirk::PortlessLocation, "http://test/v2/")]
    {
        let served = quirky(quirk).await;
        let request =
            b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: test:5000\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let answer = crate::harness::read_answer(&mut served.raw(request).await, false).await;
        assert!(answer.header("location").starts_with(begin), "{answer:?}");
    }
    let served = quirky(Quirk::LocationState).await;
    let upload = served.upload("a").await;
    let (path, query) = upload.split_once('?').unwrap();
    assert_eq!(
        told(&served.ask(&format!("PATCH {path}"), &[], "hello").await),
        (404, "BLOB_UPLOAD_UNKNOWN".to_owned())
    );
    let patched = served.ask(&format!("PATCH {upload}"), &[], "hello").await;
    assert_eq!((patched.status, patched.header("location")), (202, upload.as_str()));
    let digest = digest(b"hello");
    assert_eq!(served.get(&format!("PUT {path}?digest={digest}&{query}")).await.status, 201);
}

#[tokio::test]
async fn short_chunks_may_end_an_upload_early() {
    let served = quirky(Quirk::ChunkMinLength(4)).await;
    let started = served.get("POST /v2/a/blobs/uploads/").await;
    assert_eq!(started.header("oci-chunk-min-length"), "4");
    let upload = started.header("location");
    for (chunk, status) in [("0123", 202), ("45", 202), ("67", 416)] {
        assert_eq!(served.ask(&format!("PATCH {upload}"), &[], chunk).await.status, status, "{chunk}");
    }
    assert_eq!(served.get(&format!("PUT {upload}?digest={}", digest(b"012345"))).await.status, 201);
}

#[tokio::test]
async fn further_tags_may_be_ignored() {
    let served = quirky(Quirk::MultiTagIgnored).await;
    let manifest = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    let put = served.ask(&format!("PUT /v2/a/manifests/{}?tag=v1", manifest.digest()), &[OCI], manifest.bytes()).await;
    assert_eq!((put.status, put.header("oci-tag")), (201, ""));
    assert_eq!(served.get("GET /v2/a/tags/list").await.json()["tags"], json!([]));
}

#[tokio::test]
async fn one_upload_may_be_lost() {
    let served = quirky(Quirk::SessionLost(4)).await;
    for (status, committed) in [(404, 404), (202, 201)] {
        let upload = served.upload("a").await;
        assert_eq!(served.ask(&format!("PATCH {upload}"), &[], "0123").await.status, 202);
        assert_eq!(served.ask(&format!("PATCH {upload}"), &[], "4").await.status, status);
        let put = served.get(&format!("PUT {upload}?digest={}", digest(b"01234"))).await;
        assert_eq!(put.status, committed);
    }
}

#[tokio::test]
async fn a_commit_may_be_denied_though_it_was_done() {
    let served = quirky(Quirk::CommitFails).await;
    let upload = served.upload("a").await;
    let digest = digest(b"hello");
    assert_eq!(served.ask(&format!("PUT {upload}?digest={digest}"), &[], "hello").await.status, 500);
    assert_eq!(served.get(&format!("HEAD /v2/a/blobs/{digest}")).await.status, 200);
    let manifest = image(served.blob("a", b"{}").await, served.blob("a", b"layer").await);
    assert_eq!(served.ask("PUT /v2/a/manifests/v1", &[OCI], manifest.bytes()).await.status, 500);
    assert_eq!(served.get("HEAD /v2/a/manifests/v1").await.status, 200);
}

#[tokio::test]
async fn everybody_may_be_sent_for_a_token() {
    let served = quirky(Quirk::TokenDance).await;
    served.image("a", &["v1"]).await;
    let challenged = served.get("GET /v2/a/manifests/v1").await;
    assert!(challenged.header("www-authenticate").contains("scope=\"repository:a:pull\""), "{challenged:?}");
    let token = served.get("GET /token?scope=repository:a:pull").await.json()["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    assert_eq!(served.ask("GET /v2/a/manifests/v1", &[("authorization", &bearer)], "").await.status, 200);
}

#[tokio::test]
async fn the_first_requests_may_be_too_many() {
    let served = quirky(Quirk::Throttled(2)).await;
    for _ in 0..2 {
        let answer = served.get("GET /v2/").await;
        assert_eq!((told(&answer), answer.header("retry-after")), ((429, "TOOMANYREQUESTS".to_owned()), "1"));
    }
    assert_eq!(served.get("GET /v2/").await.status, 200);
}

#[tokio::test]
async fn a_blob_may_be_elsewhere() {
    let served = quirky(Quirk::BlobsRedirected).await;
    let blob = served.blob("a", b"hello").await.digest;
    let away = served.get(&format!("GET /v2/a/blobs/{blob}")).await;
    assert_eq!(away.status, 307);
    let there = served.ask(&format!("GET {}", away.header("location")), &[("range", "bytes=1-2")], "").await;
    assert_eq!((there.status, there.text()), (206, "el"));
    assert_eq!(served.get(&format!("HEAD /v2/a/blobs/{blob}")).await.status, 200);
}
