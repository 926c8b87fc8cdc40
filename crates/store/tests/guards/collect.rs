//! Garbage: what nothing leads to goes, what somebody is about to lead to stays (S5).

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use gantri_core::spec::{Descriptor, Digest, ImageManifest, Index, MediaType, RawManifest, Selector};
use gantri_core::{BlobBody, ErrorKind, Manage, Mount, Pull, Push};
use gantri_store::{Layout, Untagged};

use super::common::{blob, entries, file_of, files, here, layout, leftovers, put, put_image, read, repo, tag};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

/// Makes a blob as old as a blob can be.
fn age(dir: &Path, digest: &Digest) {
    let file = File::options().write(true).open(file_of(dir, digest)).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
}

async fn has(layout: &Layout, digest: &Digest) -> bool {
    layout.resolve_blob(&here(), digest).await.is_ok()
}

/// An artifact that refers to a manifest.
async fn attach(layout: &Layout, subject: &Descriptor, config: &str) -> RawManifest {
    let config = put(layout, config.as_bytes()).await.unwrap();
    let mut image = ImageManifest::new(config, Vec::new());
    image.subject = Some(subject.clone());
    let raw = image.to_raw();
    layout.put_manifest(&here(), &raw, &[]).await.unwrap();
    raw
}

#[tokio::test]
async fn what_nothing_leads_to_is_removed_and_nothing_else() {
    let (layout, dir) = layout().await;
    let lost = put(&layout, b"lost").await.unwrap();
    let tagged = put_image(&layout, &here(), "tagged", &["v1"]).await.unwrap();
    let untagged = put_image(&layout, &here(), "untagged", &[]).await.unwrap();
    let child = put_image(&layout, &here(), "child", &[]).await.unwrap();
    let index = Index::new(vec![child.descriptor().clone()]).to_raw();
    layout.put_manifest(&here(), &index, &[tag("all")]).await.unwrap();
    let gone = put_image(&layout, &here(), "gone", &["gone"]).await.unwrap();
    layout.delete_manifest(&here(), gone.digest()).await.unwrap();

    let collected = layout.gc(NOW, Untagged::Keep).await.unwrap();
    assert_eq!((collected.blobs, collected.bytes, collected.kept), (2, 8, 0));
    assert!(!has(&layout, &lost.digest).await && !has(&layout, &blob(b"gone").digest).await);
    for config in ["tagged", "untagged", "child"] {
        assert_eq!(read(&layout, &blob(config.as_bytes()).digest).await.unwrap(), config.as_bytes());
    }
    for manifest in [tagged, untagged, child, index] {
        let at = Selector::Digest(manifest.digest().clone());
        assert_eq!(layout.manifest(&here(), &at).await.unwrap(), manifest);
    }
    let before = files(dir.path());
    let collected = layout.gc(NOW, Untagged::Keep).await.unwrap();
    assert_eq!((collected.blobs, collected.kept, files(dir.path())), (0, 0, before));
}

#[tokio::test]
async fn untagged_manifests_go_if_that_is_asked_for() {
    let (layout, dir) = layout().await;
    let tagged = put_image(&layout, &here(), "tagged", &["v1"]).await.unwrap();
    let signature = attach(&layout, tagged.descriptor(), "signature").await;
    let of_signature = attach(&layout, signature.descriptor(), "signature of the signature").await;
    let untagged = put_image(&layout, &here(), "untagged", &[]).await.unwrap();
    let of_untagged = attach(&layout, untagged.descriptor(), "signature of what goes").await;
    let noted = put_image(&layout, &here(), "noted", &[]).await.unwrap();
    let mut index = super::common::index(dir.path());
    for entry in index["manifests"].as_array_mut().unwrap() {
        if entry["digest"] == noted.digest().as_str() {
            entry["annotations"] = serde_json::json!({"colour": "red"});
        }
    }
    fs::write(dir.path().join("index.json"), index.to_string()).unwrap();

    let young = layout.gc(HOUR, Untagged::Remove).await.unwrap();
    assert_eq!((young.blobs, entries(dir.path()).len()), (0, 6), "all are young");
    let collected = layout.gc(NOW, Untagged::Remove).await.unwrap();
    assert_eq!(collected.blobs, 4);
    let mut listed: Vec<String> = entries(dir.path()).into_iter().map(|(_, digest)| digest).collect();
    let mut expected = [&tagged, &signature, &of_signature, &noted].map(|manifest| manifest.digest().to_string());
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    for gone in [untagged, of_untagged] {
        let at = Selector::Digest(gone.digest().clone());
        assert_eq!(layout.manifest(&here(), &at).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);
    }
}

