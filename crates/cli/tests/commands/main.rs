//! Every command at its work, through the real binary: what it prints, to the letter, and what it leaves on disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod copying;
mod credentials;
mod doctor;
mod explain;
mod images;
mod layouts;
mod login;
mod platforms;
mod progress;
mod quickstart;
mod serve;
mod single;

use std::fs;

use test_support::mask::mask;
use test_support::{Ran, Running, Scene};

fn scene() -> Scene {
    Scene::new(env!("CARGO_BIN_EXE_gantri"))
}

/// Runs a command that must succeed and say nothing beside its data, which is given masked.
#[track_caller]
fn prints(scene: &Scene, arguments: &[&str]) -> String {
    let Ran { code, stdout, stderr } = scene.run(arguments);
    assert_eq!((code, said(&stderr).as_str()), (Some(0), ""), "{arguments:?}");
    mask(&stdout)
}

/// The document that a command prints, masked.
#[track_caller]
fn json(scene: &Scene, arguments: &[&str]) -> serde_json::Value {
    let printed = prints(scene, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&printed).unwrap()
}

/// What was said, but for the note that only ordinary users get.
fn said(stderr: &str) -> String {
    stderr.lines().filter(|line| !line.starts_with("note: owners not restored")).collect::<Vec<_>>().join("\n")
}

/// A registry of its own: its process, and `127.0.0.1:PORT`.
fn serve(scene: &Scene, directory: &[&str]) -> (Running, String) {
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], directory].concat();
    let (running, url) = Running::start_and_read_line(&mut scene.command(arguments));
    (running, url.strip_prefix("http://").unwrap().to_owned())
}

/// Two directories to pack, of which the upper hides nothing of the lower.
fn trees(scene: &Scene) {
    fs::create_dir_all(scene.path("base/etc")).unwrap();
    fs::write(scene.path("base/etc/motd"), "hello\n").unwrap();
    fs::create_dir_all(scene.path("app/bin")).unwrap();
    fs::write(scene.path("app/bin/run"), "#!/bin/sh\n").unwrap();
}
