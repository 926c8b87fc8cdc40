//! Deleting: what real registries answer, and tags that are taken away alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gantri_core::{ErrorKind, Limits, Manage};
use gantri_remote::{Connection, Dial, PlainHttp};
use gantri_spec::{Descriptor, Digest, Index, MediaType, RawManifest, Tag};

use crate::net::{Heads, Net};
use crate::script::{HOST, Reply, Script, Seen, remote, repo};
use crate::tiny::{Tiny, refusal};

fn app() -> RawManifest {
    Index::new(vec![]).to_raw()
}

fn v1() -> Tag {
    "v1".parse().unwrap()
}

/// Method and what it is about, digests cut short.
fn steps(script: &Script) -> Vec<String> {
    let base = format!("https://{HOST}/v2/a/b/manifests/");
    let cut = |at: &str| if at.contains(':') { "digest".to_owned() } else { at.to_owned() };
    script.seen().iter().map(|seen| format!("{} {}", seen.method, cut(&seen.url.replace(&base, "")))).collect()
}

#[tokio::test]
async fn a_refusal_to_delete_is_typed() {
    let cases: [(u16, &str, ErrorKind); 8] = [
        (404, "", ErrorKind::ManifestUnknown),
        (404, "MANIFEST_UNKNOWN", ErrorKind::ManifestUnknown),
        (404, "NAME_UNKNOWN", ErrorKind::RepositoryUnknown),
        (405, "", ErrorKind::Unsupported),
        (405, "UNSUPPORTED", ErrorKind::Unsupported),
        (400, "UNSUPPORTED", ErrorKind::Unsupported),
        (403, "DENIED", ErrorKind::Denied),
        (401, "UNAUTHORIZED", ErrorKind::Unauthorized),
    ];
    for (status, code, kind) in cases {
        let script = Script::new(move |seen, _| match (seen.method.as_str(), code) {
            ("GET", _) => Reply::ok(app().bytes().clone()).header("content-type", MediaType::OCI_INDEX.as_str()),
            (_, "") => Reply::status(status),
            (_, code) => refusal(status, code),
        });
        let error = remote(&script).delete_manifest(&repo(), app().digest()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {code}");
        assert!(error.to_string().starts_with("delete manifest registry.test/a/b@sha256:"), "{error}");
        let switched_off = kind == ErrorKind::Unsupported;
        assert_eq!(error.hint().is_some_and(|hint| hint.contains("DELETE_ENABLED")), switched_off, "{status} {code}");
        let blob = Digest::of(b"blob");
        let error = remote(&script).delete_blob(&repo(), &blob).await.unwrap_err();
        let kind = if status == 404 && code.is_empty() { ErrorKind::BlobUnknown } else { kind };
        assert_eq!(error.kind(), kind, "{status} {code}");
    }
}

/// The way to a registry whose first connection never comes about.
#[derive(Debug)]
struct FirstHangs(Net, AtomicBool);

#[async_trait]
impl Dial for FirstHangs {
    async fn dial(&self, to: SocketAddr) -> std::io::Result<Box<dyn Connection>> {
        if self.1.swap(false, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.0.dial(to).await
    }
}

/// What could not even be asked for was not done: what is not there then never was (H18).
#[tokio::test(start_paused = true)]
async fn a_delete_that_never_left_deleted_nothing() {
    const ABSENT: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let heads = Heads::default();
    let seen = heads.clone();
    let net = Net::default().name("registry.test", &["192.0.2.1"]);
    let net = net.host("192.0.2.1:80", move |socket| seen.clone().answer(socket, ABSENT));
    let builder = net.builder("registry.test").plain_http(PlainHttp::Always).limits(Limits::default());
    let remote = builder.dialer(Arc::new(FirstHangs(net.clone(), AtomicBool::new(true)))).build().unwrap();
    let error = remote.delete_blob(&repo(), &Digest::of(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BlobUnknown);
    assert_eq!(heads.lines().len(), 1);
}

/// By digest only: the tag goes, and neither what it pointed at nor another tag of it.
#[tokio::test]
async fn a_tag_goes_alone_where_only_digests_can_be_deleted() {
    let tiny = Tiny::new();
    tiny.put(&app(), Some("v1"));
    tiny.put(&app(), Some("v2"));
    let script = tiny.script();
    let remote = remote(&script);
    remote.delete_tag(&repo(), &v1()).await.unwrap();
    assert_eq!(tiny.tags().into_iter().collect::<Vec<_>>(), [("v2".to_owned(), app().digest().to_string())]);
    assert!(tiny.holds(app().digest()));
    assert_eq!(tiny.manifests(), 1, "nothing is left behind");
    let expected = [
        "DELETE v1",
        // Does it delete by digest? Is there such a tag? Then the rehearsal, without the tag.
        "DELETE digest",
        "GET v1",
        "PUT digest",
        "DELETE digest",
        "PUT v1",
        "HEAD v1",
        "DELETE digest",
    ];
    assert_eq!(steps(&script), expected);
    // What was learned is not asked again.
    remote.delete_tag(&repo(), &"v2".parse().unwrap()).await.unwrap();
    assert_eq!(steps(&script)[8..], ["GET v2", "PUT v2", "HEAD v2", "DELETE digest"]);
    assert!(tiny.holds(app().digest()));
    let error = remote.delete_tag(&repo(), &v1()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
}

/// Where nothing can be deleted, nothing is touched: the tag points where it did, and no rubbish is left.
#[tokio::test]
async fn a_tag_is_left_alone_where_nothing_can_be_deleted() {
    type Hook = fn(&Seen) -> Option<Reply>;
    let cases: [(&str, Hook); 3] = [
        ("405", |seen| (seen.method == "DELETE").then(|| refusal(405, "UNSUPPORTED"))),
        ("400", |seen| (seen.method == "DELETE").then(|| refusal(400, "UNSUPPORTED"))),
        ("405 by tag, 403 by digest", |seen| {
            let answer = if seen.url.contains("sha256:") { refusal(403, "DENIED") } else { Reply::status(405) };
            (seen.method == "DELETE").then_some(answer)
        }),
    ];
    for (name, hook) in cases {
        let tiny = Tiny::hooked(hook);
        tiny.put(&app(), Some("v1"));
        let script = tiny.script();
        let error = remote(&script).delete_tag(&repo(), &v1()).await.unwrap_err();
        let unsupported = error.kind() == ErrorKind::Unsupported;
        assert_eq!(unsupported, !name.contains("403"), "{name}: {error}");
        assert_eq!(error.hint().is_some_and(|hint| hint.contains("removes no single tag")), unsupported, "{name}");
        assert_eq!(steps(&script), ["DELETE v1", "DELETE digest"], "{name}");
        assert_eq!(tiny.tags()["v1"], app().digest().as_str(), "{name}");
        assert_eq!(tiny.manifests(), 1, "{name}");
    }
}

/// A registry that says 404 for what is not there, and 405 for what is: found out before the tag is touched.
#[tokio::test]
async fn the_rehearsal_is_not_on_the_tag() {
    let tiny =
        Tiny::hooked(|seen| (seen.method == "DELETE" && !seen.url.contains("sha256:")).then(|| Reply::status(405)));
    tiny.put(&app(), Some("v1"));
    let script = {
        let tiny = Arc::clone(&tiny);
        Script::new(move |seen, _| {
            let digest = seen.url.rsplit('/').next().unwrap().to_owned();
            let there = digest.parse::<Digest>().is_ok_and(|digest| tiny.holds(&digest));
            if seen.method == "DELETE" && there { Reply::status(405) } else { tiny.answer(seen) }
        })
    };
    let error = remote(&script).delete_tag(&repo(), &v1()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("the tag is as it was"), "{error}");
    assert_eq!(tiny.tags()["v1"], app().digest().as_str());
    assert!(steps(&script).iter().all(|step| step != "PUT v1"), "{:?}", steps(&script));
}

/// Whoever moves the tag in between keeps it.
#[tokio::test]
async fn a_tag_that_is_moved_meanwhile_stays_moved() {
    let tiny = Tiny::new();
    tiny.put(&app(), Some("v1"));
    let theirs = Index::new(vec![Descriptor::of(MediaType::OCI_MANIFEST, b"theirs")]).to_raw();
    let script = {
        let (tiny, theirs, once) = (Arc::clone(&tiny), theirs.clone(), AtomicBool::new(false));
        Script::new(move |seen, _| {
            if seen.method == "HEAD" && !once.swap(true, Ordering::Relaxed) {
                tiny.put(&theirs, Some("v1"));
            }
            tiny.answer(seen)
        })
    };
    remote(&script).delete_tag(&repo(), &v1()).await.unwrap();
    assert_eq!(tiny.tags()["v1"], theirs.digest().as_str());
    assert_eq!(tiny.manifests(), 2, "the marker is gone all the same");
}

/// Half-way through, the tag is put back, or the error says that it is not.
#[tokio::test]
async fn a_failure_half_way_puts_the_tag_back() {
    for back in [true, false] {
        let (moved, tiny) = (AtomicBool::new(false), Tiny::new());
        tiny.put(&app(), Some("v1"));
        let script = {
            let tiny = Arc::clone(&tiny);
            Script::new(move |seen, _| {
                let by_tag = seen.url.ends_with("/v1");
                match seen.method.as_str() {
                    "PUT" if by_tag && !moved.swap(true, Ordering::Relaxed) => tiny.answer(seen),
                    "PUT" if by_tag && !back => refusal(403, "DENIED"),
                    "DELETE" if moved.load(Ordering::Relaxed) => refusal(403, "DENIED"),
                    _ => tiny.answer(seen),
                }
            })
        };
        let error = remote(&script).delete_tag(&repo(), &v1()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let restored = tiny.tags()["v1"] == app().digest().as_str();
        assert_eq!(restored, back);
        assert_eq!(error.to_string().contains("the tag now points at"), !back, "{error}");
        assert!(tiny.holds(app().digest()));
    }
}

/// A registry that deletes by tag is believed; what it refuses then is refused.
#[tokio::test]
async fn where_tags_are_deleted_by_name_nothing_else_is_tried() {
    let script = Script::new(|_, before| if before == 0 { Reply::status(202) } else { Reply::status(400) });
    let remote = remote(&script);
    remote.delete_tag(&repo(), &v1()).await.unwrap();
    remote.delete_tag(&repo(), &v1()).await.unwrap_err();
    assert_eq!(steps(&script), ["DELETE v1", "DELETE v1"]);
}
