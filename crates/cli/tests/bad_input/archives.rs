//! Archives that try what no layer may: climb, link outside, bomb. What they aim at is never touched.

use std::fs;
use std::os::unix::fs::symlink;

use gantri::spec::MediaType;
use test_support::image::{Layer, gzip};
use test_support::tar::Header;
use test_support::{Image, Scene, Tar};

use crate::scene;

/// A scene with a canary beside the target, which any archive that escapes would meet.
fn guarded() -> Scene {
    let scene = scene();
    fs::create_dir(scene.path("outside")).unwrap();
    fs::write(scene.path("outside/canary"), "alive").unwrap();
    fs::write(scene.path("canary"), "alive").unwrap();
    scene
}

fn refused(layers: &[Layer], error: &str) {
    let scene = guarded();
    let server = Image::of_layers(layers).serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    let error = format!("unpack HOST/app:v1: layer {} D1: {error}", layers.len());
    scene.refuses(["unpack", &reference, "rootfs"]).is(1, &error, "");
}

/// Unpacks what must not be refused; what lies outside must be as it was.
fn tamed(archive: &[u8]) -> Scene {
    let scene = guarded();
    let server = Image::of(&[archive.to_vec()]).serve(|_, _| None);
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "rootfs", "--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(scene.path("canary")).unwrap(), "alive");
    assert_eq!(test_support::process::names(&scene.path("outside")), ["canary"]);
    assert_eq!(fs::read_to_string(scene.path("outside/canary")).unwrap(), "alive");
    scene
}

#[test]
fn a_name_that_climbs_is_refused() {
    for name in ["../canary", "a/../../canary", "..", "./../canary", "/../canary"] {
        let error = format!("entry {name:?} at byte 512: its name climbs with `..`");
        refused(&[Layer::gzip(&Tar::new().dir("a").file(name, "dead").finish())], &error);
    }
}

#[test]
fn an_absolute_name_lands_inside() {
    let scene = tamed(&Tar::new().file("/etc/motd", "hello").file("//double", "x").finish());
    assert_eq!(fs::read_to_string(scene.path("rootfs/etc/motd")).unwrap(), "hello");
    assert_eq!(fs::read_to_string(scene.path("rootfs/double")).unwrap(), "x");
}

#[test]
fn a_write_through_a_link_lands_inside() {
    let archive = Tar::new().dir("outside").symlink("out", "../outside").file("out/canary", "tame").finish();
    let scene = tamed(&archive);
    assert_eq!(fs::read_to_string(scene.path("rootfs/outside/canary")).unwrap(), "tame");
}

#[test]
fn a_write_through_an_absolute_link_lands_inside() {
    let scene = guarded();
    let target = scene.path("outside").display().to_string();
    let archive = Tar::new().symlink("out", &target).file("out/canary", "dead").finish();
    let server = Image::of(&[archive]).serve(|_, _| None);
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "rootfs"]);
    assert_eq!(fs::read_to_string(scene.path("outside/canary")).unwrap(), "alive", "{ran:?}");
}

#[test]
fn a_write_through_a_link_of_an_earlier_layer_lands_inside() {
    let scene = guarded();
    let target = scene.path("outside").display().to_string();
    let layers = [Tar::new().symlink("out", &target).finish(), Tar::new().file("out/canary", "dead").finish()];
    let server = Image::of(&layers).serve(|_, _| None);
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "rootfs"]);
    assert_eq!(fs::read_to_string(scene.path("outside/canary")).unwrap(), "alive", "{ran:?}");
}

#[test]
fn a_whiteout_through_a_link_removes_nothing_outside() {
    let scene = guarded();
    let target = scene.path("outside").display().to_string();
    let layers = [Tar::new().symlink("out", &target).finish(), Tar::new().file("out/.wh.canary", "").finish()];
    let server = Image::of(&layers).serve(|_, _| None);
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "rootfs"]);
    assert_eq!(fs::read_to_string(scene.path("outside/canary")).unwrap(), "alive", "{ran:?}");
}

#[test]
fn a_whiteout_that_climbs_is_refused() {
    refused(
        &[Layer::gzip(&Tar::new().file(".wh...", "").finish())],
        "entry \".wh...\" at byte 0: a whiteout that names no plain file",
    );
}

#[test]
fn a_hard_link_to_outside_is_refused() {
    for target in ["../canary", "../outside/canary"] {
        let error = format!("entry \"inside\" at byte 0: hard link to {target:?}: its name climbs with `..`");
        refused(&[Layer::gzip(&Tar::new().link("inside", target).finish())], &error);
    }
}

