//! `login`, `logout`, `--username`: what is tried, where it is kept, and that no secret shows (A16).

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use test_support::{Body, Ran, Reply, Request, Running, Scene, ScriptedServer};

use crate::scene;

/// The password, and as it looks in base64 behind `me:`.
const CANARY: &str = "c4n4ry-p4ss";
const ENCODED: [&str; 3] = ["bWU6YzRuNHJ5LXA0c3M=", "YzRuNHJ5", "c4n4ry"];

/// A registry that takes `me` with that password, by token or not, and shows its tags to nobody else.
fn registry() -> ScriptedServer {
    ScriptedServer::start(|request: &Request| match request.header("authorization") {
        Some(sent) if sent == format!("Basic {}", ENCODED[0]) => Reply::ok(r#"{"name":"a","tags":["v1"]}"#),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
}

/// Runs with this on standard input.
fn run_with(scene: &Scene, arguments: &[&str], input: &str) -> Ran {
    let file = scene.home("input");
    fs::write(&file, input).unwrap();
    let mut command = scene.command(arguments);
    command.stdin(fs::File::open(&file).unwrap());
    let ran = Running::start(&mut command).end();
    fs::remove_file(&file).unwrap();
    ran
}

fn login(scene: &Scene, host: &str, more: &[&str]) -> Ran {
    let arguments = [&["login", host, "--username", "me", "--password-stdin"], more].concat();
    run_with(scene, &arguments, &format!("{CANARY}\n"))
}

#[track_caller]
fn is_quiet(ran: &Ran) {
    for secret in ENCODED {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
}

/// The whole round: in, used, out; and the file is what docker writes.
#[test]
fn who_logs_in_is_known_until_he_logs_out() {
    let (scene, server) = (scene(), registry());
    let (host, file) = (server.host(), scene.home(".docker/config.json"));
    let kept = format!("{}: auths \"{host}\"", file.display());
    let ran = login(&scene, &host, &[]);
    assert_eq!(
        (ran.code, ran.stdout, ran.stderr.as_str()),
        (Some(0), format!("logged in to {host} as me: {kept}\n"), "")
    );
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        format!("{{\n\t\"auths\": {{\n\t\t\"{host}\": {{\n\t\t\t\"auth\": \"{}\"\n\t\t}}\n\t}}\n}}\n", ENCODED[0])
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let tags = ["tags", &format!("{host}/a")];
    let ran = scene.run(tags);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "v1\n"), "{ran:?}");
    let ran = scene.run(["logout", &host]);
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (Some(0), format!("logged out of {host}: {kept}\n"), ""));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n\t\"auths\": {}\n}\n");
    let ran = scene.run(["logout", &host]);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{host}: there was nothing to forget\n")));
    assert_eq!(scene.run(tags).code, Some(4));
}

/// Docker's hub by all its names, its own key among them; a host with a scheme is none, as it is none to log in to.
#[test]
fn a_host_to_log_out_of_is_named_as_files_name_it() {
    let scene = scene();
    let file = scene.home("auth.json");
    let place = ["--auth-file", file.to_str().unwrap()];
    let key = "https://index.docker.io/v1/";
    for typed in ["docker.io", "docker.io/", "index.docker.io", "index.docker.io/v1/", "registry-1.docker.io/v2/"] {
        fs::write(&file, format!("{{\"auths\":{{\"{key}\":{{\"auth\":\"YTpi\"}}}}}}")).unwrap();
        let ran = scene.run([&["logout", typed], &place[..]].concat());
        let out = format!("logged out of docker.io: {}: auths \"{key}\"\n", file.display());
        assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (Some(0), out, ""), "{typed}");
    }
    let cases = [
        ("https://ghcr.io", "host \"https://ghcr.io\": a host has no scheme (at byte 5); did you mean \"ghcr.io\"?"),
        ("https://ghcr.io/", "host \"https://ghcr.io\": a host has no scheme (at byte 5); did you mean \"ghcr.io\"?"),
        (key, "host \"https://index.docker.io/v1\": a host has no scheme (at byte 5)"),
    ];
    for (typed, error) in cases {
        scene.refuses(["logout", typed]).is(2, error, "");
    }
}

