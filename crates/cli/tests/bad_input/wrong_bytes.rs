//! Manifests, configs and layers that are not the bytes that their digest and size name.

use test_support::image::manifest_reply;
use test_support::{Body, Image, Ran, Refusal, Reply, ScriptedServer};

use crate::{image, scene};

/// Neither `unpack` nor `pull` takes it.
fn refused(server: &ScriptedServer, unpack_error: &str, pull_error: &str) {
    let [unpack, pull] = both(server);
    unpack.is(1, &format!("unpack HOST/app:v1: {unpack_error}"), "");
    pull.is(1, &format!("pull HOST/app:v1: {pull_error}"), "");
}

fn both(server: &ScriptedServer) -> [Refusal; 2] {
    let scene = scene();
    let reference = format!("{}/app:v1", server.host());
    [scene.refuses(["unpack", &reference, "rootfs"]), scene.refuses(["pull", &reference, "oci:new"])]
}

/// The bytes with one bit changed.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

fn config_served_as(reply: impl Fn(&[u8]) -> Reply) -> ScriptedServer {
    let image = image();
    served_as(image.clone(), image.config(), reply)
}

fn layer_served_as(reply: impl Fn(&[u8]) -> Reply) -> ScriptedServer {
    let image = image();
    served_as(image.clone(), image.first_layer(), reply)
}

/// Serves one blob otherwise than it is; what is said about it without its bytes stays right.
fn served_as(image: Image, blob: &gantri::Digest, reply: impl Fn(&[u8]) -> Reply) -> ScriptedServer {
    let reply = reply(&image.blobs[blob]);
    let end = format!("/blobs/{blob}");
    image.serve(move |_, request| (request.method == "GET" && request.target.ends_with(&end)).then(|| reply.clone()))
}

#[test]
fn a_manifest_that_is_not_what_its_digest_names_is_refused() {
    let asked = gantri::Digest::of(b"another");
    let server = image().serve(|image, request| {
        let plain =
            Reply::ok(image.manifest.bytes().clone()).header("content-type", image.manifest.media_type().as_str());
        request.target.contains("/manifests/").then_some(plain)
    });
    let scene = scene();
    let reference = format!("{}/app@{asked}", server.host());
    for (verb, target) in [("unpack", "rootfs"), ("pull", "oci:new")] {
        scene.refuses([verb, &reference, target]).is(
            1,
            &format!("{verb} HOST/app@D1: manifest HOST/app@D1: digest is D2, not D1"),
            "",
        );
    }
}

#[test]
fn a_manifest_that_is_not_what_its_header_names_is_refused() {
    let server = image().serve(|image, request| {
        let lie = Reply::ok(image.manifest.bytes().clone())
            .header("content-type", image.manifest.media_type().as_str())
            .header("docker-content-digest", format!("sha256:{}", "ab".repeat(32)));
        request.target.contains("/manifests/").then_some(lie)
    });
    refused(&server, "manifest HOST/app:v1: digest is D1, not D2", "manifest HOST/app:v1: digest is D1, not D2");
}

#[test]
fn a_short_manifest_is_refused() {
    let server = image().serve(|image, request| {
        let bytes = image.manifest.bytes();
        let cut = manifest_reply(&image.manifest).body(Body::Whole(bytes.slice(..bytes.len() - 1)));
        request.target.contains("/manifests/").then_some(cut)
    });
    refused(&server, "manifest HOST/app:v1: digest is D1, not D2", "manifest HOST/app:v1: digest is D1, not D2");
}

#[test]
fn a_manifest_that_breaks_off_is_refused() {
    let server = image().serve(|image, request| {
        let cut = manifest_reply(&image.manifest).body(Body::Cut(image.manifest.bytes().clone(), 40));
        request.target.contains("/manifests/").then_some(cut)
    });
    refused(
        &server,
        "manifest HOST/app:v1: body: broke off: error reading a body from connection: end of file before message length reached",
        "manifest HOST/app:v1: body: broke off: error reading a body from connection: end of file before message length reached",
    );
}

#[test]
fn a_long_manifest_is_refused() {
    let server = image().serve(|image, request| {
        let longer = [image.manifest.bytes(), &b"{}"[..]].concat();
        let long = manifest_reply(&image.manifest).body(Body::Whole(longer.into()));
        request.target.contains("/manifests/").then_some(long)
    });
    refused(&server, "manifest HOST/app:v1: digest is D1, not D2", "manifest HOST/app:v1: digest is D1, not D2");
}

#[test]
fn an_endless_manifest_is_refused_at_the_limit() {
    let server = image().serve(|image, request| {
        let endless = manifest_reply(&image.manifest).body(Body::Endless(vec![b' '; 1 << 16].into()));
        request.target.contains("/manifests/").then_some(endless)
    });
    refused(
        &server,
        "manifest HOST/app:v1: body: over the limit manifest = 8388608",
        "manifest HOST/app:v1: body: over the limit manifest = 8388608",
    );
}

#[test]
fn a_config_with_a_flipped_bit_is_refused() {
    let server = config_served_as(|bytes| Reply::ok(flipped(bytes)));
    refused(&server, "config D1: digest D1 expected, D2 received", "source: blob D1: digest D2 received");
}

