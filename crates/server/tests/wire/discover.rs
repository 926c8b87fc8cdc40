//! Content discovery: pages, their links, their caps; referrers.

use gantri_core::{BlobBody, Push};
use gantri_server::ServerOptions;
use gantri_spec::wire::link;
use gantri_spec::{Descriptor, ImageManifest, MediaType, Tag};
use serde_json::json;

use crate::harness::{Served, digest, name, serve, serve_with};

/// Follows `Link` to the end; the pages' entries under `field`.
async fn pages(served: &Served, mut target: String, field: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let answer = served.get(&format!("GET {target}")).await;
        assert_eq!(answer.status, 200, "{target}");
        pages.push(serde_json::from_value(answer.json()[field].clone()).unwrap());
        match link::next([answer.header("link")]) {
            Some(next) => target = next,
            None => return pages,
        }
    }
}

#[tokio::test]
async fn tags_come_in_order_page_by_page() {
    let served = serve().await;
    served.image("a/b", &["c", "a", "e", "b", "d"]).await;
    let all = served.get("GET /v2/a/b/tags/list").await;
    assert_eq!(all.json(), json!({"name": "a/b", "tags": ["a", "b", "c", "d", "e"]}));
    assert_eq!((all.header("link"), all.header("content-type")), ("", "application/json"));
    let cases: [(&str, &[&[&str]]); 6] = [
        ("?n=2", &[&["a", "b"], &["c", "d"], &["e"]]),
        ("?n=5", &[&["a", "b", "c", "d", "e"]]),
        ("?n=2&last=c", &[&["d", "e"]]),
        ("?last=bb", &[&["c", "d", "e"]]),
        ("?last=z", &[&[]]),
        ("?n=3&last=", &[&["a", "b", "c"], &["d", "e"]]),
    ];
    for (query, expected) in cases {
        assert_eq!(pages(&served, format!("/v2/a/b/tags/list{query}"), "tags").await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_page_of_nothing_is_empty_and_followed_by_none() {
    let served = serve().await;
    served.image("a", &["v1"]).await;
    let answer = served.get("GET /v2/a/tags/list?n=0").await;
    assert_eq!((answer.status, answer.header("link")), (200, ""));
    assert_eq!(answer.json()["tags"], json!([]));
    assert_eq!(pages(&served, "/v2/_catalog?n=0".to_owned(), "repositories").await, [[""; 0]]);
}

/// R1.
#[tokio::test]
async fn no_page_of_tags_is_longer_than_the_cap() {
    let served = serve().await;
    let tags: Vec<Tag> = (0..10_001).map(|at| format!("t{at:05}").parse().unwrap()).collect();
    let manifest = served.image("a", &[]).await;
    served.memory.put_manifest(&name("a"), &manifest, &tags).await.unwrap();
    for query in ["", "?n=1000000000", "?n=99999999999999999999"] {
        let pages = pages(&served, format!("/v2/a/tags/list{query}"), "tags").await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 1], "{query}");
    }
}

/// R1.
#[tokio::test]
async fn no_page_of_repositories_is_longer_than_the_cap() {
    let served = serve().await;
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"");
    for at in 0..1_001 {
        served.memory.put_blob(&name(&format!("r/{at}")), &blob, BlobBody::bytes("")).await.unwrap();
    }
    for query in ["", "?n=1000000000"] {
        let pages = pages(&served, format!("/v2/_catalog{query}"), "repositories").await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1], "{query}");
    }
    let all: Vec<_> = pages(&served, "/v2/_catalog?n=100".to_owned(), "repositories").await.concat();
    assert!(all.is_sorted() && all.len() == 1_001);
}

