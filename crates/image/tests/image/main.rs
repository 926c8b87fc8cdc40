//! The jobs of this crate over registries in memory, right and wrong. One binary, so that its parts share their tools.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod artifact;
mod build;
mod copy;
mod fixture;
mod graph;
mod lost;
mod many;
mod pull;
mod resolve;
mod spy;
mod unpack;

use std::path::Path;

use gantri_spec::{RepositoryName, Tag};

fn repo() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn tag() -> Tag {
    "v1".parse().unwrap()
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
