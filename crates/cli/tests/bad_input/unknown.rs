//! Names that nothing has: exit code 3, and a list of what there is.

use test_support::{Reply, Running, Scene, ScriptedServer, Tar};

use crate::{image, scene};

/// A registry of ours with one image, `team/app:v1`, and an image layout `images` that holds it too.
fn registry(scene: &Scene) -> (Running, String) {
    std::fs::create_dir(scene.path("tree")).unwrap();
    std::fs::write(scene.path("tree/file"), "x").unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let (running, url) = Running::start_and_read_line(&mut scene.command(serve));
    let host = url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(scene.run(["build", "oci:images:v1", "tree"]).code, Some(0));
    for tag in ["v1", "v2"] {
        assert_eq!(scene.run(["push", "oci:images:v1", &format!("{host}/team/app:{tag}")]).code, Some(0));
    }
    (running, host)
}

#[test]
fn an_unknown_tag_is_told_with_the_tags_that_there_are() {
    let scene = scene();
    let (_running, host) = registry(&scene);
    let reference = format!("{host}/team/app:v3");
    let by_head = "not found (404)";
    let by_get = "team/app: manifest v3 unknown (404 MANIFEST_UNKNOWN)";
    for (verb, told) in [("digest", by_head), ("manifest", by_get), ("config", by_get)] {
        let error = format!("manifest HOST/team/app:v3: {told}");
        scene.refuses([verb, &reference]).is(3, &error, "tags there are: v1, v2");
    }
}

#[test]
fn an_unknown_tag_is_neither_pulled_nor_unpacked() {
    let scene = scene();
    let (_running, host) = registry(&scene);
    let reference = format!("{host}/team/app:v3");
    scene.refuses(["pull", &reference, "oci:new"]).is(
        3,
        "pull HOST/team/app:v3: manifest HOST/team/app:v3: team/app: manifest v3 unknown (404 MANIFEST_UNKNOWN)",
        "tags there are: v1, v2",
    );
    scene.refuses(["unpack", &reference, "rootfs"]).is(
        3,
        "unpack HOST/team/app:v3: manifest HOST/team/app:v3: team/app: manifest v3 unknown (404 MANIFEST_UNKNOWN)",
        "tags there are: v1, v2",
    );
}

#[test]
fn an_unknown_repository_is_told_with_the_repositories_that_there_are() {
    let scene = scene();
    let (_running, host) = registry(&scene);
    scene.refuses(["tags", &format!("{host}/team/other")]).is(
        3,
        "tags of HOST/team/other: team/other: repository unknown (404 NAME_UNKNOWN)",
        "repositories there are: team/app",
    );
    scene.refuses(["unpack", &format!("{host}/team/other:v1"), "rootfs"]).is(
        3,
        "unpack HOST/team/other:v1: manifest HOST/team/other:v1: team/other: repository unknown (404 NAME_UNKNOWN)",
        "repositories there are: team/app",
    );
}

#[test]
fn an_unknown_digest_is_told() {
    let scene = scene();
    let (_running, host) = registry(&scene);
    let digest = format!("sha256:{}", "ab".repeat(32));
    scene.refuses(["manifest", &format!("{host}/team/app@{digest}")]).is(
        3,
        "manifest HOST/team/app@D1: team/app: manifest D1 unknown (404 MANIFEST_UNKNOWN)",
        "",
    );
    scene.refuses(["blob", &format!("{host}/team/app@{digest}")]).is(
        3,
        "blob HOST/team/app@D1: team/app: blob D1 unknown (404 BLOB_UNKNOWN)",
        "",
    );
}

/// With a tag beside it as without: it is named once.
#[test]
fn an_unknown_digest_beside_a_tag_is_told_once() {
    let scene = scene();
    let (_running, host) = registry(&scene);
    let reference = format!("{host}/team/app:v1@sha256:{}", "ab".repeat(32));
    scene.refuses(["digest", &reference]).is(3, "manifest HOST/team/app@D1: not found (404)", "");
}

