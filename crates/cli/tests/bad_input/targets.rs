//! Targets that can't be one.

use std::fs;

use test_support::{Reply, ScriptedServer};

use crate::{image, scene};

fn refused_at(target: &str, prepare: impl FnOnce(&test_support::Scene), error: &str, hint: &str) {
    let scene = scene();
    prepare(&scene);
    let server = image().serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["unpack", &reference, target]).is(1, &format!("unpack {reference}: {error}"), hint);
    assert!(server.requests().is_empty(), "it was found out before anything was asked for");
}

const ELSEWHERE: &str = "choose a directory that does not exist yet or is empty";

#[test]
fn a_target_that_is_not_empty_is_refused_before_anything_is_fetched() {
    let full = |scene: &test_support::Scene| {
        fs::create_dir(scene.path("full")).unwrap();
        fs::write(scene.path("full/mine"), "x").unwrap();
    };
    refused_at("full", full, "target full: it is not empty", ELSEWHERE);
}

#[test]
fn a_target_that_is_a_file_is_refused() {
    let file = |scene: &test_support::Scene| fs::write(scene.path("file"), "x").unwrap();
    refused_at("file", file, "target file: it is not a directory", ELSEWHERE);
}

#[test]
fn a_target_without_a_parent_is_refused() {
    refused_at("no/rootfs", |_| (), "?", "");
}

#[test]
fn a_target_below_a_file_is_refused() {
    let file = |scene: &test_support::Scene| fs::write(scene.path("file"), "x").unwrap();
    refused_at("file/rootfs", file, "?", "");
}

#[test]
fn a_target_that_is_the_root_is_refused() {
    refused_at("/", |_| (), "?", ELSEWHERE);
}

#[test]
fn a_target_that_appears_meanwhile_is_left_alone() {
    let scene = scene();
    let place = scene.path("rootfs");
    let image = image();
    let layer = image.first_layer().to_string();
    let server = image.serve(move |_, request| {
        if request.target.ends_with(&layer) {
            fs::create_dir(&place).unwrap();
            fs::write(place.join("mine"), "x").unwrap();
        }
        None
    });
    let reference = format!("{}/app:v1", server.host());
    let refusal = test_support::Refusal::of(&scene.run(["unpack", &reference, "rootfs"]));
    refusal.is(1, "?", ELSEWHERE);
    assert_eq!(fs::read_to_string(scene.path("rootfs/mine")).unwrap(), "x");
    assert_eq!(scene.trace().into_names(), ["home", "tmp", "work", "work/rootfs", "work/rootfs/mine"]);
}

fn pull_refused(server: &ScriptedServer, target: &str, prepare: impl FnOnce(&test_support::Scene), error: &str) {
    let scene = scene();
    prepare(&scene);
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["pull", &reference, target]).is(1, &format!("pull {reference}: {error}"), "");
}

#[test]
fn a_layout_that_is_a_file_is_refused() {
    let server = image().serve(|_, _| None);
    pull_refused(&server, "oci:file", |scene| fs::write(scene.path("file"), "x").unwrap(), "?");
}

#[test]
fn a_directory_with_something_else_in_it_does_not_become_a_layout() {
    let server = image().serve(|_, _| None);
    let full = |scene: &test_support::Scene| {
        fs::create_dir(scene.path("full")).unwrap();
        fs::write(scene.path("full/mine"), "x").unwrap();
    };
    pull_refused(&server, "oci:full", full, "?");
}

#[test]
fn a_layout_of_another_version_is_refused() {
    let server = image().serve(|_, _| None);
    let future = |scene: &test_support::Scene| {
        fs::create_dir(scene.path("future")).unwrap();
        fs::write(scene.path("future/oci-layout"), r#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
    };
    pull_refused(&server, "oci:future", future, "?");
}

#[test]
fn a_registry_that_refuses_leaves_no_new_layout_behind() {
    let server = ScriptedServer::start(|_| Reply::new(500));
    pull_refused(&server, "oci:new", |_| (), "?");
}