#[test]
fn a_short_config_is_refused() {
    let server = config_served_as(|bytes| Reply::ok(bytes[..bytes.len() - 1].to_vec()));
    refused(
        &server,
        "config D1: digest D1: size 163 expected, 162 received",
        "source: blob D1: size 163 expected, 162 received",
    );
}

#[test]
fn a_long_config_is_refused() {
    let server = config_served_as(|bytes| Reply::ok([bytes, b"x"].concat()));
    refused(
        &server,
        "config D1: digest D1: size 163 expected, at least 164 received",
        "source: blob D1: size 163 expected, at least 164 received",
    );
}

/// How many bytes came before it was noticed depends on the network.
fn endless(server: &ScriptedServer, what: &str, size: u64) {
    let [unpack, pull] = both(server);
    let end = format!(" received for a blob of {size}");
    unpack.is_like(1, &format!("unpack HOST/app:v1: {what} D1: "), "");
    pull.is_like(1, "pull HOST/app:v1: source: blob ", "");
    for refusal in [unpack, pull] {
        let enough = refusal.error.ends_with(&end)
            || refusal.error.contains(&format!("size {size} expected, at least "))
            || refusal.error.ends_with(&format!("body: {size} bytes expected, more received"));
        assert!(enough, "{refusal:?}");
    }
}

#[test]
fn an_endless_config_is_refused() {
    let server = config_served_as(|bytes| Reply::new(200).body(Body::Endless(bytes.to_vec().into())));
    endless(&server, "config", 163);
}

#[test]
fn a_layer_with_a_flipped_bit_is_refused() {
    let server = layer_served_as(|bytes| Reply::ok(flipped(bytes)));
    refused(&server, "layer 1 D1: digest D1 expected, D2 received", "source: blob D1: digest D2 received");
}

#[test]
fn a_short_layer_is_refused() {
    let server = layer_served_as(|bytes| Reply::ok(bytes[..bytes.len() - 1].to_vec()));
    refused(&server, "layer 1 D1: size 140 expected, 139 received", "source: blob D1: size 140 expected, 139 received");
}

#[test]
fn a_long_layer_is_refused() {
    let server = layer_served_as(|bytes| Reply::ok([bytes, b"x"].concat()));
    refused(
        &server,
        "layer 1 D1: size 140 expected, at least 141 received",
        "source: blob D1: size 140 expected, at least 141 received",
    );
}

#[test]
fn an_endless_layer_is_refused() {
    let server = layer_served_as(|bytes| Reply::new(200).body(Body::Endless(bytes.to_vec().into())));
    endless(&server, "layer 1", 140);
}

#[test]
fn a_layer_that_breaks_off_again_and_again_is_refused() {
    let server = layer_served_as(|bytes| Reply::ok("").body(Body::Cut(bytes.to_vec().into(), 10)));
    refused(
        &server,
        "layer 1 D1: blob HOST/app@D1: body: broke off: error reading a body from connection: end of file before message length reached",
        "source: blob HOST/app@D1: body: broke off: error reading a body from connection: end of file before message length reached",
    );
}

#[test]
fn an_empty_layer_is_refused() {
    let server = layer_served_as(|_| Reply::ok(""));
    refused(&server, "layer 1 D1: size 140 expected, 0 received", "source: blob D1: size 140 expected, 0 received");
}

#[test]
fn a_page_in_place_of_a_layer_is_refused() {
    let server = layer_served_as(|_| Reply::ok("<html>log in</html>").header("content-type", "text/html"));
    refused(
        &server,
        "layer 1 D1: blob HOST/app@D1: http://HOST/v2/app/blobs/D1 is not a registry: it answered \"<html>log in</html>\" (200)",
        "source: blob HOST/app@D1: http://HOST/v2/app/blobs/D1 is not a registry: it answered \"<html>log in</html>\" (200)",
    );
}

#[test]
fn a_layer_without_an_end_and_with_a_length_is_refused() {
    let server = layer_served_as(|bytes| Reply::new(200).length(1 << 40).body(Body::Endless(bytes.to_vec().into())));
    endless(&server, "layer 1", 140);
}

/// (S6) What lies on disk may have changed since it was checked.
#[test]
fn a_layout_with_a_flipped_bit_is_refused() {
    let scene = scene();
    std::fs::create_dir(scene.path("tree")).unwrap();
    assert_eq!(scene.run(["build", "oci:images:v1", "tree"]).code, Some(0));
    let manifest: serde_json::Value = serde_json::from_str(&scene.run(["manifest", "oci:images:v1"]).stdout).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let path = scene.path("images/blobs").join(layer);
    std::fs::write(&path, flipped(&std::fs::read(&path).unwrap())).unwrap();
    let error = "unpack oci:images:v1: layer 1 D1: digest D1 expected, D2 received";
    scene.refuses(["unpack", "oci:images:v1", "rootfs"]).is(1, error, "");
}

/// Bytes are printed as they come, so the verdict can only stand at their end.
#[test]
fn a_blob_that_is_not_what_its_digest_names_ends_in_an_error() {
    let image = image();
    let server = served_as(image.clone(), image.first_layer(), |bytes| Reply::ok(flipped(bytes)));
    let ran = scene().run(["blob", &format!("{}/app@{}", server.host(), image.first_layer())]);
    Refusal::of(&Ran { stdout: String::new(), ..ran }).is(1, "blob HOST/app@D1: digest D1 expected, D2 received", "");
}
