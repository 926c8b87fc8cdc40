//! Files and directories that a command goes by: those of credentials and configuration, and those that are named to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, Mode, mkfifoat};
use test_support::{Reply, Running, Scene, ScriptedServer};

use crate::{image, scene};

fn pipe(path: &std::path::Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// A registry that asks who is there.
fn asking() -> ScriptedServer {
    ScriptedServer::start(|_| Reply::new(401).header("www-authenticate", "Basic realm=\"x\""))
}

/// Nobody writes to it, so nobody could read it to its end.
#[test]
fn a_pipe_in_place_of_a_file_is_refused_and_not_waited_for() {
    let (scene, server) = (scene(), asking());
    fs::create_dir(scene.home(".docker")).unwrap();
    pipe(&scene.home(".docker/config.json"));
    pipe(&scene.path("conf"));
    let repository = format!("{}/a/b", server.host());
    scene.refuses(["tags", &repository]).is(
        1,
        "tags of HOST/a/b: credentials for HOST: read PLACE/home/.docker/config.json: not a regular file",
        "",
    );
    scene.refuses(["--registries-conf", "conf", "explain", "ex.test/a"]).is(1, "read conf: not a regular file", "");
}

#[test]
fn an_empty_file_of_credentials_says_nothing() {
    let (scene, server) = (scene(), asking());
    fs::create_dir(scene.home(".docker")).unwrap();
    for text in ["", " \n"] {
        fs::write(scene.home(".docker/config.json"), text).unwrap();
        let refusal = scene.refuses(["tags", &format!("{}/a", server.host())]);
        refusal.is(4, "tags of HOST/a: unauthorized (401)", "gantri login HOST");
    }
}

#[test]
fn a_broken_file_of_credentials_is_to_be_repaired() {
    let (scene, server) = (scene(), asking());
    fs::create_dir(scene.home(".docker")).unwrap();
    let place = "tags of HOST/a: credentials for HOST: PLACE/home/.docker/config.json";
    let cases = [
        ("{\"auths\":", "EOF while parsing a value at line 1 column 9"),
        ("[]", "not docker's configuration: it is JSON, but not an object"),
        ("{\"auths\":1}", "not docker's configuration: an unexpected value at line 1 column 10"),
    ];
    for (text, what) in cases {
        fs::write(scene.home(".docker/config.json"), text).unwrap();
        let refusal = scene.refuses(["tags", &format!("{}/a", server.host())]);
        refusal.is(1, &format!("{place}: {what}"), "repair it there, or remove it and log in again");
    }
}

/// Without it, the registry would be spoken to otherwise than whoever named it thinks.
#[test]
fn what_is_named_on_the_command_line_has_to_be_there() {
    let scene = scene();
    fs::write(scene.path("afile"), "x").unwrap();
    let cases = [
        (["--hosts-dir", "nosuch"], "--hosts-dir nosuch: no such directory", ""),
        (["--hosts-dir", "afile"], "--hosts-dir afile: not a directory", ""),
        (["--cert-dir", "nosuch"], "--cert-dir nosuch: no such directory", ""),
        (["--registries-conf", "nosuch"], "read nosuch: no such file", "name a registries.conf that is there, or none"),
        (["--auth-file", "nosuch.json"], "--auth-file nosuch.json: no such file", "gantri login makes it"),
    ];
    for (named, error, hint) in cases {
        scene.refuses([&named[..], &["explain", "ex.test/a"]].concat()).is(1, error, hint);
    }
}

/// Who set the variable does not look for an option that he never gave.
#[test]
fn a_directory_that_a_variable_names_has_to_be_there_and_is_told_by_the_variable() {
    let scene = scene();
    for (variable, option) in [("GANTRI_HOSTS_DIR", "--hosts-dir"), ("GANTRI_CERT_DIR", "--cert-dir")] {
        for (given, by) in [(vec![], format!("{variable} unset")), (vec![option, "nosuch"], format!("{option} nosuch"))]
        {
            let mut command = scene.command([given, vec!["explain", "ex.test/a"]].concat());
            let ran = Running::start(command.env(variable, "unset")).end();
            scene.refusal(&ran).is(1, &format!("{by}: no such directory"), "");
        }
    }
}

fn pull_refused(scene: &Scene, target: &str, error: &str, hint: &str) {
    let server = image().serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    scene.refuses(["pull", &reference, target]).is(1, &format!("pull HOST/app:v1: {error}"), hint);
}

#[test]
fn what_is_in_the_way_of_an_archive_is_told_with_what_would_do() {
    let scene = scene();
    fs::create_dir(scene.path("dir")).unwrap();
    let file = "name a file that is an archive, or one that is not there yet";
    pull_refused(&scene, "oci-archive:dir", "target dir: it is not a file", file);
    let make = "make it, or choose another";
    pull_refused(&scene, "oci-archive:nodir/x.tar", "directory nodir: it is not there", make);
    scene.refuses(["digest", "oci-archive:dir"]).is(
        1,
        "manifest oci-archive:dir: open dir: refused, not a regular file",
        "an archive is one file; an image layout in a directory is oci:DIR",
    );
    pipe(&scene.path("pipe"));
    for file in ["pipe", "/dev/null"] {
        scene.refuses(["digest", &format!("oci-archive:{file}")]).is(
            1,
            &format!("manifest oci-archive:{file}: open {file}: refused, not a regular file"),
            "an archive is read from a file, not from a pipe or a device",
        );
    }
}

/// As `mktemp` leaves it behind, for nobody else to read; so it stays.
#[test]
fn an_empty_file_becomes_an_archive() {
    let (scene, image) = (scene(), image());
    let server = image.serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    for target in ["oci-archive:o.tar", "docker-archive:d.tar"] {
        let file = scene.path(target.split(':').next_back().unwrap());
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let ran = scene.run(["pull", &reference, target]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert_eq!(scene.run(["digest", target]).stdout, ran.stdout);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{target}");
    }
}

/// An image has layers and no files; to say that all went well, and to write nothing, would be no answer.
#[test]
fn an_image_is_not_fetched_as_files() {
    let scene = scene();
    let server = image().serve(|_, _| None);
    scene.refuses(["fetch", &format!("{}/app:v1", server.host()), "files"]).is(
        1,
        "fetch HOST/app:v1: manifest D1: its layers have no file names",
        "an image is unpacked, not fetched: `gantri unpack`",
    );
}
