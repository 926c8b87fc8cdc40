//! An image in a registry: pushed, listed, looked at, pulled and unpacked.

use std::fs;

use serde_json::Value;
use test_support::{Running, Scene};

use crate::{json, prints, scene, serve, trees};

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry that holds `team/app:v1` and `team/app:v2`, one image.
fn registry(scene: &Scene) -> (Running, String) {
    trees(scene);
    let (running, host) = serve(scene, &[]);
    assert_eq!(prints(scene, &["build", "oci:images:v1", "base", "app"]), "D1\n");
    let (v1, v2) = (format!("{host}/team/app:v1"), format!("{host}/team/app:v2"));
    assert_eq!(prints(scene, &["push", "oci:images:v1", &v1, &v2]), "D1\n");
    (running, format!("{host}/team/app"))
}

#[test]
fn tags_are_printed_line_by_line() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    assert_eq!(prints(&scene, &["tags", &repository]), "v1\nv2\n");
    let expected = serde_json::json!({ "repository": "HOST/team/app", "tags": ["v1", "v2"] });
    assert_eq!(json(&scene, &["tags", &repository]), expected);
}

#[test]
fn a_digest_is_printed_alone() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let digest = scene.run(["digest", &format!("{repository}:v1")]).stdout;
    assert_eq!(prints(&scene, &["digest", &format!("{repository}:v2")]), "D1\n");
    assert_eq!(scene.run(["digest", &format!("{repository}@{}", digest.trim_end())]).stdout, digest);
    let document = json(&scene, &["digest", &format!("{repository}:v1")]);
    assert_eq!((&document["digest"], &document["mediaType"]), (&"D1".into(), &MANIFEST_TYPE.into()));
    assert!(document["size"].is_u64());
}

#[test]
fn a_manifest_is_printed_byte_for_byte() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let image = format!("{repository}:v1");
    let digest = scene.run(["digest", &image]).stdout;
    let manifest = scene.run(["manifest", &image]).stdout;
    assert_eq!(format!("{}\n", gantri::Digest::of(manifest.as_bytes())), digest);
    let parsed: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(parsed["layers"].as_array().map(Vec::len), Some(2));
    let document = scene.run(["manifest", &image, "--format", "json"]).stdout;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["manifest"], parsed);
    assert_eq!(document["descriptor"]["digest"], digest.trim_end());
}

#[test]
fn a_config_is_printed_byte_for_byte() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let image = format!("{repository}:v1");
    let manifest: Value = serde_json::from_str(&scene.run(["manifest", &image]).stdout).unwrap();
    let config = scene.run(["config", &image]).stdout;
    assert_eq!(gantri::Digest::of(config.as_bytes()).to_string(), manifest["config"]["digest"]);
    let document: Value = serde_json::from_str(&scene.run(["config", &image, "--format", "json"]).stdout).unwrap();
    assert_eq!(document["descriptor"]["mediaType"], CONFIG_TYPE);
    assert_eq!(document["config"]["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_blob_is_printed_byte_for_byte() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let config = scene.run(["config", &format!("{repository}:v1")]).stdout;
    let digest = gantri::Digest::of(config.as_bytes());
    assert_eq!(scene.run(["blob", &format!("{repository}@{digest}")]).stdout, config);
}

#[test]
fn a_pull_prints_the_digest_and_leaves_a_layout() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let image = format!("{repository}:v1");
    assert_eq!(prints(&scene, &["pull", &image, "oci:pulled"]), "D1\n");
    assert_eq!(prints(&scene, &["tags", "oci:pulled"]), "v1\n");
    assert_eq!(scene.run(["digest", "oci:pulled:v1"]).stdout, scene.run(["digest", &image]).stdout);
    let document = json(&scene, &["pull", &image, "oci:pulled:renamed"]);
    assert_eq!(document["source"], "HOST/team/app:v1");
    assert_eq!(document["target"], "oci:pulled:renamed");
    assert_eq!((&document["digest"], &document["mediaType"]), (&"D1".into(), &MANIFEST_TYPE.into()));
    assert_eq!(prints(&scene, &["tags", "oci:pulled"]), "renamed\nv1\n");
}

#[test]
fn an_unpack_prints_the_digest_and_leaves_the_tree() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let image = format!("{repository}:v1");
    assert_eq!(prints(&scene, &["unpack", &image, "rootfs"]), "D1\n");
    assert_eq!(test_support::process::names(&scene.path("rootfs")), ["bin", "bin/run", "etc", "etc/motd"]);
    assert_eq!(fs::read_to_string(scene.path("rootfs/etc/motd")).unwrap(), "hello\n");
    let mut document = json(&scene, &["unpack", &image, "again"]);
    // As root there are none.
    assert!(document["notices"].take().is_array());
    let expected = serde_json::json!({
        "source": "HOST/team/app:v1", "target": "again", "digest": "D1", "entries": 4, "bytes": 16, "notices": null,
    });
    assert_eq!(document, expected);
}

#[test]
fn quiet_says_nothing_and_prints_the_same() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let image = format!("{repository}:v1");
    for command in [vec!["digest", &image], vec!["unpack", &image, "rootfs"], vec!["pull", &image, "oci:pulled"]] {
        assert_eq!(prints(&scene, &[command, vec!["--quiet"]].concat()), "D1\n");
    }
}

#[test]
fn verbose_says_what_is_decided_on_standard_error_alone() {
    let scene = scene();
    let (_running, repository) = registry(&scene);
    let ran = scene.run(["digest", "-v", &format!("{repository}:v1")]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(test_support::mask::mask(&ran.stdout), "D1\n");
}
