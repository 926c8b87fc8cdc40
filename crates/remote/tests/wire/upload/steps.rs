//! Uploads in steps: where they go on, what is believed of what a registry says of them, and how they end.

use std::time::Duration;

use bytes::Bytes;
use gantri_core::{ErrorKind, Push, UploadSession};
use gantri_spec::{Algorithm, Descriptor, MediaType};

use crate::script::{HOST, Reply, Script, remote, repo};

const DATA: &[u8] = b"0123456789";

fn blob() -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, DATA)
}

fn started() -> Reply {
    Reply::status(202).header("location", "/v2/a/b/blobs/uploads/1?state=x%2Fy")
}

#[tokio::test]
async fn chunks_go_to_the_acknowledged_offset() {
    let script = Script::new(|seen, before| match (before, seen.name()) {
        (0, _) => started(),
        // The registry keeps less than was sent, and says the same when asked.
        (1, _) => Reply::status(202).header("location", "/u/2").header("range", "0-3"),
        (2, "GET") => Reply::status(204).header("range", "0-3"),
        (_, "PATCH") => Reply::status(202).header("location", "/u/3").header("range", "0-9"),
        _ => Reply::status(201),
    });
    let mut upload = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
    upload.write(Bytes::from_static(DATA)).await.unwrap();
    assert_eq!(upload.offset(), 10);
    let descriptor = upload.commit(&blob().digest).await.unwrap();
    assert_eq!(descriptor.size, 10);
    let seen = script.seen();
    assert_eq!(seen[1].header("content-range"), Some("0-9"));
    assert_eq!((seen[3].header("content-range"), &seen[3].body[..]), (Some("4-9"), &b"456789"[..]));
    assert!(seen[4].url.starts_with(&format!("https://{HOST}/u/3?digest=")));
}

/// A step whose future was dropped leaves a doubt; the next one asks before it sends.
#[tokio::test(start_paused = true)]
async fn a_dropped_step_is_looked_into_by_the_next() {
    let script = Script::new(|seen, before| match (before, seen.name()) {
        (0, _) => started(),
        (1, _) => Reply::Hang,
        (_, "GET") => Reply::status(204).header("range", "0-9"),
        _ => Reply::status(201),
    });
    let mut upload = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_secs(1), upload.write(Bytes::from_static(DATA))).await;
    assert!(dropped.is_err());
    assert_eq!(upload.offset(), 0);
    assert_eq!(upload.write(Bytes::from_static(DATA)).await.unwrap_err().kind(), ErrorKind::RangeInvalid);
    assert_eq!(upload.offset(), 10);
    upload.commit(&blob().digest).await.unwrap();
}

/// H14: 416 is answered by a question, and by the caller, who alone knows the bytes that are asked for.
#[tokio::test]
async fn an_upload_that_stands_elsewhere_says_where() {
    let script = Script::new(|seen, _| match seen.name() {
        "POST" => started(),
        "PATCH" if seen.header("content-range") == Some("0-9") => Reply::status(416),
        "PATCH" => Reply::status(202),
        "GET" => Reply::status(204).header("range", "0-3"),
        _ => Reply::status(201),
    });
    let mut upload = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
    let error = upload.write(Bytes::from_static(DATA)).await.unwrap_err();
    assert_eq!((error.kind(), upload.offset()), (ErrorKind::RangeInvalid, 4), "{error}");
    upload.write(Bytes::from_static(&DATA[4..])).await.unwrap();
    assert_eq!(upload.commit(&blob().digest).await.unwrap().size, 10);
    assert_eq!(script.methods(), "POST PATCH GET PATCH PUT");
}

#[tokio::test]
async fn an_upload_is_taken_up_where_the_registry_says() {
    // What was written down, what the registry says, and what is so.
    let cases = [
        (0, None, 0),
        (7, None, 7),
        (0, Some("0-0"), 0),
        (1, Some("0-0"), 1),
        (7, Some("0-0"), 0),
        (0, Some("0--1"), 0),
        (0, Some("0-4"), 5),
        (7, Some("0-4"), 5),
        (0, Some("bytes=0-4"), 5),
    ];
    for (saved, range, offset) in cases {
        let script =
            Script::new(move |_, _| range.iter().fold(Reply::status(204), |reply, range| reply.header("range", range)));
        let session = UploadSession::new(format!("https://{HOST}/v2/u/1"), saved, Algorithm::Sha256);
        assert_eq!(remote(&script).resume_upload(&repo(), session).await.unwrap().offset(), offset, "{range:?}");
    }
    for (status, kind) in [(404, ErrorKind::UploadUnknown), (416, ErrorKind::RangeInvalid), (403, ErrorKind::Denied)] {
        let script = Script::new(move |_, _| Reply::status(status));
        let session = UploadSession::new(format!("https://{HOST}/v2/u/1"), 0, Algorithm::Sha256);
        assert_eq!(remote(&script).resume_upload(&repo(), session).await.unwrap_err().kind(), kind);
    }
}

/// A session that was written down elsewhere leads no further than one that the registry names.
#[tokio::test]
async fn a_session_read_back_is_held_to_the_same_rules() {
    for id in
        ["http://other.test/u", "https://169.254.169.254/u", "file:///etc/passwd", "https://me:pw@registry.test/u"]
    {
        let script = Script::new(|_, _| Reply::status(204));
        let session = UploadSession::new(id, 0, Algorithm::Sha256);
        let error = remote(&script).resume_upload(&repo(), session).await.unwrap_err();
        assert_eq!((error.kind(), script.count()), (ErrorKind::Protocol, 0), "{id}");
    }
}

/// H18, for a commit by hand: looked for, asked about, sent again.
#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_answered_is_looked_into() {
    for there in [true, false] {
        let script = Script::new(move |seen, before| match (seen.name(), before) {
            ("POST", _) => started(),
            ("PATCH", _) => Reply::status(202),
            ("PUT", 2) => Reply::status(500),
            ("HEAD", _) if there => Reply::status(200).header("content-length", 10),
            ("HEAD", _) => Reply::status(404),
            ("GET", _) => Reply::status(204).header("range", "0-9"),
            _ => Reply::status(201),
        });
        let mut upload = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
        upload.write(Bytes::from_static(DATA)).await.unwrap();
        upload.commit(&blob().digest).await.unwrap();
        assert_eq!(script.methods(), if there { "POST PATCH PUT HEAD" } else { "POST PATCH PUT HEAD GET PUT" });
    }
}

#[tokio::test]
async fn an_upload_is_cancelled_by_one_request() {
    let script = Script::new(|seen, _| if seen.name() == "POST" { started() } else { Reply::status(204) });
    remote(&script).start_upload(&repo(), Algorithm::Sha512).await.unwrap().cancel().await.unwrap();
    assert_eq!(
        script.lines(),
        [
            format!("POST https://{HOST}/v2/a/b/blobs/uploads/?digest-algorithm=sha512"),
            format!("DELETE https://{HOST}/v2/a/b/blobs/uploads/1?state=x%2Fy"),
        ]
    );
}