/// Keys of repositories are as podman keeps them; they go on answering for theirs, and can be forgotten too.
#[test]
fn who_logs_out_is_told_of_the_repositories_that_still_know_him() {
    let (scene, server) = (scene(), registry());
    let (host, file) = (server.host(), scene.home("auth.json"));
    let place = ["--auth-file", file.to_str().unwrap()];
    let entry = format!("{{\"auth\":\"{}\"}}", ENCODED[0]);
    fs::write(&file, format!("{{\"auths\":{{\"{host}/a\":{entry},\"{host}/b/c\":{entry}}}}}")).unwrap();
    let key = |path: &str| format!("{}: auths \"{host}/{path}\"", file.display());
    let logout = |of: &str| scene.run([&["logout", of], &place[..]].concat());

    let ran = logout(&host);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{host}: there was nothing to forget\n")));
    let note = |path| {
        format!("note: {} still says who to be at {host}/{path}: gantri logout {host}/{path} forgets it\n", key(path))
    };
    assert_eq!(ran.stderr, note("a") + &note("b/c"));
    let ran = logout(&format!("{host}/a"));
    let out = format!("logged out of {host}/a: {}\n", key("a"));
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (Some(0), out, ""));
    let ran = logout(&format!("{host}/b"));
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{host}/b: there was nothing to forget\n")));
    assert_eq!(logout(&host).stderr, note("b/c"));
    assert_eq!(scene.run([&["tags", &format!("{host}/a")], &place[..]].concat()).code, Some(4));
    assert_eq!(scene.run([&["tags", &format!("{host}/b/c")], &place[..]].concat()).stdout, "v1\n");
}

#[test]
fn programs_are_told_in_json() {
    let (scene, server) = (scene(), registry());
    let host = server.host();
    let file = scene.home("auth.json");
    let kept = format!("{}: auths \"{host}\"", file.display());
    let place = ["--auth-file", file.to_str().unwrap(), "--format", "json"];
    let document = |ran: &Ran| -> serde_json::Value { serde_json::from_str(&ran.stdout).unwrap() };
    let ran = login(&scene, &host, &place);
    is_quiet(&ran);
    let expected = serde_json::json!({"registry": host, "username": "me", "verified": true, "kept": kept});
    assert_eq!(document(&ran), expected);
    // The same file serves every command.
    let ran = scene.run([&["tags", &format!("{host}/a")], &place[..2]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "v1\n"), "{ran:?}");
    let logout = [&["logout", &*host], &place[..]].concat();
    assert_eq!(document(&scene.run(&logout)), serde_json::json!({"registry": host, "removed": [kept]}));
    assert_eq!(document(&scene.run(&logout)), serde_json::json!({"registry": host, "removed": []}));
}

/// A wrong password is a refusal, and nothing is kept.
#[test]
fn a_credential_that_is_refused_is_not_kept() {
    let (scene, server) = (scene(), registry());
    let host = server.host();
    login(&scene, &host, &[]);
    let before = scene.trace();
    let ran = run_with(&scene, &["login", &host, "--username", "me", "--password-stdin"], "c4n4ry-wrong\n");
    is_quiet(&ran);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{ran:?}");
    assert!(ran.stderr.starts_with(&format!("error: login {host}: ")), "{ran:?}");
    assert_eq!(scene.trace(), before);
    // Nobody there, and nobody asked.
    let ran = run_with(&scene, &["login", "127.0.0.1:1", "--username", "me", "--password-stdin"], "c4n4ry-wrong\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert_eq!(scene.trace(), before);
}

/// A registry that asks nobody has not looked at the password: it is kept, and that is said.
#[test]
fn a_registry_that_does_not_ask_is_told_of() {
    let (scene, server) = (scene(), ScriptedServer::start(|_| Reply::ok("{}")));
    let host = server.host();
    let ran = login(&scene, &host, &[]);
    assert_eq!(ran.code, Some(0));
    let note = format!("note: {host} let us in without asking who we are: nobody has looked at the credential\n");
    assert_eq!(ran.stderr, note);
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
}

/// An identity token is exchanged, and kept as one.
#[test]
fn an_identity_token_is_exchanged_and_kept() {
    let server = ScriptedServer::start(|request: &Request| {
        let host = request.header("host").unwrap().to_owned();
        match (request.target.starts_with("/token"), request.header("authorization")) {
            (true, _) if String::from_utf8_lossy(&request.body).contains("refresh_token=c4n4ry-token") => {
                Reply::ok(r#"{"access_token":"c4n4ry-access","expires_in":300}"#)
            }
            (true, _) => Reply::new(401),
            (false, Some("Bearer c4n4ry-access")) => Reply::ok("{}"),
            (false, _) => {
                Reply::new(401).header("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="s""#))
            }
        }
    });
    let (scene, host) = (scene(), server.host());
    let ran = run_with(&scene, &["login", &host, "--token-stdin"], "c4n4ry-token");
    is_quiet(&ran);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("logged in to {host} as the owner of the token: ")), "{ran:?}");
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.home(".docker/config.json")).unwrap()).unwrap();
    assert_eq!(file["auths"][&host]["identitytoken"], "c4n4ry-token");
    assert_eq!(run_with(&scene, &["login", &host, "--token-stdin"], "c4n4ry-wrong").code, Some(4));
}

