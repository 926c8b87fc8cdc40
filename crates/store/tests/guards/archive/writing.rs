//! New archives: complete, the same every time, there in one step or not at all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::TryStreamExt;
use gantri_core::spec::{Descriptor, Index, MediaType, Platform, Selector, Tag};
use gantri_core::{BlobBody, Discover, ErrorKind, Pull, Push};
use gantri_store::{Archive, ArchiveKind, Existing};
use serde_json::{Value, json};

use super::super::common::{at, blob, file_of, here, put, put_image, tag, variable};
use super::{BOTH, draft, make, manifest, names, names_in, place, read};

/// A file of an archive, by the system's own reader.
fn extract(archive: &Path, name: &str) -> Vec<u8> {
    let tar = Command::new("tar").arg("-xOf").arg(archive).arg(name).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}

#[tokio::test]
async fn an_archive_holds_what_was_put_into_its_draft() {
    for kind in BOTH {
        let (path, dir) = place();
        let mut draft = draft(&path, kind, Existing::Refuse).await;
        draft.name("example.com:5000/a/b".parse().unwrap());
        draft.name("app:v2".parse().unwrap());
        let one = put_image(draft.layout(), &here(), "1", &["v1", "v2"]).await.unwrap();
        let two = put_image(draft.layout(), &here(), "2", &["v3"]).await.unwrap();
        assert!(!path.exists(), "not before it is published");
        draft.publish().await.unwrap();
        assert_eq!(names_in(dir.path()), ["x.tar"]);

        let archive = Archive::open(&path).await.unwrap();
        assert_eq!(archive.kind(), kind);
        assert_eq!(names(&archive), ["docker.io/library/app:v2", "example.com:5000/a/b:v1", "example.com:5000/a/b:v3"]);
        let tags: Vec<Tag> = archive.tags(&here(), None).try_collect().await.unwrap();
        assert_eq!(tags, [tag("v1"), tag("v2"), tag("v3")]);
        for name in ["v1", "v2", "app:v2", "docker.io/library/app:v2", "example.com:5000/a/b:v1"] {
            assert_eq!(manifest(&archive, name).await.unwrap(), one, "{name}");
        }
        assert_eq!(manifest(&archive, "v3").await.unwrap(), two);
        assert_eq!(read(&archive, &blob(b"2").digest).await.unwrap(), b"2");
        for name in ["v4", "app:v1", "app", "other/a/b:v1"] {
            assert_eq!(archive.select(Some(name)).unwrap_err().kind(), ErrorKind::ManifestUnknown, "{name}");
        }
        let choice = archive.select(None).unwrap_err();
        assert_eq!(choice.kind(), ErrorKind::Conflict);
        assert!(choice.hint().unwrap().contains("example.com:5000/a/b:v1"), "{choice}");
    }
}

/// What other tools find in a docker-archive: `manifest.json`, which points into the blobs.
#[tokio::test]
async fn docker_finds_its_list() {
    let (path, _dir) = place();
    let mut draft = draft(&path, ArchiveKind::Docker, Existing::Refuse).await;
    draft.name("app".parse().unwrap());
    let layer = put(draft.layout(), b"a layer").await.unwrap();
    let config = put(draft.layout(), b"{}").await.unwrap();
    let image = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config":
        {"mediaType": MediaType::OCI_CONFIG, "digest": config.digest, "size": 2}, "layers":
        [{"mediaType": MediaType::OCI_LAYER_GZIP, "digest": layer.digest, "size": 7}]});
    let raw = gantri_core::spec::RawManifest::new(MediaType::OCI_MANIFEST, image.to_string().into());
    draft.layout().put_manifest(&here(), &raw, &[tag("v1"), tag("v2")]).await.unwrap();
    draft.publish().await.unwrap();

    let list: Value = serde_json::from_slice(&extract(&path, "manifest.json")).unwrap();
    let file = |blob: &Descriptor| format!("blobs/sha256/{}", blob.digest.encoded());
    let expected = json!([{"Config": file(&config), "RepoTags": ["app:v1", "app:v2"], "Layers": [file(&layer)]}]);
    assert_eq!(list, expected);
    let index: Value = serde_json::from_slice(&extract(&path, "index.json")).unwrap();
    let annotations = &index["manifests"][0]["annotations"];
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "v1");
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/app:v1");
}

