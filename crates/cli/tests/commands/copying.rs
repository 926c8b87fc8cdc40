//! Images from anywhere to anywhere, named, described and taken apart again: what is printed, and what is there then.

use std::fs;

use serde_json::{Value, json};
use test_support::{Running, Scene};

use crate::platforms::registry as two_platforms;
use crate::{json, prints, scene, serve, trees};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry, and the layout `images` that holds the image `v1` of two layers.
fn start(scene: &Scene) -> (Running, String) {
    trees(scene);
    let (running, host) = serve(scene, &[]);
    assert_eq!(prints(scene, &["build", "oci:images:v1", "base", "app"]), "D1\n");
    (running, host)
}

/// So many, whatever their size.
fn counts(copy: &Value) -> Value {
    let count = |name: &str| copy[name]["count"].clone();
    json!([count("sent"), count("mounted"), count("skipped"), count("manifests")])
}

#[test]
fn a_push_to_many_sends_what_they_share_once() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let targets = ["a:v1", "b:v1", "b"].map(|name| format!("{host}/{name}"));
    let mut arguments = vec!["push", "oci:images:v1"];
    arguments.extend(targets.iter().map(String::as_str));
    let document = json(&scene, &arguments);
    let copies = document["copies"].as_array().unwrap();
    let total = |name: &str| copies.iter().filter_map(|copy| copy[name]["count"].as_u64()).sum::<u64>();
    assert_eq!((total("sent"), total("mounted"), copies.len()), (3, 3, 3));
    assert_eq!((&copies[0]["target"], &copies[0]["tags"]), (&"HOST/a:v1".into(), &json!(["v1"])));
    assert_eq!((&copies[2]["target"], &copies[2]["tags"]), (&"HOST/b".into(), &json!(["latest"])));
    assert_eq!(prints(&scene, &["tags", &format!("{host}/b")]), "latest\nv1\n");
    // Once more there is nothing to do.
    assert_eq!(prints(&scene, &arguments), "D1\n");
}

#[test]
fn a_copy_says_what_it_did() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let (from, to) = (format!("{host}/a:v1"), format!("{host}/b/c:v2"));
    prints(&scene, &["push", "oci:images:v1", &from]);
    let document = json(&scene, &["copy", &from, &to]);
    let copy = &document["copies"][0];
    let size = scene.run(["manifest", &from]).stdout.len();
    let expected = json!({
        "source": "HOST/a:v1", "target": "HOST/b/c:v2", "digest": "D1", "mediaType": MANIFEST_TYPE, "size": size,
        "tags": ["v2"],
        "sent": { "count": 0, "bytes": 0 },
        "mounted": { "count": 3, "bytes": copy["mounted"]["bytes"] },
        "skipped": { "count": 0, "bytes": 0 },
        "manifests": { "count": 1, "bytes": size },
    });
    assert_eq!(copy, &expected);
    let again = json(&scene, &["copy", &from, &to]);
    assert_eq!(counts(&again["copies"][0]), json!([0, 0, 1, 0]));
    assert_eq!(prints(&scene, &["copy", &from, &to]), "D1\n");
}

#[test]
fn an_image_goes_through_every_kind_of_place_and_stays_the_same() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let digest = scene.run(["digest", "oci:images:v1"]).stdout;
    let steps = [
        "docker-archive:one.tar:team/app:v1".to_owned(),
        "oci-archive:two.tar:v1".to_owned(),
        format!("{host}/team/app:v1"),
        "oci:three:v1".to_owned(),
        "docker-archive:four.tar:v2".to_owned(),
    ];
    let mut from = "oci:images:v1".to_owned();
    for to in steps {
        assert_eq!(scene.run(["copy", &from, &to]).stdout, digest, "{from} -> {to}");
        assert_eq!(scene.run(["digest", &to]).stdout, digest, "{to}");
        from = to;
    }
    assert_eq!(prints(&scene, &["unpack", "docker-archive:one.tar:team/app:v1", "rootfs"]), "D1\n");
    assert_eq!(fs::read_to_string(scene.path("rootfs/etc/motd")).unwrap(), "hello\n");
    assert_eq!(prints(&scene, &["tags", "docker-archive:four.tar"]), "latest\n", "a bare word is a name there");
    assert_eq!(prints(&scene, &["pull", "oci-archive:two.tar", "docker-archive:five.tar:app"]), "D1\n");
    assert_eq!(prints(&scene, &["push", "docker-archive:five.tar", &format!("{host}/other:v1")]), "D1\n");
    assert_eq!(prints(&scene, &["build", "docker-archive:six.tar:app:v1", "base", "app"]), "D1\n");
    assert_eq!(scene.run(["digest", "docker-archive:six.tar"]).stdout, digest);
}

