//! Manifests, configs and layers that are not the bytes that their digest and size name.

use test_support::image::manifest_reply;
use test_support::{Body, Image, Reply, ScriptedServer};

use crate::{image, scene};

/// Neither `pull` nor `unpack` takes it.
fn refused(server: &ScriptedServer, error: &str, hint: &str) {
    let scene = scene();
    let reference = format!("{}/app:v1", server.host());
    for (verb, target) in [("unpack", "rootfs"), ("pull", "oci:new")] {
        scene.refuses([verb, &reference, target]).is(1, &format!("{verb} {reference}: {error}"), hint);
    }
}

/// The bytes with one bit changed.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

fn config_served_as(reply: impl Fn(&[u8]) -> Reply) -> (ScriptedServer, Image) {
    let image = image();
    let reply = reply(&image.blobs[image.config()]);
    (image.clone().serve_but(image.config(), reply), image)
}

fn layer_served_as(reply: impl Fn(&[u8]) -> Reply) -> (ScriptedServer, Image) {
    let image = image();
    let reply = reply(&image.blobs[image.first_layer()]);
    (image.clone().serve_but(image.first_layer(), reply), image)
}

#[test]
fn a_manifest_that_is_not_what_its_digest_names_is_refused() {
    let wrong = image();
    let asked = wrong.manifest.digest().to_string().replace(|_: char| false, "");
    let asked = format!("{}{}", &asked[..asked.len() - 4], "0000");
    let digest = wrong.manifest.digest().clone();
    let server = wrong.serve(|image, request| {
        let plain = Reply::ok(image.manifest.bytes().clone()).header("content-type", image.manifest.media_type().as_str());
        request.target.contains("/manifests/").then_some(plain)
    });
    let scene = scene();
    let reference = format!("{}/app@{asked}", server.host());
    let error = format!("? {digest}");
    for (verb, target) in [("unpack", "rootfs"), ("pull", "oci:new")] {
        scene.refuses([verb, &reference, target]).is(1, &error, "");
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
    refused(&server, "?", "");
}

#[test]
fn a_short_manifest_is_refused() {
    let server = image().serve(|image, request| {
        let bytes = image.manifest.bytes();
        let cut = manifest_reply(&image.manifest).body(Body::Whole(bytes.slice(..bytes.len() - 1)));
        request.target.contains("/manifests/").then_some(cut)
    });
    refused(&server, "?", "");
}

#[test]
fn a_manifest_that_breaks_off_is_refused() {
    let server = image().serve(|image, request| {
        let cut = manifest_reply(&image.manifest).body(Body::Cut(image.manifest.bytes().clone(), 40));
        request.target.contains("/manifests/").then_some(cut)
    });
    refused(&server, "?", "");
}

#[test]
fn a_long_manifest_is_refused() {
    let server = image().serve(|image, request| {
        let longer = [image.manifest.bytes(), &b"{}"[..]].concat();
        let long = manifest_reply(&image.manifest).body(Body::Whole(longer.into()));
        request.target.contains("/manifests/").then_some(long)
    });
    refused(&server, "?", "");
}

#[test]
fn an_endless_manifest_is_refused_at_the_limit() {
    let server = image().serve(|image, request| {
        let endless = manifest_reply(&image.manifest).body(Body::Endless(vec![b' '; 1 << 16].into()));
        request.target.contains("/manifests/").then_some(endless)
    });
    refused(&server, "?", "");
}

#[test]
fn a_config_with_a_flipped_bit_is_refused() {
    let (server, image) = config_served_as(|bytes| Reply::ok(flipped(bytes)));
    refused(&server, &format!("? {}", image.config()), "");
}

#[test]
fn a_short_config_is_refused() {
    let (server, image) = config_served_as(|bytes| Reply::ok(bytes[..bytes.len() - 1].to_vec()));
    refused(&server, &format!("? {}", image.config()), "");
}

#[test]
fn a_long_config_is_refused() {
    let (server, image) = config_served_as(|bytes| Reply::ok([bytes, b"x"].concat()));
    refused(&server, &format!("? {}", image.config()), "");
}

#[test]
fn an_endless_config_is_refused() {
    let (server, image) = config_served_as(|bytes| Reply::new(200).body(Body::Endless(bytes.to_vec().into())));
    refused(&server, &format!("? {}", image.config()), "");
}

#[test]
fn a_layer_with_a_flipped_bit_is_refused() {
    let (server, image) = layer_served_as(|bytes| Reply::ok(flipped(bytes)));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn a_short_layer_is_refused() {
    let (server, image) = layer_served_as(|bytes| Reply::ok(bytes[..bytes.len() - 1].to_vec()));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn a_long_layer_is_refused() {
    let (server, image) = layer_served_as(|bytes| Reply::ok([bytes, b"x"].concat()));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn an_endless_layer_is_refused() {
    let (server, image) = layer_served_as(|bytes| Reply::new(200).body(Body::Endless(bytes.to_vec().into())));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn a_layer_that_breaks_off_again_and_again_is_refused() {
    let (server, image) = layer_served_as(|bytes| Reply::ok("").body(Body::Cut(bytes.to_vec().into(), 10)));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn an_empty_layer_is_refused() {
    let (server, image) = layer_served_as(|_| Reply::ok(""));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn a_page_in_place_of_a_layer_is_refused() {
    let (server, image) = layer_served_as(|_| Reply::ok("<html>log in</html>").header("content-type", "text/html"));
    refused(&server, &format!("? {}", image.first_layer()), "");
}

#[test]
fn a_blob_that_is_not_what_its_digest_names_ends_in_an_error() {
    let (server, image) = layer_served_as(|bytes| Reply::ok(flipped(bytes)));
    let ran = scene().run(["blob", &format!("{}/app@{}", server.host(), image.first_layer())]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "?"));
}
