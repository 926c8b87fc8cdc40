//! Single things, put, mounted and deleted: blobs, manifests, tags.

use std::fs::{self, File};

use serde_json::{Value, json};
use test_support::{Ran, Running, Scene};

use crate::{json, prints, said, scene, serve, trees};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// Runs a command that must succeed, with this file as its standard input.
fn prints_reading(scene: &Scene, arguments: &[&str], file: &str) -> String {
    let mut command = scene.command(arguments);
    let Ran { code, stdout, stderr } = Running::start(command.stdin(File::open(scene.path(file)).unwrap())).end();
    assert_eq!((code, said(&stderr).as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

/// A manifest that needs nothing but the blob `{}`, which this puts.
fn bare_manifest(scene: &Scene, repository: &str, annotation: &str) -> String {
    fs::write(scene.path("empty"), "{}").unwrap();
    prints(scene, &["blob", "put", repository, "empty"]);
    let empty = json!({ "mediaType": EMPTY_TYPE, "digest": gantri::Digest::of(b"{}"), "size": 2 });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": "application/x",
        "config": empty, "layers": [empty], "annotations": { "a": annotation },
    });
    // Not as a program would write it: every byte is kept.
    format!("  {manifest:#}\n")
}

#[test]
fn a_blob_is_put_from_a_file_and_comes_back() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    fs::write(scene.path("file"), "some bytes").unwrap();
    let digest = gantri::Digest::of(b"some bytes");
    let repository = format!("{host}/team/app");
    for target in [repository.clone(), format!("{repository}@{digest}")] {
        assert_eq!(scene.run(["blob", "put", &target, "file"]).stdout, format!("{digest}\n"));
    }
    assert_eq!(prints(&scene, &["blob", &format!("{repository}@{digest}")]), "some bytes");
    let expected = json!({ "repository": "HOST/team/app", "digest": "D1", "size": 10 });
    assert_eq!(json(&scene, &["blob", "put", &repository, "file"]), expected);
}

/// Of what comes through a pipe nobody knows the size, nor the digest unless it is named.
#[test]
fn a_blob_is_put_from_standard_input() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    let repository = format!("{host}/team/app");
    for (name, bytes) in [("none", vec![]), ("few", b"abc".to_vec()), ("many", vec![7; 20 << 20])] {
        fs::write(scene.path(name), &bytes).unwrap();
        let digest = gantri::Digest::of(&bytes);
        for target in [repository.clone(), format!("{repository}@{digest}")] {
            let printed = prints_reading(&scene, &["blob", "put", &target, "-"], name);
            assert_eq!(printed, format!("{digest}\n"), "{target}");
        }
        let blob = format!("{repository}@{digest}");
        assert_eq!(scene.run(["blob", &blob]).stdout.as_bytes(), bytes, "{name}");
    }
}

#[test]
fn a_blob_goes_into_a_layout_and_comes_out_of_it() {
    let scene = scene();
    fs::write(scene.path("file"), "some bytes").unwrap();
    let digest = prints_reading(&scene, &["blob", "put", "oci:images", "-"], "file");
    assert_eq!(prints(&scene, &["blob", &format!("oci:images@{}", digest.trim_end())]), "some bytes");
    prints(&scene, &["blob", "delete", &format!("oci:images@{}", digest.trim_end())]);
    assert_eq!(scene.run(["blob", &format!("oci:images@{}", digest.trim_end())]).code, Some(3));
}

#[test]
fn a_manifest_is_put_byte_for_byte() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    let repository = format!("{host}/team/app");
    let text = bare_manifest(&scene, &repository, "one");
    fs::write(scene.path("manifest"), &text).unwrap();
    let digest = gantri::Digest::of(text.as_bytes());
    let (tagged, by_digest) = (format!("{repository}:v1"), format!("{repository}@{digest}"));
    assert_eq!(prints(&scene, &["manifest", "put", &tagged, "manifest"]), "D1\n");
    assert_eq!(scene.run(["manifest", &tagged]).stdout, text);
    assert_eq!(prints_reading(&scene, &["manifest", "put", &by_digest, "-"], "manifest"), format!("{digest}\n"));
    assert_eq!(prints(&scene, &["tags", &repository]), "v1\n", "by its digest it gets no tag");
    let expected = json!({
        "target": "HOST/team/app:v2", "digest": "D1", "mediaType": MANIFEST_TYPE, "size": text.len(),
        "tags": ["v2"], "subject": Value::Null,
    });
    let put = ["manifest", "put", &format!("{repository}:v2"), "manifest", "--media-type", MANIFEST_TYPE];
    assert_eq!(json(&scene, &put), expected);
}

#[test]
fn a_blob_is_mounted_from_another_repository() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    fs::write(scene.path("file"), "some bytes").unwrap();
    let digest = scene.run(["blob", "put", &format!("{host}/a"), "file"]).stdout;
    let (blob, target) = (format!("{host}/a@{}", digest.trim_end()), format!("{host}/b"));
    assert_eq!(prints(&scene, &["mount", &blob, &target]), "D1\n");
    assert_eq!(prints(&scene, &["blob", &format!("{target}@{}", digest.trim_end())]), "some bytes");
    let expected = json!({ "source": "HOST/a", "target": "HOST/b", "digest": "D1", "mounted": true });
    assert_eq!(json(&scene, &["mount", &blob, &target]), expected);
}

