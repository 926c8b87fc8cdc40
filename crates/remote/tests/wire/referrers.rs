//! Referrers: which of the two ways a registry keeps them, and whom to believe (H10, M11, M13).

use futures_util::TryStreamExt;
use gantri_core::{Discover, ErrorKind, Manage, Push, Result};
use gantri_remote::Remote;
use gantri_spec::{Algorithm, Descriptor, Digest, Index, MediaType, RawManifest};

use crate::script::{Reply, Script, builder, limits, remote, repo};
use crate::tiny::{SIGNATURE, Tiny, artifact, list_tag, refusal, signature, subject};

async fn listed(remote: &Remote, artifact_type: Option<&MediaType>) -> Result<Vec<Descriptor>> {
    remote.referrers(&repo(), &subject().digest, artifact_type).try_collect().await
}

fn digests(listed: &[Descriptor]) -> Vec<&Digest> {
    listed.iter().map(|listed| &listed.digest).collect()
}

/// Requests by method and path, without the host.
fn asked(script: &Script) -> Vec<String> {
    script.lines().iter().map(|line| line.replace("https://registry.test/v2/a/b/", "")).collect()
}

/// H10: every way to say that there is no API leads to the tag; what will not change is not asked again.
#[tokio::test]
async fn without_the_api_the_tag_is_read() {
    type Answer = fn() -> Reply;
    let cases: [(&str, Answer, bool); 12] = [
        ("404", || Reply::status(404), true),
        ("404 page", || Reply::status(404).body("404 page not found\n").header("content-type", "text/plain"), true),
        ("404 html", || Reply::status(404).body("<html>").header("content-type", "text/html"), true),
        ("405", || Reply::status(405), true),
        ("406", || Reply::status(406), true),
        ("501", || Reply::status(501), true),
        ("404, the repository", || refusal(404, "NAME_UNKNOWN"), false),
        ("400", || Reply::status(400), false),
        ("401 without a challenge", || Reply::status(401), false),
        ("a web page", || Reply::ok("<html>").header("content-type", "text/html"), false),
        ("something else", || Reply::ok(r#"{"referrers":[]}"#).header("content-type", "application/json"), false),
        ("nothing", || Reply::ok(""), false),
    ];
    for (name, answer, lasting) in cases {
        let tiny = Tiny::hooked(move |seen| seen.url.contains("/referrers/").then(answer));
        let signature = signature("a", &subject());
        tiny.put(&signature, None);
        tiny.put(&Index::new(vec![signature.descriptor().clone()]).to_raw(), Some(&list_tag(&subject().digest)));
        let script = tiny.script();
        let remote = remote(&script);
        let api = format!("GET referrers/{}", subject().digest);
        let tag = format!("GET manifests/{}", list_tag(&subject().digest));
        assert_eq!(digests(&listed(&remote, None).await.unwrap()), [signature.digest()], "{name}");
        assert_eq!(
            asked(&script),
            [api.clone(), tag.clone(), format!("GET manifests/{}", signature.digest())],
            "{name}"
        );
        // The manifest was read once: it does not change.
        assert_eq!(digests(&listed(&remote.clone(), None).await.unwrap()), [signature.digest()], "{name}");
        let expected = if lasting { vec![tag] } else { vec![api, tag] };
        assert_eq!(asked(&script)[3..], expected, "{name}");
    }
}

#[tokio::test]
async fn what_may_pass_or_be_forbidden_is_no_missing_api() {
    for (status, kind) in [(403, ErrorKind::Denied), (401, ErrorKind::Unauthorized)] {
        let script = Script::new(move |_, _| Reply::status(status).header("www-authenticate", "Basic realm=\"x\""));
        assert_eq!(listed(&remote(&script), None).await.unwrap_err().kind(), kind);
        assert_eq!(script.count(), 1, "{status}");
    }
}

/// M13: who is on the list by the word of the list alone is not on it; and what is listed is what the manifests say.
#[tokio::test]
async fn only_those_that_refer_to_the_subject_are_its_referrers() {
    let tiny = Tiny::new();
    let right = signature("right", &subject());
    let elsewhere = signature("elsewhere", &Descriptor::of(MediaType::OCI_MANIFEST, b"other"));
    let plain = Index::new(vec![]).to_raw();
    let gone = signature("gone", &subject());
    for manifest in [&right, &elsewhere, &plain, &gone] {
        tiny.put(manifest, None);
    }
    // The list says nothing true but the digests.
    let bare = Descriptor::new(MediaType::OCI_MANIFEST, right.digest().clone(), right.descriptor().size);
    let mut lie = elsewhere.descriptor().clone();
    lie.artifact_type = Some(SIGNATURE);
    let of = |raw: &RawManifest| raw.descriptor().clone();
    let entries = vec![bare.clone(), lie, of(&plain), of(&gone), subject(), bare];
    tiny.put(&Index::new(entries).to_raw(), Some(&list_tag(&subject().digest)));
    tiny.forget(gone.digest());
    for wanted in [None, Some(&SIGNATURE)] {
        let script = tiny.script();
        let found = listed(&remote(&script), wanted).await.unwrap();
        assert_eq!(digests(&found), [right.digest()]);
        let own = format!("manifests/{}", subject().digest);
        assert!(asked(&script).iter().all(|line| !line.ends_with(&own)), "the subject is not even asked for");
        assert_eq!(found[0].artifact_type, Some(SIGNATURE));
        assert_eq!(found[0].annotations["org.example.name"], "right");
    }
    assert_eq!(listed(&remote(&tiny.script()), Some(&MediaType::OCI_CONFIG)).await.unwrap(), []);
}

/// M13: what GitLab does: the tag is read as the digest it is made of. An index as subject would be its own list.
#[tokio::test]
async fn the_subject_is_not_its_own_list() {
    let child = signature("child", &subject());
    let subject = Index::new(vec![child.descriptor().clone()]).to_raw();
    let (digest, bytes) = (subject.digest().clone(), subject.bytes().clone());
    let sha512 = Algorithm::Sha512.digest(&bytes).unwrap();
    let script = Script::new(move |seen, _| {
        if seen.url.contains("/referrers/") {
            return Reply::status(404);
        }
        Reply::ok(bytes.clone()).header("content-type", MediaType::OCI_INDEX.as_str())
    });
    for asked in [&digest, &sha512] {
        let found: Vec<_> = remote(&script).referrers(&repo(), asked, None).try_collect().await.unwrap();
        assert_eq!(found, [], "{asked}");
    }
    assert!(script.lines().iter().all(|line| !line.contains(child.digest().as_str())), "{:?}", script.lines());
    // The API may say so as well.
    let (own, other) = (subject.descriptor().clone(), child.descriptor().clone());
    let page = Index::new(vec![own, other]).to_raw().bytes().clone();
    let script = Script::new(move |_, _| Reply::ok(page.clone()).header("content-type", MediaType::OCI_INDEX.as_str()));
    let found: Vec<_> = remote(&script).referrers(&repo(), &digest, None).try_collect().await.unwrap();
    assert_eq!(digests(&found), [child.digest()]);
}

/// M13: an image under the tag, or Docker's list, is no list of referrers; it is not read as one, and not written over.
#[tokio::test]
async fn what_is_no_index_under_the_tag_is_left_alone() {
    let signature = signature("a", &subject());
    let image = artifact("image", &SIGNATURE, &subject());
    let mut docker = Index::new(vec![signature.descriptor().clone()]);
    docker.media_type = Some(MediaType::DOCKER_MANIFEST_LIST);
    for (name, other) in [("image", image), ("docker", docker.to_raw())] {
        let tiny = Tiny::new();
        tiny.put(&signature, None);
        tiny.put(&other, Some(&list_tag(&subject().digest)));
        let remote = remote(&tiny.script());
        assert_eq!(listed(&remote, None).await.unwrap(), [], "{name}");
        let error = remote.put_manifest(&repo(), &signature, &["v1".parse().unwrap()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{name}: {error}");
        assert!(error.to_string().contains("is there, but not on the list of referrers"), "{error}");
        let tags: Vec<_> = tiny.tags().into_iter().collect();
        assert_eq!(tags, [(list_tag(&subject().digest), other.digest().to_string())], "no tag moves, {name}");
    }
}

/// M11, M12: a list has an end, and each on it is read once.
#[tokio::test]
async fn a_list_under_a_tag_is_bounded() {
    let tiny = Tiny::new();
    let signatures: Vec<_> = (0..6).map(|at| signature(&at.to_string(), &subject())).collect();
    for signature in &signatures {
        tiny.put(signature, None);
    }
    let entries = signatures.iter().map(|signature| signature.descriptor().clone()).collect();
    tiny.put(&Index::new(entries).to_raw(), Some(&list_tag(&subject().digest)));
    let bounded = |most| builder(&tiny.script()).limits(limits(|limits| limits.graph_nodes = most)).build().unwrap();
    let error = listed(&bounded(5), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("graph_nodes = 5"), "{error}");
    assert_eq!(listed(&bounded(6), None).await.unwrap().len(), 6);
}

#[tokio::test]
async fn where_the_api_is_nothing_is_kept_under_a_tag() {
    let script = Script::new(|seen, _| match seen.method.as_str() {
        "PUT" => Reply::status(201).header("oci-subject", subject().digest),
        _ => Reply::status(202),
    });
    let remote = remote(&script);
    let signature = signature("a", &subject());
    let tags = ["v1".parse().unwrap()];
    let put = format!("PUT manifests/{}", signature.digest());
    for _ in 0..2 {
        let answer = remote.put_manifest(&repo(), &signature, &tags).await.unwrap();
        assert_eq!(answer.subject, Some(subject().digest));
    }
    // Known, it is one request; and nothing needs to be read before it is deleted.
    assert_eq!(asked(&script), [put.as_str(), "PUT manifests/v1", "PUT manifests/v1"]);
    remote.delete_manifest(&repo(), signature.digest()).await.unwrap();
    assert_eq!(asked(&script)[3..], [format!("DELETE manifests/{}", signature.digest())]);
}

/// A registry that lists referrers and forgets to say so (H10): asked once, and believed.
#[tokio::test]
async fn an_api_that_is_not_announced_is_found() {
    let script = Script::new(|seen, _| match seen.method.as_str() {
        "PUT" => Reply::status(201),
        _ => {
            Reply::ok(Index::new(vec![]).to_raw().bytes().clone()).header("content-type", MediaType::OCI_INDEX.as_str())
        }
    });
    let remote = remote(&script);
    let (one, two) = (signature("a", &subject()), signature("b", &subject()));
    for signature in [&one, &two] {
        let answer = remote.put_manifest(&repo(), signature, &[]).await.unwrap();
        assert_eq!(answer.subject, Some(subject().digest));
    }
    let api = format!("GET referrers/{}", subject().digest);
    let put = |signature: &RawManifest| format!("PUT manifests/{}", signature.digest());
    assert_eq!(asked(&script), [put(&one), api, put(&two)]);
}

/// A referrer without the API: put, found to be unlisted, listed, looked at again, tagged.
#[tokio::test(start_paused = true)]
async fn a_referrer_is_put_on_the_list_before_it_is_tagged() {
    let tiny = Tiny::new();
    let script = tiny.script();
    let remote = remote(&script);
    let one = signature("one", &subject());
    let answer = remote.put_manifest(&repo(), &one, &["v1".parse().unwrap()]).await.unwrap();
    assert_eq!(answer.subject, Some(subject().digest));
    let (list, digest) = (format!("manifests/{}", list_tag(&subject().digest)), one.digest());
    assert_eq!(
        asked(&script),
        [
            format!("PUT manifests/{digest}"),
            format!("GET referrers/{}", subject().digest),
            format!("GET {list}"),
            format!("PUT {list}"),
            format!("GET {list}"),
            "PUT manifests/v1".to_owned(),
        ]
    );
    let written = &script.seen()[3];
    assert_eq!(written.header("content-type"), Some(MediaType::OCI_INDEX.as_str()));
    let entry = &serde_json::from_slice::<serde_json::Value>(&written.body).unwrap()["manifests"][0];
    assert_eq!(entry["artifactType"], SIGNATURE.as_str());
    assert_eq!(entry["annotations"]["org.example.name"], "one");
    // What is listed already is not written again.
    remote.put_manifest(&repo(), &one, &[]).await.unwrap();
    assert_eq!(asked(&script)[6..], [format!("PUT manifests/{digest}"), format!("GET {list}")]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_referrer_is_taken_off_the_list_and_the_last_takes_the_list_along() {
    let tiny = Tiny::new();
    let remote = remote(&tiny.script());
    let (one, two) = (signature("one", &subject()), signature("two", &subject()));
    for signature in [&one, &two] {
        remote.put_manifest(&repo(), signature, &[]).await.unwrap();
    }
    let before = tiny.manifests();
    remote.delete_manifest(&repo(), one.digest()).await.unwrap();
    assert_eq!(tiny.listed(&subject().digest), Some(vec![two.digest().clone()]));
    assert!(!tiny.holds(one.digest()));
    remote.delete_manifest(&repo(), two.digest()).await.unwrap();
    assert_eq!(tiny.listed(&subject().digest), None);
    assert!(tiny.tags().is_empty());
    assert_eq!(tiny.manifests(), before - 1, "two are gone, one shorter list came");
}

/// What can't be deleted stays on its list.
#[tokio::test(start_paused = true)]
async fn a_referrer_that_cannot_be_deleted_stays_on_the_list() {
    for alone in [true, false] {
        let tiny = Tiny::hooked(|seen| (seen.method == "DELETE").then(|| refusal(405, "UNSUPPORTED")));
        let remote = remote(&tiny.script());
        let (one, two) = (signature("one", &subject()), signature("two", &subject()));
        remote.put_manifest(&repo(), &one, &[]).await.unwrap();
        if !alone {
            remote.put_manifest(&repo(), &two, &[]).await.unwrap();
        }
        let error = remote.delete_manifest(&repo(), one.digest()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(tiny.listed(&subject().digest).unwrap().contains(one.digest()), "alone: {alone}");
    }
}

/// Clients that know of no lists delete what is on them; registries refuse a list of what is not there.
#[tokio::test(start_paused = true)]
async fn what_is_gone_is_taken_off_a_list_that_is_refused_for_it() {
    let tiny = Tiny::new();
    let remote = remote(&tiny.script());
    let (gone, stays, new) = (signature("1", &subject()), signature("2", &subject()), signature("3", &subject()));
    for signature in [&gone, &stays] {
        remote.put_manifest(&repo(), signature, &[]).await.unwrap();
    }
    tiny.forget(gone.digest());
    remote.put_manifest(&repo(), &new, &[]).await.unwrap();
    assert_eq!(tiny.listed(&subject().digest), Some(vec![stays.digest().clone(), new.digest().clone()]));
}

/// A registry that takes the tag for the digest keeps no list; that is told, and not tried for ever.
#[tokio::test(start_paused = true)]
async fn a_tag_that_is_always_the_subject_is_given_up() {
    let own = Index::new(vec![]).to_raw();
    let tiny = {
        let own = own.clone();
        Tiny::hooked(move |seen| {
            let reads = seen.method == "GET" && seen.url.ends_with(&list_tag(own.digest()));
            reads.then(|| Reply::ok(own.bytes().clone()).header("content-type", MediaType::OCI_INDEX.as_str()))
        })
    };
    let script = tiny.script();
    let error = remote(&script).put_manifest(&repo(), &signature("a", own.descriptor()), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(script.seen().iter().filter(|seen| seen.method == "PUT").count(), 2, "{:?}", script.lines());
}

/// Deleting what is no referrer needs no list.
#[tokio::test]
async fn a_manifest_without_a_subject_is_deleted_without_a_list() {
    let tiny = Tiny::new();
    let app = Index::new(vec![]).to_raw();
    tiny.put(&app, Some("v1"));
    let script = tiny.script();
    remote(&script).delete_manifest(&repo(), app.digest()).await.unwrap();
    let digest = app.digest();
    assert_eq!(asked(&script), [format!("GET manifests/{digest}"), format!("DELETE manifests/{digest}")]);
    let error = remote(&script).delete_manifest(&repo(), digest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
}
