//! Archives that name layers and no manifests: of Docker before version 25, of skopeo, of `crane`.

use std::path::Path;

use futures_util::TryStreamExt;
use gantri_core::spec::{Digest, Manifest, MediaType, Selector};
use gantri_core::{Discover, ErrorKind, Pull};
use gantri_store::{Archive, ArchiveKind, Existing};
use serde_json::{Value, json};
use tar_core::EntryType;

use super::super::common::{at, here, tag};
use super::made::Tar;
use super::{make, manifest, names, place, read};

const LOWER: &[u8] = b"the lower layer";
const UPPER: &[u8] = b"the upper layer";

fn config(layers: &[&[u8]]) -> String {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).to_string()
}

fn list(config: &str, tags: &[&str], layers: &[&str]) -> Value {
    json!({"Config": config, "RepoTags": tags, "Layers": layers})
}

async fn open(tar: Tar, path: &Path) -> Archive {
    tar.save(path);
    Archive::open(path).await.unwrap()
}

async fn layers(archive: &Archive, name: &str) -> Vec<(MediaType, Digest, u64)> {
    let raw = manifest(archive, name).await.unwrap();
    assert_eq!(raw.media_type(), &MediaType::DOCKER_MANIFEST);
    let Manifest::Image(image) = raw.parse().unwrap() else { panic!("an image") };
    image.layers.into_iter().map(|layer| (layer.media_type, layer.digest, layer.size)).collect()
}

/// As Docker wrote it before version 25, with a layer that two images share and that is there once.
#[tokio::test]
async fn an_archive_of_old_docker_is_read() {
    let (path, _dir) = place();
    let images = json!([
        list("a.json", &["app:v1", "app:latest"], &["one/layer.tar", "two/layer.tar"]),
        list("b.json", &["example.com/other:v2"], &["three/layer.tar"]),
    ]);
    let tar = Tar::default()
        .link("one/", EntryType::Directory, "")
        .file("one/layer.tar", LOWER)
        .file("two/layer.tar", UPPER)
        .link("three/layer.tar", EntryType::Symlink, "../one/layer.tar")
        .file("a.json", config(&[LOWER, UPPER]))
        .file("b.json", config(&[LOWER]))
        .file("manifest.json", images.to_string())
        .file("repositories", "{}");
    let archive = open(tar, &path).await;
    assert_eq!(archive.kind(), ArchiveKind::Docker);
    let expected = ["docker.io/library/app:v1", "docker.io/library/app:latest", "example.com/other:v2"];
    assert_eq!(names(&archive), expected);
    let tags: Vec<_> = archive.tags(&here(), None).try_collect().await.unwrap();
    assert_eq!(tags, [tag("latest"), tag("v1"), tag("v2")]);
    let lower = (MediaType::DOCKER_LAYER, Digest::of(LOWER), LOWER.len() as u64);
    let upper = (MediaType::DOCKER_LAYER, Digest::of(UPPER), UPPER.len() as u64);
    assert_eq!(layers(&archive, "app").await, [lower.clone(), upper]);
    assert_eq!(layers(&archive, "v2").await, [lower]);
    assert_eq!(read(&archive, &Digest::of(LOWER)).await.unwrap(), LOWER);
    assert_eq!(read(&archive, &Digest::of(UPPER)).await.unwrap(), UPPER);
    let made = manifest(&archive, "v1").await.unwrap();
    assert_eq!(read(&archive, made.digest()).await.unwrap(), *made.bytes());
}

/// As `crane` writes it: compressed layers, and a config called by its digest.
#[tokio::test]
async fn compressed_layers_are_named_by_their_own_digest() {
    let (path, _dir) = place();
    let gzip = b"\x1f\x8b and so on".as_slice();
    let zstd = b"\x28\xb5\x2f\xfd and so on".as_slice();
    let named = format!("sha256:{}", Digest::of(config(&[LOWER, UPPER, gzip]).as_bytes()).encoded());
    let images = json!([list(&named, &["app:v1"], &["1.tar.gz", "2.tar.zst", "3.tar"])]);
    let tar = Tar::default()
        .file(&named, config(&[LOWER, UPPER, gzip]))
        .file("1.tar.gz", [gzip, b"!"].concat())
        .file("2.tar.zst", zstd)
        .file("3.tar", gzip)
        .file("manifest.json", images.to_string());
    let archive = open(tar, &path).await;
    let expected = [
        (MediaType::DOCKER_LAYER_GZIP, [gzip, b"!"].concat()),
        (MediaType::DOCKER_LAYER_ZSTD, zstd.to_vec()),
        // It only looks compressed: it is what the config says.
        (MediaType::DOCKER_LAYER, gzip.to_vec()),
    ];
    let found = layers(&archive, "v1").await;
    for ((media_type, digest, _), (expected, bytes)) in found.iter().zip(&expected) {
        assert_eq!(media_type, expected);
        assert_eq!(read(&archive, digest).await.unwrap(), *bytes);
    }
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn a_tag_of_two_images_means_neither() {
    let (path, _dir) = place();
    let images = json!([list("a.json", &["one:v1"], &[]), list("b.json", &["two:v1"], &["1.tar"])]);
    let tar = Tar::default()
        .file("a.json", config(&[]))
        .file("b.json", config(&[LOWER]))
        .file("1.tar", LOWER)
        .file("manifest.json", images.to_string());
    let archive = open(tar, &path).await;
    for outcome in [archive.select(Some("v1")).map(drop), archive.manifest(&here(), &at("v1")).await.map(drop)] {
        let refusal = outcome.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Conflict);
        assert!(refusal.hint().unwrap().contains("one:v1, two:v1"), "{refusal}");
    }
    assert_ne!(archive.select(Some("one:v1")).unwrap(), archive.select(Some("two:v1")).unwrap());
    let Selector::Digest(digest) = archive.select(Some("two:v1")).unwrap() else { panic!("it is pinned") };
    assert_eq!(archive.select(Some(digest.as_str())).unwrap(), Selector::Digest(digest));
}