/// What the command line may not say, and what it may not leave open.
#[test]
fn a_command_line_that_leaves_the_credential_open_is_refused() {
    let (scene, server) = (scene(), registry());
    let host = server.host();
    let image = format!("{host}/a:v1");
    let two = ["copy", &image, "127.0.0.1:1/b:v1"];
    let me = ["--username", "me", "--password-stdin"];
    let cases: Vec<(Vec<&str>, &str, &str)> = vec![
        (vec!["login", &host], "", "there is no terminal to ask at: give --username and --password-stdin"),
        (vec!["login", &host, "--username", "me"], "p", "there is no terminal"),
        (
            vec!["login", &host, "--password-stdin"],
            "p",
            "--password-stdin: whose password it is, is said by --username",
        ),
        (vec!["login", &host, "--username", "a:b", "--password-stdin"], "p", "a user name is not empty"),
        (vec!["login", &host, "--username", "", "--password-stdin"], "p", "a user name is not empty"),
        ([&["login", &host][..], &me].concat(), "", "standard input: there is no secret"),
        ([&["login", &host][..], &me].concat(), "\n", "standard input: there is no secret"),
        ([&["login", &host, "--token-stdin"][..], &me].concat(), "p", "--token-stdin: a token is in place"),
        ([&["login", "https://x"][..], &me].concat(), "p", "a host has no scheme"),
        (vec!["login", &host, "--password", "c4n4ry"], "", "unexpected argument '--password' found"),
        (vec!["tags", &image, "--username", "me"], "", "--username: its password is read by --password-stdin"),
        ([&two[..], &me].concat(), "p", "two registries"),
        ([&["build", "oci:x", "."][..], &me].concat(), "p", "no registry that it is for"),
        (
            [&["blob", "put", &image, "-"][..], &me].concat(),
            "p",
            "standard input can't be the password and the content",
        ),
    ];
    for (arguments, input, expected) in cases {
        // A terminal of whoever runs the tests is none of the command's.
        let mut words = vec!["setsid", "--wait", env!("CARGO_BIN_EXE_gantri")];
        words.extend(&arguments);
        let file = scene.home("input");
        fs::write(&file, input).unwrap();
        let output = Command::new(words[0])
            .args(&words[1..])
            .env("HOME", scene.home(""))
            .current_dir(scene.path(""))
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        let ran = Ran::from(output);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?} {ran:?}");
        assert!(ran.stderr.contains(expected), "{arguments:?} {ran:?}");
    }
    assert!(server.requests().is_empty());
    let too_long = "x".repeat((64 << 10) + 1);
    let ran = run_with(&scene, &["login", &host, "--token-stdin"], &too_long);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("the secret on standard input: over the limit credential = 65536"), "{}", ran.stderr);
}

/// A credential that is given with a command is used by it and kept nowhere.
#[test]
fn a_credential_is_given_to_one_command() {
    let (scene, server) = (scene(), registry());
    let repository = format!("{}/a", server.host());
    let ran = run_with(&scene, &["tags", &repository, "--username", "me", "--password-stdin", "-vv"], CANARY);
    is_quiet(&ran);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "v1\n"), "{ran:?}");
    assert!(ran.stderr.contains("given with the call"), "{ran:?}");
    assert!(!scene.home(".docker").exists());
    assert_eq!(scene.run(["tags", &repository]).code, Some(4));
}

