//! Targets that can't be one.

use std::fs;

use test_support::{Reply, Scene, ScriptedServer};

use crate::{image, scene};

fn refused_at(target: &str, prepare: impl FnOnce(&Scene), error: &str, hint: &str) {
    let scene = scene();
    prepare(&scene);
    let server = image().serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["unpack", &reference, target]).is(1, &format!("unpack HOST/app:v1: {error}"), hint);
    assert!(server.requests().is_empty(), "it was found out before anything was asked for");
}

const ELSEWHERE: &str = "choose a directory that does not exist yet or is empty";

#[test]
fn a_target_that_is_not_empty_is_refused_before_anything_is_fetched() {
    let full = |scene: &Scene| {
        fs::create_dir(scene.path("full")).unwrap();
        fs::write(scene.path("full/mine"), "x").unwrap();
    };
    refused_at("full", full, "target full: it is not empty", ELSEWHERE);
}

#[test]
fn a_target_that_is_a_file_is_refused() {
    let file = |scene: &Scene| fs::write(scene.path("file"), "x").unwrap();
    refused_at("file", file, "target file: it is not a directory", ELSEWHERE);
}

#[test]
fn a_target_without_a_parent_is_refused() {
    refused_at("no/rootfs", |_| (), "directory no: No such file or directory (os error 2)", "");
}

#[test]
fn a_target_below_a_file_is_refused() {
    let file = |scene: &Scene| fs::write(scene.path("file"), "x").unwrap();
    refused_at("file/rootfs", file, "target file/rootfs: Not a directory (os error 20)", "");
}

#[test]
fn a_target_that_is_the_root_is_refused() {
    refused_at("/", |_| (), "target /: it is not empty", ELSEWHERE);
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
    let refusal = scene.refusal(&scene.run(["unpack", &reference, "rootfs"]));
    refusal.is(1, "unpack HOST/app:v1: target PLACE/here/rootfs: something else appeared there meanwhile: Directory not empty (os error 39)", ELSEWHERE);
    assert_eq!(fs::read_to_string(scene.path("rootfs/mine")).unwrap(), "x");
    assert_eq!(scene.trace().into_names(), ["here", "here/rootfs", "here/rootfs/mine", "home", "tmp"]);
}

fn pull_refused(server: &ScriptedServer, target: &str, prepare: impl FnOnce(&Scene), error: &str, hint: &str) {
    let scene = scene();
    prepare(&scene);
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["pull", &reference, target]).is(1, &format!("pull HOST/app:v1: {error}"), hint);
}

#[test]
fn a_layout_that_is_a_file_is_refused() {
    let server = image().serve(|_, _| None);
    pull_refused(
        &server,
        "oci:file",
        |scene| fs::write(scene.path("file"), "x").unwrap(),
        "create file: File exists (os error 17)",
        "choose a directory that is an image layout, is empty or does not exist yet",
    );
}

/// Another directory is the way out only where something is in the way of this one.
#[test]
fn a_layout_that_can_t_be_made_is_told_with_what_the_system_says() {
    let server = image().serve(|_, _| None);
    let long = "x".repeat(256);
    let error = format!("create {long}: File name too long (os error 36)");
    pull_refused(&server, &format!("oci:{long}"), |_| (), &error, "");
    pull_refused(
        &server,
        "oci:file/below",
        |scene| fs::write(scene.path("file"), "x").unwrap(),
        "create file/below: Not a directory (os error 20)",
        "choose a directory that is an image layout, is empty or does not exist yet",
    );
}

#[test]
fn a_directory_with_something_else_in_it_does_not_become_a_layout() {
    let server = image().serve(|_, _| None);
    let full = |scene: &Scene| {
        fs::create_dir(scene.path("full")).unwrap();
        fs::write(scene.path("full/mine"), "x").unwrap();
    };
    pull_refused(
        &server,
        "oci:full",
        full,
        "target full: it is not empty, and not an image layout",
        "choose an image layout, or a directory that does not exist yet or is empty",
    );
}

#[test]
fn a_layout_of_another_version_is_refused() {
    let server = image().serve(|_, _| None);
    let future = |scene: &Scene| {
        fs::create_dir(scene.path("future")).unwrap();
        fs::write(scene.path("future/oci-layout"), r#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
    };
    pull_refused(
        &server,
        "oci:future",
        future,
        "open future/oci-layout: image layout version 9.0.0, only 1.0.0 is known",
        "",
    );
}

#[test]
fn a_registry_that_refuses_leaves_no_new_layout_behind() {
    let server = ScriptedServer::start(|_| Reply::new(500));
    pull_refused(&server, "oci:new", |_| (), "manifest HOST/app:v1: internal server error (500)", "");
}

#[test]
fn a_layout_that_appears_meanwhile_is_added_to() {
    let scene = scene();
    fs::create_dir(scene.path("tree")).unwrap();
    let build = std::sync::Mutex::new(scene.command(["build", "oci:new:mine", "tree"]));
    let image = image();
    let layer = image.first_layer().to_string();
    let server = image.serve(move |_, request| {
        if request.target.ends_with(&layer) {
            assert!(build.lock().unwrap().output().unwrap().status.success());
        }
        None
    });
    let ran = scene.run(["pull", &format!("{}/app:v1", server.host()), "oci:new"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(scene.run(["tags", "oci:new"]).stdout, "mine\nv1\n");
    for tag in ["mine", "v1"] {
        assert_eq!(scene.run(["unpack", &format!("oci:new:{tag}"), tag]).code, Some(0));
    }
    assert!(!scene.trace().into_names().iter().any(|name| name.contains(".gantri")));
}

#[test]
fn an_existing_layout_keeps_what_it_has_when_a_pull_fails() {
    let scene = scene();
    fs::create_dir(scene.path("tree")).unwrap();
    assert_eq!(scene.run(["build", "oci:images:mine", "tree"]).code, Some(0));
    let server = ScriptedServer::start(|_| Reply::new(404));
    scene.refuses(["pull", &format!("{}/app:v1", server.host()), "oci:images"]);
    let image = image();
    let layer = image.first_layer().clone();
    let server = image.serve_but(&layer, Reply::ok("wrong"));
    assert_eq!(scene.run(["pull", &format!("{}/app:v1", server.host()), "oci:images"]).code, Some(1));
    assert_eq!(scene.run(["tags", "oci:images"]).stdout, "mine\n");
    assert!(!scene.trace().into_names().iter().any(|name| name.contains(".gantri")));
}
