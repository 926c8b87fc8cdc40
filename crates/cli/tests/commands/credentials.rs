//! Who is asked for credentials, in which order: docker's `config.json` and its helpers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use test_support::{Ran, Reply, Running, Scene, ScriptedServer};

use crate::scene;

/// A registry that wants to know who asks, and takes anybody.
fn registry() -> ScriptedServer {
    ScriptedServer::start(|request| match request.header("authorization") {
        Some(_) => Reply::ok(r#"{"name":"a","tags":["v1"]}"#),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
}

/// A helper on the search path that answers so, and ends with this code.
fn helper(scene: &Scene, name: &str, answer: &str, code: i32) {
    let path = scene.home(&format!("docker-credential-{name}"));
    fs::write(&path, format!("#!/bin/sh\ncat > /dev/null\nprintf '%s' '{answer}'\nexit {code}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Lists tags with this configuration.
fn run(scene: &Scene, server: &ScriptedServer, config: &str) -> Ran {
    fs::create_dir_all(scene.home(".docker")).unwrap();
    fs::write(scene.home(".docker/config.json"), config.replace("HOST", &server.host())).unwrap();
    let path = format!("{}:/usr/bin:/bin", scene.home("").display());
    Running::start(scene.command(["tags", &format!("{}/a", server.host())]).env("PATH", path)).end()
}

/// The name that the registry was told.
fn told(server: &ScriptedServer) -> String {
    let requests = server.requests();
    requests.iter().rev().find_map(|request| request.header("authorization").map(name)).unwrap_or_default()
}

/// Whose credential it is.
fn name(header: &str) -> String {
    let known = [("c3BlY2lmaWM6cA==", "specific"), ("Z2VuZXJhbDpw", "general"), ("d3JpdHRlbjpw", "written")];
    known.iter().find(|(encoded, _)| header.ends_with(encoded)).map_or(header, |(_, name)| name).to_owned()
}

const NOT_FOUND: &str = "credentials not found in native keychain";

/// A host's own helper comes first, then the general one, then what stands in the file; the first that has something
/// is believed.
#[test]
fn a_hosts_helper_comes_before_the_general_one_and_both_before_the_file() {
    let answer = |name: &str| format!(r#"{{"Username":"{name}","Secret":"p"}}"#);
    let auths = r#""auths":{"HOST":{"auth":"d3JpdHRlbjpw"}}"#;
    let (own, store) = (r#""credHelpers":{"HOST":"own"}"#, r#""credsStore":"store""#);
    let cases = [
        (vec![own, store, auths], answer("specific"), answer("general"), 0, "specific"),
        (vec![store, auths], answer("specific"), answer("general"), 0, "general"),
        (vec![auths], answer("specific"), answer("general"), 0, "written"),
        // Who says that he has nothing leaves the answer to the file.
        (vec![own, auths], NOT_FOUND.to_owned(), answer("general"), 1, "written"),
        (vec![own, store, auths], NOT_FOUND.to_owned(), answer("general"), 1, "written"),
    ];
    for (parts, specific, general, code, expected) in cases {
        let (scene, server) = (scene(), registry());
        helper(&scene, "own", &specific, code);
        helper(&scene, "store", &general, 0);
        let ran = run(&scene, &server, &format!("{{{}}}", parts.join(",")));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "v1\n"), "{ran:?}");
        assert_eq!(told(&server), expected, "{parts:?}");
    }
}

/// The list of helpers is one with the rest of `registries.conf`: which file is read, and that none is, holds for it too.
#[test]
fn the_flags_about_configuration_hold_for_the_list_of_helpers() {
    let (scene, server) = (scene(), registry());
    helper(&scene, "own", r#"{"Username":"specific","Secret":"p"}"#, 0);
    helper(&scene, "store", r#"{"Username":"general","Secret":"p"}"#, 0);
    fs::write(scene.path("usual.conf"), "credential-helpers = [\"own\"]\n").unwrap();
    fs::write(scene.path("mine.conf"), "credential-helpers = [\"store\"]\n").unwrap();
    let path = format!("{}:/usr/bin:/bin", scene.home("").display());
    let cases: [(&[&str], i32, &str); 3] =
        [(&[], 0, "specific"), (&["--registries-conf", "mine.conf"], 0, "general"), (&["--no-config"], 4, "")];
    for (flags, code, expected) in cases {
        let repository = format!("{}/a", server.host());
        let arguments = [&["tags", &repository], flags].concat();
        let before = server.requests().len();
        let mut command = scene.command(arguments);
        let usual = scene.path("usual.conf");
        let ran = Running::start(command.env("PATH", &path).env("CONTAINERS_REGISTRIES_CONF", usual)).end();
        assert_eq!(ran.code, Some(code), "{flags:?} {ran:?}");
        let requests = server.requests().split_off(before);
        let told = requests.iter().find_map(|request| request.header("authorization"));
        assert_eq!(told.map(name).unwrap_or_default(), expected, "{flags:?}");
    }
}

/// A14: a helper that fails is an error: the question goes nowhere else.
#[test]
fn a_helper_that_fails_is_the_end() {
    let (scene, server) = (scene(), registry());
    helper(&scene, "own", "it is locked", 1);
    let ran = run(&scene, &server, r#"{"credHelpers":{"HOST":"own"},"auths":{"HOST":{"auth":"d3JpdHRlbjpw"}}}"#);
    scene.refusal(&ran).is(
        1,
        "tags of HOST/a: credentials for HOST: PLACE/home/.docker/config.json: HOST: credential helper \
         docker-credential-own: ended with exit status: 1",
        "`echo HOST | docker-credential-own get` shows what it says",
    );
    assert_eq!(told(&server), "");
}
