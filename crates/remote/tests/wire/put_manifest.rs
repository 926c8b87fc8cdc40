//! Putting manifests: what is sent, under which tags, and what is done where a registry knows less than the spec.

use gantri_core::{ErrorKind, Push};
use gantri_remote::SendErrorKind;
use gantri_spec::{Algorithm, Digest, Index, MediaType, RawManifest, Tag};

use crate::script::{HOST, Reply, Script, remote, repo};
use crate::tiny::refusal;

fn manifest() -> RawManifest {
    Index::new(vec![]).to_raw()
}

fn tags(count: usize) -> Vec<Tag> {
    (1..=count).map(|at| format!("v{at}").parse().unwrap()).collect()
}

fn url(rest: &str) -> String {
    format!("PUT https://{HOST}/v2/a/b/manifests/{rest}")
}

/// Bytes and type are what was given, to the last space.
#[tokio::test]
async fn a_manifest_is_sent_as_it_is() {
    let odd = RawManifest::new(MediaType::from("application/vnd.example.odd+json"), " {\"b\":1, \"a\" :2}\n".into());
    let script = Script::new(|_, _| Reply::status(201));
    remote(&script).put_manifest(&repo(), &odd, &tags(1)).await.unwrap();
    let seen = &script.seen()[0];
    assert_eq!(seen.body, " {\"b\":1, \"a\" :2}\n");
    assert_eq!(seen.header("content-type"), Some("application/vnd.example.odd+json"));
}

/// A registry that does not know several tags at once is not asked again.
#[tokio::test]
async fn what_a_registry_knows_of_tags_is_remembered() {
    let script = Script::new(|_, _| Reply::status(201));
    let remote = remote(&script);
    let digest = manifest().digest().clone();
    for _ in 0..2 {
        let put = remote.clone().put_manifest(&repo(), &manifest(), &tags(2)).await.unwrap();
        assert_eq!(put.tags, tags(2));
    }
    let at_once = url(&format!("{digest}?tag=v1&tag=v2"));
    assert_eq!(script.lines(), [at_once, url("v1"), url("v2"), url("v1"), url("v2")]);
}

/// More than every registry has to take go in several requests.
#[tokio::test]
async fn many_tags_go_ten_at_a_time() {
    let script = Script::new(|seen, _| {
        let taken = seen.url.split(['?', '&']).filter_map(|part| part.strip_prefix("tag="));
        taken.fold(Reply::status(201), |reply, tag| reply.header("oci-tag", tag))
    });
    remote(&script).put_manifest(&repo(), &manifest(), &tags(23)).await.unwrap();
    let counts: Vec<usize> = script.lines().iter().map(|line| line.matches("tag=").count()).collect();
    assert_eq!(counts, [10, 10, 3]);
}

