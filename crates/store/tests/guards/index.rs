//! `index.json`: what its entries say, that nobody's change is lost (S3), and that what others wrote is kept (S8).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use gantri_core::spec::{Descriptor, Digest, Index, MediaType, RawManifest, Selector, Tag};
use gantri_core::{Discover, ErrorKind, Manage, MissingChildren, Pull, Push};
use gantri_store::Layout;
use serde_json::json;

use super::common::{at, entries, file_of, files, here, index, layout, leftovers, put, put_image, tag, variable};

fn entry(tag: Option<&str>, manifest: &RawManifest) -> (Option<String>, String) {
    (tag.map(str::to_owned), manifest.digest().to_string())
}

async fn tags(layout: &Layout) -> Vec<String> {
    let tags: Vec<Tag> = layout.tags(&here(), None).try_collect().await.unwrap();
    tags.iter().map(|tag| tag.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_new_layout_is_what_the_spec_says() {
    let (_layout, dir) = layout().await;
    assert_eq!(files(dir.path()), ["index.json", "oci-layout"]);
    assert_eq!(fs::read_to_string(dir.path().join("oci-layout")).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(index(dir.path())["schemaVersion"], 2);
    assert_eq!(index(dir.path())["manifests"], json!([]));
    assert!(dir.path().join("blobs").is_dir());
}

#[tokio::test]
async fn each_tag_is_an_entry_and_an_untagged_manifest_has_one() {
    let (layout, dir) = layout().await;
    let one = put_image(&layout, &here(), "1", &[]).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(None, &one)]);
    put_image(&layout, &here(), "1", &["v1", "v1.0"]).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(Some("v1"), &one), entry(Some("v1.0"), &one)]);
    put_image(&layout, &here(), "1", &[]).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(Some("v1"), &one), entry(Some("v1.0"), &one)]);
}

#[tokio::test]
async fn a_tag_that_moves_leaves_its_manifest_listed() {
    let (layout, dir) = layout().await;
    let one = put_image(&layout, &here(), "1", &["v1"]).await.unwrap();
    let two = put_image(&layout, &here(), "2", &["v1"]).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(Some("v1"), &two), entry(None, &one)]);
    layout.delete_tag(&here(), &tag("v1")).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(None, &one), entry(None, &two)]);
}

#[tokio::test]
async fn a_manifest_is_not_listed_by_itself_while_an_index_leads_to_it() {
    let (layout, dir) = layout().await;
    let one = put_image(&layout, &here(), "1", &[]).await.unwrap();
    let two = put_image(&layout, &here(), "2", &["two"]).await.unwrap();
    let both = Index::new(vec![one.descriptor().clone(), two.descriptor().clone()]).to_raw();
    layout.put_manifest(&here(), &both, &[tag("both")]).await.unwrap();
    let expected = [entry(Some("two"), &two), entry(Some("both"), &both)];
    assert_eq!(entries(dir.path()), expected, "the untagged one is reached by the index");

    put_image(&layout, &here(), "1", &[]).await.unwrap();
    assert_eq!(entries(dir.path()), expected, "put again, it is reached already");
    layout.delete_tag(&here(), &tag("two")).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(Some("both"), &both)], "without its tag it is reached still");

    layout.delete_manifest(&here(), both.digest()).await.unwrap();
    assert_eq!(entries(dir.path()), [entry(None, &one), entry(None, &two)], "deleting an index deletes no child");
    for child in [&one, &two] {
        let selector = Selector::Digest(child.digest().clone());
        assert_eq!(layout.manifest(&here(), &selector).await.unwrap(), *child);
    }
}

#[tokio::test]
async fn a_file_among_the_blobs_is_no_manifest_unless_something_leads_to_it() {
    let ((holder, _dir), (other, _other_dir)) = (layout().await, layout().await);
    let manifest = put_image(&holder, &here(), "1", &["v1"]).await.unwrap();
    put(&other, manifest.bytes()).await.unwrap();
    let selector = Selector::Digest(manifest.digest().clone());
    assert_eq!(other.manifest(&here(), &selector).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);
}

#[tokio::test]
async fn a_manifest_cannot_be_deleted_as_a_blob() {
    let (layout, dir) = layout().await;
    let manifest = put_image(&layout, &here(), "1", &["v1"]).await.unwrap();
    let refusal = layout.delete_blob(&here(), manifest.digest()).await;
    assert_eq!(refusal.unwrap_err().kind(), ErrorKind::BlobUnknown);
    assert!(file_of(dir.path(), manifest.digest()).exists());
}

