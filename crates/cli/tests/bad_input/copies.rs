//! Copies and pushes that can't be: the error says which side and which object, and nothing half-made can be seen at the
//! target. Tags move last, or not at all.

use std::fs;
use std::sync::Arc;

use gantri::core::filter::Immutable;
use gantri::server::{Server, ServerOptions};
use gantri::{Memory, Registry};
use test_support::{Body, Reply, Request, Running, Scene, ScriptedServer};
use tokio::runtime::Runtime;

use crate::{image, noise, scene};

/// A registry of ours in this process; ends when it is dropped.
pub(crate) struct Embedded {
    _runtime: Runtime,
    pub(crate) host: String,
}

impl Embedded {
    pub(crate) fn of(registry: impl Registry) -> Self {
        let runtime = Runtime::new().unwrap();
        let anywhere = ([127, 0, 0, 1], 0).into();
        let server = runtime.block_on(Server::bind(anywhere, Arc::new(registry), ServerOptions::default())).unwrap();
        let host = server.local_addr().to_string();
        runtime.spawn(server.run(std::future::pending()));
        Self { _runtime: runtime, host }
    }

    pub(crate) fn new() -> Self {
        Self::of(Memory::new())
    }

    /// What the tags are, one a word.
    fn tags(&self, repository: &str) -> String {
        let ran = scene().run(["tags", &format!("{}/{repository}", self.host)]);
        ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A registry that takes everything, but answers as `twist` says where that says anything.
fn taking_but(twist: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |request| {
        if let Some(reply) = twist(request) {
            return reply;
        }
        let path = request.target.split('?').next().unwrap_or_default();
        match request.method.as_str() {
            "POST" => Reply::new(202).header("location", format!("{path}1")),
            "PATCH" => {
                let last = request.body.len().saturating_sub(1);
                Reply::new(202).header("location", path).header("range", format!("0-{last}"))
            }
            "PUT" => Reply::new(201),
            "DELETE" => Reply::new(204),
            _ => Reply::new(404),
        }
    })
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    Reply::new(status).header("content-type", "application/json").body(Body::Whole(body.into()))
}

fn puts_a_manifest(request: &Request) -> bool {
    request.method == "PUT" && request.target.contains("/manifests/")
}

/// Copies an honest image to a registry that refuses uploads so: no manifest is put.
fn refused_uploads(reply: Reply, code: i32, error: &str, hint: &str) {
    let source = image().serve(|_, _| None);
    let target = taking_but(move |request| (request.method == "POST").then(|| reply.clone()));
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/to:v1", target.host()));
    let error = format!("copy HOST/app:v1 -> HOST/to:v1: target: push blob HOST/to@D1: {error}");
    scene().refuses(["copy", &from, &to]).is(code, &error, hint);
    assert!(!target.requests().iter().any(puts_a_manifest), "no manifest, and so no tag, without its content");
}

#[test]
fn a_target_that_denies_gets_no_manifest() {
    let reply = refusal(403, "DENIED", "requested access to the resource is denied");
    refused_uploads(reply, 4, "requested access to the resource is denied (403 DENIED)", "");
}

#[test]
fn a_target_that_is_full_gets_no_manifest() {
    let reply = refusal(507, "UNKNOWN", "no space left").header("retry-after", "0");
    refused_uploads(reply, 1, "no space left (507 UNKNOWN)", "the registry asks to wait 0 seconds");
}

#[test]
fn a_target_that_limits_the_rate_is_asked_again_and_then_told() {
    let reply = refusal(429, "TOOMANYREQUESTS", "slow down").header("retry-after", "0");
    refused_uploads(reply, 1, "slow down (429 TOOMANYREQUESTS)", "the registry asks to wait 0 seconds");
}

/// The blobs arrive and the manifest does not.
#[test]
fn a_target_that_refuses_the_manifest_is_told_with_its_digest() {
    let source = image().serve(|_, _| None);
    let target =
        taking_but(|request| puts_a_manifest(request).then(|| refusal(400, "MANIFEST_INVALID", "not in this house")));
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/to:v1", target.host()));
    scene().refuses(["copy", &from, &to]).is(
        1,
        "copy HOST/app:v1 -> HOST/to:v1: target: manifest D1: push manifest HOST/to:v1: not in this house (400 MANIFEST_INVALID)",
        "",
    );
}

#[test]
fn a_tag_that_never_moves_stays_where_it_is() {
    let scene = scene();
    let target = Embedded::of(Immutable::new(Memory::new()));
    for name in ["one", "two"] {
        fs::create_dir(scene.path(name)).unwrap();
        fs::write(scene.path(name).join("file"), name).unwrap();
        assert_eq!(scene.run(["build", &format!("oci:images:{name}"), name]).code, Some(0));
    }
    let to = format!("{}/app:v1", target.host);
    let first = scene.run(["push", "oci:images:one", &to]).stdout;
    assert_eq!(scene.run(["push", "oci:images:one", &to]).stdout, first, "the same again is no move");
    scene.refuses(["push", "oci:images:two", &to]).is(
        4,
        "copy oci:images:two -> HOST/app:v1: target: manifest D1: push manifest HOST/app:v1: put tag app:v1: it is set to D2, and tags here are immutable (403 DENIED)",
        "",
    );
    let other = format!("{}/app:v2", target.host);
    assert_eq!(scene.run(["push", "oci:images:two", &other]).code, Some(0));
    scene.refuses(["tag", &other, "v1"]).is(
        4,
        "tag HOST/app:v2: push manifest HOST/app:v1: put tag app:v1: it is set to D1, and tags here are immutable (403 DENIED)",
        "",
    );
    assert_eq!(scene.run(["digest", &to]).stdout, first);
}

/// A source that breaks off in mid-layer, and is gone when the rest is asked for.
#[test]
fn a_source_that_vanishes_in_mid_copy_leaves_no_tag() {
    let scene = scene();
    let target = Embedded::new();
    let image = image();
    let layer = image.first_layer().to_string();
    let source = image.serve(move |image, request| {
        let whole = image.blobs[image.first_layer()].clone();
        let half = whole.len() / 2;
        match request.header("range") {
            _ if !request.target.ends_with(&layer) => None,
            None => Some(Reply::ok(whole.clone()).body(Body::Cut(whole, half))),
            Some(_) => Some(Reply::new(404)),
        }
    });
    let from = format!("{}/app:v1", source.host());
    let to = format!("{}/app:v1", target.host);
    scene.refuses(["copy", &from, &to]).is(
        3,
        "copy HOST/app:v1 -> HOST/app:v1: source: blob HOST/app@D1: not found (404)",
        "",
    );
    assert_eq!(target.tags("app"), "");
    scene.refuses(["copy", &from, "oci:new"]).is(
        3,
        "copy HOST/app:v1 -> oci:new:v1: source: blob HOST/app@D1: not found (404)",
        "",
    );
    scene.refuses(["copy", &from, "docker-archive:new.tar"]).is(
        3,
        "copy HOST/app:v1 -> docker-archive:new.tar:v1: source: blob HOST/app@D1: not found (404)",
        "",
    );
}

/// Its bytes are hashed on their way, so the registry never gets them all.
#[test]
fn a_source_that_sends_other_bytes_leaves_no_tag() {
    let target = Embedded::new();
    let image = image();
    let layer = image.first_layer().clone();
    let other = vec![b'x'; image.blobs[&layer].len()];
    let source = image.serve_but(&layer, Reply::ok(other));
    let scene = scene();
    let from = format!("{}/app:v1", source.host());
    let to = format!("{}/app:v1", target.host);
    scene.refuses(["copy", &from, &to]).is(
        1,
        "copy HOST/app:v1 -> HOST/app:v1: source: push blob HOST/app@D1: digest D1 expected, D2 received",
        "",
    );
    scene.refuses(["copy", &from, "oci-archive:new.tar"]).is(
        1,
        "copy HOST/app:v1 -> oci-archive:new.tar:v1: source: blob D1: digest D2 received",
        "",
    );
    assert_eq!(target.tags("app"), "");
}

/// A layout with the image `v1`, whose first layer is in this file.
fn layout(scene: &Scene) -> std::path::PathBuf {
    fs::create_dir(scene.path("tree")).unwrap();
    fs::write(scene.path("tree/noise"), noise(100_000)).unwrap();
    assert_eq!(scene.run(["build", "oci:images:v1", "tree"]).code, Some(0));
    let manifest: serde_json::Value = serde_json::from_str(&scene.run(["manifest", "oci:images:v1"]).stdout).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    scene.path("images/blobs").join(digest.replace(':', "/"))
}

#[test]
fn a_layout_that_lacks_a_blob_is_not_pushed() {
    let (scene, target) = (scene(), Embedded::new());
    fs::remove_file(layout(&scene)).unwrap();
    let to = format!("{}/app:v1", target.host);
    scene.refuses(["push", "oci:images:v1", &to]).is(
        3,
        "copy oci:images:v1 -> HOST/app:v1: source: images: blob D1 unknown",
        "",
    );
    scene.refuses(["copy", "oci:images:v1", "docker-archive:new.tar"]).is(
        3,
        "copy oci:images:v1 -> docker-archive:new.tar:v1: source: images: blob D1 unknown",
        "",
    );
    assert_eq!(target.tags("app"), "");
}

#[test]
fn a_layout_with_a_damaged_blob_is_not_pushed() {
    let (scene, target) = (scene(), Embedded::new());
    let file = layout(&scene);
    let mut bytes = fs::read(&file).unwrap();
    bytes[50_000] ^= 1;
    // A new file, as damage to a disk would not announce itself.
    fs::remove_file(&file).unwrap();
    fs::write(&file, &bytes).unwrap();
    let to = format!("{}/app:v1", target.host);
    scene.refuses(["push", "oci:images:v1", &to]).is(
        1,
        "copy oci:images:v1 -> HOST/app:v1: source: digest D1 expected, D2 received",
        "",
    );
    scene.refuses(["copy", "oci:images:v1", "oci:new"]).is(
        1,
        "copy oci:images:v1 -> oci:new:v1: source: blob D1: digest D2 received",
        "",
    );
    // One that is too short is another case: its size is looked at before it is opened.
    fs::write(&file, &bytes[..50_000]).unwrap();
    scene.refuses(["push", "oci:images:v1", &to]).is(1, "copy oci:images:v1 -> HOST/app:v1: source: push blob HOST/app@D1: upload to HOST/app: digest D1: size 100206 expected, 50000 received", "");
    assert_eq!(target.tags("app"), "");
}

/// The archive of the image, damaged in one of three ways.
#[test]
fn an_archive_that_lies_is_not_copied() {
    let (scene, target) = (scene(), Embedded::new());
    layout(&scene);
    for kind in ["oci-archive", "docker-archive"] {
        assert_eq!(scene.run(["copy", "oci:images:v1", &format!("{kind}:{kind}.tar:app:v1")]).code, Some(0));
        let whole = fs::read(scene.path(&format!("{kind}.tar"))).unwrap();
        let to = format!("{}/app:v1", target.host);
        let source = format!("{kind}:bad.tar");
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        fs::write(scene.path("bad.tar"), flipped).unwrap();
        let named = format!("copy {source}@D1 -> HOST/app:v1: source: push blob HOST/app@D2: upload to HOST/app");
        scene.refuses(["push", &source, &to]).is(1, &format!("{named}: digest D2 expected, D3 received"), "");
        let cases: [(&[u8], &str, &str); 2] = [
            (&whole[..whole.len() / 2], "read bad.tar: byte ", ": it ends in the middle of an entry: it was cut off"),
            (b"no archive at all", "read bad.tar: byte 0: it ends without an end mark", ": it was cut off"),
        ];
        for (bytes, start, end) in cases {
            fs::write(scene.path("bad.tar"), bytes).unwrap();
            let start = format!("copy {source} -> HOST/app:v1: {start}");
            scene.refuses(["push", &source, &to]).is_like(1, &start, end);
        }
        fs::remove_file(scene.path("bad.tar")).unwrap();
        let error = format!("copy {source} -> HOST/app:v1: open bad.tar: No such file or directory (os error 2)");
        scene.refuses(["push", &source, &to]).is(1, &error, "");
    }
    assert_eq!(target.tags("app"), "");
}

#[test]
fn an_archive_of_several_images_wants_to_know_which() {
    let scene = scene();
    layout(&scene);
    for tag in ["v1", "v2"] {
        fs::write(scene.path("tree/noise"), tag).unwrap();
        assert_eq!(scene.run(["build", &format!("oci-archive:two.tar:{tag}"), "tree"]).code, Some(0));
    }
    scene.refuses(["copy", "oci-archive:two.tar", "oci:new"]).is(
        1,
        "copy oci-archive:two.tar -> oci:new: two.tar: several images",
        "it holds v1, v2",
    );
    scene.refuses(["digest", "oci-archive:two.tar:v3"]).is(
        3,
        "manifest oci-archive:two.tar:v3: two.tar: v3: no such image",
        "it holds v1, v2",
    );
}

/// What is in the way is never overwritten.
#[test]
fn a_file_that_is_no_archive_is_not_written_over() {
    let scene = scene();
    layout(&scene);
    fs::write(scene.path("mine.tar"), "x").unwrap();
    scene.refuses(["copy", "oci:images:v1", "docker-archive:mine.tar:app"]).is(1, "copy oci:images:v1 -> docker-archive:mine.tar:app: read PLACE/here/mine.tar: byte 0: it ends without an end mark: it was cut off", "");
    scene.refuses(["copy", "oci:images:v1", "oci-archive:absent/new.tar"]).is(
        1,
        "copy oci:images:v1 -> oci-archive:absent/new.tar: directory absent: it is not there",
        "make it, or choose another",
    );
}

/// Its digest is known before a byte of it: what comes is held against it, and the upload is given up.
#[test]
fn a_blob_from_a_pipe_that_is_another_is_not_kept() {
    let (scene, target) = (scene(), Embedded::new());
    fs::write(scene.path("file"), "other bytes").unwrap();
    let promised = gantri::Digest::of(b"these bytes");
    let to = format!("{}/app@{promised}", target.host);
    let before = scene.trace();
    let mut command = scene.command(["blob", "put", &to, "-"]);
    let ran = Running::start(command.stdin(fs::File::open(scene.path("file")).unwrap())).end();
    scene.refusal(&ran).is(1, "blob put HOST/app@D1: its digest is D2, not D1", "");
    assert_eq!(scene.trace(), before);
    let other = format!("{}/app@{}", target.host, gantri::Digest::of(b"other bytes"));
    assert_eq!(scene.run(["blob", &other]).code, Some(3), "nor under its own name");
    scene.refuses(["blob", "put", &to, "file"]).is(1, "blob put HOST/app@D1: file: its digest is D2, not D1", "");
}

/// It was hashed, and is another when it is sent.
#[test]
fn a_file_that_changes_while_it_is_sent_is_not_kept() {
    let scene = scene();
    let file = scene.path("file");
    fs::write(&file, vec![b'a'; 1 << 20]).unwrap();
    let changed = file.clone();
    let target = taking_but(move |request| {
        if request.method == "POST" {
            fs::write(&changed, vec![b'b'; 1 << 20]).unwrap();
        }
        None
    });
    let repository = format!("{}/app", target.host());
    let refusal = scene.refusal(&scene.run(["blob", "put", &repository, "file"]));
    refusal.is(1, "blob put HOST/app: push blob HOST/app@D1: upload to HOST/app: digest D1 expected, D2 received", "");
    assert!(!target.requests().iter().any(|request| request.method == "PUT" && request.body.len() == 1 << 20));
}

/// The same of a file that is packed as an artifact.
#[test]
fn a_file_that_changes_while_it_is_attached_leaves_no_artifact() {
    let scene = scene();
    let file = scene.path("file");
    fs::write(&file, vec![b'a'; 1 << 20]).unwrap();
    let (changed, subject) = (file.clone(), image());
    let target = taking_but(move |request| match request.method.as_str() {
        "POST" => {
            fs::write(&changed, vec![b'b'; 1 << 20]).unwrap();
            None
        }
        "GET" => Some(subject.answer(request)),
        _ => None,
    });
    let image = format!("{}/app:v1", target.host());
    let refusal = scene.refusal(&scene.run(["attach", &image, "--artifact-type", "text/x", "file"]));
    refusal.is(
        1,
        "attach to HOST/app:v1: pack file: it changed while it was read: in place",
        "pack it again when nobody writes to it",
    );
    assert!(!target.requests().iter().any(puts_a_manifest));
}

#[test]
fn a_manifest_that_is_none_is_not_put() {
    let (scene, target) = (scene(), Embedded::new());
    let to = format!("{}/app:v1", target.host);
    let cases = [
        ("{}", "it does not say what it is", "say it with --media-type"),
        ("no json", "it does not say what it is", "say it with --media-type"),
        (r#"{"config":{},"manifests":[]}"#, "it does not say what it is", "say it with --media-type"),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{},"manifests":[]}"#,
            "field config has no place in \"application/vnd.oci.image.index.v1+json\"",
            "",
        ),
    ];
    for (text, error, hint) in cases {
        fs::write(scene.path("manifest"), text).unwrap();
        let error = format!("manifest put HOST/app:v1: manifest: {error}");
        scene.refuses(["manifest", "put", &to, "manifest"]).is(1, &error, hint);
    }
    let other = format!("{}/app@{}", target.host, gantri::Digest::of(b"other"));
    scene.refuses(["manifest", "put", &other, "manifest"]).is(
        1,
        "manifest put HOST/app@D1: manifest: digest is D2, not D1",
        "",
    );
    assert_eq!(target.tags("app"), "");
}

/// What names nothing deletes nothing.
#[test]
fn what_is_to_be_deleted_is_named_in_full() {
    let digest = gantri::Digest::of(b"x");
    for target in ["registry.example/a".to_owned(), format!("registry.example/a:v1@{digest}"), "oci:images".to_owned()]
    {
        let shown = target.replace(digest.as_str(), "D1");
        let error = format!(
            "{shown:?}: a tag is wanted here, which is removed alone, or a digest, whose manifest is removed with all its tags"
        );
        scene().refuses(["delete", &target]).is(2, &error, "");
    }
}

#[test]
fn what_is_not_there_is_not_deleted() {
    let (scene, target) = (scene(), Embedded::new());
    let image = image();
    let source = image.serve(|_, _| None);
    let app = format!("{}/app", target.host);
    assert_eq!(scene.run(["copy", &format!("{}/app:v1", source.host()), &format!("{app}:v1")]).code, Some(0));
    scene.refuses(["delete", &format!("{app}:v9")]).is(
        3,
        "delete HOST/app:v9: delete manifest HOST/app:v9: app: manifest v9 unknown (404 MANIFEST_UNKNOWN)",
        "tags there are: v1",
    );
    // Whether the manifest is looked at first depends on what is known of the registry.
    scene.refuses(["delete", &format!("{app}@{}", gantri::Digest::of(b"x"))]).is_like(
        3,
        "delete HOST/app@D1: delete manifest HOST/app@D1: ",
        "app: manifest D1 unknown (404 MANIFEST_UNKNOWN)",
    );
    scene.refuses(["blob", "delete", &format!("{app}@{}", gantri::Digest::of(b"x"))]).is(
        3,
        "blob delete HOST/app@D1: delete blob HOST/app@D1: app: blob D1 unknown (404 BLOB_UNKNOWN)",
        "",
    );
    scene.refuses(["delete", "oci:absent:v1"]).is(
        1,
        "delete oci:absent:v1: open absent: not an image layout, it has no oci-layout",
        "",
    );
    assert_eq!(target.tags("app"), "v1");
}

#[test]
fn a_mount_stays_in_one_registry() {
    let blob = format!("one.example/a@{}", gantri::Digest::of(b"x"));
    scene().refuses(["mount", &blob, "two.example/a"]).is(
        2,
        "\"one.example/a@D1\", \"two.example/a\": a blob is mounted within one registry; gantri copy goes from one to another",
        "",
    );
    scene().refuses(["mount", &blob, "one.example/b:v1"]).is(
        2,
        "\"one.example/b:v1\": a repository is wanted here, HOST/NAME, without tag or digest",
        "",
    );
}
