//! `gantri doctor`: each step on the way to an image, the first that fails, and what to do about it.

use std::fs;

use test_support::mask::mask;
use test_support::{Image, Ran, Reply, Running, Scene, ScriptedServer};

use crate::scene;

/// A registry that answers a ping, and everything else as it is told.
fn registry(answer: impl Fn(&test_support::Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |request| {
        let mut request = request.clone();
        // Whom it stands in for is nothing to it.
        request.target.truncate(request.target.find('?').unwrap_or(request.target.len()));
        if request.target == "/v2/" { Reply::ok("{}") } else { answer(&request) }
    })
}

fn doctor(scene: &Scene, arguments: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let Ran { code, stdout, stderr } = scene.run([&["doctor"], arguments].concat());
    (code, mask(&stdout).lines().map(str::to_owned).collect(), mask(&stderr))
}

#[test]
fn an_image_that_can_be_had_is_reached_in_six_steps() {
    let image = Image::of(&[]);
    let server = registry(move |request| image.answer(request));
    let (code, lines, stderr) = doctor(&scene(), &[&format!("{}/app:v1", server.host())]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(
        lines,
        [
            "HOST/app",
            "  ok     name      127.0.0.1",
            "  ok     connect   HOST",
            "  ok     tls       not spoken",
            "  ok     ping      a registry",
            "  ok     login     nobody has to",
            "  ok     manifest  D1 application/vnd.oci.image.manifest.v1+json",
        ]
    );
}

/// A name that nobody resolves is where the user says that it is, for every command.
#[test]
fn a_name_is_where_it_is_said_to_be() {
    let (image, scene) = (Image::of(&[]), scene());
    let digest = image.manifest.digest().to_string();
    let server = registry(move |request| image.answer(request));
    let port = server.address().port();
    let name = format!("registry.test:{port}/app:v1");
    let pin = format!("registry.test:{port}:127.0.0.1");
    let (code, lines, stderr) = doctor(&scene, &[&name, "--plain-http=always", "--resolve", &pin]);
    assert_eq!((code, stderr.as_str(), lines.len()), (Some(0), "", 7), "{lines:?}");
    assert_eq!(lines[1], "  ok     name      127.0.0.1");
    let ran = scene.run(["digest", &name, "--plain-http=always", "--resolve", &pin]);
    assert_eq!((ran.code, ran.stdout.trim(), ran.stderr.as_str()), (Some(0), digest.as_str(), ""));
}

#[test]
fn what_fails_is_told_with_what_to_do_and_the_exit_code_of_a_pull() {
    let refused = |status: u16| registry(move |_| Reply::new(status).header("www-authenticate", "Basic realm=\"x\""));
    let cases = [
        (refused(404), 3, "manifest", "check the name and the tag; `gantri tags` lists what there is"),
        (refused(403), 4, "login", "log in to HOST; `gantri explain` says where credentials are looked for"),
        (ScriptedServer::start(|_| Reply::new(404)), 1, "ping", "check that HOST is a registry, and its port"),
        (refused(503), 1, "manifest", "HOST can't answer now: try again later, or ask who runs it"),
        (refused(401), 1, "login", "mend what it names; `gantri explain` says where credentials are looked for"),
    ];
    for (server, code, step, hint) in cases {
        let scene = scene();
        // Read when the registry asks who we are, and not before.
        fs::create_dir_all(scene.home(".docker")).unwrap();
        fs::write(scene.home(".docker/config.json"), format!(r#"{{"auths":{{"{}":{{"auth":"?"}}}}}}"#, server.host()))
            .unwrap();
        let (ended, lines, stderr) = doctor(&scene, &[&format!("{}/app:v1", server.host())]);
        assert_eq!(ended, Some(code), "{lines:?} {stderr}");
        let last = lines.last().unwrap();
        assert!(last.starts_with(&format!("  FAILED {step:<9} ")), "{lines:?}");
        assert!(stderr.ends_with(&format!("\nhint: {hint}\n")), "{stderr}");
        let error = stderr.strip_prefix("error: ").and_then(|error| error.split_once('\n')).unwrap().0;
        assert!(last.ends_with(error), "{last} {error}");
    }
}

#[test]
fn nobody_there_and_no_such_name_are_told_apart() {
    let server = registry(|_| Reply::new(404));
    let gone = server.host();
    drop(server);
    let (code, lines, stderr) = doctor(&scene(), &[&format!("{gone}/app:v1")]);
    assert_eq!((code, lines[1].as_str()), (Some(1), "  ok     name      127.0.0.1"));
    assert_eq!(lines[2], "  FAILED connect   connect to HOST: Connection refused (os error 111)");
    assert!(stderr.ends_with("hint: check that HOST is up, its port, and what stands between\n"), "{stderr}");
}

/// A proxy that is down is told of as one, and is no matter of certificates.
#[test]
fn a_proxy_that_is_down_is_what_is_to_be_checked() {
    let server = registry(|_| Reply::new(404));
    let gone = server.host();
    drop(server);
    let scene = scene();
    let toml = format!("[host.\"https://example.com\"]\nproxy = \"http://{gone}\"\n");
    fs::create_dir_all(scene.path("hosts/example.com")).unwrap();
    fs::write(scene.path("hosts/example.com/hosts.toml"), format!("server = \"https://example.com\"\n{toml}")).unwrap();
    let named = "hint: check that http://HOST is up; hosts/example.com/hosts.toml:3 names it\n";
    let of_all = "hint: check that http://HOST is up, or let example.com go past it (NO_PROXY)\n";
    let cases: [(&[&str], Option<&str>, &str); 2] =
        [(&["--hosts-dir", "hosts"], None, named), (&[], Some(gone.as_str()), of_all)];
    for (flags, of_environment, hint) in cases {
        let mut command = scene.command([&["doctor", "example.com/app:v1"], flags].concat());
        command.env("HTTPS_PROXY", format!("http://{}", of_environment.unwrap_or(&gone)));
        let Ran { code, stdout, stderr } = Running::start(&mut command).end();
        let (stdout, stderr) = (mask(&stdout), mask(&stderr));
        let lines: Vec<&str> = stdout.lines().collect();
        assert_eq!((code, lines[1]), (Some(1), "  ok     name      left to the proxy http://HOST"), "{stdout}");
        assert!(lines[2].starts_with("  FAILED connect   ") && lines[2].contains("proxy http://HOST: "), "{stdout}");
        assert!(stdout.contains(hint) || stderr.ends_with(hint), "{stdout}{stderr}");
    }
}

/// What a pull does not ask a mirror for is not asked, and is no sign that the image can be had.
#[test]
fn a_mirror_for_digests_is_not_asked_what_a_tag_names() {
    let image = Image::of(&[]);
    let (mirror, scene) = (registry(|_| Reply::new(404)), scene());
    for (origin, code) in
        [(registry(move |request| image.answer(request)), Some(0)), (registry(|_| Reply::new(404)), Some(3))]
    {
        let mirror = mirror.host();
        let toml =
            format!("server = \"http://{}\"\n[host.\"http://{mirror}\"]\ncapabilities = [\"pull\"]\n", origin.host());
        fs::create_dir_all(scene.path("hosts/example.com")).unwrap();
        fs::write(scene.path("hosts/example.com/hosts.toml"), toml).unwrap();
        let (ended, lines, stderr) = doctor(&scene, &["--hosts-dir", "hosts", "example.com/app:v1"]);
        assert_eq!(ended, code, "{lines:?} {stderr}");
        let steps: Vec<&str> = lines[1..5].iter().map(String::as_str).collect();
        let expected = [
            "  ok     name      127.0.0.1",
            "  ok     connect   HOST",
            "  ok     tls       not spoken",
            "  ok     ping      a registry, asked for digests only",
        ];
        assert_eq!((steps, lines[5].as_str()), (expected.to_vec(), "HOST/app"));
    }
    assert!(mirror.requests().iter().all(|request| request.target == "/v2/?ns=example.com"));
}

/// One of several places is enough; what is wrong with the others is said all the same.
#[test]
fn a_mirror_that_fails_beside_an_origin_that_does_not_is_no_failure() {
    let image = Image::of(&[]);
    let (mirror, origin) = (registry(|_| Reply::new(404)), registry(move |request| image.answer(request)));
    let scene = scene();
    let conf = format!(
        "[[registry]]\nprefix = \"example.com\"\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}/m\"\n",
        origin.host(),
        mirror.host()
    );
    fs::write(scene.path("registries.conf"), conf).unwrap();
    let flags = ["--registries-conf", "registries.conf", "example.com/app:v1"];
    let (code, lines, stderr) = doctor(&scene, &flags);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let places: Vec<&str> = lines.iter().filter(|line| line.starts_with("HOST")).map(String::as_str).collect();
    assert_eq!(places, ["HOST/m/app", "HOST/app"]);
    assert_eq!(lines.last().unwrap(), "hint: check the name and the tag; `gantri tags` lists what there is");
    assert!(lines.iter().any(|line| line.starts_with("  ok     manifest")), "{lines:?}");
    let (code, lines, _) = doctor(&scene, &[&["--format", "json"], &flags[..]].concat());
    let document: serde_json::Value = serde_json::from_str(&lines.join("\n")).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(document["places"][0]["steps"][5]["ok"], false);
    assert_eq!(document["places"][1]["steps"][5]["step"], "manifest");
}