/// A registry that refuses what it does not know gets the tags one by one; one that refuses the manifest says so.
#[tokio::test]
async fn a_refusal_of_tags_is_none_of_the_manifest() {
    for status in [400, 404, 405, 414, 431, 501] {
        let script = Script::new(move |seen, _| Reply::status(if seen.url.contains('?') { status } else { 201 }));
        let remote = remote(&script);
        for _ in 0..2 {
            remote.put_manifest(&repo(), &manifest(), &tags(2)).await.unwrap();
        }
        assert_eq!(script.count(), 5, "{status}");
    }
    let script = Script::new(|_, _| refusal(400, "MANIFEST_INVALID"));
    let remote = remote(&script);
    let error = remote.put_manifest(&repo(), &manifest(), &tags(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestInvalid);
    // That says nothing about tags.
    remote.put_manifest(&repo(), &manifest(), &tags(2)).await.unwrap_err();
    assert!(script.lines()[2].contains("?tag="), "{:?}", script.lines());
}

/// By tag, a registry would name it by SHA-256.
#[tokio::test]
async fn another_digest_than_sha256_is_named() {
    let bytes = manifest().bytes().clone();
    let sha512 = Algorithm::Sha512.digest(&bytes).unwrap();
    let manifest = RawManifest::expect_digest(&sha512, MediaType::OCI_INDEX, bytes).unwrap();
    let script = Script::new(|_, _| Reply::status(201));
    let remote = remote(&script);
    for _ in 0..2 {
        remote.put_manifest(&repo(), &manifest, &tags(1)).await.unwrap();
    }
    let expected = [url(&format!("{sha512}?tag=v1")), url("v1"), url(sha512.as_str()), url("v1")];
    assert_eq!(script.lines(), expected);
}

/// H19
#[tokio::test]
async fn a_registry_that_stored_something_else_is_found_out() {
    let wrong = Digest::of(b"x");
    for tags in [tags(0), tags(1), tags(2)] {
        let wrong = wrong.clone();
        let script = Script::new(move |_, _| Reply::status(201).header("docker-content-digest", &wrong));
        let error = remote(&script).put_manifest(&repo(), &manifest(), &tags).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{tags:?}");
        assert_eq!(script.count(), 1, "{tags:?}");
    }
}

#[tokio::test]
async fn a_manifest_too_large_for_the_registry_says_so() {
    type Answer = fn() -> Reply;
    let answers: [Answer; 3] = [
        || Reply::status(413),
        || Reply::status(413).body("<html>413 Request Entity Too Large").header("content-type", "text/html"),
        || refusal(413, "SIZE_INVALID"),
    ];
    for answer in answers {
        let script = Script::new(move |_, _| answer());
        let error = remote(&script).put_manifest(&repo(), &manifest(), &tags(2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        let bytes = manifest().bytes().len();
        assert!(error.to_string().contains(&format!("takes no manifest of {bytes} bytes (413")), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(script.count(), 1);
    }
}

/// Tags that were set before one was refused are told.
#[tokio::test]
async fn a_tag_that_is_refused_does_not_hide_those_that_were_set() {
    let script = Script::new(|seen, _| match seen.url.as_str() {
        url if url.contains('?') => Reply::status(201),
        url if url.ends_with("/v3") => refusal(403, "DENIED"),
        _ => Reply::status(201),
    });
    let error = remote(&script).put_manifest(&repo(), &manifest(), &tags(4)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("tags set before: v1, v2"), "{error}");
    assert_eq!(script.count(), 4, "the rest is not tried");
}

/// H18: the answer is lost, by tag and by digest; what is there is not sent again, what is not there is.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_into_before_anything_is_sent_again() {
    for (count, there) in [(0, true), (1, true), (0, false), (1, false)] {
        let puts = std::sync::atomic::AtomicU32::new(0);
        let script = Script::new(move |seen, _| match seen.method.as_str() {
            "PUT" if puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => Reply::status(500),
            "PUT" => Reply::status(201),
            _ if there => {
                let manifest = manifest();
                let length = manifest.bytes().len().to_string();
                let reply = Reply::status(200).header("docker-content-digest", manifest.digest().as_str());
                reply.header("content-length", &length).header("content-type", MediaType::OCI_INDEX.as_str())
            }
            _ => refusal(404, "MANIFEST_UNKNOWN"),
        });
        remote(&script).put_manifest(&repo(), &manifest(), &tags(count)).await.unwrap();
        let asked: Vec<String> = script.seen().iter().map(|seen| seen.method.to_string()).collect();
        assert_eq!(asked[..2], ["PUT", "HEAD"], "{count} {there}");
        assert_eq!(asked.iter().filter(|method| *method == "PUT").count(), if there { 1 } else { 2 }, "{asked:?}");
    }
}

/// H25: a registry that answers nothing is not asked by tries of tries.
#[tokio::test(start_paused = true)]
async fn a_registry_that_is_away_is_not_asked_for_ever() {
    let script = Script::new(|_, _| Reply::status(503));
    let error = remote(&script).put_manifest(&repo(), &manifest(), &tags(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("push manifest"), "{error}");
    let tries = gantri_core::Limits::default().request_tries as usize;
    assert!(script.count() <= 1 + tries, "{} requests", script.count());
}

/// H18: what never left is not looked for, however the way there failed, and may be sent again although it may not be twice.
#[tokio::test(start_paused = true)]
async fn a_manifest_that_never_left_is_not_looked_for() {
    for fault in [SendErrorKind::ConnectTimeout, SendErrorKind::Proxy, SendErrorKind::Refused] {
        let script = Script::new(move |_, _| Reply::Fault(fault));
        remote(&script).put_manifest(&repo(), &manifest(), &tags(1)).await.unwrap_err();
        assert_eq!(script.methods(), "PUT PUT PUT PUT PUT", "{fault:?}");
    }
}
