//! Many references at once, which share blobs.

use std::sync::Arc;
use std::time::Duration;

use gantri_core::{BlobBody, Memory, Pull, Registry};
use gantri_image::{Blob, CopyItem, CopyOptions, Image, Place, PushItem, PushOptions, copy, push_all};
use gantri_spec::{Descriptor, Digest, ImageManifest, MediaType, RepositoryName, Tag};

use crate::copy::{elsewhere, place};
use crate::graph::put_image;
use crate::repo;
use crate::spy::{Mounts, Served, Spy};

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn third() -> RepositoryName {
    "third/app".parse().unwrap()
}

/// Three images that share a layer, as `v0` to `v2`.
async fn three() -> Memory {
    let memory = Memory::new();
    for name in ["v0", "v1", "v2"] {
        put_image(&memory, &[name, "shared", &format!("only {name}")], &[name]).await;
    }
    memory
}

#[tokio::test]
async fn what_many_references_share_is_sent_once_and_mounted_into_the_other_repositories() {
    for (mounts, sent) in [(Mounts::Done, 7), (Mounts::Session, 7), (Mounts::Refused, 9)] {
        let (source, target) = (Spy::new(three().await), Spy::new(Memory::new()).mounting(mounts));
        let registry: Arc<dyn Registry> = Arc::new(target.clone());
        let from = place(&source, repo());
        let repos = [repo(), elsewhere(), third()];
        let items = ["v0", "v1", "v2"].iter().zip(&repos).map(|(name, to)| {
            CopyItem::new(from.clone(), tag(name), Place::new(Arc::clone(&registry), to.clone()), vec![tag(name)])
        });
        let copied = copy(items.collect(), &CopyOptions::default()).await.unwrap();
        assert_eq!(target.count("put_blob"), sent, "{mounts:?}");
        let mounted: u64 = copied.iter().map(|item| item.mounted.count).sum();
        assert_eq!(mounted, if mounts == Mounts::Done { 2 } else { 0 }, "{mounts:?}");
        for (name, to) in ["v0", "v1", "v2"].iter().zip(&repos) {
            let there = target.manifest(to, &tag(name).into()).await.unwrap();
            assert_eq!(there, source.manifest(&repo(), &tag(name).into()).await.unwrap());
            assert_eq!(target.resolve_blob(to, &Digest::of(b"shared")).await.unwrap().size, 6);
        }
    }
}

#[tokio::test]
async fn two_tags_of_one_manifest_bring_it_once() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "layer"], &["v1", "latest"]).await;
    let (source, target) = (Spy::new(memory), Spy::new(Memory::new()));
    let (from, to) = (place(&source, repo()), place(&target, elsewhere()));
    let items = ["v1", "latest"].map(|name| CopyItem::new(from.clone(), tag(name), to.clone(), vec![tag(name)]));
    copy(items.to_vec(), &CopyOptions::default()).await.unwrap();
    assert_eq!((source.count("blob"), target.count("put_blob")), (2, 2));
    for name in ["v1", "latest"] {
        assert_eq!(target.manifest(&elsewhere(), &tag(name).into()).await.unwrap(), image);
    }
}

/// Law 5: a copy that nobody waits for any more stops, and leaves no name.
#[tokio::test]
async fn a_copy_that_is_dropped_stops() {
    let memory = Memory::new();
    put_image(&memory, &["config", "a layer"], &["v1"]).await;
    let source = Spy::new(memory).serving(&Digest::of(b"a layer"), Served::Half);
    let target = Spy::new(Memory::new());
    let item = CopyItem::new(place(&source, repo()), tag("v1"), place(&target, elsewhere()), vec![tag("v1")]);
    let options = CopyOptions::default();
    let stalled = Arc::clone(&source.stalled);
    tokio::select! {
        outcome = copy(vec![item], &options) => panic!("it can't end: {outcome:?}"),
        () = stalled.notified() => {}
    }
    let calls = target.calls();
    // Whatever still ran would be polled before this: there is one thread.
    tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.unwrap_err();
    assert_eq!((target.calls(), target.count("put_manifest")), (calls, 0));
    assert_eq!(
        Arc::strong_count(&source.stalled),
        2,
        "the task that read is gone: `stalled` and the spy's own are left"
    );
}

/// What was begun is not begun again.
#[tokio::test]
async fn a_copy_that_failed_goes_on_where_it_stood() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "one", "two"], &["v1"]).await;
    let broken = Spy::new(memory.clone()).serving(&Digest::of(b"two"), Served::As("tw0".into()));
    let target = Spy::new(Memory::new());
    let item =
        |source: &Spy| CopyItem::new(place(source, repo()), tag("v1"), place(&target, elsewhere()), vec![tag("v1")]);
    let options = CopyOptions::default().jobs(1);
    copy(vec![item(&broken)], &options).await.unwrap_err();
    let source = Spy::new(memory);
    copy(vec![item(&source)], &options).await.unwrap();
    assert_eq!(source.count("blob"), 1, "{:?}", source.calls());
    assert_eq!(target.manifest(&elsewhere(), &tag("v1").into()).await.unwrap(), image);
}

fn image(config: &'static str) -> Image {
    let descriptor = |kind, text: &'static str| Descriptor::of(kind, text.as_bytes());
    let (config_blob, layer) = (descriptor(MediaType::OCI_CONFIG, config), descriptor(MediaType::OCI_LAYER, "shared"));
    let manifest = ImageManifest::new(config_blob.clone(), vec![layer.clone()]).to_raw();
    let blobs = vec![Blob::new(config_blob, BlobBody::bytes(config)), Blob::new(layer, BlobBody::bytes("shared"))];
    Image::new(manifest, blobs)
}

#[tokio::test]
async fn images_made_here_share_blobs_too() {
    let target = Spy::new(Memory::new());
    let registry: Arc<dyn Registry> = Arc::new(target.clone());
    let items = [("one", repo()), ("two", repo()), ("three", elsewhere())]
        .map(|(config, to)| PushItem::new(image(config), Place::new(Arc::clone(&registry), to), vec![tag(config)]));
    push_all(items.into_iter().collect(), &PushOptions::default()).await.unwrap();
    assert_eq!((target.count("put_blob"), target.count("mount_blob")), (4, 1), "{:?}", target.calls());
    assert_eq!(target.resolve_blob(&elsewhere(), &Digest::of(b"shared")).await.unwrap().size, 6);
}
