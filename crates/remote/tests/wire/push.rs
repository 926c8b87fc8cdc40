//! Pushing: where uploads go on (A5), what is confirmed (H18, H19), and how tags are set.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, once};
use gantri_core::{BlobBody, ErrorKind, Manage, Mount, Push, UploadSession};
use gantri_spec::{Algorithm, Descriptor, Digest, Index, MediaType, Tag};

use crate::script::{HOST, Reply, Script, builder_for, named, remote, repo};

const DATA: &[u8] = b"0123456789";

fn blob() -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, DATA)
}

fn started() -> Reply {
    Reply::status(202).header("location", "/v2/a/b/blobs/uploads/1?state=x%2Fy")
}

#[tokio::test]
async fn a_blob_is_two_requests() {
    let script = Script::new(|seen, _| match seen.method.as_str() {
        "POST" => started(),
        _ => Reply::status(201),
    });
    remote(&script).put_blob(&repo(), &blob(), BlobBody::bytes(DATA)).await.unwrap();
    let digest = blob().digest.to_string().replace(':', "%3A");
    assert_eq!(
        script.lines(),
        [
            format!("POST https://{HOST}/v2/a/b/blobs/uploads/"),
            format!("PUT https://{HOST}/v2/a/b/blobs/uploads/1?state=x%2Fy&digest={digest}"),
        ]
    );
    assert_eq!(script.seen()[1].body, DATA);
}

/// Nothing wrong is sent to its end, whether it is too long, too short or something else.
#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_not_sent_whole() {
    let cases: [(&[u8], ErrorKind); 3] = [
        (b"0123456789+", ErrorKind::SizeMismatch),
        (b"012345678", ErrorKind::SizeMismatch),
        (b"0123456780", ErrorKind::DigestMismatch),
    ];
    for (bytes, kind) in cases {
        let script = Script::new(|seen, _| match seen.method.as_str() {
            "POST" => started(),
            _ => Reply::status(201),
        });
        let chunks: Vec<_> = bytes.chunks(3).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let error = remote(&script).put_blob(&repo(), &blob(), BlobBody::once(iter(chunks).boxed())).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(script.count(), 1, "the scripted client records a request once its body is whole");
    }
}

/// H18: a lost answer is looked into before anything is sent again.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_into() {
    let committed = Script::new(|seen, _| match seen.method.as_str() {
        "POST" => started(),
        "PUT" => Reply::status(502),
        _ => Reply::status(200).header("content-length", 10),
    });
    remote(&committed).put_blob(&repo(), &blob(), BlobBody::bytes(DATA)).await.unwrap();
    assert_eq!(committed.count(), 3);

    let lost = Script::new(|seen, before| match seen.method.as_str() {
        "POST" => started(),
        "PUT" if before < 3 => Reply::status(502),
        "PUT" => Reply::status(201),
        _ => Reply::status(404),
    });
    remote(&lost).put_blob(&repo(), &blob(), BlobBody::bytes(DATA)).await.unwrap();
    assert_eq!(
        lost.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(),
        ["POST", "PUT", "HEAD", "POST", "PUT"]
    );

    let once_only = BlobBody::once(once(async { Ok(Bytes::from_static(DATA)) }).boxed());
    let error = remote(&lost_for_good()).put_blob(&repo(), &blob(), once_only).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

fn lost_for_good() -> std::sync::Arc<Script> {
    Script::new(|seen, _| match seen.method.as_str() {
        "POST" => started(),
        "PUT" => Reply::status(502),
        _ => Reply::status(404),
    })
}

