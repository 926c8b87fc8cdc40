//! What is large, many or empty, and right all the same: no bound that stands by default is in its way.

use futures_util::TryStreamExt;
use gantri::spec::{Descriptor, ImageManifest, MediaType};
use gantri::{BlobBody, Discover, Limits, Pull, PullExt, Push, Remote, Selector, Tag};

use crate::world::{Embedded, at, client, image, layout, repo};

fn remote(server: &Embedded) -> Remote {
    Remote::builder(server.host.parse().unwrap()).build().unwrap()
}

/// An artifact with one layer of 160 MiB and one of nothing: pushed, and pulled.
#[tokio::test]
async fn a_layer_of_160_mib_and_one_of_nothing() {
    let server = Embedded::start().await;
    let remote = remote(&server);
    let large = bytes::Bytes::from(vec![7; 160 << 20]);
    let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
    let layers = vec![Descriptor::of(MediaType::OCTET_STREAM, &large), Descriptor::of(MediaType::OCTET_STREAM, b"")];
    remote.put_blob(&repo(), &config, BlobBody::bytes("{}")).await.unwrap();
    remote.put_blob(&repo(), &layers[0], BlobBody::bytes(large)).await.unwrap();
    remote.put_blob(&repo(), &layers[1], BlobBody::bytes("")).await.unwrap();
    let manifest = ImageManifest::new(config, layers.clone()).to_raw();
    remote.put_manifest(&repo(), &manifest, &["v1".parse().unwrap()]).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    client().pull(&at(&server.host, ":v1"), &layout(&home)).await.unwrap();
    assert_eq!(remote.blob_bytes(&repo(), &layers[1], &Limits::default()).await.unwrap(), "");
    let blob = |descriptor: &Descriptor| {
        let path = home.path().join("layout/blobs/sha256").join(descriptor.digest.encoded());
        std::fs::metadata(path).unwrap().len()
    };
    assert_eq!((blob(&layers[0]), blob(&layers[1])), (160 << 20, 0));
}

/// A manifest of 3.9 MiB: the spec wants 4 MiB of everybody.
#[tokio::test]
async fn a_manifest_of_nearly_four_mib() {
    let server = Embedded::start().await;
    let remote = remote(&server);
    let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
    remote.put_blob(&repo(), &config, BlobBody::bytes("{}")).await.unwrap();
    let mut manifest = ImageManifest::new(config, Vec::new());
    manifest.annotations.insert("padding".into(), "x".repeat(3_900 << 10));
    let manifest = manifest.to_raw();
    assert!(manifest.bytes().len() > 3_900 << 10);
    remote.put_manifest(&repo(), &manifest, &["v1".parse().unwrap()]).await.unwrap();
    let pulled = remote.manifest(&repo(), &Selector::Tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!(pulled.digest(), manifest.digest());
}

/// 100,000 tags, page by page and to the last.
#[tokio::test]
async fn a_hundred_thousand_tags() {
    let server = Embedded::start().await;
    let config = server.put_bare("{}").await;
    let manifest = server.registry.manifest(&repo(), &Selector::Digest(config.digest)).await.unwrap();
    let tags: Vec<Tag> = (0..100_000).map(|number| format!("v{number:06}").parse().unwrap()).collect();
    server.registry.put_manifest(&repo(), &manifest, &tags).await.unwrap();
    let listed: Vec<Tag> = remote(&server).tags(&repo(), None).try_collect().await.unwrap();
    assert_eq!(listed, tags);
}

/// An image of 200 layers, pulled and unpacked.
#[tokio::test]
async fn an_image_of_two_hundred_layers() {
    let server = image(200).serve(|_, _| None);
    let home = tempfile::tempdir().unwrap();
    client().pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    let tree = home.path().join("tree");
    client().unpack(&at(&server.host(), ":v1"), &tree).await.unwrap();
    assert_eq!(std::fs::read_to_string(tree.join("who")).unwrap(), "199");
}
