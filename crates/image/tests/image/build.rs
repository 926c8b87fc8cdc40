//! Directories into layers, layers into an image, and back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use gantri_core::{Memory, Pull};
use gantri_image::{Image, ImageBuilder, Layer, PackOptions, Place, PushOptions, Unpack, push};
use gantri_spec::{Annotations, Platform, Selector};

use crate::{names, repo, tag};

/// A tree with one of each thing, made in the given order.
fn make(dir: &Path, order: &[&str]) {
    for name in order {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    fs::hard_link(dir.join("a/one"), dir.join("b/same")).unwrap();
    symlink("../a/one", dir.join("b/link")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    for name in ["a", "b", "empty"] {
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o750)).unwrap();
    }
}

fn long() -> String {
    format!("a/{}/{}", "d".repeat(120), "é".repeat(100))
}

async fn pack(dir: &Path) -> Layer {
    Layer::pack(dir, std::env::temp_dir(), PackOptions::default()).await.unwrap()
}

async fn push_to(image: Image, registry: &Memory) {
    let place = Place::new(Arc::new(registry.clone()), repo());
    push(image, &place, &[tag()], &PushOptions::default()).await.unwrap();
}

#[tokio::test]
async fn the_same_tree_gives_the_same_layer_wherever_and_in_whatever_order_it_was_made() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = long();
    make(first.path(), &["a/one", "a/two", &long, "b/three"]);
    make(second.path(), &["b/three", &long, "a/two", "a/one"]);
    let (first, second) = (pack(first.path()).await, pack(second.path()).await);
    assert_eq!(first.descriptor(), second.descriptor());
    assert_eq!(first.diff_id(), second.diff_id());
}

#[tokio::test]
async fn what_is_packed_and_pushed_unpacks_to_the_same_tree() {
    let dir = tempfile::tempdir().unwrap();
    let (lower, upper) = (dir.path().join("lower"), dir.path().join("upper"));
    let long = long();
    make(&lower, &["a/one", "a/two", &long, "b/three"]);
    fs::create_dir_all(upper.join("a")).unwrap();
    fs::write(upper.join("a/two"), "upper").unwrap();
    let memory = Memory::new();
    let image = ImageBuilder::new(Platform::host())
        .with_layer(pack(&lower).await)
        .with_layer(pack(&upper).await)
        .with_annotation(Annotations::REF_NAME, "v1")
        .build();
    push_to(image, &memory).await;

    let root = dir.path().join("root");
    Unpack::new(Arc::new(memory), repo(), tag()).to(&root).await.unwrap();
    assert_eq!(names(&root), ["a", "b", "empty"]);
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    assert_eq!((read("a/one"), read("a/two"), read(&long)), ("a/one".into(), "upper".into(), long));
    let status = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
    assert_eq!(status("a/one").ino(), status("b/same").ino());
    assert_eq!(status("a/one").mode() & 0o7777, 0o640);
    assert_eq!(status("empty").mode() & 0o7777, 0o750);
    assert_eq!(status("b/three").mtime(), 0);
    assert_eq!(fs::read_link(root.join("b/link")).unwrap(), Path::new("../a/one"));
}

#[tokio::test]
async fn the_same_layers_and_edits_give_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["a/one", "b/three"]);
    let build = async || {
        let builder = ImageBuilder::new("linux/arm64".parse().unwrap()).with_created("2024-01-01T00:00:00Z");
        builder.with_layer(pack(dir.path()).await).build()
    };
    assert_eq!(build().await.manifest, build().await.manifest);
}

#[tokio::test]
async fn an_image_that_is_pushed_twice_is_sent_once() {
    let memory = crate::spy::Spy::new(Memory::new());
    for _ in 0..2 {
        let image = ImageBuilder::new(Platform::host()).build();
        let place = Place::new(Arc::new(memory.clone()), repo());
        push(image, &place, &[tag()], &PushOptions::default()).await.unwrap();
    }
    assert_eq!((memory.count("put_blob"), memory.count("put_manifest")), (1, 2));
    memory.resolve_manifest(&repo(), &Selector::Tag(tag())).await.unwrap();
}

#[tokio::test]
async fn times_are_no_later_than_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("now"), "").unwrap();
    let mut options = PackOptions::default();
    options.latest_mtime = 1_000_000_000;
    let layer = Layer::pack(dir.path(), std::env::temp_dir(), options).await.unwrap();
    let memory = Memory::new();
    push_to(ImageBuilder::new(Platform::host()).with_layer(layer).build(), &memory).await;
    let root = tempfile::tempdir().unwrap();
    Unpack::new(Arc::new(memory), repo(), tag()).to(root.path().join("root")).await.unwrap();
    assert_eq!(fs::metadata(root.path().join("root/now")).unwrap().mtime(), 1_000_000_000);
}

#[tokio::test]
async fn a_socket_is_not_packed_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let error = Layer::pack(dir.path(), std::env::temp_dir(), PackOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), gantri_core::ErrorKind::Unsupported);
    assert!(error.to_string().contains("socket"), "{error}");
}

/// What a layer is depends on nothing but the tree: this digest was computed once and must never change, on no machine.
#[tokio::test]
async fn the_digest_of_a_tree_is_known_beforehand() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["a/one", "b/three"]);
    let layer = pack(dir.path()).await;
    assert_eq!(layer.diff_id().to_string(), "sha256:c84a7628763e98e05fd174a039a806a93eb5468b2ee7a0fede009bf02c738c04");
    assert_eq!(
        layer.descriptor().digest.to_string(),
        "sha256:877739d4d2a258e944d3d50fd88fdd386f38cea91680bab0185469da5104e589"
    );
}

/// A file that is written to while it is packed is named, never packed as a mixture.
#[tokio::test]
async fn a_file_that_changes_while_it_is_packed_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grows");
    fs::write(&path, vec![7; 64 << 20]).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        while stopped.try_recv().is_err() {
            std::io::Write::write_all(&mut file, b"more").unwrap();
            let _ = tell.send(());
            std::thread::yield_now();
        }
    });
    told.recv().unwrap();
    let error = Layer::pack(dir.path(), std::env::temp_dir(), PackOptions::default()).await.unwrap_err();
    stop.send(()).unwrap();
    writer.join().unwrap();
    assert_eq!(error.kind(), gantri_core::ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("grows"), "{error}");
}

/// The packer writes to a file without a name: it can't find it, wherever that is.
#[tokio::test]
async fn scratch_in_the_tree_itself_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let outside = pack(dir.path()).await;
    let inside = Layer::pack(dir.path(), dir.path(), PackOptions::default()).await.unwrap();
    assert_eq!(inside.descriptor(), outside.descriptor());
}