#[tokio::test]
async fn the_same_content_makes_the_same_bytes() {
    for kind in BOTH {
        let (path, dir) = place();
        let other = dir.path().join("y.tar");
        for (path, order) in [(&path, ["1", "2", "3"]), (&other, ["3", "1", "2"])] {
            let draft = draft(path, kind, Existing::Refuse).await;
            for name in order {
                put_image(draft.layout(), &here(), name, &[&format!("v{name}")]).await.unwrap();
            }
            draft.publish().await.unwrap();
        }
        assert!(fs::read(&path).unwrap() == fs::read(&other).unwrap(), "{kind:?}");
    }
}

#[tokio::test]
async fn what_nothing_leads_to_is_not_in_it() {
    let (path, _dir) = place();
    let draft = draft(&path, ArchiveKind::Oci, Existing::Refuse).await;
    let lost = put(draft.layout(), b"lost").await.unwrap();
    put_image(draft.layout(), &here(), "1", &["v1"]).await.unwrap();
    draft.publish().await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(archive.resolve_blob(&here(), &lost.digest).await.unwrap_err().kind(), ErrorKind::BlobUnknown);
}

#[tokio::test]
async fn an_index_goes_whole_into_an_oci_archive_and_docker_gets_one_image() {
    for kind in BOTH {
        let (path, dir) = place();
        let draft = draft(&path, kind, Existing::Refuse).await;
        let one = put_image(draft.layout(), &here(), "1", &[]).await.unwrap();
        let two = put_image(draft.layout(), &here(), "2", &[]).await.unwrap();
        let children = vec![one.descriptor().clone(), two.descriptor().clone()];
        let index = Index::new(children).to_raw();
        draft.layout().put_manifest(&here(), &index, &[tag("all")]).await.unwrap();
        let outcome = draft.publish().await;
        if kind == ArchiveKind::Docker {
            let refusal = outcome.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::Unsupported);
            assert!(refusal.hint().unwrap().contains("platform"), "{refusal}");
            assert_eq!(names_in(dir.path()), [""; 0]);
            continue;
        }
        outcome.unwrap();
        let archive = Archive::open(&path).await.unwrap();
        assert_eq!(manifest(&archive, "all").await.unwrap(), index);
        let below = Selector::Digest(two.digest().clone());
        assert_eq!(archive.manifest(&here(), &below).await.unwrap(), two);
    }
}

/// As `BuildKit` makes an image for one platform with its attestations.
#[tokio::test]
async fn an_index_of_one_image_and_its_attestations_is_for_docker_too() {
    let (path, _dir) = place();
    let draft = draft(&path, ArchiveKind::Docker, Existing::Refuse).await;
    let image = put_image(draft.layout(), &here(), "1", &[]).await.unwrap();
    let attestation = put_image(draft.layout(), &here(), "2", &[]).await.unwrap();
    let unknown = attestation.descriptor().clone().with_platform(Platform::new("unknown", "unknown"));
    let index = Index::new(vec![image.descriptor().clone(), unknown]).to_raw();
    draft.layout().put_manifest(&here(), &index, &[tag("v1")]).await.unwrap();
    draft.publish().await.unwrap();
    let list: Value = serde_json::from_slice(&extract(&path, "manifest.json")).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["Config"], format!("blobs/sha256/{}", blob(b"1").digest.encoded()));
    assert_eq!(manifest(&Archive::open(&path).await.unwrap(), "v1").await.unwrap(), index);
}

#[tokio::test]
async fn a_dropped_draft_leaves_nothing() {
    let (path, dir) = place();
    let draft = draft(&path, ArchiveKind::Oci, Existing::Refuse).await;
    put_image(draft.layout(), &here(), "1", &["v1"]).await.unwrap();
    assert_eq!(names_in(dir.path()).len(), 1, "it is made beside the target");
    drop(draft);
    assert_eq!(names_in(dir.path()), [""; 0]);
}

/// A blob of the draft that is damaged before it is written out.
#[tokio::test]
async fn a_draft_that_was_meddled_with_is_not_published() {
    let (path, dir) = place();
    let draft = draft(&path, ArchiveKind::Oci, Existing::Refuse).await;
    put_image(draft.layout(), &here(), "a config", &["v1"]).await.unwrap();
    let file = file_of(draft.scratch_dir(), &blob(b"a config").digest);
    fs::write(file, "short").unwrap();
    let refusal = draft.publish().await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::SizeMismatch);
    assert!(refusal.to_string().contains(blob(b"a config").digest.encoded()), "{refusal}");
    assert_eq!(names_in(dir.path()), [""; 0]);
}

