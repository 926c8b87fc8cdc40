//! Bad input, given to the real binary: each case ends in one line that says what was done to what and what happened, in
//! the documented exit code, and leaves no trace on disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod archives;
mod full_disk;
mod interrupted;
mod layers;
mod manifests;
mod not_a_registry;
mod output;
mod references;
mod targets;
mod unknown;
mod wrong_bytes;

use test_support::{Image, Scene, Tar};

fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_gantri"))
}

/// A small, honest image of one layer.
fn image() -> Image {
    Image::of(&[Tar::new().dir("etc").file("etc/motd", "hello").finish()])
}
