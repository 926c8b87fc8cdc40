//! Directories from elsewhere: nothing inside a layout leads out of it (T19), and what is no layout is not opened.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use gantri_core::spec::{Algorithm, Selector};
use gantri_core::{BlobBody, ErrorKind, Pull, Push, UploadSession};
use gantri_store::{Archive, ArchiveKind, Existing, Layout};

use super::common::{at, blob, file_of, files, here, layout, put, put_image, repo};

/// Moves what lies at `path` out of the layout and leaves a link to it.
fn replace_by_link(path: &Path, outside: &Path) {
    let aside = outside.join(path.file_name().unwrap());
    fs::rename(path, &aside).unwrap();
    symlink(&aside, path).unwrap();
}

#[tokio::test]
async fn t19_a_blob_behind_a_symbolic_link_is_refused() {
    for depth in ["blobs", "blobs/sha256", "the file"] {
        let (layout, dir) = layout().await;
        let outside = tempfile::tempdir().unwrap();
        let blob = put(&layout, b"secret").await.unwrap();
        let file = file_of(dir.path(), &blob.digest);
        replace_by_link(&if depth == "the file" { file } else { dir.path().join(depth) }, outside.path());
        let refusals = [
            layout.resolve_blob(&here(), &blob.digest).await.map(drop),
            layout.blob(&here(), &blob.digest, (..).into()).await.map(drop),
        ];
        for refusal in refusals {
            let error = refusal.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{depth}");
            assert!(error.to_string().contains("refused"), "{depth}: {error}");
        }
    }
}

#[tokio::test]
async fn t19_a_manifest_behind_a_symbolic_link_is_refused() {
    for name in ["index.json", "the file"] {
        let (layout, dir) = layout().await;
        let outside = tempfile::tempdir().unwrap();
        let manifest = put_image(&layout, &here(), "{}", &["v1"]).await.unwrap();
        let file = file_of(dir.path(), manifest.digest());
        replace_by_link(&if name == "the file" { file } else { dir.path().join(name) }, outside.path());
        for selector in [at("v1"), Selector::Digest(manifest.digest().clone())] {
            assert_eq!(layout.manifest(&here(), &selector).await.unwrap_err().kind(), ErrorKind::Io, "{name}");
            assert_eq!(layout.resolve_manifest(&here(), &selector).await.unwrap_err().kind(), ErrorKind::Io, "{name}");
        }
    }
}

#[tokio::test]
async fn t19_nothing_is_written_through_a_symbolic_link() {
    for depth in ["blobs", "blobs/sha256", ".uploads"] {
        let (layout, dir) = layout().await;
        let outside = tempfile::tempdir().unwrap();
        put(&layout, b"first").await.unwrap();
        drop(layout.start_upload(&here(), Algorithm::Sha256).await.unwrap());
        replace_by_link(&dir.path().join(depth), outside.path());
        let before = files(outside.path());
        let refusal = if depth == ".uploads" {
            layout.start_upload(&here(), Algorithm::Sha256).await.map(drop)
        } else {
            put(&layout, b"second").await.map(drop)
        };
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::Io, "{depth}");
        assert_eq!(files(outside.path()), before, "{depth}");
    }
}

#[tokio::test]
async fn t19_a_link_in_place_of_the_lock_is_refused() {
    let (layout, dir) = layout().await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "precious").unwrap();
    symlink(outside.path().join("precious"), dir.path().join("index.json.lock")).unwrap();
    assert_eq!(put_image(&layout, &here(), "{}", &["v1"]).await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(fs::read(outside.path().join("precious")).unwrap(), b"precious");
}

#[tokio::test]
async fn t19_special_files_are_refused_without_waiting_for_them() {
    let (layout, dir) = layout().await;
    put(&layout, b"first").await.unwrap();
    let (fifo, directory) = (blob(b"a fifo"), blob(b"a directory"));
    assert!(Command::new("mkfifo").arg(file_of(dir.path(), &fifo.digest)).status().unwrap().success());
    fs::create_dir(file_of(dir.path(), &directory.digest)).unwrap();
    for special in [fifo, directory] {
        let refusal = layout.blob(&here(), &special.digest, (..).into()).await.map(drop);
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::Io);
        let refusal = layout.put_blob(&here(), &special, BlobBody::bytes("a fifo")).await;
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::Io);
    }
}

