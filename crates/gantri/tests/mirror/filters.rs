//! Filters behind a server: the suite through the wire, and the statuses and codes of what they refuse.

use std::sync::Arc;

use gantri::remote::HttpVersion;
use gantri::{Memory, Pull};
use gantri_core::filter::{Fallback, Immutable, ReadOnly, Select};
use gantri_core::registry_suite;
use gantri_core::testkit::{Content, Feature, Profile, Subject};

use super::raw::{Answer, ask};
use super::{remote_of, serve, served};

registry_suite! {
    remote_server_read_only => async {
        let behind = Memory::new();
        let subject = served(Arc::new(ReadOnly::new(behind.clone())), HttpVersion::Http1, ()).await;
        subject.seeded_by(behind)
    };
    profile: Profile::FULL
        .without(Feature::Push)
        .without(Feature::DeleteTag)
        .without(Feature::DeleteManifest)
        .without(Feature::DeleteBlob);
}

registry_suite! {
    remote_server_immutable => async {
        served(Arc::new(Immutable::new(Memory::new())), HttpVersion::Http1, ()).await
    };
    profile: Profile::FULL.without(Feature::DeleteTag).without(Feature::MoveTags);
}

registry_suite! {
    fallback_of_remotes => async {
        let (mirror, its_server) = remote_of(Arc::new(Memory::new()), HttpVersion::Http1).await;
        let (origin, running) = remote_of(Arc::new(Memory::new()), HttpVersion::Http1).await;
        Subject::new(Fallback::new(origin).with_mirror(Arc::new(mirror))).holding(its_server).holding(running)
    };
    profile: Profile::FULL;
}

const MANIFEST: &str = "content-type: application/vnd.oci.image.manifest.v1+json\r\n";

/// Two images, the first of them under `v1`.
async fn content(name: &str) -> (Memory, Content) {
    let content = Content::new(name).blob("layer", "layer").image("one", ["layer"]).image("two", ["layer"]);
    let content = content.tag("v1", "one");
    let registry = Memory::new();
    content.push_to(&registry).await.unwrap();
    (registry, content)
}

#[tokio::test]
async fn every_write_to_a_read_only_server_is_405_unsupported() {
    let (registry, content) = content("team/app").await;
    let (host, _running) = serve(Arc::new(ReadOnly::new(registry.clone()))).await;
    let (one, layer) = (content.digest("one"), content.digest("layer"));
    let requests = [
        "POST /v2/team/app/blobs/uploads/".to_owned(),
        format!("POST /v2/team/app/blobs/uploads/?digest={layer}"),
        format!("POST /v2/team/new/blobs/uploads/?mount={layer}&from=team/app"),
        "PUT /v2/team/app/manifests/v1".to_owned(),
        format!("PUT /v2/team/app/manifests/{}", content.digest("two")),
        "DELETE /v2/team/app/manifests/v1".to_owned(),
        format!("DELETE /v2/team/app/manifests/{one}"),
        format!("DELETE /v2/team/app/blobs/{layer}"),
    ];
    for request in requests {
        let manifest = content.bytes("two");
        let (headers, body) = if request.contains("PUT") { (MANIFEST, &manifest[..]) } else { ("", &b""[..]) };
        let answer = ask(&host, &request, headers, body).await;
        assert_eq!(answer.verdict(), (405, "UNSUPPORTED"), "{request}: {answer:?}");
    }
    assert_eq!(ask(&host, "GET /v2/team/app/manifests/v1", "", b"").await.status, 200);
    assert_eq!(ask(&host, &format!("GET /v2/team/app/blobs/{layer}"), "", b"").await.body, "layer");
}

#[tokio::test]
async fn an_immutable_server_denies_to_move_a_tag_and_what_it_leads_to() {
    let (registry, content) = content("team/app").await;
    let (host, _running) = serve(Arc::new(Immutable::new(registry.clone()))).await;
    let put = async |tag: &str, name: &str| {
        ask(&host, &format!("PUT /v2/team/app/manifests/{tag}"), MANIFEST, &content.bytes(name)).await
    };
    assert_eq!(put("v1", "one").await.status, 201, "the same again");
    assert_eq!(put("v1", "two").await.verdict(), (403, "DENIED"));
    assert_eq!(put("v2", "two").await.status, 201, "a new tag");

    let delete = async |what: String| ask(&host, &format!("DELETE /v2/team/app/{what}"), "", b"").await;
    assert_eq!(delete("manifests/v1".into()).await.verdict(), (405, "UNSUPPORTED"));
    assert_eq!(delete(format!("manifests/{}", content.digest("one"))).await.verdict(), (403, "DENIED"));
    assert_eq!(delete(format!("blobs/{}", content.digest("layer"))).await.verdict(), (403, "DENIED"));
    let tag = |name: &str| gantri::spec::Selector::Tag(name.parse().unwrap());
    assert_eq!(registry.resolve_manifest(content.here(), &tag("v1")).await.unwrap().digest, content.digest("one"));
}

/// (R6) Whether a closed repository is there can't be told from any answer; nor, by reading, that it is closed.
#[tokio::test]
async fn a_closed_repository_answers_like_one_that_is_not_there() {
    let (registry, content) = content("closed/app").await;
    content.clone().repo("open/app").blob("other", "other").push_to(&registry).await.unwrap();
    let (host, _running) = serve(Arc::new(Select::new(registry, |repo| repo.as_str().starts_with("open/")))).await;
    let (one, layer) = (content.digest("one"), content.digest("layer"));
    let mount = |to: &str| format!("POST /v2/{to}/blobs/uploads/?mount={layer}&from=NAME");
    let reads = [
        "GET /v2/NAME/manifests/v1".to_owned(),
        format!("HEAD /v2/NAME/manifests/{one}"),
        format!("GET /v2/NAME/blobs/{layer}"),
        "GET /v2/NAME/tags/list".to_owned(),
        format!("GET /v2/NAME/referrers/{one}"),
        "DELETE /v2/NAME/manifests/v1".to_owned(),
        mount("open/app"),
        mount("open/new"),
    ];
    let writes = [
        "POST /v2/NAME/blobs/uploads/".to_owned(),
        format!("POST /v2/NAME/blobs/uploads/?mount={layer}&from=open/app"),
    ];
    let ask_of =
        async |request: &str, name: &str| told(&ask(&host, &request.replace("NAME", name), "", b"").await, name);
    for request in reads.iter().chain(&writes) {
        assert_eq!(ask_of(request, "closed/app").await, ask_of(request, "closed/none").await, "{request}");
    }
    for request in &reads {
        assert_eq!(ask_of(request, "closed/app").await, ask_of(request, "open/none").await, "{request}");
    }
    let anywhere = format!("POST /v2/open/new/blobs/uploads/?mount={layer}");
    assert_eq!(ask(&host, &anywhere, "", b"").await.status, 202, "mounted out of a closed repository");
}

/// Status, names of headers and body of an answer, without the name that was asked for.
fn told(answer: &Answer, name: &str) -> (u16, Vec<String>, String) {
    let names = answer.head.lines().skip(1).filter_map(|line| line.split(':').next()).map(str::to_owned).collect();
    (answer.status, names, answer.body.replace(name, "NAME"))
}