#[test]
fn a_hard_link_to_what_lies_in_the_working_directory_is_refused() {
    refused(
        &[Layer::gzip(&Tar::new().link("inside", "canary").finish())],
        "entry \"inside\" at byte 0: a hard link to \"canary\", which is not there",
    );
}

#[test]
fn a_root_that_becomes_a_link_is_refused() {
    refused(
        &[Layer::gzip(&Tar::new().symlink("./", "outside").finish())],
        "entry \"./\" at byte 0: the root of the tree can only be a directory",
    );
}

#[test]
fn a_name_with_a_nul_is_refused() {
    let archive = Tar::new().pax("path", "a\0b").file("a", "x").finish();
    refused(&[Layer::gzip(&archive)], "byte 512: the record \"path\" holds a NUL");
}

#[test]
fn a_name_of_terminal_controls_is_shown_escaped() {
    let archive = Tar::new().file("../\u{1b}[2J\u{7}\u{202e}", "x").finish();
    refused(&[Layer::gzip(&archive)], "entry \"../\\u{1b}[2J\\u{7}\\u{202e}\" at byte 0: its name climbs with `..`");
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let name = "x".repeat(300);
    let archive = Tar::new().pax("path", &name).file("a", "x").finish();
    refused(
        &[Layer::gzip(&archive)],
        "entry \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... at byte 0: a component of its name is longer than 255 bytes",
    );
}

#[test]
fn a_path_that_is_too_deep_is_refused() {
    let name = "d/".repeat(2100);
    let archive = Tar::new().pax("path", &name).dir("a").finish();
    refused(
        &[Layer::gzip(&archive)],
        "entry \"d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/\"... at byte 0: a path: over the limit unpack_path = 4096",
    );
}

#[test]
fn a_bomb_of_zeros_is_refused_by_its_ratio() {
    // Each member unfolds to 64 MiB of zeros behind the end of the archive, which no file has to hold.
    let end = Tar::new().file("fuse", "x").finish();
    let member = zstd_of_zeros(64 << 20);
    let packed = [Layer::zstd(&end).bytes, member.repeat(17)].concat();
    refused(
        &[Layer::packed(MediaType::OCI_LAYER_ZSTD, &end, packed)],
        "1074003968 uncompressed bytes from 35206: over the limit unpack_ratio = 1100",
    );
}

#[test]
fn a_bomb_of_entries_is_refused() {
    // Members of a gzip layer follow each other: ten thousand headers, again and again. They are of a kind that makes
    // nothing on disk.
    let member = gzip(&Header::new(b'0', ".wh..wh.note").to_block().repeat(10_000));
    // More than the limit by so much that nobody reaches the end of the layer first.
    let packed = member.repeat(600);
    refused(
        &[Layer::packed(MediaType::OCI_LAYER_GZIP, b"whatever", packed)],
        "entry \".wh..wh.note\" at byte 2560000000: entries of one layer: over the limit unpack_entries = 5000000",
    );
}

#[test]
fn a_bomb_of_records_is_refused() {
    let archive = Tar::new().pax("comment", &"x".repeat(2 << 20)).file("a", "x").finish();
    refused(&[Layer::gzip(&archive)], "an extended header: over the limit unpack_record = 1048576");
}

#[test]
fn a_directory_that_was_swapped_for_a_link_keeps_its_hands_off() {
    // The mode of a directory is set last: by then the name leads elsewhere.
    let scene = guarded();
    let target = scene.path("outside").display().to_string();
    let swapped = Header { mode: 0o700, ..Header::new(b'5', "d") };
    let archive = Tar::new().entry(swapped, b"").symlink("d", &target).finish();
    let server = Image::of(&[archive]).serve(|_, _| None);
    let before = scene.trace();
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "rootfs"]);
    let _ = fs::remove_dir_all(scene.path("rootfs"));
    assert_eq!(scene.trace(), before, "{ran:?}");
}

#[test]
fn a_target_reached_through_a_link_stays_where_it_is() {
    let scene = guarded();
    fs::create_dir(scene.path("real")).unwrap();
    symlink("real", scene.path("link")).unwrap();
    let server = Image::of(&[Tar::new().file("a", "x").finish()]).serve(|_, _| None);
    let ran = scene.run(["unpack", &format!("{}/app:v1", server.host()), "link"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fs::read_to_string(scene.path("real/a")).unwrap(), "x");
}

fn zstd_of_zeros(size: usize) -> Vec<u8> {
    Layer::zstd(&vec![0; size]).bytes
}