#[tokio::test]
async fn a_listing_that_makes_no_sense_says_why() {
    let served = serve().await;
    served.image("a", &["v1"]).await;
    let cases = [
        ("/v2/nowhere/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/a/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/a/tags/list?n=many", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/a/tags/list?last=../..", 400, "NAME_INVALID"),
        ("/v2/_catalog?last=A", 400, "NAME_INVALID"),
        ("/v2/a/referrers/$D?last=v1", 400, "NAME_INVALID"),
        ("/v2/a/referrers/$D?n=some", 400, "PAGINATION_NUMBER_INVALID"),
    ];
    for (target, status, code) in cases {
        let target = target.replace("$D", digest(b"").as_str());
        let answer = served.get(&format!("GET {target}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}");
    }
}

#[tokio::test]
async fn referrers_are_an_index_of_who_names_the_subject() {
    let served = serve().await;
    let subject = served.image("a", &["v1"]).await;
    let config = served.blob("a", b"{}").await;
    for kind in ["application/x.signature", "application/x.sbom"] {
        let mut referrer = ImageManifest::new(config.clone(), vec![]);
        referrer.subject = Some(subject.descriptor().clone());
        referrer.artifact_type = Some(kind.parse().unwrap());
        served.memory.put_manifest(&name("a"), &referrer.to_raw(), &[]).await.unwrap();
    }
    let target = format!("GET /v2/a/referrers/{}", subject.digest());
    let all = served.get(&target).await;
    assert_eq!((all.status, all.header("content-type")), (200, "application/vnd.oci.image.index.v1+json"));
    assert_eq!(all.header("oci-filters-applied"), "");
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);

    let some = served.get(&format!("{target}?artifactType=application%2Fx.sbom")).await;
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    assert_eq!(some.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(some.json()["manifests"][0]["artifactType"], "application/x.sbom");
}

/// The digests of all referrers, page by page.
async fn referrer_pages(served: &Served, mut target: String) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let answer = served.get(&format!("GET {target}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/vnd.oci.image.index.v1+json"));
        let manifests = answer.json()["manifests"].clone();
        let digests = manifests.as_array().unwrap().iter().map(|found| found["digest"].as_str().unwrap().to_owned());
        pages.push(digests.collect());
        match link::next([answer.header("link")]) {
            Some(next) => target = next,
            None => return pages,
        }
    }
}

/// M11: end-12 with a `Link`, cut by the count that was asked for, by the cap, and by bytes.
#[tokio::test]
async fn referrers_come_page_by_page_and_none_is_lost() {
    for options in [ServerOptions::default().with_referrers_page(3), ServerOptions::default().with_referrers_bytes(700)]
    {
        let served = serve_with(options).await;
        let subject = served.image("a", &["v1"]).await;
        let config = served.blob("a", b"{}").await;
        for (at, kind) in ["x/a", "x/b"].into_iter().cycle().take(10).enumerate() {
            let mut referrer = ImageManifest::new(config.clone(), vec![]);
            referrer.subject = Some(subject.descriptor().clone());
            referrer.artifact_type = Some(kind.parse().unwrap());
            referrer.annotations.insert("at".to_owned(), at.to_string());
            served.memory.put_manifest(&name("a"), &referrer.to_raw(), &[]).await.unwrap();
        }
        let target = format!("/v2/a/referrers/{}", subject.digest());
        for (query, longest, all) in [("", 3, 10), ("?n=2", 2, 10), ("?artifactType=x%2Fa", 3, 5), ("?n=99", 3, 10)] {
            let pages = referrer_pages(&served, format!("{target}{query}")).await;
            assert!(pages.iter().all(|page| (1..=longest).contains(&page.len())), "{query} {pages:?}");
            let listed = pages.concat();
            assert!(listed.is_sorted_by(|one, next| one < next) && listed.len() == all, "{query} {pages:?}");
        }
        let answer = served.get(&format!("GET {target}?artifactType=x%2Fa&n=2")).await;
        assert_eq!(answer.header("oci-filters-applied"), "artifactType");
        assert!(
            answer.header("link").contains("artifactType=x%2Fa") || answer.header("link").contains("artifactType=x/a")
        );
    }
}

#[tokio::test]
async fn who_has_no_referrers_has_an_empty_index() {
    let served = serve().await;
    served.image("a", &["v1"]).await;
    for repo in ["a", "nowhere"] {
        let answer = served.get(&format!("GET /v2/{repo}/referrers/{}", digest(b"absent"))).await;
        assert_eq!(answer.status, 200, "{repo}");
        assert_eq!(answer.json()["manifests"], json!([]), "{repo}");
        assert_eq!(answer.json()["schemaVersion"], 2);
    }
}
