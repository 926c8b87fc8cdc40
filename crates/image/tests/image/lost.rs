//! H20: what a registry lost between being asked and being told is sent once more.

use gantri_core::{BlobBody, ErrorKind, Memory, Pull};
use gantri_image::{Blob, CopyItem, CopyOptions, Image, PushOptions, copy, push};
use gantri_spec::{Descriptor, Digest, ImageManifest, MediaType, Tag};

use crate::copy::{elsewhere, place};
use crate::graph::{put_image, put_index};
use crate::repo;
use crate::spy::Spy;

fn v1() -> Tag {
    "v1".parse().unwrap()
}

async fn copied(source: &Spy, target: &Spy) -> gantri_core::Result<()> {
    let item = CopyItem::new(place(source, repo()), v1(), place(target, elsewhere()), vec![v1()]);
    copy(vec![item], &CopyOptions::default()).await.map(drop)
}

#[tokio::test]
async fn a_blob_that_was_collected_before_its_manifest_is_sent_again() {
    let memory = Memory::new();
    put_image(&memory, &["config", "layer", "other"], &["v1"]).await;
    let source = Spy::new(memory);
    let lost = Digest::of(b"layer");
    let target = Spy::new(Memory::new()).collecting(&lost, 1).collecting(&Digest::of(b"other"), 1);
    copied(&source, &target).await.unwrap();
    assert_eq!(target.count(&format!("put_blob {lost}")), 2);
    assert_eq!(target.count("put_manifest"), 3, "each that is missing costs one more");
    assert!(target.resolve_blob(&elsewhere(), &lost).await.is_ok());
}

#[tokio::test]
async fn a_registry_that_loses_it_again_is_believed() {
    let memory = Memory::new();
    put_image(&memory, &["config", "layer"], &["v1"]).await;
    let (source, lost) = (Spy::new(memory), Digest::of(b"layer"));
    let target = Spy::new(Memory::new()).collecting(&lost, 5);
    let error = copied(&source, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestInvalid, "{error}");
    assert_eq!((target.count(&format!("put_blob {lost}")), target.count("put_manifest")), (2, 2));
}

#[tokio::test]
async fn a_manifest_that_was_collected_before_its_index_is_put_again() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "layer"], &[]).await;
    put_index(&memory, vec![image.descriptor().clone()], &["v1"]).await;
    let source = Spy::new(memory);
    let target = Spy::new(Memory::new()).collecting(image.digest(), 1);
    copied(&source, &target).await.unwrap();
    assert_eq!(target.count(&format!("put_manifest {}", image.digest())), 2);
    assert!(target.resolve_manifest(&elsewhere(), &image.digest().clone().into()).await.is_ok());
}

/// A push sends again what it can read again.
#[tokio::test]
async fn a_push_sends_again_what_it_can_read_again() {
    for can_be_read_again in [true, false] {
        let blob = |media_type: MediaType, bytes: &'static [u8]| {
            let body = if can_be_read_again {
                BlobBody::bytes(bytes)
            } else {
                BlobBody::once(Box::pin(futures_util::stream::iter([Ok(bytes.into())])))
            };
            Blob::new(Descriptor::of(media_type, bytes), body)
        };
        let blobs = vec![blob(MediaType::OCI_CONFIG, b"{}"), blob(MediaType::OCI_LAYER, b"layer")];
        let (config, layer) = (blobs[0].descriptor.clone(), blobs[1].descriptor.clone());
        let manifest = ImageManifest::new(config, vec![layer.clone()]).to_raw();
        let target = Spy::new(Memory::new()).collecting(&layer.digest, 1);
        let image = Image::new(manifest, blobs);
        let pushed = push(image, &place(&target, repo()), &[v1()], &PushOptions::default()).await;
        assert_eq!(pushed.is_ok(), can_be_read_again);
        assert_eq!(target.count("put_manifest"), if can_be_read_again { 2 } else { 1 });
    }
}
