//! A disk that is full: a file system of 8 MiB, mounted where nobody else sees it.

use std::process::Command;

use test_support::image::Layer;
use test_support::{Image, Refusal, Running, Scene, Tar};

use crate::{noise, scene};

/// Runs the command in a working directory of 8 MiB, in a mount namespace of its own, and lists that directory when it is
/// over. Needs root, or a kernel that gives users namespaces; without either it fails.
fn on_a_small_disk(scene: &Scene, arguments: &[&str]) -> (Refusal, String) {
    let script = r#"mount -t tmpfs -o size=8m tmpfs . || exit 99
        cd "$PWD"
        ls -A > "$HOME/before"
        "$@"
        code=$?
        ls -A > "$HOME/after"
        exit $code"#;
    let plain = scene.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(plain.get_program()).args(arguments);
    command.current_dir(plain.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ran = Running::start(&mut command).end();
    assert_ne!(ran.code, Some(99), "no tmpfs can be mounted here: {}", ran.stderr);
    let list =
        |name: &str| std::fs::read_to_string(scene.home(name)).unwrap_or_else(|_| panic!("no namespace: {ran:?}"));
    assert_eq!(list("before"), list("after"), "{ran:?}");
    (scene.refusal(&ran), list("after"))
}

/// 32 MiB, compressed or not.
fn big_layer() -> Layer {
    Layer::gzip(&Tar::new().file("big", noise(32 << 20)).finish())
}

#[test]
fn a_pull_onto_a_full_disk_is_told_and_leaves_nothing() {
    let scene = scene();
    let server = Image::of_layers(&[big_layer()]).serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    let (refusal, left) = on_a_small_disk(&scene, &["pull", &reference, "oci:new"]);
    refusal.is(
        1,
        "pull HOST/app:v1: target: blob D1: write new/blobs/.gantri-*: No space left on device (os error 28)",
        "",
    );
    assert_eq!(left, "");
}

#[test]
fn an_unpack_onto_a_full_disk_is_told_and_leaves_nothing() {
    let scene = scene();
    let server = Image::of_layers(&[big_layer()]).serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    let (refusal, left) = on_a_small_disk(&scene, &["unpack", &reference, "rootfs"]);
    // The compressed layer or what it unfolds to: whichever takes the last byte.
    refusal.is_like(1, "unpack HOST/app:v1: layer 1 D1: ", ": No space left on device (os error 28)");
    assert_eq!(left, "");
}

#[test]
fn a_layer_that_fits_and_unfolds_beyond_the_disk_is_told_and_leaves_nothing() {
    let scene = scene();
    let archive = Tar::new().file("zeros", vec![b'z'; 32 << 20]).finish();
    let server = Image::of(&[archive]).serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    let (refusal, left) = on_a_small_disk(&scene, &["unpack", &reference, "rootfs"]);
    refusal.is(
        1,
        "unpack HOST/app:v1: layer 1 D1: entry \"zeros\" at byte 0: write it: No space left on device (os error 28)",
        "",
    );
    assert_eq!(left, "");
}

#[test]
fn a_build_onto_a_full_disk_is_told_and_leaves_nothing() {
    let scene = scene();
    std::fs::create_dir(scene.home("tree")).unwrap();
    let noise = big_layer().bytes;
    std::fs::write(scene.home("tree/big"), noise).unwrap();
    let tree = scene.home("tree").display().to_string();
    let (refusal, left) = on_a_small_disk(&scene, &["build", "oci:new", &tree]);
    refusal.is(1, "build oci:new: pack PLACE/home/tree/big: No space left on device (os error 28)", "");
    assert_eq!(left, "");
}

#[test]
fn a_copy_onto_a_full_disk_is_told_and_leaves_nothing() {
    let scene = scene();
    let server = Image::of_layers(&[big_layer()]).serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    for (target, shown) in [("oci:new", "new/blobs/.gantri-*"), ("docker-archive:new.tar", "new.tar")] {
        let (refusal, left) = on_a_small_disk(&scene, &["copy", &reference, target]);
        let start = format!("copy HOST/app:v1 -> {target}:v1: target: blob D1: write {shown}");
        refusal.is_like(1, &start, ": No space left on device (os error 28)");
        assert_eq!(left, "");
    }
}