/// (S5) Between a blob and its manifest.
#[tokio::test]
async fn s5_what_is_young_stays() {
    let (layout, dir) = layout().await;
    let [old, new, found] = [b"old".as_slice(), b"new", b"found"].map(blob);
    for bytes in [b"old".as_slice(), b"new", b"found"] {
        put(&layout, bytes).await.unwrap();
    }
    age(dir.path(), &old.digest);
    age(dir.path(), &found.digest);
    // Whoever puts a blob that is there counts on it from then on.
    put(&layout, b"found").await.unwrap();
    let collected = layout.gc(HOUR, Untagged::Keep).await.unwrap();
    assert_eq!((collected.blobs, collected.kept), (1, 2));
    assert!(!has(&layout, &old.digest).await);
    assert!(has(&layout, &new.digest).await && has(&layout, &found.digest).await);
}

/// (S5) The job has put one blob, and found another that it need not put; the collector comes before its manifest.
#[tokio::test]
async fn s5_a_job_under_way_keeps_what_it_put_and_what_it_found() {
    let (layout, dir) = layout().await;
    let [found, lost] = [b"found".as_slice(), b"lost"].map(blob);
    put(&layout, b"found").await.unwrap();
    put(&layout, b"lost").await.unwrap();
    age(dir.path(), &found.digest);
    age(dir.path(), &lost.digest);

    let draft = Layout::draft(dir.path()).await.unwrap();
    draft.layout().resolve_blob(&here(), &found.digest).await.unwrap();
    let config = put(draft.layout(), b"config").await.unwrap();
    let collected = layout.gc(NOW, Untagged::Remove).await.unwrap();
    assert_eq!((collected.blobs, collected.kept), (1, 2));
    let mut layer = found.clone();
    layer.media_type = MediaType::OCI_LAYER;
    let manifest = ImageManifest::new(config, vec![layer]).to_raw();
    draft.layout().put_manifest(&here(), &manifest, &[]).await.unwrap();
    let collected = layout.gc(NOW, Untagged::Remove).await.unwrap();
    assert_eq!(collected.blobs, 0, "nor the manifest that has no tag yet");
    draft.layout().put_manifest(&here(), &manifest, &[tag("v1")]).await.unwrap();
    draft.publish().await.unwrap();
    assert_eq!(leftovers(dir.path()), [""; 0], "the lease is given back");
    let collected = layout.gc(NOW, Untagged::Remove).await.unwrap();
    assert_eq!((collected.blobs, collected.kept), (0, 0));
    assert_eq!(read(&layout, &found.digest).await.unwrap(), b"found");
}

/// (S5) A lease is a lock: it ends with its process.
#[tokio::test]
async fn s5_the_lease_of_a_dead_process_keeps_nothing() {
    let (layout, dir) = layout().await;
    put(&layout, b"lost").await.unwrap();
    fs::write(dir.path().join("blobs/.gantri-dead"), "lease of process 4194304 since 0\n").unwrap();
    let dead = File::options().write(true).open(dir.path().join("blobs/.gantri-dead")).unwrap();
    dead.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
    assert_eq!(layout.gc(NOW, Untagged::Keep).await.unwrap().blobs, 1);
    let living = File::create(dir.path().join("blobs/.gantri-living")).unwrap();
    living.lock().unwrap();
    put(&layout, b"lost").await.unwrap();
    assert_eq!(layout.gc(NOW, Untagged::Keep).await.unwrap().blobs, 0);
}

/// (S5) Many put images, one collects all the time without any mercy, and no image comes to harm.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s5_a_collector_among_many_jobs_harms_none() {
    let (layout, dir) = layout().await;
    let mut jobs = tokio::task::JoinSet::new();
    for job in 0..4 {
        let dir = dir.path().to_owned();
        jobs.spawn(async move {
            for number in 0..8 {
                let draft = Layout::draft(&dir).await.unwrap();
                // A config that all share, and that is garbage again and again.
                put_image(draft.layout(), &here(), "shared", &[&format!("j{job}")]).await.unwrap();
                put_image(draft.layout(), &here(), &format!("{job} {number}"), &[&format!("j{job}")]).await.unwrap();
                draft.publish().await.unwrap();
            }
        });
    }
    while !jobs.is_empty() {
        layout.gc(NOW, Untagged::Remove).await.unwrap();
        while let Some(done) = jobs.try_join_next() {
            done.unwrap();
        }
    }
    layout.gc(NOW, Untagged::Remove).await.unwrap();
    for job in 0..4 {
        let at = Selector::Tag(tag(&format!("j{job}")));
        layout.manifest(&here(), &at).await.unwrap();
        let config = format!("{job} 7");
        assert_eq!(read(&layout, &blob(config.as_bytes()).digest).await.unwrap(), config.as_bytes());
    }
    assert_eq!(entries(dir.path()).len(), 4);
}

