//! Registries around registries: the behaviour suite over each of them, and what each promises beyond it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fallback;
mod immutable;
mod prefix;
mod read_only;
mod select;
mod suite;
mod trace;

use gantri_core::spec::{ByteRange, Digest, RepositoryName, Selector, Tag};
use gantri_core::testkit::Content;
use gantri_core::{ErrorKind, Pull, Result};

fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn at(tag_name: &str) -> Selector {
    Selector::Tag(tag(tag_name))
}

/// Two images of one layer in `name`, the first under `v1`.
fn images(name: &str) -> Content {
    Content::new(name).blob("layer", "layer").image("one", ["layer"]).image("two", ["layer"]).tag("v1", "one")
}

#[track_caller]
fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

async fn whole(registry: &dyn Pull, repo: &RepositoryName, digest: &Digest) -> Result<bytes::Bytes> {
    registry.blob(repo, digest, ByteRange::Full).await?.bytes(1 << 20).await
}
