//! Manifests: whom to believe about their digest, and what must survive.

use gantri::spec::{Manifest, MediaType, RawManifest};
use gantri::{Client, ErrorKind, Location, Reference};
use test_support::image::manifest_reply;
use test_support::{Body, Reply, ScriptedServer};

use crate::world::{Embedded, at, client, image};

/// O35, G2: a registry that does not do HEAD, or leaves something out, is asked by GET.
#[tokio::test]
async fn what_head_does_not_say_is_asked_of_get() {
    let manifest = image(1).manifest;
    let bytes = manifest.bytes().clone();
    let (kind, digest) = (manifest.media_type().to_string(), manifest.digest().to_string());
    let head = || Reply::ok(bytes.clone());
    let cases = [
        ("all of it", head().header("content-type", &kind).header("docker-content-digest", &digest), 1),
        ("no digest", head().header("content-type", &kind), 2),
        ("an empty digest", head().header("content-type", &kind).header("docker-content-digest", ""), 2),
        ("no type", head().header("docker-content-digest", &digest), 2),
        ("no length", head().header("content-type", &kind).header("docker-content-digest", &digest).length(0), 2),
        ("no HEAD", Reply::new(405), 2),
    ];
    for (name, head, requests) in cases {
        let whole = manifest_reply(&manifest);
        let server = ScriptedServer::start(move |asked| if asked.method == "HEAD" { &head } else { &whole }.clone());
        let found = client().resolve(&at(&server.host(), ":v1")).await.unwrap();
        assert_eq!(&found, manifest.descriptor(), "{name}");
        assert_eq!(server.requests().len(), requests, "{name}");
    }
}

/// M5: a manifest asked for by digest has it.
#[tokio::test]
async fn a_manifest_is_held_to_the_digest_asked_for() {
    let (asked, other) = (image(1).manifest, image(2).manifest);
    let by_digest = format!("@{}", asked.digest());
    let server = ScriptedServer::start(move |_| {
        Reply::ok(other.bytes().clone()).header("content-type", other.media_type().as_str())
    });
    let refused = client().manifest(&at(&server.host(), &by_digest)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch);
}

/// O36: a tag's manifest is held to the digest that the registry itself names for it.
#[tokio::test]
async fn a_manifest_is_held_to_the_digest_the_registry_names() {
    let (named, sent) = (image(1).manifest, image(2).manifest);
    let server = ScriptedServer::start(move |_| {
        Reply::ok(sent.bytes().clone())
            .header("content-type", sent.media_type().as_str())
            .header("docker-content-digest", named.digest().as_str())
    });
    let refused = client().manifest(&at(&server.host(), ":v1")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch);
}

/// O36: a manifest without end is an error at the bound, and the bound has a name.
#[tokio::test]
async fn a_manifest_without_end_is_given_up_at_its_bound() {
    let server = ScriptedServer::start(|_| {
        Reply::new(200)
            .header("content-type", MediaType::OCI_MANIFEST.as_str())
            .body(Body::Endless(vec![b' '; 1 << 16].into()))
    });
    let limits = crate::world::limits(|limits| limits.manifest = 4 << 20);
    let client = Client::builder().limits(limits).build().unwrap();
    let refused = client.manifest(&at(&server.host(), ":v1")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    assert!(refused.to_string().contains("manifest = 4194304"), "{refused}");
}

/// M1: where a tag and a digest are named, the digest is asked for, and the tag is not sent along.
#[tokio::test]
async fn a_digest_wins_over_the_tag_beside_it() {
    let image = image(1);
    let digest = image.manifest.digest().clone();
    let server = image.serve(|_, _| None);
    client().image(&at(&server.host(), &format!(":v1@{digest}"))).await.unwrap();
    client().image(&at(&server.host(), &format!("@{digest}"))).await.unwrap();
    for request in server.requests() {
        assert_eq!(request.target, format!("/v2/team/app/manifests/{digest}"));
    }
}

/// M2: `library/` belongs to Docker Hub; elsewhere a name of one part is what it is.
#[test]
fn library_is_added_for_docker_hub_alone() {
    for (text, repository) in [
        ("alpine", "library/alpine"),
        ("docker.io/alpine", "library/alpine"),
        ("index.docker.io/alpine", "library/alpine"),
        ("ghcr.io/alpine", "alpine"),
        ("localhost:5000/alpine", "alpine"),
        ("[::1]:5000/alpine", "alpine"),
    ] {
        assert_eq!(text.parse::<Reference>().unwrap().repository().as_str(), repository, "{text}");
    }
}

/// O60, O53: fields that no specification knows come through, byte for byte and parsed.
#[tokio::test]
async fn unknown_fields_survive() {
    let server = Embedded::start().await;
    let image = server.put_bare("{}").await;
    let text = format!(
        r#"{{ "schemaVersion":2, "mediaType":"{}","vendor.field": {{"b":1,"a":[null]}},
            "manifests":[{{"mediaType":"{}","digest":"{}","size":{},"vendor.note":"kept","data":null,"platform":{{"os":"linux","architecture":"amd64","vendor.cpu":7}}}}]}}"#,
        MediaType::OCI_INDEX,
        image.media_type,
        image.digest,
        image.size
    );
    server.put(&RawManifest::new(MediaType::OCI_INDEX, text.clone().into()), &["v1"]).await;
    let source: Location = at(&server.host, ":v1");
    let raw = client().manifest(&source).await.unwrap();
    assert_eq!(raw.bytes(), text.as_bytes());
    let Manifest::Index(index) = raw.parse().unwrap() else { panic!("no index") };
    let written = index.to_raw();
    let again: serde_json::Value = serde_json::from_slice(written.bytes()).unwrap();
    assert_eq!(again["vendor.field"]["a"], serde_json::json!([null]));
    assert_eq!(again["manifests"][0]["vendor.note"], "kept");
    assert_eq!(again["manifests"][0]["platform"]["vendor.cpu"], 7);
}