/// Where a directory lies that is served is no matter of whoever asks.
#[test]
fn a_directory_that_is_served_is_not_told() {
    let scene = scene();
    drop(registry(&scene));
    let mut serve = scene.command(["serve", "--listen", "127.0.0.1:0"]);
    let (_running, url) = Running::start_and_read_line(serve.arg(scene.path("registry")));
    let place = format!("{}/team/app", url.strip_prefix("http://").unwrap());
    assert_eq!(scene.run(["push", "oci:images:v1", &format!("{place}:v1")]).code, Some(0));
    let digest = format!("sha256:{}", "00".repeat(32));
    let cases = [
        (format!("blob {place}@{digest}"), "blob HOST/team/app@D1: team/app: blob D1 unknown (404 BLOB_UNKNOWN)"),
        (
            format!("manifest {place}@{digest}"),
            "manifest HOST/team/app@D1: team/app: manifest D1 unknown (404 MANIFEST_UNKNOWN)",
        ),
    ];
    for (line, error) in cases {
        scene.refuses(line.split(' ')).is(3, error, "");
    }
}

#[test]
fn an_unknown_platform_is_told_with_the_platforms_that_there_are() {
    let scene = scene();
    let image = image();
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{0}","size":{1},"platform":{{"os":"linux","architecture":"amd64"}}}},
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{0}","size":{1},"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}]}}"#,
        image.manifest.digest(),
        image.manifest.bytes().len()
    );
    let server = image.serve(move |_, request| {
        let index = || Reply::ok(index.clone()).header("content-type", "application/vnd.oci.image.index.v1+json");
        request.target.ends_with("/manifests/v1").then(index)
    });
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["unpack", &reference, "rootfs", "--platform", "linux/s390x"]).is(
        3,
        "unpack HOST/app:v1: index D1: no image for platform linux/s390x (there are: linux/amd64, linux/arm64/v8)",
        "ask for one of the platforms that are there",
    );
    scene.refuses(["pull", &reference, "oci:new", "--platform", "windows/amd64"]).is(
        3,
        "pull HOST/app:v1: index D1: no image for platform windows/amd64 (there are: linux/amd64, linux/arm64/v8)",
        "ask for one of the platforms that are there",
    );
}

#[test]
fn an_unknown_tag_of_a_layout_is_told_with_the_tags_that_there_are() {
    let scene = scene();
    drop(registry(&scene));
    scene.refuses(["digest", "oci:images:v9"]).is(
        3,
        "manifest oci:images:v9: images: manifest v9 unknown",
        "tags there are: v1",
    );
    scene.refuses(["unpack", "oci:images:v9", "rootfs"]).is(
        3,
        "unpack oci:images:v9: images: manifest v9 unknown",
        "tags there are: v1",
    );
}

#[test]
fn a_directory_that_is_no_layout_is_told() {
    let scene = scene();
    std::fs::create_dir(scene.path("plain")).unwrap();
    scene.refuses(["digest", "oci:plain:v1"]).is(
        1,
        "manifest oci:plain:v1: open plain: not an image layout, it has no oci-layout",
        "",
    );
    scene.refuses(["tags", "oci:absent"]).is(
        1,
        "tags of oci:absent: open absent: not an image layout, it has no oci-layout",
        "",
    );
}

#[test]
fn a_foreign_registry_s_words_for_what_is_unknown_are_kept() {
    let body = |code: &str, message: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    let cases = [
        ("MANIFEST_UNKNOWN", "manifest unknown", "manifest HOST/app:v1: manifest unknown (404 MANIFEST_UNKNOWN)"),
        (
            "NAME_UNKNOWN",
            "repository name not known to registry",
            "manifest HOST/app:v1: repository name not known to registry (404 NAME_UNKNOWN)",
        ),
    ];
    for (code, message, error) in cases {
        let body = body(code, message);
        let server =
            ScriptedServer::start(move |_| Reply::new(404).body(test_support::Body::Whole(body.clone().into())));
        let scene = scene();
        scene.refuses(["manifest", &format!("{}/app:v1", server.host())]).is(3, error, "");
    }
}

#[test]
fn a_layer_that_the_registry_has_lost_is_told() {
    let image = crate::Image::of(&[Tar::new().file("a", "b").finish()]);
    let lost = image.first_layer().clone();
    let server = image.serve_but(&lost, Reply::new(404));
    let scene = scene();
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["unpack", &reference, "rootfs"]).is(
        3,
        "unpack HOST/app:v1: layer 1 D1: blob HOST/app@D1: not found (404)",
        "",
    );
    scene.refuses(["pull", &reference, "oci:new"]).is(
        3,
        "pull HOST/app:v1: source: blob HOST/app@D1: not found (404)",
        "",
    );
}
