//! One image from one registry into another.

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::{TestImage, TestLayer, tar};
use crate::spy::{Served, Spy};
use crate::{repo, tag};
use bytes::Bytes;
use gantri_core::{ErrorKind, Memory, Pull, Result};
use gantri_image::{Place, PullOptions, Resolved, pull};
use gantri_spec::{Digest, ImageManifest, RepositoryName, Selector};

fn three_layers() -> TestImage {
    let layer = |name: &str| tar(&[(name, name.as_bytes())]);
    TestImage::of(vec![TestLayer::gzip(&layer("a")), TestLayer::zstd(&layer("b")), TestLayer::plain(&layer("c"))])
}

fn elsewhere() -> RepositoryName {
    "mirror/app".parse().unwrap()
}

async fn pull_between(source: &Spy, target: &Spy) -> Result<Resolved> {
    let from = Place::new(Arc::new(source.clone()), repo());
    let to = Place::new(Arc::new(target.clone()), elsewhere());
    pull(&from, &Selector::Tag(tag()), &to, &[tag()], &PullOptions::default()).await
}

#[tokio::test]
async fn the_manifest_is_put_when_all_its_content_is_there() {
    let image = three_layers();
    let (source, target) = (Spy::new(image.served().await), Spy::new(Memory::new()));
    let pulled = pull_between(&source, &target).await.unwrap();
    assert_eq!(pulled.manifest, image.manifest);
    assert_eq!(target.count("put_blob"), 4);
    assert_eq!(target.calls().last().unwrap(), &format!("put_manifest {}", image.manifest.digest()));
    let arrived = target.manifest(&elsewhere(), &Selector::Tag(tag())).await.unwrap();
    assert_eq!(arrived.bytes(), image.manifest.bytes());
}

#[tokio::test]
async fn one_request_for_each_manifest_and_blob_and_no_other() {
    let layer = TestLayer::gzip(&tar(&[("a", b"a")]));
    let image = TestImage::of(vec![layer.clone(), layer.clone(), layer]);
    let (source, target) = (Spy::new(image.served().await), Spy::new(Memory::new()));
    pull_between(&source, &target).await.unwrap();
    let mut calls = source.calls();
    calls.sort();
    let mut expected = vec![
        format!("blob {}", image.config.digest),
        format!("blob {}", image.layers[0].descriptor().digest),
        "manifest v1".to_owned(),
    ];
    expected.sort();
    assert_eq!(calls, expected);
}

#[tokio::test]
async fn what_the_target_has_is_not_fetched() {
    let image = three_layers();
    let (source, target) = (Spy::new(image.served().await), Spy::new(Memory::new()));
    pull_between(&source, &target).await.unwrap();
    pull_between(&source, &target).await.unwrap();
    assert_eq!((source.count("blob"), source.count("manifest")), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn config_and_layers_are_asked_for_at_once() {
    let image = three_layers();
    let source = Spy::new(image.served().await).answering_blobs_together(4);
    let target = Spy::new(Memory::new());
    let pulled = pull_between(&source, &target);
    // Time is paused: it jumps ahead as soon as nothing moves any more.
    tokio::time::timeout(Duration::from_secs(1), pulled).await.expect("requests wait for one another").unwrap();
}

#[tokio::test]
async fn wrong_bytes_bring_no_manifest_to_the_target() {
    let image = three_layers();
    let digest = image.layers[1].descriptor().digest;
    let wrong = Bytes::from(vec![0; image.layers[1].bytes.len()]);
    let source = Spy::new(image.served().await).serving(&digest, Served::As(wrong));
    let target = Spy::new(Memory::new());
    let error = pull_between(&source, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    assert!(error.to_string().contains(digest.as_str()), "{error}");
    assert_eq!(target.count("put_manifest"), 0);
}

#[tokio::test]
async fn one_digest_with_two_sizes_is_refused_before_anything_is_fetched() {
    let image = three_layers();
    let mut layers: Vec<_> = image.layers.iter().map(TestLayer::descriptor).collect();
    let mut liar = layers[0].clone();
    liar.size += 1;
    layers.push(liar);
    let memory = image.served().await;
    let manifest = ImageManifest::new(image.config.clone(), layers).to_raw();
    gantri_core::Push::put_manifest(&memory, &repo(), &manifest, &[tag()]).await.unwrap();
    let source = Spy::new(memory);
    let error = pull_between(&source, &Spy::new(Memory::new())).await.unwrap_err();
    assert_eq!((error.kind(), source.count("blob")), (ErrorKind::ManifestInvalid, 0), "{error}");
}

#[tokio::test]
async fn a_digest_is_as_good_as_a_tag() {
    let image = three_layers();
    let source = Place::new(Arc::new(image.served().await), repo());
    let target = Place::new(Arc::new(Memory::new()), elsewhere());
    let at = Selector::Digest(image.manifest.digest().clone());
    pull(&source, &at, &target, &[], &PullOptions::default()).await.unwrap();
    assert_eq!(target.registry.manifest(&elsewhere(), &at).await.unwrap(), image.manifest);
    let nowhere = Selector::Digest(Digest::of(b"nothing"));
    let empty = Place::new(Arc::new(Memory::new()), repo());
    let error = pull(&empty, &nowhere, &target, &[], &PullOptions::default()).await;
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown));
}