/// A tag goes alone; by its digest a manifest goes, and all that point at it.
#[test]
fn a_tag_is_deleted_alone_and_a_manifest_with_its_tags() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    trees(&scene);
    let repository = format!("{host}/team/app");
    let digest = scene.run(["build", "oci:images:v1", "base"]).stdout;
    for tag in ["v1", "v2", "v3"] {
        prints(&scene, &["push", "oci:images:v1", &format!("{repository}:{tag}")]);
    }
    assert_eq!(prints(&scene, &["delete", &format!("{repository}:v1")]), "");
    assert_eq!(prints(&scene, &["tags", &repository]), "v2\nv3\n");
    let by_digest = format!("{repository}@{}", digest.trim_end());
    assert_eq!(prints(&scene, &["digest", &by_digest]), "D1\n");
    assert_eq!(json(&scene, &["delete", &by_digest]), json!({ "deleted": "HOST/team/app@D1" }));
    assert_eq!(prints(&scene, &["tags", &repository]), "");
    assert_eq!(scene.run(["digest", &by_digest]).code, Some(3));
    // A layout obeys the same verbs.
    assert_eq!(prints(&scene, &["delete", "oci:images:v1"]), "");
    assert_eq!(prints(&scene, &["tags", "oci:images"]), "");
    assert_eq!(prints(&scene, &["delete", &format!("oci:images@{}", digest.trim_end())]), "");
}

#[test]
fn a_blob_is_deleted() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    fs::write(scene.path("file"), "some bytes").unwrap();
    let repository = format!("{host}/team/app");
    let digest = scene.run(["blob", "put", &repository, "file"]).stdout;
    let blob = format!("{repository}@{}", digest.trim_end());
    assert_eq!(json(&scene, &["blob", "delete", &blob]), json!({ "deleted": "HOST/team/app@D1" }));
    assert_eq!(scene.run(["blob", &blob]).code, Some(3));
}

#[test]
fn repositories_are_listed() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    fs::write(scene.path("file"), "x").unwrap();
    for repository in ["b", "a/nested/one", "a"] {
        prints(&scene, &["blob", "put", &format!("{host}/{repository}"), "file"]);
    }
    assert_eq!(prints(&scene, &["repositories", &host]), "a\na/nested/one\nb\n");
    let expected = json!({ "registry": "HOST", "repositories": ["a", "a/nested/one", "b"] });
    assert_eq!(json(&scene, &["repositories", &host]), expected);
}

#[test]
fn referrers_are_listed_by_digest_and_type() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    let repository = format!("{host}/team/app");
    let subject = bare_manifest(&scene, &repository, "subject");
    fs::write(scene.path("subject"), &subject).unwrap();
    prints(&scene, &["manifest", "put", &format!("{repository}:v1"), "subject"]);
    let refers_to = json!({
        "mediaType": MANIFEST_TYPE, "digest": gantri::Digest::of(subject.as_bytes()), "size": subject.len(),
    });
    let mut digests = Vec::new();
    for name in ["application/spdx+json", "application/vnd.example.signature"] {
        let mut referrer: Value = serde_json::from_str(&subject).unwrap();
        referrer["subject"] = refers_to.clone();
        referrer["artifactType"] = name.into();
        let text = referrer.to_string();
        fs::write(scene.path("referrer"), &text).unwrap();
        let digest = gantri::Digest::of(text.as_bytes());
        let put = json(&scene, &["manifest", "put", &format!("{repository}@{digest}"), "referrer"]);
        assert_eq!((&put["digest"], &put["tags"]), (&"D1".into(), &json!([])));
        assert!(put["subject"].is_string(), "the registry says for what it lists it");
        digests.push((digest.to_string(), name));
    }
    let v1 = format!("{repository}:v1");
    let all = scene.run(["referrers", &v1]).stdout;
    let mut lines: Vec<String> = digests.iter().map(|(digest, name)| format!("{digest} {name}")).collect();
    lines.sort();
    assert_eq!(all.lines().collect::<Vec<_>>(), lines);
    assert_eq!(prints(&scene, &["referrers", &v1, "--artifact-type", digests[0].1]), format!("D1 {}\n", digests[0].1));
    let document = json(&scene, &["referrers", &v1, "--artifact-type", digests[1].1]);
    assert_eq!(document["subject"], "D2");
    let expected = json!([{
        "mediaType": MANIFEST_TYPE, "digest": "D1", "size": document["referrers"][0]["size"],
        "artifactType": digests[1].1, "annotations": { "a": "subject" },
    }]);
    assert_eq!(document["referrers"], expected);
    // What is not there may be referred to all the same.
    let absent = format!("{repository}@{}", gantri::Digest::of(b"absent"));
    assert_eq!(prints(&scene, &["referrers", &absent]), "");
}
