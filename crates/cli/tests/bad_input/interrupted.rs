//! Ctrl-C and `kill` while bytes are on their way: the exit code that shells expect, soon, and nothing left behind.

use std::time::Duration;

use test_support::image::Layer;
use test_support::trace::Trace;
use test_support::{Body, Image, Refusal, Reply, Request, Running, Scene, ScriptedServer, Tar};

use crate::scene;

/// Time to stop in.
const SOON: Duration = Duration::from_secs(2);

/// A server that sends half of the layer and then holds its breath.
fn stalling() -> (ScriptedServer, String) {
    let archive = Tar::new().file("a", vec![b'x'; 1 << 20]).finish();
    let image = Image::of_layers(&[Layer::packed(gantri::spec::MediaType::OCI_LAYER, &archive, archive.clone())]);
    let layer = image.first_layer().to_string();
    let half = archive.len() / 2;
    let server = image.serve_but(&layer.parse().unwrap(), Reply::new(200).body(Body::Stall(archive.into(), half)));
    (server, layer)
}

fn stopped(verb: &str, target: &str, stop: impl FnOnce(&Running), code: i32, signal: &str) {
    let scene = scene();
    let before = scene.trace();
    let (server, layer) = stalling();
    let running = scene.start([verb, &format!("{}/app:v1", server.host()), target]);
    server.wait_for(&layer);
    server.wait_for_stall();
    stop(&running);
    let ran = running.end_within(SOON);
    Refusal::of(&ran).is(code, &format!("{verb} HOST/app:v1: interrupted by {signal}"), "");
    assert_eq!(scene.trace(), before);
}

#[test]
fn ctrl_c_in_mid_pull_ends_with_130_and_leaves_nothing() {
    stopped("pull", "oci:new", Running::interrupt, 130, "SIGINT");
}

#[test]
fn ctrl_c_in_mid_unpack_ends_with_130_and_leaves_nothing() {
    stopped("unpack", "rootfs", Running::interrupt, 130, "SIGINT");
}

#[test]
fn a_terminated_pull_ends_with_143_and_leaves_nothing() {
    stopped("pull", "oci:new", Running::terminate, 143, "SIGTERM");
}

#[test]
fn a_terminated_unpack_ends_with_143_and_leaves_nothing() {
    stopped("unpack", "rootfs", Running::terminate, 143, "SIGTERM");
}

#[test]
fn ctrl_c_while_nobody_answers_ends_with_130() {
    let scene = scene();
    let before = scene.trace();
    let server = ScriptedServer::start(|_| Reply::new(200).length(10).body(Body::Stall("".into(), 0)));
    let running = scene.start(["manifest", &format!("{}/app:v1", server.host())]);
    server.wait_for("/manifests/");
    running.interrupt();
    Refusal::of(&running.end_within(SOON)).is(130, "manifest HOST/app:v1: interrupted by SIGINT", "");
    assert_eq!(scene.trace(), before);
}

/// H24: the upload session is cancelled, for the registry would keep what it holds for days.
#[test]
fn ctrl_c_in_mid_push_cancels_the_upload() {
    let scene = scene();
    let (before, was_cancelled) = interrupted_push(&scene, 1 << 19);
    assert!(was_cancelled);
    assert_eq!(scene.trace(), before);
}

/// H14, H24: what is large enough for the next run to go on with is kept for it, here and at the registry.
#[test]
fn ctrl_c_in_mid_push_keeps_a_large_upload_for_the_next_run() {
    let scene = scene();
    let (before, was_cancelled) = interrupted_push(&scene, 2 << 20);
    assert!(!was_cancelled);
    assert_ne!(scene.trace(), before);
    assert_eq!(test_support::process::names(&scene.home(".cache/gantri/uploads")).len(), 1);
}

/// A push of so many bytes that is interrupted while the registry takes them: how things stood before, and whether the
/// session was cancelled.
fn interrupted_push(scene: &Scene, bytes: usize) -> (Trace, bool) {
    std::fs::create_dir(scene.path("tree")).unwrap();
    std::fs::write(scene.path("tree/a"), crate::noise(bytes)).unwrap();
    assert_eq!(scene.run(["build", "oci:images:v1", "tree"]).code, Some(0));
    let before = scene.trace();
    let server = ScriptedServer::start(|request| match request.method.as_str() {
        "HEAD" => Reply::new(404),
        // The config comes with its first request, the layer is too large for that.
        "POST" if request.target.contains("digest=") => Reply::new(202).header("location", "/v2/app/blobs/uploads/1"),
        "POST" => Reply::new(202).header("location", "/v2/app/blobs/uploads/layer"),
        "DELETE" => Reply::new(204),
        _ => Reply::new(500).length(10).body(Body::Stall("".into(), 0)),
    });
    let target = format!("{}/app:v1", server.host());
    let running = scene.start(["push", "oci:images:v1", &target]);
    server.wait_for("uploads/layer");
    server.wait_for_stall();
    running.interrupt();
    let ran = running.end_within(SOON);
    Refusal::of(&ran).is(130, "push oci:images:v1: interrupted by SIGINT", "");
    let of_layer = |request: &Request| request.method == "DELETE" && request.target.contains("uploads/layer");
    (before, server.requests().iter().any(of_layer))
}

/// Nobody takes the data, so it can't all be written; still the signal is heard.
#[test]
fn ctrl_c_while_nobody_reads_the_output_ends_with_130() {
    let scene = scene();
    let archive = Tar::new().file("a", vec![b'x'; 1 << 20]).finish();
    let image = Image::of_layers(&[Layer::packed(gantri::spec::MediaType::OCI_LAYER, &archive, archive.clone())]);
    let layer = image.first_layer().clone();
    let server = image.serve(|_, _| None);
    let (_unread, writer) = std::io::pipe().unwrap();
    let mut command = scene.command(["blob", &format!("{}/app@{layer}", server.host())]);
    let running = Running::start(command.stdout(writer));
    server.wait_for("/blobs/");
    running.interrupt();
    let refusal = Refusal::of(&running.end_within(2 * SOON));
    refusal.is(130, "blob HOST/app@D1: interrupted by SIGINT", "");
}