#[tokio::test]
async fn an_image_without_a_name_is_found_if_it_is_the_only_one() {
    let (path, _dir) = place();
    let images = json!([{"Config": "a.json", "RepoTags": null, "Layers": null}]);
    let tar = Tar::default().file("a.json", config(&[])).file("manifest.json", images.to_string());
    let archive = open(tar, &path).await;
    archive.manifest(&here(), &archive.select(None).unwrap()).await.unwrap();
    assert_eq!(archive.select(Some("v1")).unwrap_err().kind(), ErrorKind::ManifestUnknown);
}

/// What is added to an old archive is added to the same images in the new form.
#[tokio::test]
async fn an_old_archive_can_be_added_to() {
    let (path, _dir) = place();
    let images = json!([list("a.json", &["app:v1"], &["1.tar"])]);
    let tar =
        Tar::default().file("a.json", config(&[LOWER])).file("1.tar", LOWER).file("manifest.json", images.to_string());
    let before = manifest(&open(tar, &path).await, "app:v1").await.unwrap();
    make(&path, ArchiveKind::Docker, Existing::Add, "{}", &["v2"]).await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(names(&archive), ["docker.io/library/app:v1", "example.com/app:v2"]);
    assert_eq!(manifest(&archive, "app:v1").await.unwrap(), before);
    assert_eq!(read(&archive, &Digest::of(LOWER)).await.unwrap(), LOWER);
}

/// (T19) What the list says is checked, or found out by whoever reads.
#[tokio::test]
async fn archives_that_lie_are_found_out() {
    let (path, _dir) = place();
    let lying = |config: String, layers: &[&str]| {
        Tar::default()
            .file("a.json", config)
            .file("1.tar", LOWER)
            .file("manifest.json", json!([list("a.json", &["app:v1"], layers)]).to_string())
    };
    let archive = open(lying(config(&[UPPER]), &["1.tar"]), &path).await;
    let (_, digest, _) = layers(&archive, "v1").await.remove(0);
    let refusal = read(&archive, &digest).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::DigestMismatch);
    assert!(refusal.to_string().contains(Digest::of(UPPER).encoded()), "{refusal}");

    let cases: [(&str, String, &[&str], ErrorKind); 7] = [
        ("fewer layers", config(&[LOWER, UPPER]), &["1.tar"], ErrorKind::ManifestInvalid),
        ("more layers", config(&[]), &["1.tar"], ErrorKind::ManifestInvalid),
        ("a layer that is not there", config(&[LOWER]), &["2.tar"], ErrorKind::NotARegistry),
        ("a layer elsewhere", config(&[LOWER]), &["../1.tar"], ErrorKind::ManifestInvalid),
        ("a layer at the root", config(&[LOWER]), &["/etc/passwd"], ErrorKind::ManifestInvalid),
        ("no config", "[]".to_owned(), &["1.tar"], ErrorKind::ManifestInvalid),
        ("a config with a key twice", r#"{"rootfs":{},"rootfs":{}}"#.to_owned(), &[], ErrorKind::ManifestInvalid),
    ];
    for (name, config, layers, kind) in cases {
        lying(config, layers).save(&path);
        let refusal = Archive::open(&path).await.unwrap_err();
        assert_eq!(refusal.kind(), kind, "{name}: {refusal}");
        assert!(refusal.to_string().contains("x.tar"), "{name}: {refusal}");
    }
}

/// (T19) One digest, two sizes: which is served would be left to chance.
#[tokio::test]
async fn two_layers_of_one_digest_and_two_sizes_are_refused() {
    let (path, _dir) = place();
    let images = json!([list("a.json", &["app:v1"], &["1.tar", "2.tar"])]);
    Tar::default()
        .file("a.json", config(&[LOWER, LOWER]))
        .file("1.tar", LOWER)
        .file("2.tar", "another")
        .file("manifest.json", images.to_string())
        .save(&path);
    assert_eq!(Archive::open(&path).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
}

/// (T19) A layer may be a link to another file of the archive, and to nothing else.
#[tokio::test]
async fn t19_a_layer_is_a_link_into_the_archive_or_is_refused() {
    let cases = [
        (EntryType::Symlink, "../1.tar", true),
        (EntryType::Link, "1.tar", true),
        (EntryType::Symlink, "../../1.tar", false),
        (EntryType::Symlink, "/etc/passwd", false),
        (EntryType::Symlink, "layer.tar", false),
        (EntryType::Symlink, "../b/layer.tar", false),
        (EntryType::Link, "b/layer.tar", false),
        (EntryType::Link, "2.tar", false),
    ];
    for (kind, target, is_good) in cases {
        let (path, _dir) = place();
        Tar::default()
            .file("a.json", config(&[LOWER]))
            .file("1.tar", LOWER)
            .link("b/layer.tar", EntryType::Symlink, "../1.tar")
            .link("c/layer.tar", kind, target)
            .file("manifest.json", json!([list("a.json", &["app:v1"], &["c/layer.tar"])]).to_string())
            .save(&path);
        match Archive::open(&path).await {
            Ok(archive) => {
                assert!(is_good, "{target}");
                assert_eq!(read(&archive, &Digest::of(LOWER)).await.unwrap(), LOWER);
            }
            Err(refusal) => {
                assert!(!is_good, "{target}: {refusal}");
                assert_eq!(refusal.kind(), ErrorKind::NotARegistry, "{target}");
            }
        }
    }
}