/// A5: every form of location, for every step of an upload: where it leads, and who learns who asks.
#[tokio::test]
async fn a_location_leads_only_where_it_may() {
    // Where the next request goes, and whether it is authorized; `None` if it is refused.
    let cases: [(&str, Option<(&str, bool)>); 13] = [
        ("/v2/u/1", Some(("https://registry.test/v2/u/1", true))),
        ("https://registry.test/v2/u/1?a=b", Some(("https://registry.test/v2/u/1?a=b", true))),
        ("u/1", Some(("https://registry.test/v2/a/b/blobs/uploads/u/1", true))),
        ("https://registry.test:443/u", Some(("https://registry.test/u", true))),
        // A proxy in front that the registry does not know of: put right.
        ("http://registry.test/u", Some(("https://registry.test/u", true))),
        ("https://other.test/u", Some(("https://other.test/u", false))),
        ("//other.test/u", Some(("https://other.test/u", false))),
        ("https://registry.test:444/u", Some(("https://registry.test:444/u", false))),
        ("http://other.test/u", None),
        ("https://127.0.0.1/u", None),
        ("https://169.254.169.254/u", None),
        ("https://me:pw@registry.test/u", None),
        ("file:///etc/passwd", None),
    ];
    for (location, expected) in cases {
        let script = Script::new(move |seen, before| match (before, seen.method.as_str()) {
            (0, _) => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
            (1, "POST") => Reply::status(202).header("location", location),
            (_, "GET") => Reply::status(204),
            _ => Reply::status(202),
        });
        let remote = named(&script);
        let upload = remote.start_upload(&repo(), Algorithm::Sha256).await;
        let Some((url, authorized)) = expected else {
            assert_eq!(upload.unwrap_err().kind(), ErrorKind::Protocol, "{location}");
            assert_eq!(script.count(), 2, "{location}");
            continue;
        };
        let mut upload = upload.unwrap();
        upload.write(Bytes::from_static(DATA)).await.unwrap();
        let session = upload.session();
        upload.commit(&blob().digest).await.unwrap();
        let upload = remote.resume_upload(&repo(), session).await.unwrap();
        upload.cancel().await.unwrap();
        let steps = &script.seen()[2..];
        assert_eq!(
            steps.iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(),
            ["PATCH", "PUT", "GET", "DELETE"]
        );
        for step in steps {
            assert!(step.url.starts_with(url), "{location}: {}", step.url);
            assert_eq!(step.authorization().is_some(), authorized, "{location} {}", step.method);
        }
    }
}

/// A5: a lost port is put right as well.
#[tokio::test]
async fn a_location_that_lost_its_port_is_put_right() {
    let script = Script::new(|seen, _| match seen.method.as_str() {
        "POST" => Reply::status(202).header("location", "http://localhost/v2/u/1"),
        _ => Reply::status(202),
    });
    let remote = builder_for("localhost:5000", &script).build().unwrap();
    remote.start_upload(&repo(), Algorithm::Sha256).await.unwrap().write(Bytes::from_static(DATA)).await.unwrap();
    assert_eq!(script.seen()[1].url, "http://localhost:5000/v2/u/1");
}

#[tokio::test]
async fn chunks_go_to_the_acknowledged_offset() {
    let script = Script::new(|seen, before| match (before, seen.method.as_str()) {
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
    let script = Script::new(|seen, before| match (before, seen.method.as_str()) {
        (0, _) => started(),
        (1, _) => Reply::Hang,
        (_, "GET") => Reply::status(204).header("range", "0-9"),
        _ => Reply::status(201),
    });
    let mut upload = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
    let dropped = tokio::time::timeout(std::time::Duration::from_secs(1), upload.write(Bytes::from_static(DATA))).await;
    assert!(dropped.is_err());
    assert_eq!(upload.offset(), 0);
    assert_eq!(upload.write(Bytes::from_static(DATA)).await.unwrap_err().kind(), ErrorKind::RangeInvalid);
    assert_eq!(upload.offset(), 10);
    upload.commit(&blob().digest).await.unwrap();
}

#[tokio::test]
async fn an_upload_is_taken_up_where_the_registry_says() {
    for (range, offset) in [(None, 0), (Some("0-0"), 0), (Some("0--1"), 0), (Some("0-4"), 5), (Some("bytes=0-4"), 5)] {
        let script =
            Script::new(move |_, _| range.iter().fold(Reply::status(204), |reply, range| reply.header("range", range)));
        let session = UploadSession::new(format!("https://{HOST}/v2/u/1"), 0, Algorithm::Sha256);
        assert_eq!(remote(&script).resume_upload(&repo(), session).await.unwrap().offset(), offset, "{range:?}");
    }
    let gone = Script::new(|_, _| Reply::status(404));
    let session = UploadSession::new(format!("https://{HOST}/v2/u/1"), 0, Algorithm::Sha256);
    assert_eq!(remote(&gone).resume_upload(&repo(), session).await.unwrap_err().kind(), ErrorKind::UploadUnknown);
}

/// A11: mounted, handed a session, or told to upload.
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
        let script = Script::new(move |_, _| Reply::status(status).header("location", "/v2/u/1"));
        let answer = remote(&script).mount_blob(&repo(), &blob().digest, Some(&from)).await.unwrap();
        let told = match answer {
            Mount::Mounted => "mounted",
            Mount::Started(upload) if upload.session().id == format!("https://{HOST}/v2/u/1") => "started",
            Mount::Unavailable => "unavailable",
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected, "{status}");
        let digest = blob().digest;
        assert_eq!(script.lines(), [format!("POST https://{HOST}/v2/a/b/blobs/uploads/?mount={digest}&from=c/d")]);
    }
}

