//! `gantri explain`: what it says of each kind of configuration, to the letter. Nothing is sent: the hosts do not exist.

use std::fs;

use test_support::{Ran, Scene};

use crate::scene;

/// What is printed for a reference, with these files in the working directory; the place itself is called `PLACE`.
fn explained(scene: &Scene, files: &[(&str, &str)], arguments: &[&str]) -> Vec<String> {
    for (name, text) in files {
        let path = scene.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let Ran { code, stdout, stderr } = scene.run([&["explain"], arguments].concat());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    let here = scene.path("");
    stdout.replace(here.to_str().unwrap(), "PLACE/").lines().map(str::to_owned).collect()
}

const CONF: &str = r#"[[registry]]
prefix = "registry.test/team"
location = "internal.test/bar"

[[registry.mirror]]
location = "mirror.test/team"
insecure = true

[[registry.mirror]]
location = "digests.test"
pull-from-mirror = "digest-only"

[[registry]]
location = "closed.test"
blocked = true
"#;

#[test]
fn a_reference_of_which_nothing_is_said_leads_where_it_says() {
    let lines = explained(&scene(), &[], &["registry.test/team/app:v1"]);
    assert_eq!(
        lines,
        [
            "registry.test/team/app:v1",
            "1. origin",
            "  at          https://registry.test/v2/team/app",
            "  ca          the system's",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:team/app:pull",
            "written to",
            "  at          https://registry.test/v2/team/app",
            "  ca          the system's",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:team/app:pull,push",
            "read /dev/null",
        ]
    );
}

#[test]
fn mirrors_and_locations_are_told_with_the_line_that_names_them() {
    let files = [
        ("registries.conf", CONF),
        ("certs.d/internal.test/ca.crt", ""),
        ("certs.d/internal.test/client.cert", ""),
        ("certs.d/internal.test/client.key", ""),
    ];
    let flags = ["--registries-conf", "registries.conf", "--cert-dir", "certs.d"];
    let lines = explained(&scene(), &files, &[&flags[..], &["registry.test/team/app:v1"]].concat());
    assert_eq!(
        lines,
        [
            "registry.test/team/app:v1",
            "1. mirror",
            "  at          https, else http://mirror.test/v2/team/app  (registries.conf:6)",
            "  asked for   tags and content",
            "  scheme      https, else http  (registries.conf:7)",
            "  ca          any: certificates are not checked  (registries.conf:7)",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:team/app:pull",
            "2. origin",
            "  at          https://internal.test/v2/bar/app  (registries.conf:3)",
            "  ca          the system's",
            "  ca          certs.d/internal.test/ca.crt  (certs.d/internal.test/ca.crt)",
            "  client      certs.d/internal.test/client.cert  (certs.d/internal.test/client.cert)",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:bar/app:pull",
            "written to",
            "  at          https://registry.test/v2/team/app",
            "  ca          the system's",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:team/app:pull,push",
            "read registries.conf",
        ]
    );
}

#[test]
fn the_reference_decides_which_mirrors_are_told() {
    let reference = format!("registry.test/team/app@sha256:{}", "0".repeat(64));
    let files = [("registries.conf", CONF)];
    let lines = explained(&scene(), &files, &["--registries-conf", "registries.conf", &reference]);
    let at: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("  at          ")).collect();
    assert_eq!(
        at,
        [
            "https, else http://mirror.test/v2/team/app  (registries.conf:6)",
            "https://digests.test/v2/app  (registries.conf:10)",
            "https://internal.test/v2/bar/app  (registries.conf:3)",
            "https://registry.test/v2/team/app",
        ]
    );
}

const HOSTS: &str = r#"server = "https://registry-1.docker.io"

[host."https://public-mirror.example.com"]
  capabilities = ["pull"]
  dial_timeout = "1s"
[host."https://docker-mirror.internal/hub"]
  capabilities = ["pull", "resolve"]
  ca = "docker-mirror.crt"
  proxy = "http://my-proxy:8080"
  [host."https://docker-mirror.internal/hub".header]
    x-team = "canary"
"#;

#[test]
fn hosts_of_containerd_are_told_in_their_order() {
    let lines = explained(&scene(), &[("hosts/docker.io/hosts.toml", HOSTS)], &["--hosts-dir", "hosts", "alpine"]);
    assert_eq!(
        lines,
        [
            "docker.io/library/alpine",
            "1. mirror",
            "  at          https://public-mirror.example.com/v2/library/alpine?ns=docker.io  (hosts/docker.io/hosts.toml:3)",
            "  asked for   content by digest",
            "  scheme      https  (hosts/docker.io/hosts.toml:3)",
            "  ca          the system's",
            "  connect     within 1s  (hosts/docker.io/hosts.toml:5)",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:library/alpine:pull",
            "2. mirror",
            "  at          https://docker-mirror.internal/hub/v2/library/alpine?ns=docker.io  (hosts/docker.io/hosts.toml:6)",
            "  asked for   tags and content",
            "  scheme      https  (hosts/docker.io/hosts.toml:6)",
            "  ca          the system's",
            "  ca          hosts/docker.io/docker-mirror.crt  (hosts/docker.io/hosts.toml:8)",
            "  header      x-team  (hosts/docker.io/hosts.toml:11)",
            "  proxy       http://my-proxy:8080  (hosts/docker.io/hosts.toml:9)",
            "  credentials none",
            "  scope       repository:library/alpine:pull",
            "3. origin",
            "  at          https://registry-1.docker.io/v2/library/alpine  (hosts/docker.io/hosts.toml:1)",
            "  scheme      https  (hosts/docker.io/hosts.toml:1)",
            "  ca          the system's",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:library/alpine:pull",
            "written to",
            "  at          https://registry-1.docker.io/v2/library/alpine  (hosts/docker.io/hosts.toml:1)",
            "  scheme      https  (hosts/docker.io/hosts.toml:1)",
            "  ca          the system's",
            "  proxy       none",
            "  credentials none",
            "  scope       repository:library/alpine:pull,push",
            "read /dev/null",
        ]
    );
}

