//! Image layouts as sources and targets: everything that a registry can do for a reader, a directory can.

use std::fs;

use serde_json::Value;

use crate::{prints, scene, trees};

#[test]
fn a_build_is_the_same_wherever_it_is_made() {
    let scene = scene();
    trees(&scene);
    let first = scene.run(["build", "oci:one:v1", "base", "app"]).stdout;
    let second = scene.run(["build", "oci:two/of/them:v1", "base", "app"]).stdout;
    assert_eq!(first, second);
    let document: Value =
        serde_json::from_str(&prints(&scene, &["build", "oci:three:v1", "base", "app", "--format", "json"])).unwrap();
    assert_eq!((&document["target"], &document["digest"]), (&"oci:three:v1".into(), &"D1".into()));
}

#[test]
fn a_layout_is_read_like_a_registry() {
    let scene = scene();
    trees(&scene);
    let digest = scene.run(["build", "oci:images:v1", "base", "app"]).stdout;
    assert_eq!(prints(&scene, &["tags", "oci:images"]), "v1\n");
    assert_eq!(scene.run(["digest", "oci:images:v1"]).stdout, digest);
    let manifest = scene.run(["manifest", "oci:images:v1"]).stdout;
    assert_eq!(format!("{}\n", gantri::Digest::of(manifest.as_bytes())), digest);
    let config: Value = serde_json::from_str(&scene.run(["config", "oci:images:v1"]).stdout).unwrap();
    assert_eq!(config["rootfs"]["type"], "layers");
    assert_eq!(prints(&scene, &["unpack", "oci:images:v1", "rootfs"]), "D1\n");
    assert_eq!(fs::read_to_string(scene.path("rootfs/bin/run")).unwrap(), "#!/bin/sh\n");
}

#[test]
fn a_layout_is_pulled_into_another() {
    let scene = scene();
    trees(&scene);
    let digest = scene.run(["build", "oci:images:v1", "base"]).stdout;
    assert_eq!(scene.run(["pull", "oci:images:v1", "oci:copy"]).stdout, digest);
    assert_eq!(prints(&scene, &["tags", "oci:copy"]), "v1\n");
    let names = test_support::process::names(&scene.path("copy"));
    assert_eq!(names.len(), 2 + 2 + 3, "{names:?}");
}

#[test]
fn an_empty_directory_becomes_a_layout_and_a_full_target_a_tree() {
    let scene = scene();
    trees(&scene);
    fs::create_dir(scene.path("empty")).unwrap();
    assert_eq!(prints(&scene, &["build", "oci:empty:v1", "base"]), "D1\n");
    fs::create_dir(scene.path("rootfs")).unwrap();
    assert_eq!(prints(&scene, &["unpack", "oci:empty:v1", "rootfs"]), "D1\n");
    assert_eq!(fs::read_to_string(scene.path("rootfs/etc/motd")).unwrap(), "hello\n");
}