#[test]
fn every_tag_of_a_repository_is_copied() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let from = format!("{host}/a");
    prints(&scene, &["push", "oci:images:v1", &format!("{from}:v1"), &format!("{from}:v2")]);
    let printed = prints(&scene, &["copy", "--all-tags", &from, "oci-archive:all.tar"]);
    assert_eq!(printed, "D1 oci-archive:all.tar:v1\nD1 oci-archive:all.tar:v2\n");
    let printed = prints(&scene, &["push", "--all-tags", "oci-archive:all.tar", &format!("{host}/b")]);
    assert_eq!(printed, "D1 HOST/b:v1\nD1 HOST/b:v2\n");
    assert_eq!(prints(&scene, &["tags", &format!("{host}/b")]), "v1\nv2\n");
    scene.refuses(["copy", "--all-tags", &format!("{from}:v1"), "oci:all"]).is(
        2,
        "--all-tags: \"HOST/a:v1\" names one of them",
        "",
    );
}

#[test]
fn a_dry_run_says_each_step_and_writes_nothing() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let (from, to) = (format!("{host}/a:v1"), format!("{host}/b:v1"));
    let before = scene.trace();
    let printed = prints(&scene, &["push", "oci:images:v1", &from, "--dry-run"]);
    let words = |printed: &str| -> Vec<String> {
        printed.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(words(&printed), ["send", "send", "send", "send", "tag"], "{printed}");
    assert!(printed.ends_with("\ntag D4 HOST/a:v1\n"), "{printed}");
    assert_eq!(prints(&scene, &["repositories", &host]), "");
    prints(&scene, &["push", "oci:images:v1", &from]);
    let printed = prints(&scene, &["copy", &from, &to, "--dry-run"]);
    assert_eq!(words(&printed), ["mount", "mount", "mount", "send", "tag"], "{printed}");
    assert_eq!(words(&prints(&scene, &["copy", &from, &from, "--dry-run"])), ["skip", "tag"]);
    let document = json(&scene, &["copy", &from, "oci:new:v1", "--dry-run"]);
    assert_eq!(counts(&document["copies"][0]), json!([3, 0, 0, 1]));
    let last = document["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["action"], &last["mediaType"]), (&"send".into(), &MANIFEST_TYPE.into()));
    assert_eq!(last["repository"], Value::Null, "a layout has none");
    for target in ["oci:images:v2", "oci-archive:new.tar", "docker-archive:new.tar"] {
        prints(&scene, &["copy", &from, target, "--dry-run"]);
    }
    assert_eq!(scene.trace(), before);
}

#[test]
fn an_index_is_copied_whole_unless_platforms_are_chosen() {
    let scene = scene();
    let (_server, image) = two_platforms();
    let whole = scene.run(["digest", &image]).stdout;
    let copied = |arguments: &[&str]| scene.run(arguments).stdout;
    assert_eq!(copied(&["copy", &image, "oci:whole"]), whole);
    assert_eq!(copied(&["copy", "--all-platforms", &image, "oci:whole"]), whole);
    assert_eq!(copied(&["pull", "--all-platforms", &image, "oci:pulled"]), whole);
    assert_eq!(copied(&["digest", "oci:pulled:v1"]), whole, "under its own tag");
    let arm = copied(&["digest", &image, "--platform", "linux/arm64/v8"]);
    assert_eq!(copied(&["copy", "--platform", "linux/arm64", "oci:whole:v1", "oci:arm:v1"]), arm);
    for choice in [
        &["--platform", "linux/arm64,linux/riscv64"][..],
        &["--platform", "linux/arm64", "--platform", "linux/riscv64"],
    ] {
        let both = copied(&[&["copy", &image, "oci:two:v1"][..], choice].concat());
        assert!(both != whole && both != arm);
        let index: Value = serde_json::from_str(&copied(&["manifest", "oci:two:v1"])).unwrap();
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
    }
    // All that was copied of it can be used.
    prints(&scene, &["unpack", "oci:two:v1", "riscv", "--platform", "linux/riscv64"]);
    assert_eq!(fs::read_to_string(scene.path("riscv/platform")).unwrap(), "linux/riscv64");
}

#[test]
fn tags_are_moved() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let repository = format!("{host}/a");
    prints(&scene, &["push", "oci:images:v1", &format!("{repository}:v1")]);
    assert_eq!(prints(&scene, &["tag", &format!("{repository}:v1"), "v2", "stable"]), "D1\n");
    assert_eq!(prints(&scene, &["tags", &repository]), "stable\nv1\nv2\n");
    prints(&scene, &["build", "oci:images:other", "base"]);
    let document = json(&scene, &["tag", "oci:images:other", "v1"]);
    let size = scene.run(["manifest", "oci:images:other"]).stdout.len();
    let expected = json!({
        "source": "oci:images:other", "tags": ["v1"], "digest": "D1", "mediaType": MANIFEST_TYPE, "size": size,
    });
    assert_eq!(document, expected);
    assert_eq!(scene.run(["digest", "oci:images:v1"]).stdout, scene.run(["digest", "oci:images:other"]).stdout);
}

