//! `Select` beyond the suite: a closed repository is the same as none at all, whatever is asked of it (R6).

use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use gantri_core::filter::Select;
use gantri_core::spec::{Algorithm, ByteRange, Descriptor, MediaType, RepositoryName};
use gantri_core::testkit::{Content, Flaky};
use gantri_core::{BlobBody, Discover, ErrorKind, Memory, Mount, Push, Registry, Result, UploadSession};

use super::{at, images, kind, repo, tag};

/// Names with `open` in them can be seen.
async fn registry() -> (Arc<Flaky<Memory>>, Select<Arc<Flaky<Memory>>>, Content) {
    let behind = Memory::new();
    let content = images("closed/app");
    let subject = content.descriptor("one");
    let content = content.referrer("signature", &subject, &MediaType::from_static("application/x")).repo("open/app");
    content.push_to(&behind).await.unwrap();
    images("open/app").push_to(&behind).await.unwrap();
    let behind = Arc::new(Flaky::new(behind, |_, _| None));
    (behind.clone(), Select::new(behind, |repo| repo.as_str().contains("open")), content)
}

async fn all<T>(listing: BoxStream<'static, Result<T>>) -> Result<Vec<T>> {
    listing.try_collect().await
}

/// The kind of error of every method, in one order.
async fn answers(registry: &impl Registry, repo: &RepositoryName, content: &Content) -> Vec<ErrorKind> {
    let (layer, one) = (content.descriptor("layer"), content.digest("one"));
    let session = UploadSession::new("1", 0, Algorithm::Sha256);
    vec![
        kind(registry.resolve_manifest(repo, &at("v1")).await),
        kind(registry.manifest(repo, &content.at("one")).await),
        kind(registry.resolve_blob(repo, &layer.digest).await),
        kind(registry.blob(repo, &layer.digest, ByteRange::Full).await),
        kind(registry.put_blob(repo, &layer, BlobBody::bytes("layer")).await),
        kind(registry.mount_blob(repo, &layer.digest, Some(&"open/app".parse().unwrap())).await),
        kind(registry.start_upload(repo, Algorithm::Sha256).await),
        kind(registry.resume_upload(repo, session).await),
        kind(registry.put_manifest(repo, &content.raw("two"), &[tag("v1")]).await),
        kind(all(registry.tags(repo, None)).await),
        kind(registry.delete_tag(repo, &tag("v1")).await),
        kind(registry.delete_manifest(repo, &one).await),
        kind(registry.delete_blob(repo, &layer.digest).await),
    ]
}

/// (R6) It is not even asked: no answer, and no time that an answer takes, tells a closed repository from none.
#[tokio::test]
async fn a_closed_repository_is_unknown_to_every_method_and_is_not_asked() {
    let (behind, registry, content) = registry().await;
    for name in ["closed/app", "closed/none"] {
        let repo = repo(name);
        let kinds = answers(&registry, &repo, &content).await;
        assert!(kinds.iter().all(|kind| *kind == ErrorKind::RepositoryUnknown), "{name}: {kinds:?}");
        let referrers: Vec<Descriptor> = all(registry.referrers(&repo, &content.digest("one"), None)).await.unwrap();
        assert_eq!(referrers, [], "{name}");
    }
    assert_eq!(behind.calls(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_closed_repository_is_not_listed() {
    let (_, registry, _) = registry().await;
    assert_eq!(all(registry.repositories(None)).await.unwrap(), [repo("open/app")]);
    assert_eq!(all(registry.repositories(Some(&repo("closed/app")))).await.unwrap(), [repo("open/app")]);
}

/// (R6) Neither by name nor by a mount that names nobody.
#[tokio::test]
async fn nothing_is_mounted_out_of_a_closed_repository() {
    let (_, registry, content) = registry().await;
    let target = repo("open/new");
    let layer = content.digest("layer");
    for from in [Some("closed/app"), Some("closed/none"), None] {
        let from = from.map(repo);
        let answer = registry.mount_blob(&target, &layer, from.as_ref()).await.unwrap();
        assert!(matches!(answer, Mount::Unavailable), "{from:?}: {answer:?}");
    }
    let answer = registry.mount_blob(&target, &layer, Some(&repo("open/app"))).await.unwrap();
    assert!(matches!(answer, Mount::Mounted), "{answer:?}");
}
