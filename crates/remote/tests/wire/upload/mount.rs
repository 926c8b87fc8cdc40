//! A11: mounts, what they ask for, and what becomes of those that are refused.

use gantri_core::{BlobBody, ErrorKind, Limits, Mount, Push, send_body};
use gantri_spec::{Descriptor, Digest, MediaType};

use super::model::{blob, data};
use crate::script::{HOST, Reply, Script, named, remote, repo};

fn digest() -> Digest {
    blob().digest
}

/// Mounted, handed a session, or told to upload.
#[tokio::test]
async fn a_mount_has_three_answers() {
    let from = "c/d".parse().unwrap();
    for (status, expected) in [
        (201, "mounted"),
        (202, "started"),
        (401, "unavailable"),
        (403, "unavailable"),
        (404, "unavailable"),
        (405, "unavailable"),
    ] {
        for (from, query) in [(Some(&from), "&from=c/d"), (None, "")] {
            let script = Script::new(move |_, _| Reply::status(status).header("location", "/v2/u/1"));
            let answer = remote(&script).mount_blob(&repo(), &digest(), from).await.unwrap();
            let told = match answer {
                Mount::Mounted => "mounted",
                Mount::Started(upload) if upload.session().id == format!("https://{HOST}/v2/u/1") => "started",
                Mount::Unavailable => "unavailable",
                other => panic!("{other:?}"),
            };
            assert_eq!(told, expected, "{status}");
            let digest = digest();
            assert_eq!(script.lines(), [format!("POST https://{HOST}/v2/a/b/blobs/uploads/?mount={digest}{query}")]);
        }
    }
}

#[tokio::test]
async fn a_mount_of_something_else_is_an_error_and_one_without_a_session_none() {
    let script = Script::new(|_, _| Reply::status(201).header("docker-content-digest", Digest::of(b"x")));
    let error = remote(&script).mount_blob(&repo(), &digest(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let script = Script::new(|_, _| Reply::status(202));
    let answer = remote(&script).mount_blob(&repo(), &digest(), None).await.unwrap();
    assert!(matches!(answer, Mount::Unavailable), "{answer:?}");
}

/// The session of a refused mount is used, and not another one opened.
#[tokio::test]
async fn the_session_of_a_refused_mount_takes_the_blob() {
    let script = Script::new(|seen, _| match seen.name() {
        "POST" => Reply::status(202).header("location", "/v2/u/1"),
        "PATCH" => Reply::status(202),
        _ => Reply::status(201),
    });
    let Mount::Started(upload) = remote(&script).mount_blob(&repo(), &digest(), None).await.unwrap() else { panic!() };
    send_body(upload, &blob(), BlobBody::bytes(data()), &Limits::default()).await.unwrap();
    assert_eq!(script.methods(), "POST PATCH PUT");
    assert!(script.seen()[1].body == data());
}

/// To read the other repository is asked for by the mount alone; if that is refused, the push goes on by its own scope.
/// Nobody but the registry and its token server hears of it.
#[tokio::test]
async fn only_a_mount_asks_to_read_the_other_repository() {
    const PUSH: &str = "scope=repository%3Aa%2Fb%3Apull%2Cpush";
    const SOURCE: &str = "scope=repository%3Ac%2Fd%3Apull";
    for refused_by in ["token", "registry", "nobody"] {
        let script = Script::new(move |seen, _| match (seen.name(), seen.authorization()) {
            _ if seen.url.starts_with("https://auth.test/") && refused_by == "token" && seen.url.contains(SOURCE) => {
                Reply::status(403)
            }
            _ if seen.url.starts_with("https://auth.test/") => Reply::ok(r#"{"token":"t"}"#),
            (_, None) => Reply::status(401).header("www-authenticate", r#"Bearer realm="https://auth.test/token""#),
            ("POST", _) if seen.url.contains("mount=") && refused_by == "registry" => Reply::status(403),
            ("POST", _) if seen.url.contains("mount=") => Reply::status(201),
            ("HEAD", _) => Reply::status(404),
            ("POST", _) => Reply::status(202).header("location", "/v2/u/1"),
            _ => Reply::status(201),
        });
        let remote = named(&script);
        let answer = remote.mount_blob(&repo(), &digest(), Some(&"c/d".parse().unwrap())).await.unwrap();
        assert_eq!(matches!(answer, Mount::Mounted), refused_by == "nobody", "{answer:?}");
        let small = Descriptor::of(MediaType::OCTET_STREAM, b"small");
        remote.put_blob(&repo(), &small, BlobBody::bytes("small")).await.unwrap();
        let tokens: Vec<_> = script.lines().into_iter().filter(|line| line.contains("auth.test")).collect();
        assert!(tokens[0].contains(PUSH) && tokens[0].contains(SOURCE), "{tokens:?}");
        match refused_by {
            "token" => assert!(tokens[1].contains(PUSH) && !tokens[1].contains(SOURCE), "{tokens:?}"),
            // A token that allows more serves for less.
            _ => assert_eq!(tokens.len(), 1, "{tokens:?}"),
        }
        let hosts = ["https://registry.test/", "https://auth.test/"];
        assert!(script.seen().iter().all(|seen| hosts.iter().any(|host| seen.url.starts_with(host))));
    }
}
