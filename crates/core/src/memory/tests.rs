//! What the registry in memory promises beyond the contract of all, which `tests/behaviour.rs` holds it to.

use bytes::Bytes;
use gantri_spec::{Algorithm, Digest, MediaType, RawManifest, RepositoryName, Selector};

use super::Memory;
use crate::{BlobUpload, ErrorKind, Pull, Push, UploadSession};

fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

async fn started(registry: &Memory) -> Box<dyn BlobUpload> {
    let mut upload = registry.start_upload(&repo("a/b"), Algorithm::Sha256).await.unwrap();
    upload.write(Bytes::from_static(b"hello")).await.unwrap();
    upload
}

#[tokio::test]
async fn clones_see_the_same_content() {
    let registry = Memory::new();
    let committed = started(&registry.clone()).await.commit(&Digest::of(b"hello")).await.unwrap();
    assert_eq!(committed.size, 5);
    assert_eq!(registry.resolve_blob(&repo("a/b"), &Digest::of(b"hello")).await.unwrap(), committed);
}

#[tokio::test]
async fn a_session_is_of_one_repository() {
    let registry = Memory::new();
    let session = started(&registry).await.session();
    let elsewhere = registry.resume_upload(&repo("a/c"), session.clone()).await;
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::UploadUnknown);
    assert_eq!(registry.resume_upload(&repo("a/b"), session).await.unwrap().offset(), 5);
}

#[tokio::test]
async fn a_session_that_nobody_started_is_unknown() {
    let registry = Memory::new();
    for id in ["", "0", "2", "-1", "../1", "18446744073709551616"] {
        started(&registry).await.cancel().await.unwrap();
        let session = UploadSession::new(id, 0, Algorithm::Sha256);
        let outcome = registry.resume_upload(&repo("a/b"), session).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UploadUnknown, "{id:?}");
    }
}

#[tokio::test]
async fn a_handle_on_a_finished_upload_can_do_nothing() {
    let registry = Memory::new();
    let first = started(&registry).await;
    let mut second = registry.resume_upload(&repo("a/b"), first.session()).await.unwrap();
    let third = registry.resume_upload(&repo("a/b"), first.session()).await.unwrap();
    first.cancel().await.unwrap();
    assert_eq!(second.write(Bytes::from_static(b"!")).await.unwrap_err().kind(), ErrorKind::UploadUnknown);
    assert_eq!(second.cancel().await.unwrap_err().kind(), ErrorKind::UploadUnknown);
    assert_eq!(third.commit(&Digest::of(b"hello")).await.unwrap_err().kind(), ErrorKind::UploadUnknown);
}

#[tokio::test]
async fn an_upload_by_an_algorithm_that_nobody_verifies_does_not_start() {
    let outcome = Memory::new().start_upload(&repo("a/b"), Algorithm::Other).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_manifest_of_a_type_that_nobody_knows_is_kept_as_it_came() {
    let registry = Memory::new();
    let unknown = RawManifest::new(MediaType::from_static("application/vnd.example.future+json"), "anything".into());
    registry.put_manifest(&repo("a/b"), &unknown, &["v1".parse().unwrap()]).await.unwrap();
    let fetched = registry.manifest(&repo("a/b"), &Selector::Tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!(fetched, unknown);
}

#[tokio::test]
async fn a_finished_upload_takes_up_no_memory() {
    let registry = Memory::new();
    started(&registry).await.cancel().await.unwrap();
    started(&registry).await.commit(&Digest::of(b"hello")).await.unwrap();
    started(&registry).await.commit(&Digest::of(b"hullo")).await.unwrap_err();
    assert_eq!(registry.lock().uploads.len(), 0);
}