/// A16: at the highest level of detail, whatever happens, no command shows a password, a token, or either in disguise; nor
/// does it leave one behind.
#[test]
fn no_command_tells_a_secret() {
    let server = ScriptedServer::start(|request: &Request| {
        let host = request.header("host").unwrap().to_owned();
        let is_authorized = request.header("authorization") == Some("Bearer c4n4ry+t0ken/");
        match request.target.as_str() {
            target if target.starts_with("/token") => Reply::ok(r#"{"token":"c4n4ry+t0ken/","expires_in":300}"#),
            _ if !is_authorized => Reply::new(401)
                .header("www-authenticate", format!(r#"Bearer realm="http://{host}/token?k=c4n4ry",service="s""#)),
            "/v2/a/tags/list" => Reply::ok(r#"{"name":"a","tags":["v1"]}"#),
            "/v2/" => Reply::ok("{}"),
            "/v2/a/manifests/moved" => Reply::new(307).header("location", format!("http://{host}/x?sig=c4n4ry")),
            _ => Reply::new(404).body(Body::Whole(r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#.into())),
        }
    });
    let (scene, host) = (scene(), server.host());
    fs::write(scene.path("file"), "content").unwrap();
    login(&scene, &host, &[]);
    let (a, digest) = (format!("{host}/a"), format!("{host}/a@sha256:{}", "0".repeat(64)));
    let (image, moved) = (format!("{a}:v1"), format!("{a}:moved"));
    let commands: Vec<Vec<&str>> = vec![
        vec!["tags", &a],
        vec!["repositories", &host],
        vec!["manifest", &image],
        vec!["manifest", &moved],
        vec!["config", &image],
        vec!["digest", &image],
        vec!["blob", &digest],
        vec!["referrers", &digest],
        vec!["pull", &image, "oci:pulled"],
        vec!["unpack", &image, "unpacked"],
        vec!["fetch", &image, "fetched"],
        vec!["copy", &image, "oci:copied"],
        vec!["tag", &image, "v2"],
        vec!["attach", &image, "--artifact-type", "a/b", "file"],
        vec!["delete", &image],
        vec!["blob", "put", &a, "file"],
        vec!["manifest", "put", &image, "file"],
        vec!["mount", &digest, &a],
        vec!["login", &host, "--username", "me", "--password-stdin"],
        vec!["logout", &host],
    ];
    let mut worked = 0;
    for command in &commands {
        let ran = run_with(&scene, &[&command[..], &["-vv", "--format", "json"]].concat(), CANARY);
        for secret in [ENCODED[0], ENCODED[1], "c4n4ry", "YzRuNHJ5K3Qwa2Vu"] {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{command:?} {ran:?}");
        }
        worked += usize::from(ran.code == Some(0));
    }
    assert!(worked >= 3, "only {worked} commands did anything");
    assert!(!format!("{:?}", scene.trace()).contains("c4n4ry"));
    assert!(
        server.requests().iter().filter(|request| request.header("authorization").is_some()).count() > commands.len()
    );
}

/// Sixteen processes log in at once, each at a registry of its own: all are known in the end.
#[test]
fn processes_that_log_in_at_once_lose_nothing() {
    let scene = scene();
    let servers: Vec<ScriptedServer> = (0..16).map(|_| registry()).collect();
    fs::create_dir(scene.home(".docker")).unwrap();
    fs::write(scene.home(".docker/config.json"), r#"{"psFormat": "x", "auths": {"kept.example": {"auth": "YTpi"}}}"#)
        .unwrap();
    fs::write(scene.home("input"), CANARY).unwrap();
    let started: Vec<Running> = servers
        .iter()
        .map(|server| {
            let mut command = scene.command(["login", &server.host(), "--username", "me", "--password-stdin"]);
            Running::start(command.stdin(fs::File::open(scene.home("input")).unwrap()))
        })
        .collect();
    for running in started {
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.home(".docker/config.json")).unwrap()).unwrap();
    let auths = file["auths"].as_object().unwrap();
    assert!(servers.iter().all(|server| auths[&server.host()]["auth"] == ENCODED[0]), "{file}");
    assert_eq!((auths.len(), &file["psFormat"], &auths["kept.example"]["auth"]), (17, &"x".into(), &"YTpi".into()));
    let names: Vec<_> = fs::read_dir(scene.home(".docker")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config.json"]);
}

/// At a terminal the password is asked for and not shown. `script` plays the terminal.
#[test]
fn a_password_that_is_typed_is_not_shown() {
    let (scene, server) = (scene(), registry());
    let host = server.host();
    let line = format!("{} login {host}", env!("CARGO_BIN_EXE_gantri"));
    let mut script = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("HOME", scene.home(""))
        .current_dir(scene.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = script.stdin.take().unwrap();
    let mut shown = Shown::of(script.stdout.take().unwrap());
    shown.until(&format!("user at {host}: "));
    typed.write_all(b"me\n").unwrap();
    shown.until(&format!("password of me at {host}: "));
    typed.write_all(format!("{CANARY}\n").as_bytes()).unwrap();
    shown.until("logged in to");
    drop(typed);
    assert!(script.wait().unwrap().success());
    let text = shown.rest();
    assert!(text.contains("me\r\n") && !text.contains("c4n4ry"), "{text:?}");
}

/// What a terminal shows, read as it comes.
struct Shown {
    from: std::process::ChildStdout,
    text: String,
}

impl Shown {
    fn of(from: std::process::ChildStdout) -> Self {
        Self { from, text: String::new() }
    }

    fn until(&mut self, words: &str) {
        use std::io::Read;

        let mut some = [0; 256];
        while !self.text.contains(words) {
            let count = self.from.read(&mut some).unwrap();
            assert!(count > 0, "{:?} does not show {words:?}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }

    fn rest(mut self) -> String {
        use std::io::Read;

        self.from.read_to_string(&mut self.text).unwrap();
        self.text
    }
}