/// (S1) Killed at any moment, the old archive is there or the new one; the next draft sweeps the rest away.
#[tokio::test]
async fn s1_a_killed_process_leaves_the_old_archive_or_the_new_one() {
    let (path, dir) = place();
    let old = make(&path, ArchiveKind::Oci, Existing::Refuse, "old", &["old"]).await.unwrap();
    let mut added = 0;
    for round in 0..20 {
        let mut child = replacing_child(&path);
        let inode = || fs::metadata(&path).unwrap().ino();
        for _ in 0..round % 3 {
            let before = inode();
            while inode() == before && child.try_wait().unwrap().is_none() {}
        }
        let is_at_work = || names_in(dir.path()).len() > 1;
        while !is_at_work() && child.try_wait().unwrap().is_none() {}
        for _ in 0..round * 30 {
            is_at_work();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let archive = Archive::open(&path).await.unwrap();
        assert_eq!(manifest(&archive, "old").await.unwrap(), old, "round {round}");
        added += archive.images().len() - 1;
        for image in archive.images() {
            let at = Selector::Digest(image.manifest.digest.clone());
            archive.manifest(&here(), &at).await.unwrap();
        }
    }
    assert!(added > 0, "some got as far as that");
    let draft = draft(&path, ArchiveKind::Oci, Existing::Add).await;
    put_image(draft.layout(), &here(), "after", &["after"]).await.unwrap();
    draft.publish().await.unwrap();
    assert_eq!(names_in(dir.path()), ["x.tar"]);
}

#[tokio::test]
async fn child_adds() {
    let Some(path) = variable(CHILD_PATH) else { return };
    for number in 0.. {
        let draft = draft(Path::new(&path), ArchiveKind::Oci, Existing::Add).await;
        put_image(draft.layout(), &here(), &"x".repeat(200_000), &["new"]).await.unwrap();
        put_image(draft.layout(), &here(), &format!("{number}"), &["other"]).await.unwrap();
        draft.publish().await.unwrap();
    }
}

fn replacing_child(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "archive::writing::child_adds", "--nocapture"]).env(CHILD_PATH, path);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// (S2) A limit on the size of files refuses the archive halfway, as a full disk does.
#[tokio::test]
async fn s2_a_refused_write_leaves_nothing() {
    let (path, dir) = place();
    let script = format!(
        "trap '' XFSZ && ulimit -f 512 && {CHILD_FILLS}={} exec {} --exact archive::writing::child_fills_up --nocapture",
        path.display(),
        std::env::current_exe().unwrap().display(),
    );
    let child = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert_eq!(names_in(dir.path()), ["done"]);
}

#[tokio::test]
async fn child_fills_up() {
    let Some(path) = variable(CHILD_FILLS) else { return };
    let path = Path::new(&path);
    let draft = draft(path, ArchiveKind::Oci, Existing::Refuse).await;
    // Each fits, but not all in one file.
    for number in 0..3 {
        put_image(draft.layout(), &here(), &number.to_string().repeat(200_000), &[&format!("v{number}")])
            .await
            .unwrap();
    }
    let refusal = draft.publish().await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Io);
    assert!(refusal.to_string().contains(path.to_str().unwrap()), "{refusal}");
    fs::create_dir(path.with_file_name("done")).unwrap();
}

#[tokio::test]
async fn a_blob_of_sha512_is_in_it_by_its_name() {
    let (path, _dir) = place();
    let draft = draft(&path, ArchiveKind::Oci, Existing::Refuse).await;
    let digest = gantri_core::spec::Algorithm::Sha512.digest(b"a config").unwrap();
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest, 8);
    draft.layout().put_blob(&here(), &config, BlobBody::bytes("a config")).await.unwrap();
    let image = gantri_core::spec::ImageManifest::new(config.clone(), Vec::new()).to_raw();
    draft.layout().put_manifest(&here(), &image, &[tag("v1")]).await.unwrap();
    draft.publish().await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(read(&archive, &config.digest).await.unwrap(), b"a config");
    assert_eq!(archive.manifest(&here(), &at("v1")).await.unwrap(), image);
}

const CHILD_PATH: &str = "GANTRI_TEST_ARCHIVE";
const CHILD_FILLS: &str = "GANTRI_TEST_ARCHIVE_FULL";
