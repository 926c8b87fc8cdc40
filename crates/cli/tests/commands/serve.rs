//! `serve`: one line when it is ready, a clean end when it is told, and what was pushed is there the next time.

use std::fs;
use std::time::Duration;

use test_support::Running;

use crate::{prints, scene, serve, trees};

/// Time to stop in.
const SOON: Duration = Duration::from_secs(5);

fn ends_well(stop: impl FnOnce(&Running)) {
    let scene = scene();
    let (running, host) = serve(&scene, &[]);
    assert!(host.starts_with("127.0.0.1:") && !host.ends_with(":0"), "{host}");
    stop(&running);
    let ran = running.end_within(SOON);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn it_ends_cleanly_when_it_is_terminated() {
    ends_well(Running::terminate);
}

#[test]
fn it_ends_cleanly_on_ctrl_c() {
    ends_well(Running::interrupt);
}

#[test]
fn what_is_pushed_to_a_directory_is_there_the_next_time() {
    let scene = scene();
    trees(&scene);
    prints(&scene, &["build", "oci:images:v1", "base", "app"]);
    let (running, host) = serve(&scene, &["registry"]);
    let digest = scene.run(["push", "oci:images:v1", &format!("{host}/team/app:v1")]).stdout;
    running.terminate();
    assert_eq!(running.end_within(SOON).code, Some(0));

    let (_running, host) = serve(&scene, &["registry"]);
    assert_eq!(prints(&scene, &["tags", &format!("{host}/team/app")]), "v1\n");
    assert_eq!(scene.run(["unpack", &format!("{host}/team/app:v1"), "rootfs"]).stdout, digest);
    assert_eq!(scene.run(["digest", "oci:registry/team/app:v1"]).stdout, digest);
}

#[test]
fn memory_forgets() {
    let scene = scene();
    trees(&scene);
    prints(&scene, &["build", "oci:images:v1", "base"]);
    let (running, host) = serve(&scene, &[]);
    prints(&scene, &["push", "oci:images:v1", &format!("{host}/app:v1")]);
    drop(running);
    let (_running, host) = serve(&scene, &[]);
    scene.refuses(["tags", &format!("{host}/app")]).is(
        3,
        "tags of HOST/app: app: repository unknown (404 NAME_UNKNOWN)",
        "there are no repositories",
    );
}

/// (R10)
#[test]
fn what_is_read_only_is_handed_out_and_not_changed() {
    let scene = scene();
    trees(&scene);
    prints(&scene, &["build", "oci:images:v1", "base"]);
    let (running, host) = serve(&scene, &["registry"]);
    let digest = prints(&scene, &["push", "oci:images:v1", &format!("{host}/app:v1")]);
    running.terminate();
    assert_eq!(running.end_within(SOON).code, Some(0));

    let (_running, host) = serve(&scene, &["--read-only", "registry"]);
    let app = format!("{host}/app:v1");
    assert_eq!(prints(&scene, &["digest", &app]), digest);
    prints(&scene, &["build", "oci:images:v2", "app"]);
    for refused in [&["push", "oci:images:v2", &app][..], &["tag", &app, "v2"], &["delete", &app]] {
        let refusal = scene.refuses(refused);
        assert_eq!(refusal.code, 1, "{refused:?}: {}", refusal.error);
        assert!(refusal.error.contains("(405 UNSUPPORTED)"), "{refused:?}: {}", refusal.error);
    }
    assert_eq!(prints(&scene, &["digest", &app]), digest);
    assert_eq!(prints(&scene, &["tags", &format!("{host}/app")]), "v1\n");
}

#[test]
fn a_tag_that_never_moves_stays_where_it_was() {
    let scene = scene();
    trees(&scene);
    prints(&scene, &["build", "oci:images:v1", "base"]);
    prints(&scene, &["build", "oci:images:v2", "app"]);
    let (_running, host) = serve(&scene, &["--immutable-tags"]);
    let (app, next) = (format!("{host}/app:v1"), format!("{host}/app:v2"));
    let digest = prints(&scene, &["push", "oci:images:v1", &app]);
    assert_eq!(prints(&scene, &["push", "oci:images:v1", &app]), digest, "the same again is no move");
    let by_digest = format!("{host}/app@{}", scene.run(["digest", "oci:images:v1"]).stdout.trim());
    for refused in [&["push", "oci:images:v2", &app][..], &["delete", &app], &["delete", &by_digest]] {
        let refusal = scene.refuses(refused);
        assert!(refusal.code == 1 || refusal.code == 4, "{refused:?}: {} {}", refusal.code, refusal.error);
    }
    assert_eq!(prints(&scene, &["digest", &app]), digest);
    prints(&scene, &["push", "oci:images:v2", &next]);
}

/// (R10) Nobody else on the network is served unless that is asked for.
#[test]
fn it_listens_on_loopback_unless_it_is_told() {
    let scene = scene();
    let help = scene.run(["serve", "--help"]).stdout;
    assert!(help.contains("[default: 127.0.0.1:5000]"), "{help}");
    for listen in ["0.0.0.0:0", "[::]:0", "203.0.113.7:5000"] {
        let refusal = scene.refuses(["serve", "--listen", listen]);
        let told = format!("--listen {listen}: other machines could read and write without a password");
        assert_eq!((refusal.code, refusal.error.as_str()), (2, told.as_str()));
        assert!(refusal.hint.unwrap().contains("--allow-anonymous-remote"));
    }
}

/// `ann` with the password `secret`, at the lowest cost.
const USERS: &str = "# users\nann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

/// `ann:wrong` and `ann:secret`, as docker's configuration has them.
const ANN_WRONG: &str = "YW5uOndyb25n";
const ANN_SECRET: &str = "YW5uOnNlY3JldA==";

/// Passwords by each request and by token, from docker's configuration as every user has it.
#[test]
fn only_users_are_served_who_say_who_they_are() {
    for auth in [&[][..], &["--auth", "token"]] {
        let scene = scene();
        trees(&scene);
        prints(&scene, &["build", "oci:images:v1", "base"]);
        fs::write(scene.path("users"), USERS).unwrap();
        let (_running, host) = serve(&scene, &[&["--htpasswd", "users"], auth].concat());
        let app = format!("{host}/app:v1");
        let log_in = |pair: &str| {
            fs::create_dir_all(scene.home(".docker")).unwrap();
            let config = format!(r#"{{"auths":{{"{host}":{{"auth":"{pair}"}}}}}}"#);
            fs::write(scene.home(".docker/config.json"), config).unwrap();
        };
        assert_eq!(scene.run(["push", "oci:images:v1", &app]).code, Some(4));
        log_in(ANN_WRONG);
        assert_eq!(scene.run(["push", "oci:images:v1", &app]).code, Some(4));
        log_in(ANN_SECRET);
        prints(&scene, &["push", "oci:images:v1", &app]);
        assert_eq!(prints(&scene, &["tags", &format!("{host}/app")]), "v1\n");
    }
}

#[test]
fn users_that_can_not_be_read_are_told_at_once() {
    let scene = scene();
    fs::write(scene.path("md5"), "ann:$apr1$abc$secret\n").unwrap();
    fs::write(scene.path("users"), USERS).unwrap();
    scene.refuses(["serve", "--htpasswd", "md5"]).is(
        1,
        "read md5: users: line 1: not a bcrypt hash, the only kind that is understood (make one with `htpasswd -B`)",
        "",
    );
    scene.refuses(["serve", "--htpasswd", "absent"]).is(
        1,
        "read absent: htpasswd file: No such file or directory (os error 2)",
        "",
    );
    assert_eq!(scene.refuses(["serve", "--auth", "token"]).code, 2);
    let nowhere = scene.refuses(["serve", "--htpasswd", "users", "--auth", "token", "--listen", "0.0.0.0:0"]);
    assert_eq!(nowhere.code, 2);
    assert_eq!(scene.refuses(["serve", "--url", "registry.example"]).code, 2);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let scene = scene();
    let (_running, host) = serve(&scene, &[]);
    scene.refuses(["serve", "--listen", &host]).is(1, "listen on HOST: Address already in use (os error 98)", "");
}

#[test]
fn a_directory_that_is_an_image_layout_is_not_served_as_a_tree() {
    let scene = scene();
    trees(&scene);
    prints(&scene, &["build", "oci:images:v1", "base"]);
    scene.refuses(["serve", "--listen", "127.0.0.1:0", "images"]).is(
        1,
        "serve images: open tree images: it is itself an image layout",
        "serve the directory above it: each image layout below that is a repository",
    );
}
