//! What becomes of a file that is there already.

use std::fs;

use gantri_core::spec::Digest;
use gantri_core::{ErrorKind, Pull};
use gantri_store::{Archive, ArchiveKind, Existing};
use tokio::task::JoinSet;

use super::super::common::{at, blob, here, put_image};
use super::{BOTH, draft, make, manifest, names, names_in, place, read};

#[tokio::test]
async fn a_file_that_is_there_stays_unless_it_may_be_replaced() {
    let (path, _dir) = place();
    fs::write(&path, "mine").unwrap();
    let refusals = [(Existing::Refuse, ErrorKind::Conflict), (Existing::Add, ErrorKind::NotARegistry)];
    for (existing, kind) in refusals {
        let refusal = Archive::draft(&path, ArchiveKind::Oci, existing).await.unwrap_err();
        assert_eq!(refusal.kind(), kind);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
    make(&path, ArchiveKind::Oci, Existing::Replace, "1", &["v1"]).await.unwrap();
    make(&path, ArchiveKind::Oci, Existing::Replace, "2", &["v2"]).await.unwrap();
    assert_eq!(names(&Archive::open(&path).await.unwrap()), ["example.com/app:v2"]);
}

#[tokio::test]
async fn what_is_no_file_is_never_replaced() {
    let (path, dir) = place();
    for existing in [Existing::Refuse, Existing::Replace, Existing::Add] {
        let refusal = Archive::draft(dir.path(), ArchiveKind::Oci, existing).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Conflict);
        let nowhere = Archive::draft(path.join("below"), ArchiveKind::Oci, existing).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::Io);
    }
}

#[tokio::test]
async fn a_file_made_meanwhile_is_not_replaced() {
    let (path, dir) = place();
    let draft = draft(&path, ArchiveKind::Oci, Existing::Refuse).await;
    put_image(draft.layout(), &here(), "1", &["v1"]).await.unwrap();
    fs::write(&path, "theirs").unwrap();
    assert_eq!(draft.publish().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names_in(dir.path()), ["x.tar"]);
}

#[tokio::test]
async fn a_link_is_followed_and_stays() {
    let (path, dir) = place();
    make(&path, ArchiveKind::Oci, Existing::Refuse, "1", &["v1"]).await.unwrap();
    let link = dir.path().join("link.tar");
    std::os::unix::fs::symlink("x.tar", &link).unwrap();
    make(&link, ArchiveKind::Oci, Existing::Add, "2", &["v2"]).await.unwrap();
    assert!(link.is_symlink());
    assert_eq!(names(&Archive::open(&path).await.unwrap()), ["example.com/app:v1", "example.com/app:v2"]);
}

#[tokio::test]
async fn what_is_added_leaves_the_rest_and_takes_what_it_replaces() {
    for kind in BOTH {
        let (path, dir) = place();
        let one = make(&path, kind, Existing::Add, "1", &["v1", "v2"]).await.unwrap();
        let two = make(&path, kind, Existing::Add, "2", &["v2", "v3"]).await.unwrap();
        let archive = Archive::open(&path).await.unwrap();
        assert_eq!(names(&archive), ["example.com/app:v1", "example.com/app:v2", "example.com/app:v3"]);
        assert_eq!(manifest(&archive, "v1").await.unwrap(), one);
        assert_eq!(manifest(&archive, "v2").await.unwrap(), two);
        make(&path, kind, Existing::Add, "3", &["v1"]).await.unwrap();
        let archive = Archive::open(&path).await.unwrap();
        let gone = archive.resolve_blob(&here(), &blob(b"1").digest).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BlobUnknown, "nothing leads to the first image any more");
        assert_eq!(read(&archive, &blob(b"2").digest).await.unwrap(), b"2");
        assert_eq!(names_in(dir.path()), ["x.tar"]);
    }
}

#[tokio::test]
async fn the_kinds_are_not_mixed() {
    for (is, asked) in [(ArchiveKind::Oci, ArchiveKind::Docker), (ArchiveKind::Docker, ArchiveKind::Oci)] {
        let (path, _dir) = place();
        make(&path, is, Existing::Refuse, "1", &["v1"]).await.unwrap();
        let refusal = Archive::draft(&path, asked, Existing::Add).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Conflict);
        assert!(refusal.to_string().contains(is.name()), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_add_to_one_archive_at_once_lose_nothing() {
    for kind in BOTH {
        let (path, dir) = place();
        let mut all = JoinSet::new();
        for number in 0..8 {
            let path = path.clone();
            all.spawn(async move {
                make(&path, kind, Existing::Add, &number.to_string(), &[&format!("v{number}")]).await.unwrap();
            });
        }
        all.join_all().await;
        let archive = Archive::open(&path).await.unwrap();
        let expected: Vec<String> = (0..8).map(|number| format!("example.com/app:v{number}")).collect();
        assert_eq!(names(&archive), expected);
        assert_eq!(names_in(dir.path()), ["x.tar"]);
    }
}

/// An archive with a damaged blob is not carried on as if it were whole.
#[tokio::test]
async fn s6_a_damaged_blob_is_not_carried_over() {
    let (path, dir) = place();
    make(&path, ArchiveKind::Oci, Existing::Refuse, "a config with a flaw", &["v1"]).await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at_flaw = bytes.windows(4).position(|text| text == b"flaw").unwrap();
    bytes[at_flaw] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let refusal = make(&path, ArchiveKind::Oci, Existing::Add, "2", &["v2"]).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::DigestMismatch);
    assert!(refusal.to_string().contains(Digest::of(b"a config with a flaw").encoded()), "{refusal}");
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(names_in(dir.path()), ["x.tar"]);
    let archive = Archive::open(&path).await.unwrap();
    archive.manifest(&here(), &at("v1")).await.unwrap();
    let damaged = read(&archive, &Digest::of(b"a config with a flaw")).await.unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::DigestMismatch);
}
