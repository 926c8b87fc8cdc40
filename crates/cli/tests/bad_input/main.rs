//! Bad input, given to the real binary: each case ends in one line that says what was done to what and what happened, in
//! the documented exit code, and leaves no trace on disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod archives;
mod copies;
mod files;
mod full_disk;
mod interrupted;
mod kill;
mod killed;
mod layers;
mod link;
mod manifests;
mod not_a_registry;
mod output;
mod references;
mod resume;
mod table;
mod targets;
mod unknown;
mod wrong_bytes;

use test_support::{Image, Scene, Tar};

fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_gantri"))
}

/// Bytes that no compression makes fewer, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32).to_le_bytes().into_iter().take(4)
    });
    words.flatten().take(length).collect()
}

/// A small, honest image of one layer.
fn image() -> Image {
    Image::of(&[Tar::new().dir("etc").file("etc/motd", "hello").finish()])
}
