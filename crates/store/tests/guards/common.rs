//! What the tests of the layout on disk share: a layout in a directory of its own, and looks at its files.

use std::fs;
use std::path::{Path, PathBuf};

use gantri_core::spec::{
    ByteRange, Descriptor, Digest, ImageManifest, MediaType, RawManifest, RepositoryName, Selector, Tag,
};
use gantri_core::{BlobBody, Pull, Push, Result};
use gantri_store::Layout;
use serde_json::Value;

/// An empty layout, and the directory it lives in.
pub(super) async fn layout() -> (Layout, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Layout::create(dir.path()).await.unwrap(), dir)
}

pub(super) fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

/// The name that tests call the one repository of a single layout by.
pub(super) fn here() -> RepositoryName {
    repo("here")
}

pub(super) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub(super) fn at(name: &str) -> Selector {
    Selector::Tag(tag(name))
}

pub(super) fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, bytes)
}

pub(super) async fn put(layout: &Layout, bytes: &[u8]) -> Result<Descriptor> {
    let blob = blob(bytes);
    layout.put_blob(&here(), &blob, BlobBody::bytes(bytes.to_vec())).await?;
    Ok(blob)
}

pub(super) async fn read(layout: &Layout, digest: &Digest) -> Result<Vec<u8>> {
    Ok(layout.blob(&here(), digest, ByteRange::Full).await?.bytes(1 << 30).await?.to_vec())
}

/// An image whose config is these bytes, put under some tags.
pub(super) async fn put_image(
    layout: &Layout,
    repo: &RepositoryName,
    config: &str,
    tags: &[&str],
) -> Result<RawManifest> {
    let config_blob = Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes());
    layout.put_blob(repo, &config_blob, BlobBody::bytes(config.to_owned())).await?;
    let manifest = ImageManifest::new(config_blob, Vec::new()).to_raw();
    let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
    layout.put_manifest(repo, &manifest, &tags).await?;
    Ok(manifest)
}

/// Where a blob's file is.
pub(super) fn file_of(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs").join(digest.algorithm_name()).join(digest.encoded())
}

/// The index as it is on disk.
pub(super) fn index(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap()
}

/// The entries of the index: tag, if any, and digest.
pub(super) fn entries(dir: &Path) -> Vec<(Option<String>, String)> {
    let index = index(dir);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entry = |entry: &Value| {
        (text(&entry["annotations"]["org.opencontainers.image.ref.name"]), text(&entry["digest"]).unwrap())
    };
    index["manifests"].as_array().unwrap().iter().map(entry).collect()
}

/// All files below a directory, sorted.
pub(super) fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The files of unfinished writes.
pub(super) fn leftovers(dir: &Path) -> Vec<String> {
    files(dir).into_iter().filter(|name| name.contains(".gantri-") || name == "index.json.lock").collect()
}

/// What the parent of a child process says to it.
#[expect(clippy::disallowed_methods, reason = "this is how a test's child learns what it is")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