#[tokio::test]
async fn t19_a_repository_behind_a_symbolic_link_is_refused() {
    let (_elsewhere, outside) = layout().await;
    let dir = tempfile::tempdir().unwrap();
    let tree = Layout::tree(dir.path()).await.unwrap();
    symlink(outside.path(), dir.path().join("link")).unwrap();
    assert_eq!(tree.manifest(&repo("link"), &at("v1")).await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(put_image(&tree, &repo("link"), "{}", &["v1"]).await.unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn r2_an_upload_id_is_never_a_path() {
    let (layout, dir) = layout().await;
    fs::create_dir(dir.path().join(".uploads")).unwrap();
    let ids = ["../index.json", "", ".", "..", "index.json", "00112233445566778899aabbccddeeF/", "\0", "-"];
    for id in ids {
        let session = UploadSession::new(id, 0, Algorithm::Sha256);
        assert_eq!(layout.resume_upload(&here(), session).await.unwrap_err().kind(), ErrorKind::UploadUnknown, "{id}");
    }
}

#[tokio::test]
async fn what_is_no_layout_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |path: &Path| Layout::open(path).await.unwrap_err().kind();
    assert_eq!(open(&dir.path().join("absent")).await, ErrorKind::NotARegistry);
    assert_eq!(open(dir.path()).await, ErrorKind::NotARegistry);
    let cases = [
        ("", ErrorKind::NotARegistry),
        ("{}", ErrorKind::NotARegistry),
        (r#"{"imageLayoutVersion":"2.0.0"}"#, ErrorKind::Unsupported),
    ];
    for (mark, kind) in cases {
        fs::write(dir.path().join("oci-layout"), mark).unwrap();
        assert_eq!(open(dir.path()).await, kind, "{mark:?}");
    }
    fs::write(dir.path().join("a file"), "").unwrap();
    assert_eq!(open(&dir.path().join("a file")).await, ErrorKind::Io);
}

#[tokio::test]
async fn a_layout_is_created_once_and_opened_again() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("new/dir");
    let layout = Layout::create(&path).await.unwrap();
    put_image(&layout, &here(), "{}", &["v1"]).await.unwrap();
    assert_eq!(Layout::create(&path).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(Layout::tree(&path).await.unwrap_err().kind(), ErrorKind::Conflict);
    for layout in [Layout::open(&path).await.unwrap(), Layout::open_or_create(&path).await.unwrap()] {
        layout.manifest(&here(), &at("v1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_nobody_wrote_to_for_a_day_is_forgotten() {
    use std::time::{Duration, SystemTime};
    let (layout, dir) = layout().await;
    let mut old = layout.start_upload(&here(), Algorithm::Sha256).await.unwrap();
    old.write(Bytes::from_static(b"old")).await.unwrap();
    let young = layout.start_upload(&here(), Algorithm::Sha256).await.unwrap();
    let path = dir.path().join(".uploads").join(old.session().id);
    let yesterday = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    fs::File::options().write(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    layout.start_upload(&here(), Algorithm::Sha256).await.unwrap();
    assert!(!path.exists());
    assert_eq!(old.write(Bytes::from_static(b"more")).await.unwrap_err().kind(), ErrorKind::UploadUnknown);
    layout.resume_upload(&here(), young.session()).await.unwrap();
}

/// (S7) What is published is for whom the umask says, since other tools share it; what grows is for nobody else, so that
/// nothing can be put in its place between its check and its publication.
#[tokio::test]
async fn s7_what_grows_is_for_us_alone_and_what_is_published_for_others_too() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let path = dir.path().join("x.tar");
    let archive = Archive::draft(&path, ArchiveKind::Oci, Existing::Refuse).await.unwrap();
    let layout = Layout::draft(dir.path().join("new")).await.unwrap();
    let grows = fs::read_dir(dir.path().join("new")).unwrap().next().unwrap().unwrap().path();
    for private in [archive.scratch_dir(), &grows] {
        assert_eq!(mode(private), 0o700, "{}", private.display());
    }
    put_image(archive.layout(), &here(), "{}", &["v1"]).await.unwrap();
    put_image(layout.layout(), &here(), "{}", &["v1"]).await.unwrap();
    archive.publish().await.unwrap();
    layout.publish().await.unwrap();
    fs::create_dir(dir.path().join("umask")).unwrap();
    let umask = 0o777 & !mode(&dir.path().join("umask"));
    assert_eq!(mode(&path), 0o666 & !umask);
    assert_eq!(mode(&dir.path().join("new/blobs/sha256")), 0o777 & !umask);
}