/// What can't be read may lead anywhere.
#[tokio::test]
async fn nothing_is_removed_while_a_manifest_is_damaged() {
    let (layout, dir) = layout().await;
    let manifest = put_image(&layout, &here(), "config", &["v1"]).await.unwrap();
    put(&layout, b"lost").await.unwrap();
    let file = file_of(dir.path(), manifest.digest());
    let whole = fs::read(&file).unwrap();
    let before = files(dir.path());
    let mut flipped = whole.clone();
    flipped[10] ^= 1;
    for (damage, kind) in [(flipped, ErrorKind::DigestMismatch), (whole[1..].to_vec(), ErrorKind::SizeMismatch)] {
        fs::write(&file, damage).unwrap();
        for untagged in [Untagged::Keep, Untagged::Remove] {
            let refusal = layout.gc(NOW, untagged).await.unwrap_err();
            assert_eq!(refusal.kind(), kind);
            assert!(refusal.to_string().contains(manifest.digest().encoded()), "{refusal}");
            assert_eq!(files(dir.path()), before);
        }
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(layout.gc(NOW, Untagged::Keep).await.unwrap().blobs, 1);
}

/// Another tool may nest deeper than we look: what lies there is not garbage.
#[tokio::test]
async fn nothing_is_removed_if_an_index_lies_too_deep() {
    let (layout, dir) = layout().await;
    let image = put_image(&layout, &here(), "deep", &[]).await.unwrap();
    put(&layout, b"lost").await.unwrap();
    let mut top = image.clone();
    for _ in 0..6 {
        top = Index::new(vec![top.descriptor().clone()]).to_raw();
        fs::write(file_of(dir.path(), top.digest()), top.bytes()).unwrap();
    }
    fs::write(dir.path().join("index.json"), Index::new(vec![top.descriptor().clone()]).to_raw().bytes()).unwrap();
    let before = files(dir.path());
    let refusal = layout.gc(NOW, Untagged::Keep).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::LimitExceeded);
    assert!(refusal.to_string().contains("index_depth"), "{refusal}");
    assert_eq!(files(dir.path()), before);
}

#[tokio::test]
async fn a_tree_is_collected_repository_by_repository() {
    let dir = tempfile::tempdir().unwrap();
    let tree = Layout::tree(dir.path()).await.unwrap();
    put_image(&tree, &repo("a"), "shared", &["v1"]).await.unwrap();
    let shared = blob(b"shared");
    assert!(matches!(tree.mount_blob(&repo("b/c"), &shared.digest, Some(&repo("a"))).await.unwrap(), Mount::Mounted));
    tree.put_blob(&repo("b/c"), &blob(b"lost"), BlobBody::bytes("lost")).await.unwrap();
    let collected = tree.gc(NOW, Untagged::Keep).await.unwrap();
    assert_eq!((collected.blobs, collected.bytes), (2, 4), "the shared one is still in the other repository");
    let of_b = tree.resolve_blob(&repo("b/c"), &shared.digest).await.unwrap_err();
    assert_eq!(of_b.kind(), ErrorKind::BlobUnknown);
    assert_eq!(tree.resolve_blob(&repo("a"), &shared.digest).await.unwrap().size, 6);
}

#[tokio::test]
async fn what_is_not_ours_stays() {
    let (layout, dir) = layout().await;
    put_image(&layout, &here(), "config", &["v1"]).await.unwrap();
    let blobs = dir.path().join("blobs/sha256");
    fs::write(blobs.join("notes.txt~"), "mine").unwrap();
    fs::create_dir(blobs.join(Digest::of(b"dir").encoded())).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", blobs.join(Digest::of(b"link").encoded())).unwrap();
    assert_eq!(layout.gc(NOW, Untagged::Remove).await.unwrap().blobs, 0);
    assert_eq!(fs::read_dir(blobs).unwrap().count(), 5);
}
