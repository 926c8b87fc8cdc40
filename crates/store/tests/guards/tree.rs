//! A tree of layouts: each repository is a layout that other tools can open, and blobs are shared.

use std::fs;
use std::os::unix::fs::MetadataExt;

use futures_util::TryStreamExt;
use gantri_core::spec::{Algorithm, RepositoryName};
use gantri_core::{BlobBody, Discover, ErrorKind, Mount, Pull, Push};
use gantri_store::Layout;

use super::common::{at, blob, file_of, put_image, repo};

async fn tree() -> (Layout, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Layout::tree(dir.path()).await.unwrap(), dir)
}

async fn repositories(tree: &Layout) -> Vec<String> {
    let names: Vec<RepositoryName> = tree.repositories(None).try_collect().await.unwrap();
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_repository_is_a_layout_in_the_directory_of_its_name() {
    let (tree, dir) = tree().await;
    let manifest = put_image(&tree, &repo("a/b"), "{}", &["v1"]).await.unwrap();
    let alone = Layout::open(dir.path().join("a/b")).await.unwrap();
    assert_eq!(alone.manifest(&repo("any/name"), &at("v1")).await.unwrap(), manifest);
    assert_eq!(repositories(&tree).await, ["a/b"]);
}

#[tokio::test]
async fn a_layouts_own_names_can_be_names_of_repositories() {
    let (tree, dir) = tree().await;
    let names = ["a", "a/blobs", "a/blobs/sha256", "a/index.json", "a/index.json.lock", "a/oci-layout", "blobs"];
    for name in names {
        put_image(&tree, &repo(name), name, &["v1"]).await.unwrap();
    }
    assert_eq!(repositories(&tree).await, names);
    for name in names {
        tree.manifest(&repo(name), &at("v1")).await.unwrap();
    }
    assert!(dir.path().join("a/_blobs/sha256/oci-layout").exists());
}

#[tokio::test]
async fn a_mount_is_a_hard_link() {
    let (tree, dir) = tree().await;
    let layer = blob(b"layer");
    tree.put_blob(&repo("from"), &layer, BlobBody::bytes("layer")).await.unwrap();
    let answer = tree.mount_blob(&repo("to/here"), &layer.digest, Some(&repo("from"))).await.unwrap();
    assert!(matches!(answer, Mount::Mounted));
    let inode = |name: &str| fs::metadata(file_of(&dir.path().join(name), &layer.digest)).unwrap().ino();
    assert_eq!(inode("from"), inode("to/here"));
}

#[tokio::test]
async fn what_fails_makes_no_repository() {
    let (tree, _dir) = tree().await;
    tree.put_blob(&repo("a"), &blob(b"right"), BlobBody::bytes("wrong")).await.unwrap_err();
    drop(tree.start_upload(&repo("b"), Algorithm::Sha256).await.unwrap());
    drop(tree.mount_blob(&repo("c"), &blob(b"absent").digest, None).await.unwrap());
    assert_eq!(repositories(&tree).await, [""; 0]);
    let unknown = tree.manifest(&repo("a"), &at("v1")).await;
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::RepositoryUnknown);
}

#[tokio::test]
async fn an_upload_survives_its_process() {
    let (tree, dir) = tree().await;
    let mut upload = tree.start_upload(&repo("a"), Algorithm::Sha256).await.unwrap();
    upload.write("he".into()).await.unwrap();
    let session = upload.session();
    drop((upload, tree));
    let tree = Layout::tree(dir.path()).await.unwrap();
    assert_eq!(
        tree.resume_upload(&repo("b"), session.clone()).await.unwrap_err().kind(),
        ErrorKind::UploadUnknown,
        "a session belongs to its repository"
    );
    let mut upload = tree.resume_upload(&repo("a"), session).await.unwrap();
    upload.write("llo".into()).await.unwrap();
    upload.commit(&blob(b"hello").digest).await.unwrap();
    assert_eq!(repositories(&tree).await, ["a"]);
}
