//! What a route comes to on the wire: who is asked for what, and who is told what.

use std::sync::Arc;

use gantri::spec::{Descriptor, MediaType};
use gantri::{BlobBody, Client, Credential, Extent, Location};
use test_support::{Image, Reply, ScriptedServer};

use super::*;

/// A registry that answers with this status and nothing else.
fn closed(status: u16) -> ScriptedServer {
    ScriptedServer::start(move |_| Reply::new(status))
}

/// A registry that has one image under every name.
fn open() -> ScriptedServer {
    Image::of(&[]).serve(|image, request| {
        let mut request = request.clone();
        request.target.truncate(request.target.find('?').unwrap_or(request.target.len()));
        Some(image.answer(&request))
    })
}

/// A client that reads these files, in which each `@N@` is the nth of these servers.
fn client(files: &[(&str, &str)], servers: &[&ScriptedServer]) -> (TempDir, Client) {
    let filled = |text: &str| {
        let hosts = servers.iter().enumerate();
        hosts.fold(text.to_owned(), |text, (at, server)| text.replace(&format!("@{at}@"), &server.host()))
    };
    let files: Vec<(String, String)> = files.iter().map(|(name, text)| (filled(name), filled(text))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let dir = dir(&files);
    let mut configuration = Configuration::default();
    if dir.path().join("registries.conf").exists() {
        configuration = configuration.registries_conf(dir.path().join("registries.conf"));
    }
    if dir.path().join("hosts").exists() {
        configuration = configuration.hosts_dir(dir.path().join("hosts"));
    }
    let me = Credential::basic("me", "canary");
    (dir, Client::builder().configuration(configuration).credentials(Arc::new(me)).build().unwrap())
}

fn location(text: &str) -> Location {
    text.parse().unwrap()
}

/// What a server was asked: method and path, digests as `D`.
fn asked(server: &ScriptedServer) -> Vec<String> {
    let digest = |target: &str| match target.split_once("sha256:") {
        Some((before, after)) => format!("{before}D{}", after.get(64..).unwrap_or_default()),
        None => target.to_owned(),
    };
    server.requests().iter().map(|request| format!("{} {}", request.method, digest(&request.target))).collect()
}

const ONE_MIRROR: &str = "[[registry]]\nprefix = \"example.com/foo\"\nlocation = \"@1@/bar\"\n\
    [[registry.mirror]]\nlocation = \"@0@/m\"\n";

#[tokio::test]
async fn a_mirror_that_has_it_is_the_only_one_asked() {
    let (mirror, origin) = (open(), open());
    let (_dir, client) = client(&[("registries.conf", ONE_MIRROR)], &[&mirror, &origin]);
    let image = client.image(&location("example.com/foo/app:v1")).await.unwrap();
    client.config(&location("example.com/foo/app:v1"), &image).await.unwrap();
    assert_eq!(asked(&mirror), ["GET /v2/m/app/manifests/v1", "GET /v2/m/app/blobs/D"]);
    assert_eq!(asked(&origin), Vec::<String>::new());
}

/// Whatever it is that a mirror fails with.
#[tokio::test]
async fn a_mirror_that_fails_is_left_for_the_next_and_the_origin() {
    for status in [401, 403, 404, 418] {
        let (mirror, origin) = (closed(status), open());
        let (_dir, client) = client(&[("registries.conf", ONE_MIRROR)], &[&mirror, &origin]);
        client.manifest(&location("example.com/foo/app:v1")).await.unwrap();
        assert_eq!(asked(&mirror), ["GET /v2/m/app/manifests/v1"], "{status}");
        assert_eq!(asked(&origin), ["GET /v2/bar/app/manifests/v1"], "{status}");
    }
}

/// A1, A15: what was given for the host that the user named is not told to one that a file has named.
#[tokio::test]
async fn a_mirror_is_not_told_the_secret_of_another_host() {
    let wants_login = || {
        Image::of(&[]).serve(|_, request| {
            let told = request.header("authorization").is_some();
            (!told).then(|| Reply::new(401).header("www-authenticate", "Basic realm=\"x\""))
        })
    };
    let (mirror, origin) = (wants_login(), wants_login());
    let conf = "[[registry]]\nlocation = \"@1@\"\n[[registry.mirror]]\nlocation = \"@0@\"\n";
    let (_dir, client) = client(&[("registries.conf", conf)], &[&mirror, &origin]);
    client.manifest(&location(&format!("{}/app:v1", origin.host()))).await.unwrap();
    assert!(mirror.requests().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(mirror.requests().len(), 1);
    assert!(origin.requests().iter().any(|request| request.header("authorization").is_some()));
}

/// A15: a password that was typed for a host is tried at that host, wherever files have its names read from.
#[tokio::test]
async fn a_credential_is_tried_at_the_host_that_it_is_for_and_shown_to_no_other() {
    let asks = || {
        ScriptedServer::start(|request| match request.header("authorization") {
            Some(_) => Reply::ok("{}"),
            None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
        })
    };
    let conf = "[[registry]]\nprefix = \"@0@\"\nlocation = \"@1@/hub\"\n[[registry.mirror]]\nlocation = \"@1@/m\"\n";
    let cases: &[(&str, &str)] = &[
        ("registries.conf", conf),
        ("hosts/@0@/hosts.toml", "server = \"http://@1@\"\n"),
        ("hosts/@0@/hosts.toml", "server = \"http://@1@\"\n[host.\"http://@0@\"]\ncapabilities = [\"pull\"]\n"),
        ("hosts/@0@/hosts.toml", "[host.\"http://@1@\"]\n"),
        ("hosts/_default/hosts.toml", "server = \"http://@1@\"\n"),
    ];
    for case in cases {
        let (named, elsewhere) = (asks(), asks());
        let (_dir, client) = client(&[*case], &[&named, &elsewhere]);
        let host = named.host().parse().unwrap();
        client.login_check(&host, Credential::basic("me", "typed")).await.unwrap();
        assert!(named.requests().iter().any(|request| request.header("authorization").is_some()), "{case:?}");
        assert!(elsewhere.requests().is_empty(), "{case:?} {:?}", elsewhere.requests());
    }
}

/// What is put is held against the place that it is put to: a mirror that has it is no proof.
#[tokio::test]
async fn nothing_is_written_to_a_mirror_nor_looked_for_there_before_it_is_written() {
    let (mirror, location_of_it, named) = (
        open(),
        open(),
        ScriptedServer::start(|request| match &*request.method {
            "HEAD" => Reply::new(404),
            "POST" => Reply::new(202).header("location", "/v2/team/app/blobs/uploads/1"),
            _ => Reply::new(201),
        }),
    );
    let conf = "[[registry]]\nprefix = \"@2@\"\nlocation = \"@1@\"\n[[registry.mirror]]\nlocation = \"@0@\"\n";
    let (_dir, client) = client(&[("registries.conf", conf)], &[&mirror, &location_of_it, &named]);
    let blob = Descriptor::of(MediaType::OCI_LAYER_GZIP, b"bytes");
    let target = location(&format!("{}/team/app", named.host()));
    client.put_blob(&target, &blob, BlobBody::bytes("bytes")).await.unwrap();
    assert_eq!((asked(&mirror), asked(&location_of_it)), (Vec::new(), Vec::new()));
    assert!(asked(&named).iter().all(|request| request.contains(" /v2/team/app/blobs/")), "{:?}", asked(&named));
}

/// A registry with a mirror is one registry: a copy within it sends no blob, and reads none from the mirror.
#[tokio::test]
async fn a_copy_within_a_registry_that_has_a_mirror_mounts() {
    let image = || Image::of(&[b"layer".to_vec()]);
    let mirror = image().serve(|_, _| None);
    let origin = image().serve(|_, request| match &*request.method {
        "HEAD" => Some(Reply::new(404)),
        "POST" | "PUT" => Some(Reply::new(201)),
        _ => None,
    });
    let conf = "[[registry]]\nlocation = \"@1@\"\n[[registry.mirror]]\nlocation = \"@0@\"\n";
    let (_dir, client) = client(&[("registries.conf", conf)], &[&mirror, &origin]);
    let [from, to] = ["team/app:v1", "other/app:v1"].map(|name| location(&format!("{}/{name}", origin.host())));
    client.copy(&[(from, to)], &Extent::default()).await.unwrap();
    assert_eq!(asked(&mirror), ["GET /v2/team/app/manifests/v1"]);
    let mut asked: Vec<_> = asked(&origin).into_iter().filter(|asked| !asked.starts_with("HEAD ")).collect();
    asked.sort();
    let mount = "POST /v2/other/app/blobs/uploads/?mount=D&from=team/app";
    assert_eq!(asked, [mount, mount, "PUT /v2/other/app/manifests/v1"]);
}

/// A13: `insecure = true` allows http, where https is not spoken.
#[tokio::test]
async fn insecure_is_https_unless_only_http_is_spoken() {
    let origin = open();
    let conf = "[[registry]]\nprefix = \"example.com\"\nlocation = \"@0@\"\ninsecure = true\n";
    let (_dir, client) = client(&[("registries.conf", conf)], &[&origin]);
    client.manifest(&location("example.com/app:v1")).await.unwrap();
    client.manifest(&location("example.com/app:v2")).await.unwrap();
    let asked: Vec<String> = asked(&origin).into_iter().filter(|request| request.starts_with("GET /")).collect();
    assert_eq!(asked, ["GET /v2/", "GET /v2/app/manifests/v1", "GET /v2/app/manifests/v2"]);
}

#[tokio::test]
async fn what_is_blocked_is_sent_nothing() {
    let origin = open();
    let conf = "[[registry]]\nlocation = \"@0@\"\nblocked = true\n";
    let (dir, client) = client(&[("registries.conf", conf)], &[&origin]);
    let error = client.manifest(&location(&format!("{}/app:v1", origin.host()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let place = format!("{}:3", dir.path().join("registries.conf").display());
    assert!(error.to_string().contains(&format!("blocked by {place}")), "{error}");
    assert_eq!(asked(&origin), Vec::<String>::new());
}

/// O19: the proxy of one host is that host's alone.
#[tokio::test]
async fn a_host_is_reached_through_the_proxy_of_its_own() {
    // Whoever is asked through a proxy is named in the request's own line.
    let image = Image::of(&[]);
    let proxy = image.clone().serve(|image, request| {
        let mut request = request.clone();
        request.target =
            request.target.split_once(".test").map(|(_, path)| path.split('?').next().unwrap().to_owned())?;
        Some(image.answer(&request))
    });
    let (direct, never) = (open(), closed(418));
    let toml = "server = \"http://@1@\"\n[host.\"http://m.test\"]\ncapabilities = [\"pull\"]\nproxy = \"http://@0@\"\n";
    let other = "server = \"http://@2@\"\n";
    let files = [("hosts/example.com/hosts.toml", toml), ("hosts/other.com/hosts.toml", other)];
    let (_dir, client) = client(&files, &[&proxy, &direct, &never]);
    let found = client.image(&location("example.com/app:v1")).await.unwrap();
    client.config(&location("example.com/app:v1"), &found).await.unwrap();
    assert_eq!(
        asked(&proxy),
        ["GET http://m.test/v2/app/manifests/D?ns=example.com", "GET http://m.test/v2/app/blobs/D?ns=example.com"]
    );
    assert_eq!(asked(&direct), ["HEAD /v2/app/manifests/v1?ns=example.com"]);
    assert!(client.manifest(&location("other.com/app:v1")).await.is_err());
    assert_eq!((asked(&proxy).len(), asked(&never).len()), (2, 1));
}

/// Tags of those that may resolve, content of those that may be pulled from.
#[tokio::test]
async fn a_host_of_hosts_toml_is_asked_for_what_it_is_capable_of() {
    let (mirror, server) = (open(), open());
    let toml = "server = \"http://@1@\"\n[host.\"http://@0@/team\"]\ncapabilities = [\"pull\"]\n\
        [host.\"http://@0@/team\".header]\nx-who = [\"one\", \"two\"]\n";
    let (_dir, client) = client(&[("hosts/example.com/hosts.toml", toml)], &[&mirror, &server]);
    let image = client.image(&location("example.com/app:v1")).await.unwrap();
    client.config(&location("example.com/app:v1"), &image).await.unwrap();
    assert_eq!(asked(&server), ["HEAD /v2/app/manifests/v1?ns=example.com"]);
    assert_eq!(
        asked(&mirror),
        ["GET /team/v2/app/manifests/D?ns=example.com", "GET /team/v2/app/blobs/D?ns=example.com",]
    );
    let headers: Vec<Vec<String>> = [&mirror, &server]
        .map(|server| {
            let last = server.requests().pop().unwrap();
            last.headers.iter().filter(|(name, _)| name == "x-who").map(|(_, value)| value.clone()).collect()
        })
        .into();
    assert_eq!(headers, [vec!["one".to_owned(), "two".to_owned()], Vec::new()]);
}
