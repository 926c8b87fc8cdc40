//! Where data goes when nobody takes it, and what hostile text does to a terminal: nothing.

use std::fs::OpenOptions;
use std::process::Stdio;

use test_support::{Body, Refusal, Reply, Running, Scene, ScriptedServer};

use crate::{image, scene};

/// Clears the screen, sets the title, writes the clipboard, turns text around.
const HOSTILE: &str = r"\u001b[2J\u001b]0;owned\u0007\u001b]52;c;cm0=\u0007\u009b31m\u202e\r\nerror: forged";

fn served(scene: &Scene) -> (Running, String) {
    std::fs::create_dir(scene.path("tree")).unwrap();
    std::fs::write(scene.path("tree/file"), vec![b'x'; 4 << 20]).unwrap();
    let (running, url) = Running::start_and_read_line(&mut scene.command(["serve", "--listen", "127.0.0.1:0"]));
    let host = url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(scene.run(["build", "oci:images:v1", "tree"]).code, Some(0));
    assert_eq!(scene.run(["push", "oci:images:v1", &format!("{host}/app:v1")]).code, Some(0));
    (running, host)
}

/// Every command that prints data.
fn printing(scene: &Scene, host: &str) -> Vec<Vec<String>> {
    let image = format!("{host}/app:v1");
    let manifest: serde_json::Value = serde_json::from_str(&scene.run(["manifest", &image]).stdout).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let commands = [
        vec!["tags".to_owned(), format!("{host}/app")],
        vec!["manifest".to_owned(), image.clone()],
        vec!["config".to_owned(), image.clone()],
        vec!["digest".to_owned(), image],
        vec!["blob".to_owned(), format!("{host}/app@{layer}")],
    ];
    commands.to_vec()
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let scene = scene();
    let (_running, host) = served(&scene);
    for arguments in printing(&scene, &host) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Running::start(scene.command(&arguments).stdout(writer)).end();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn an_output_that_is_full_is_a_failure() {
    let scene = scene();
    let (_running, host) = served(&scene);
    for arguments in printing(&scene, &host) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Running::start(scene.command(&arguments).stdout(full)).end();
        Refusal::of(&ran).is(1, "write to standard output: No space left on device (os error 28)", "");
    }
}

#[test]
fn a_standard_error_that_is_closed_changes_no_exit_code() {
    let scene = scene();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = Running::start(scene.command(["digest", "A"]).stderr(writer)).end();
    assert_eq!(ran.code, Some(2));
    let ran = Running::start(scene.command(["digest", "A"]).stderr(Stdio::null())).end();
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_registry_s_message_is_shown_escaped() {
    let body = format!(r#"{{"errors":[{{"code":"DENIED{HOSTILE}","message":"{HOSTILE}","detail":"{HOSTILE}"}}]}}"#);
    let server = ScriptedServer::start(move |_| Reply::new(403).body(Body::Whole(body.clone().into())));
    let forged = " [2J ]0;owned  ]52;c;cm0=  31m\\u{202e}  error: forged";
    // Words are one space apart; a code stands as it came.
    let message = "[2J ]0;owned ]52;c;cm0= 31m\\u{202e} error: forged";
    let error = format!("manifest HOST/app:v1: {message} (403 DENIED{forged})");
    scene().refuses(["manifest", &format!("{}/app:v1", server.host())]).is(4, &error, "");
}

#[test]
fn a_login_page_is_shown_escaped() {
    let page = "<html>\u{1b}[2J\u{202e}</html>";
    let server = ScriptedServer::start(move |_| Reply::ok(page).header("content-type", "text/html"));
    scene().refuses(["manifest", &format!("{}/app:v1", server.host())]).is(1, "manifest HOST/app:v1: http://HOST/v2/app/manifests/v1 is not a registry: it answered \"<html>\\u{1b}[2J\\u{202e}</html>\" (200)", "");
}

#[test]
fn a_challenge_is_shown_escaped() {
    let challenge = "Bearer realm=\"ftp://\u{202e}evil/\",service=\"x\"";
    let server = ScriptedServer::start(move |_| Reply::new(401).header("www-authenticate", challenge));
    scene().refuses(["manifest", &format!("{}/app:v1", server.host())]).is(
        4,
        "manifest HOST/app:v1: unauthorized (401)",
        "gantri login HOST",
    );
}

#[test]
fn tags_that_are_none_reach_no_terminal() {
    let list = format!(r#"{{"name":"app","tags":["v1","{HOSTILE}"]}}"#);
    let server = ScriptedServer::start(move |_| Reply::ok(list.clone()).header("content-type", "application/json"));
    let ran = scene().run(["tags", &format!("{}/app", server.host())]);
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_media_type_of_terminal_controls_is_shown_escaped() {
    let image = image();
    let text = String::from_utf8(image.manifest.bytes().to_vec()).unwrap();
    let text = text.replacen("application/vnd.oci.image.layer.v1.tar+gzip", HOSTILE, 1);
    let server = image.serve(move |_, request| {
        let reply = Reply::ok(text.clone()).header("content-type", "application/vnd.oci.image.manifest.v1+json");
        request.target.contains("/manifests/").then_some(reply)
    });
    scene().refuses(["unpack", &format!("{}/app:v1", server.host()), "rootfs"]).is(1, "unpack HOST/app:v1: layer 1 D1: \\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{1b}]52;c;cm0=\\u{7}\\u{9b}31m\\u{202e}\\u{d}\\u{a}error: forged is no layer that can be unpacked", "");
}