/// As umoci 0.4 and skopeo 1.9 write it: no media type on top, platforms, names that are no tags, several names.
#[tokio::test]
async fn what_other_tools_write_is_read() {
    let (layout, dir) = layout().await;
    let one = put_image(&layout, &here(), "1", &[]).await.unwrap();
    let entry = |name: &str| {
        json!({
            "mediaType": one.media_type().as_str(), "digest": one.digest().as_str(), "size": one.bytes().len(),
            "annotations": {"org.opencontainers.image.ref.name": name},
            "platform": {"architecture": "amd64", "os": "linux"},
        })
    };
    let theirs =
        json!({"schemaVersion": 2, "manifests": [entry("v2"), entry("docker.io/library/app:v1"), entry("v1")]});
    fs::write(dir.path().join("index.json"), theirs.to_string()).unwrap();
    assert_eq!(tags(&layout).await, ["v1", "v2"]);
    assert_eq!(layout.manifest(&here(), &at("v1")).await.unwrap(), one);
}

#[tokio::test]
async fn s8_unknown_keys_are_kept() {
    let (layout, dir) = layout().await;
    let one = put_image(&layout, &here(), "1", &["v1"]).await.unwrap();
    let mut theirs = index(dir.path());
    theirs["x-top"] = json!({"deep": [1, 2.5, null]});
    theirs["annotations"] = json!({"who": "they"});
    theirs["manifests"][0]["x-entry"] = json!(true);
    theirs["manifests"][0]["annotations"]["colour"] = json!("red");
    theirs["manifests"][0]["platform"] = json!({"architecture": "amd64", "os": "linux", "x-platform": 1});
    fs::write(dir.path().join("index.json"), theirs.to_string()).unwrap();

    put_image(&layout, &here(), "2", &["v2"]).await.unwrap();
    let ours = index(dir.path());
    for key in ["x-top", "annotations", "schemaVersion"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    assert_eq!(ours["manifests"][0], theirs["manifests"][0]);

    layout.delete_tag(&here(), &tag("v1")).await.unwrap();
    let untagged = index(dir.path())["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|entry| (entry["digest"] == one.digest().as_str()).then(|| entry.clone()));
    let mut expected = theirs["manifests"][0].clone();
    expected["annotations"].as_object_mut().unwrap().remove("org.opencontainers.image.ref.name");
    assert_eq!(untagged, Some(expected), "all but the name");
}

#[tokio::test]
async fn s8_a_torn_index_is_an_error_and_stays_as_it_is() {
    let (layout, dir) = layout().await;
    put_image(&layout, &here(), "1", &["v1"]).await.unwrap();
    for torn in ["", "{", r#"{"schemaVersion":2,"manifests":[{"#, "[]", r#"{"schemaVersion":1,"manifests":[]}"#] {
        fs::write(dir.path().join("index.json"), torn).unwrap();
        let read = layout.manifest(&here(), &at("v1")).await.unwrap_err();
        let written = put_image(&layout, &here(), "2", &["v2"]).await.unwrap_err();
        assert_eq!((read.kind(), written.kind()), (ErrorKind::ManifestInvalid, ErrorKind::ManifestInvalid), "{torn}");
        assert!(read.to_string().contains("index.json"), "{read}");
        assert_eq!(fs::read_to_string(dir.path().join("index.json")).unwrap(), torn);
    }
}

#[tokio::test]
async fn one_bad_index_does_not_hide_the_others() {
    let (layout, dir) = layout().await;
    let one = put_image(&layout, &here(), "1", &["one"]).await.unwrap();
    let bad = Index::new(vec![one.descriptor().clone()]).to_raw();
    layout.put_manifest(&here(), &bad, &[tag("bad")]).await.unwrap();
    let good = Index::new(vec![one.descriptor().clone(), bad.descriptor().clone()]).to_raw();
    layout.put_manifest(&here(), &good, &[tag("good")]).await.unwrap();
    layout.delete_tag(&here(), &tag("one")).await.unwrap();
    fs::write(file_of(dir.path(), bad.digest()), "{}").unwrap();
    let selector = Selector::Digest(one.digest().clone());
    assert_eq!(layout.manifest(&here(), &selector).await.unwrap(), one);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_tasks_that_tag_at_once_lose_nothing() {
    let (layout, dir) = layout().await;
    let names: Vec<String> = (0..40).map(|number| format!("t{number:02}")).collect();
    // Half of them through a handle of their own, so that nothing but the lock on disk keeps them apart.
    let puts = names.iter().enumerate().map(|(number, name)| {
        let (layout, dir) = (layout.clone(), dir.path().to_owned());
        async move {
            let layout = if number % 2 == 0 { layout } else { Layout::open(dir).await? };
            put_image(&layout, &here(), name, &[name]).await
        }
    });
    try_join_all(puts).await.unwrap();
    assert_eq!(tags(&layout).await, names);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn s3_processes_that_tag_at_once_lose_nothing() {
    let (layout, dir) = layout().await;
    let children: Vec<Child> = (0..PROCESSES).map(|number| tagging_child(dir.path(), number)).collect();
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let mut expected: Vec<String> = Vec::new();
    for process in 0..PROCESSES {
        expected.extend((0..TAGS_EACH).map(|number| format!("p{process}-{number:02}")));
    }
    assert_eq!(tags(&layout).await, expected);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

/// A kill at any moment leaves a layout that opens, serves only what is whole, and takes the next put; the lock of the
/// dead blocks nobody.
#[tokio::test]
async fn s1_s3_s8_a_killed_process_leaves_a_layout_that_works() {
    let (layout, dir) = layout().await;
    for round in 0..10 {
        let mut child = tagging_child(dir.path(), 0);
        while tags(&layout).await.len() < 2 && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        for name in tags(&layout).await {
            layout.manifest(&here(), &at(&name)).await.unwrap();
            layout.delete_tag(&here(), &tag(&name)).await.unwrap();
        }
        put_image(&layout, &here(), &format!("after {round}"), &["after"]).await.unwrap();
        assert_eq!(leftovers(dir.path()), [""; 0], "round {round}");
        layout.delete_tag(&here(), &tag("after")).await.unwrap();
    }
}

#[tokio::test]
async fn s3_a_lock_that_nobody_holds_blocks_nobody() {
    let (layout, dir) = layout().await;
    fs::write(dir.path().join("index.json.lock"), "4194304\n").unwrap();
    put_image(&layout, &here(), "1", &["v1"]).await.unwrap();
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn child_tags() {
    let (Some(dir), Some(process)) = (variable(CHILD_DIR), variable(CHILD_NUMBER)) else { return };
    let layout = Layout::open(Path::new(&dir)).await.unwrap();
    for number in 0..TAGS_EACH {
        let name = format!("p{process}-{number:02}");
        put_image(&layout, &here(), &name, &[&name]).await.unwrap();
    }
}

fn tagging_child(dir: &Path, number: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "index::child_tags", "--nocapture"])
        .env(CHILD_DIR, dir)
        .env(CHILD_NUMBER, number.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

const CHILD_DIR: &str = "GANTRI_TEST_LAYOUT";
const CHILD_NUMBER: &str = "GANTRI_TEST_NUMBER";
const PROCESSES: usize = 6;
const TAGS_EACH: usize = 20;

#[tokio::test]
async fn digests_that_are_no_paths_are_only_names() {
    let (layout, _dir) = layout().await;
    for path in ["..:oci-layout", "a/..:oci-layout", "a:../oci-layout", "a:/etc/passwd", "sha256:..", ".:a"] {
        assert!(path.parse::<Digest>().is_err(), "{path}");
    }
    for name in ["a+b.c:x", "a:-", "a:=_="] {
        let digest: Digest = name.parse().unwrap();
        let kind = layout.resolve_blob(&here(), &digest).await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::BlobUnknown, "{name}");
    }
}

/// R5: with children that are missing, and named wrongly, what comes later can be read all the same.
#[tokio::test]
async fn an_index_may_be_there_before_its_children() {
    let (layout, _dir) = layout().await;
    let layout = layout.with_missing_children(MissingChildren::Allowed);
    let (other, _dir) = self::layout().await;
    let child = put_image(&other, &here(), "1", &[]).await.unwrap();
    let mut wrong = child.descriptor().clone();
    wrong.size += 1;
    for (tag, named) in [("right", child.descriptor().clone()), ("wrong", wrong)] {
        let index = Index::new(vec![named]).to_raw();
        layout.put_manifest(&here(), &index, &[self::tag(tag)]).await.unwrap();
        let by_digest = Selector::Digest(child.digest().clone());
        let before = layout.manifest(&here(), &by_digest).await;
        assert_eq!(before.err().map(|error| error.kind()), (tag == "right").then_some(ErrorKind::ManifestUnknown));
        assert_eq!(layout.manifest(&here(), &at(tag)).await.unwrap().digest(), index.digest());
        put_image(&layout, &here(), "1", &[]).await.unwrap();
        assert_eq!(layout.manifest(&here(), &by_digest).await.unwrap().digest(), child.digest());
    }
    let strict = layout.with_missing_children(MissingChildren::Refused);
    let absent = Descriptor::of(MediaType::OCI_MANIFEST, b"absent");
    let refused = strict.put_manifest(&here(), &Index::new(vec![absent]).to_raw(), &[]).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ManifestInvalid);
}

/// A put that comes while the same manifest is being deleted: what is listed afterwards is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_that_is_put_while_it_is_deleted_is_there_or_not_listed() {
    let (layout, _dir) = layout().await;
    for round in 0..60 {
        let manifest = put_image(&layout, &here(), "1", &["v1"]).await.unwrap();
        let tags_put = [tag("v1")];
        let (here, digest) = (here(), manifest.digest().clone());
        let (deleted, put) =
            tokio::join!(layout.delete_manifest(&here, &digest), layout.put_manifest(&here, &manifest, &tags_put));
        deleted.unwrap();
        put.unwrap();
        if !tags(&layout).await.is_empty() {
            layout.manifest(&here, &at("v1")).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
    }
}
