//! The kill loop: commands on one store, killed at random moments. After each the store is whole, the next run ends right,
//! and a collection leaves nothing of the dead.
//!
//! `GANTRI_TEST_KILLS` says how many kills of each command; `cargo xtask kill` says 200.

mod crowd;
mod rounds;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use gantri::spec::{Descriptor, MediaType};
use gantri::store::Untagged;
use gantri::{BlobBody, Digest, Discover, Layout, Limits, Manage, Memory, Pull, PullExt, Push, Selector};
use test_support::image::Layer;
use test_support::{Image, Tar};
use tokio::runtime::Runtime;

use crate::noise;

/// What the command that started the test says to it.
#[expect(clippy::disallowed_methods, reason = "this is how a test learns how much is wanted")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A layer that no other number has; so large that a part of it is worth keeping.
fn layer(number: u64, size: usize) -> Layer {
    let mut content = noise(size);
    content[..8].copy_from_slice(&number.to_le_bytes());
    let archive = Tar::new().dir("files").file(&format!("files/{number}"), content).finish();
    Layer::packed(MediaType::OCI_LAYER, &archive, archive.clone())
}

/// Puts an image into a registry.
async fn publish(registry: &(impl Push + ?Sized), repo: &str, tag: &str, image: &Image) {
    let repo = repo.parse().unwrap();
    for (digest, bytes) in &image.blobs {
        let blob = Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), bytes.len() as u64);
        registry.put_blob(&repo, &blob, BlobBody::bytes(bytes.clone())).await.unwrap();
    }
    registry.put_manifest(&repo, &image.manifest, &[tag.parse().unwrap()]).await.unwrap();
}

/// Takes an image out of a registry, if it came there.
async fn withdraw(registry: &Memory, repo: &str, image: &Image) {
    let repo = repo.parse().unwrap();
    let _ = registry.delete_manifest(&repo, image.manifest.digest()).await;
    for digest in image.blobs.keys() {
        let _ = registry.delete_blob(&repo, digest).await;
    }
}

/// Holds a repository to what it says: every tag leads to a manifest, and that to blobs that are what they are called.
async fn tags_are_whole(registry: &(impl Pull + Discover), repo: &str) -> BTreeSet<String> {
    let repo = repo.parse().unwrap();
    let tags: Vec<gantri::Tag> = match registry.tags(&repo, None).try_collect().await {
        Ok(tags) => tags,
        Err(error) if error.kind() == gantri::ErrorKind::RepositoryUnknown => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    let mut limits = Limits::default();
    limits.config = u64::MAX;
    for tag in &tags {
        let manifest = registry.manifest(&repo, &Selector::Tag(tag.clone())).await.unwrap();
        for child in manifest.parse().unwrap().children() {
            registry.blob_bytes(&repo, child, &limits).await.unwrap();
        }
    }
    tags.iter().map(ToString::to_string).collect()
}

/// Holds a layout to what it says, and every file in it that has the name of a digest to that.
fn layout_is_whole(dir: &Path) -> BTreeSet<String> {
    for entry in fs::read_dir(dir.join("blobs/sha256")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let content = fs::read(&path).unwrap();
        assert_eq!(Digest::of(&content).encoded(), name, "{} is not what it is called", path.display());
    }
    Runtime::new().unwrap().block_on(async {
        match Layout::open(dir).await {
            Ok(layout) => tags_are_whole(&layout, "any").await,
            Err(error) if error.kind() == gantri::ErrorKind::NotARegistry => BTreeSet::new(),
            Err(error) => panic!("{error}"),
        }
    })
}

/// Removes the tags that the round made, and all that nothing leads to: then nothing of the dead is left.
fn collect(dir: &Path, keep: &str) {
    Runtime::new().unwrap().block_on(async {
        let layout = Layout::open(dir).await.unwrap();
        let repo = "any".parse().unwrap();
        let tags: Vec<gantri::Tag> = layout.tags(&repo, None).try_collect().await.unwrap();
        for tag in tags.iter().filter(|tag| tag.as_str() != keep) {
            layout.delete_tag(&repo, tag).await.unwrap();
        }
        layout.gc(Duration::ZERO, Untagged::Remove).await.unwrap();
    });
    let names = test_support::process::names(dir);
    assert!(!names.iter().any(|name| name.contains(".gantri")), "{names:#?}");
}