#[tokio::test]
async fn tags_are_set_at_once_or_one_by_one() {
    let manifest = Index::new(vec![]).to_raw();
    let tags: Vec<Tag> = ["v1", "v2", "v3"].iter().map(|tag| tag.parse().unwrap()).collect();
    let digest = manifest.digest().clone();
    let url = format!("PUT https://{HOST}/v2/a/b/manifests/");

    let script = Script::new(|_, _| Reply::status(201));
    remote(&script).put_manifest(&repo(), &manifest, &tags[..1]).await.unwrap();
    assert_eq!(script.lines(), [format!("{url}v1")]);
    assert_eq!(script.seen()[0].header("content-type"), Some(MediaType::OCI_INDEX.as_str()));
    assert_eq!(script.seen()[0].body, manifest.bytes());

    let script = Script::new(|_, _| Reply::status(201));
    remote(&script).put_manifest(&repo(), &manifest, &[]).await.unwrap();
    assert_eq!(script.lines(), [format!("{url}{digest}")]);

    let script = Script::new(|_, _| Reply::status(201).header("oci-tag", "v1").header("oci-tag", "v3"));
    let put = remote(&script).put_manifest(&repo(), &manifest, &tags).await.unwrap();
    assert_eq!(put.tags, tags);
    assert_eq!(script.lines(), [format!("{url}{digest}?tag=v1&tag=v2&tag=v3"), format!("{url}v2")]);
}

#[tokio::test]
async fn what_a_registry_confirms_must_be_what_was_sent() {
    let manifest = Index::new(vec![]).to_raw();
    let script = Script::new(|_, _| Reply::status(201).header("docker-content-digest", Digest::of(b"x")));
    let error = remote(&script).put_manifest(&repo(), &manifest, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let subject = Digest::of(b"subject");
    let script = Script::new(move |_, _| Reply::status(201).header("oci-subject", &subject));
    let put = remote(&script).put_manifest(&repo(), &manifest, &[]).await.unwrap();
    assert_eq!(put.subject, Some(Digest::of(b"subject")));
}

#[tokio::test]
async fn deleting_is_one_request_and_any_success_will_do() {
    // A manifest is looked at first, for it may be a referrer that nobody but us keeps a list of.
    for status in [200, 202, 204] {
        let script = Script::new(move |_, _| Reply::status(status));
        let remote = remote(&script);
        remote.delete_tag(&repo(), &Tag::latest()).await.unwrap();
        remote.delete_manifest(&repo(), &blob().digest).await.unwrap();
        remote.delete_blob(&repo(), &blob().digest).await.unwrap();
        let digest = blob().digest;
        assert_eq!(
            script.lines(),
            [
                format!("DELETE https://{HOST}/v2/a/b/manifests/latest"),
                format!("GET https://{HOST}/v2/a/b/manifests/{digest}"),
                format!("DELETE https://{HOST}/v2/a/b/manifests/{digest}"),
                format!("DELETE https://{HOST}/v2/a/b/blobs/{digest}"),
            ]
        );
    }
    for (status, kind) in [(404, ErrorKind::ManifestUnknown), (405, ErrorKind::Unsupported)] {
        let script = Script::new(move |_, _| Reply::status(status));
        assert_eq!(remote(&script).delete_tag(&repo(), &Tag::latest()).await.unwrap_err().kind(), kind);
    }
}