#[test]
fn files_are_attached_listed_copied_along_and_fetched_back() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let image = format!("{host}/a:v1");
    prints(&scene, &["push", "oci:images:v1", &image]);
    fs::write(scene.path("bill.json"), "{}").unwrap();
    let kind = "application/spdx+json";
    let attach =
        ["attach", &image, "--artifact-type", kind, "--annotation", "by=me", "bill.json:application/json", "base"];
    let document = json(&scene, &attach);
    let expected = json!({
        "subject": "HOST/a:v1", "artifactType": kind, "target": "HOST/a@D1", "digest": "D1",
        "mediaType": MANIFEST_TYPE, "size": document["size"],
    });
    assert_eq!(document, expected);
    assert_eq!(prints(&scene, &["attach", &image, "--artifact-type", "text/x", "bill.json"]), "D1\n");
    let listed = prints(&scene, &["referrers", &image, "--artifact-type", kind]);
    assert_eq!(listed, format!("D1 {kind}\n"));
    prints(&scene, &["copy", "--referrers", &image, "oci:copy:v1"]);
    let digest = scene.run(["referrers", "oci:copy:v1", "--artifact-type", kind]).stdout;
    let digest = digest.split(' ').next().unwrap().to_owned();
    let manifest: Value = serde_json::from_str(&scene.run(["manifest", &format!("oci:copy@{digest}")]).stdout).unwrap();
    assert_eq!(
        (&manifest["annotations"], &manifest["layers"][0]["mediaType"]),
        (&json!({ "by": "me" }), &"application/json".into())
    );
    let document = json(&scene, &["fetch", &format!("oci:copy@{digest}"), "back"]);
    assert_eq!((&document["artifactType"], &document["files"]), (&kind.into(), &json!(["base", "bill.json"])));
    assert_eq!(fs::read_to_string(scene.path("back/bill.json")).unwrap(), "{}");
    assert_eq!(fs::read_to_string(scene.path("back/base/etc/motd")).unwrap(), "hello\n");
}

/// An image without an index is taken as it is, which may not be what was meant.
#[test]
fn an_image_for_another_platform_is_told() {
    let scene = scene();
    trees(&scene);
    prints(&scene, &["build", "oci:images:v1", "base"]);
    let host = gantri::Platform::host();
    let note = format!("note: the image is for {host}, not for windows/s390x\n");
    let ran = scene.run(["pull", "oci:images:v1", "oci:other", "--platform", "windows/s390x"]);
    assert_eq!((ran.code, ran.stderr), (Some(0), note));
}

#[test]
fn jobs_are_at_least_one() {
    let scene = scene();
    let (_running, host) = start(&scene);
    let image = format!("{host}/a:v1");
    assert_eq!(prints(&scene, &["push", "oci:images:v1", &image, "--jobs", "1"]), "D1\n");
    assert_eq!(prints(&scene, &["pull", &image, "oci:back", "--jobs", "64"]), "D1\n");
    scene.refuses(["copy", &image, "oci:back", "--jobs", "0"]).is(
        2,
        "invalid value '0' for '--jobs <N>': 0 is not in 1..=65535",
        "gantri copy --help",
    );
}