#[test]
fn a_short_name_is_told_with_all_that_it_may_stand_for() {
    let conf = "unqualified-search-registries = [\"one.test\", \"two.test\"]\n\n[aliases]\nweb = \"three.test/web\"\n";
    let (scene, flags) = (scene(), ["--registries-conf", "registries.conf"]);
    let lines = explained(&scene, &[("registries.conf", conf)], &[&flags[..], &["app:v1"]].concat());
    assert_eq!(
        lines[..4],
        ["one.test/app:v1", "  short name  registries.conf:1", "  else        two.test/app:v1", "1. origin",]
    );
    let lines = explained(&scene, &[], &[&flags[..], &["web:v1"]].concat());
    assert_eq!(lines[..2], ["three.test/web:v1", "  short name  registries.conf:4"]);
}

#[test]
fn what_is_left_out_of_account_and_what_is_overruled_is_told() {
    let conf = "[[registry]]\nlocation = \"registry.test\"\nmirrors = []\n";
    let (scene, files) = (scene(), [("registries.conf", conf)]);
    let flags = ["--registries-conf", "registries.conf", "--plain-http"];
    let lines = explained(&scene, &files, &[&flags[..], &["registry.test/app"]].concat());
    assert_eq!(
        lines[1..4],
        [
            "1. origin",
            "  at          http://registry.test/v2/app  (registries.conf:2)",
            "  scheme      http: --plain-http",
        ]
    );
    assert_eq!(
        lines.last().unwrap(),
        "note registries.conf:3: registry.mirrors: not a key that is known here, ignored"
    );
    // Named beside `--no-config`, a file is read all the same; without, none is.
    let lines = explained(&scene, &[], &["--no-config", "localhost:5000/app"]);
    assert_eq!(
        lines[1..4],
        ["1. origin", "  at          http://localhost:5000/v2/app", "  scheme      http: a loopback host"]
    );
    assert!(lines.iter().all(|line| !line.starts_with("read ")), "{lines:?}");
}

/// `blokced = true` blocks nothing: that is not left for `explain` to find out.
#[test]
fn a_key_that_nobody_knows_is_told_of_by_every_command() {
    let scene = scene();
    let server = test_support::ScriptedServer::start(|_| test_support::Reply::ok(r#"{"name":"a","tags":["v1"]}"#));
    let conf = format!("[[registry]]\nlocation = \"{}\"\nblokced = true\n", server.host());
    fs::write(scene.path("typo.conf"), conf).unwrap();
    let tags = ["--registries-conf", "typo.conf", "tags", &format!("{}/a", server.host())];
    let ran = scene.run(tags);
    let note = "note: typo.conf:3: registry.blokced: not a key that is known here, ignored\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "v1\n", note));
    assert_eq!(scene.run([&tags[..], &["--quiet"]].concat()).stderr, "");
}

#[test]
fn what_is_told_as_json_is_told_by_place() {
    let (scene, files) = (scene(), [("registries.conf", CONF)]);
    let arguments = ["--format", "json", "--registries-conf", "registries.conf", "registry.test/team/app:v1"];
    let document: serde_json::Value = serde_json::from_str(&explained(&scene, &files, &arguments).join("\n")).unwrap();
    assert_eq!(document["reference"], "registry.test/team/app:v1");
    assert_eq!(document["files"], serde_json::json!(["registries.conf"]));
    let mirror = &document["readFrom"][0];
    assert_eq!((&mirror["role"], &mirror["at"][0]["said"]), (&"mirror".into(), &"registries.conf:6".into()));
    assert_eq!(document["readFrom"][1]["scope"][0]["value"], "repository:bar/app:pull");
    assert_eq!(document["writtenTo"]["at"][0]["value"], "https://registry.test/v2/team/app");
}

#[test]
fn what_is_blocked_is_refused_by_file_and_line() {
    let scene = scene();
    fs::write(scene.path("registries.conf"), CONF).unwrap();
    let hint = "whoever administers this machine forbids it; see registries.conf";
    for command in ["explain", "doctor", "manifest", "digest"] {
        let ran = scene.run([command, "--registries-conf", "registries.conf", "closed.test/app:v1"]);
        let refusal = scene.refusal(&ran);
        assert!(refusal.error.ends_with("closed.test/app:v1: blocked by registries.conf:15"), "{refusal:?}");
        assert_eq!((refusal.code, refusal.hint.as_deref()), (4, Some(hint)));
    }
}

#[test]
fn a_broken_file_is_told_when_a_registry_is_asked_and_not_before() {
    let scene = scene();
    fs::write(scene.path("registries.conf"), "\n[[registry]]\nlocation = 3\n").unwrap();
    let flags = ["--registries-conf", "registries.conf"];
    scene.refusal(&scene.run([&["explain"], &flags[..], &["a.test/b"]].concat())).is(
        1,
        "registries.conf:3: registry.location: not a string",
        "write it in quotes",
    );
    fs::create_dir(scene.path("tree")).unwrap();
    let Ran { code, stderr, .. } = scene.run([&["build"], &flags[..], &["oci:layout:v1", "tree"]].concat());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}
