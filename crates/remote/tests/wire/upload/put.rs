//! A whole blob: how few requests it takes, and what is done about answers that are not by the book.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::iter;
use gantri_core::{BlobBody, Error, ErrorKind, Limits, Push, Retry};
use gantri_spec::{Descriptor, Digest, MediaType};
use tokio::time::Instant;

use super::model::{Fault, Model, Reaches, Then, blob, data, once, process, replayable};
use crate::script::{HOST, Reply, Script, Seen, builder, limits, named, remote, repo};

const TINY: &[u8] = b"0123456789";

fn tiny() -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, TINY)
}

fn started() -> Reply {
    Reply::status(202).header("location", "/v2/a/b/blobs/uploads/1?state=x%2Fy")
}

/// A registry that takes whatever is sent to an upload.
fn lenient(seen: &Seen) -> Reply {
    match seen.name() {
        "HEAD" => Reply::status(404),
        "POST" => started(),
        "PATCH" => Reply::status(202),
        "PUT" => Reply::status(201),
        _ => Reply::status(204),
    }
}

/// The contract: what is there is not opened.
#[tokio::test]
async fn a_blob_that_is_there_is_one_request_and_not_opened() {
    let script = Script::new(|_, _| Reply::status(200).header("content-length", TINY.len()));
    let body = BlobBody::reopen(|_| panic!("opened"));
    remote(&script).put_blob(&repo(), &tiny(), body).await.unwrap();
    assert_eq!(script.lines(), [format!("HEAD https://{HOST}/v2/a/b/blobs/{}", tiny().digest)]);
}

#[tokio::test]
async fn a_blob_of_another_size_or_digest_is_not_the_blob() {
    for (name, value) in [("content-length", "11".to_owned()), ("docker-content-digest", Digest::of(b"x").to_string())]
    {
        let script = Script::new(move |seen, _| match seen.name() {
            "HEAD" => Reply::status(200).header(name, &value),
            _ => lenient(seen),
        });
        remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
        assert_eq!(script.methods(), "HEAD POST PUT", "{name}");
    }
}

/// Whoever may push but not pull is not told what is there, and pushes.
#[tokio::test]
async fn a_registry_that_does_not_tell_is_pushed_to() {
    for status in [401, 403, 405, 400] {
        let script = Script::new(move |seen, _| match seen.name() {
            "HEAD" => Reply::status(status),
            _ => lenient(seen),
        });
        remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
        assert_eq!(script.methods(), "HEAD POST PUT", "{status}");
    }
}

/// end-4b: a tiny blob is two requests where the registry knows that, and never more than three where it does not.
#[tokio::test]
async fn a_tiny_blob_goes_with_the_first_request() {
    let digest = tiny().digest;
    let (model, script) = Model::new(|_, _| None).takes_at_once().script();
    remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
    assert_eq!(script.methods(), "HEAD POST");
    assert_eq!(script.lines()[1], format!("POST https://{HOST}/v2/a/b/blobs/uploads/?digest={digest}"));
    assert_eq!(model.blob(&digest).unwrap(), TINY);

    let (model, script) = Model::new(|_, _| None).script();
    let two_steps = remote(&script);
    two_steps.put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
    let other = Descriptor::of(MediaType::OCTET_STREAM, b"other");
    two_steps.clone().put_blob(&repo(), &other, BlobBody::bytes("other")).await.unwrap();
    assert_eq!(script.methods(), "HEAD POST PUT HEAD POST PUT");
    let bodies: Vec<_> = script.seen().iter().map(|seen| seen.body.len()).collect();
    assert_eq!(bodies, [0, 10, 10, 0, 0, 5], "sent in vain once, and never again");
    assert_eq!(model.blob(&other.digest).unwrap(), b"other");

    // Who does not like it at all is asked as by the book.
    let script = Script::new(|seen, _| match (seen.name(), seen.url.contains("digest=")) {
        ("POST", true) => Reply::status(400),
        _ => lenient(seen),
    });
    remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
    assert_eq!(script.methods(), "HEAD POST POST PUT");
}

/// H16: a 201 that does not name the digest confirms nothing.
#[tokio::test]
async fn a_first_request_that_is_confirmed_by_nothing_opens_a_session() {
    let script = Script::new(|seen, _| match seen.name() {
        "POST" => Reply::status(201).header("location", "/v2/u/1"),
        _ => lenient(seen),
    });
    remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
    assert_eq!(script.methods(), "HEAD POST PUT");
}

#[tokio::test]
async fn a_blob_takes_as_few_requests_as_its_size_allows() {
    for (at_once, expected) in [(1 << 20, "HEAD POST PUT"), (0, "HEAD POST PATCH PUT")] {
        let (model, script) = Model::new(|_, _| None).script();
        process(&script, at_once).put_blob(&repo(), &blob(), replayable()).await.unwrap();
        assert_eq!(script.methods(), expected);
        assert_eq!(model.blob(&blob().digest), Some(data()));
    }
    // What can be read once only is held chunk by chunk, and the last one may be committed only after it was judged.
    let (model, script) = Model::new(|_, _| None).script();
    process(&script, 1 << 20).put_blob(&repo(), &blob(), once()).await.unwrap();
    assert_eq!(
        model.steps(),
        ["HEAD", "POST", "PATCH 0-32767", "PATCH 32768-65535", "PATCH 65536-98303", "PATCH 98304-102399", "PUT"]
    );
}

#[tokio::test]
async fn an_empty_blob_is_put() {
    let empty = Descriptor::of(MediaType::OCTET_STREAM, b"");
    for body in [BlobBody::bytes(""), BlobBody::once(Box::pin(iter([])))] {
        let (model, script) = Model::new(|_, _| None).script();
        remote(&script).put_blob(&repo(), &empty, body).await.unwrap();
        assert_eq!(model.blob(&empty.digest).unwrap(), b"");
    }
}

/// Nothing wrong is sent to its end, whether it is too long, too short or something else; and its session is dropped.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_what_it_says_is_not_sent_whole() {
    let mut other = data();
    other[100_000] ^= 1;
    let wrong = [
        ([&data()[..], b"+"].concat(), ErrorKind::SizeMismatch),
        (data()[1..].to_vec(), ErrorKind::SizeMismatch),
        (other, ErrorKind::DigestMismatch),
    ];
    for (bytes, kind) in wrong {
        for at_once in [0, 1 << 20] {
            let chunks = |bytes: &[u8]| -> Vec<_> {
                bytes.chunks(7000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect()
            };
            let (copy, from_once) = (bytes.clone(), chunks(&bytes));
            let reopen = BlobBody::reopen(move |at| {
                Box::pin(iter(chunks(&copy[usize::try_from(at).unwrap().min(copy.len())..])))
            });
            for body in [BlobBody::bytes(bytes.clone()), reopen, BlobBody::once(Box::pin(iter(from_once)))] {
                let name = format!("{body:?} {kind:?} {at_once}");
                let (model, script) = Model::new(|_, _| None).script();
                let error = process(&script, at_once).put_blob(&repo(), &blob(), body).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{name}");
                assert!(!script.methods().contains("PUT"), "{name}: {}", script.methods());
                assert_eq!((model.blob(&blob().digest), model.open_sessions()), (None, 0), "{name}");
            }
        }
    }
}

/// A source that breaks is opened again where the registry stands.
#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_is_opened_again() {
    let opened = AtomicUsize::new(0);
    let body = BlobBody::reopen(move |offset| {
        let mut chunks: Vec<_> =
            data()[usize::try_from(offset).unwrap()..].chunks(7000).map(|chunk| Ok(chunk.to_vec().into())).collect();
        if opened.fetch_add(1, Ordering::SeqCst) == 0 {
            chunks[9] = Err(Error::new(ErrorKind::Unavailable, "source").with_retry(Retry::Backoff));
        }
        Box::pin(iter(chunks))
    });
    let (model, script) = Model::new(|_, _| None).script();
    process(&script, 0).put_blob(&repo(), &blob(), body).await.unwrap();
    assert_eq!(model.blob(&blob().digest), Some(data()));

    let gone = BlobBody::reopen(|_| Box::pin(iter([Err(Error::new(ErrorKind::BlobUnknown, "source: gone"))])));
    let (model, script) = Model::new(|_, _| None).script();
    let error = process(&script, 0).put_blob(&repo(), &blob(), gone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BlobUnknown);
    assert!(error.to_string().contains("source: gone"), "{error}");
    assert_eq!(model.open_sessions(), 0);
}

/// H18: a lost answer is looked into before anything is sent again, whatever takes its place.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_into() {
    for status in [500, 502, 503, 504, 408] {
        let faults = move |reaches| {
            move |method: &str, before| {
                ((method, before) == ("PUT", 0)).then_some(Fault { reaches, then: Then::Status(status) })
            }
        };
        let (model, script) = Model::new(faults(Reaches::All)).script();
        process(&script, 1 << 20).put_blob(&repo(), &blob(), replayable()).await.unwrap();
        assert_eq!(script.methods(), "HEAD POST PUT HEAD", "{status}");
        assert_eq!(model.blob(&blob().digest), Some(data()));
        let (model, script) = Model::new(faults(Reaches::Nothing)).script();
        process(&script, 1 << 20).put_blob(&repo(), &blob(), replayable()).await.unwrap();
        assert_eq!(script.methods(), "HEAD POST PUT HEAD GET PUT", "{status}");
        assert_eq!(model.blob(&blob().digest), Some(data()));
    }
}

/// H13: a session that is lost is replaced, twice at the most; then it is said, and nothing is left behind.
#[tokio::test(start_paused = true)]
async fn a_lost_session_is_replaced_and_that_ends() {
    for (lost, expected) in [(1, true), (2, true), (3, false)] {
        let faults = move |method: &str, before| {
            let gone = Fault { reaches: Reaches::Nothing, then: Then::Status(404) };
            (method == "PATCH" && before < lost).then_some(gone)
        };
        let (model, script) = Model::new(faults).script();
        let outcome = process(&script, 0).put_blob(&repo(), &blob(), replayable()).await;
        assert_eq!(
            outcome.map_err(|error| error.kind()),
            if expected { Ok(()) } else { Err(ErrorKind::UploadUnknown) }
        );
        assert_eq!(model.blob(&blob().digest).is_some(), expected);
        assert!(!script.methods().contains("DELETE"), "there is nothing to cancel: {}", script.methods());
    }
    // What was read and is no longer held can't be begun anew.
    let faults = |method: &str, before| {
        ((method, before) == ("PATCH", 1)).then_some(Fault { reaches: Reaches::Nothing, then: Then::Status(404) })
    };
    let (_, script) = Model::new(faults).script();
    let error = process(&script, 0).put_blob(&repo(), &blob(), once()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UploadUnknown);
}

/// A put that fails for good drops its session, and does not wait for that for ever.
#[tokio::test(start_paused = true)]
async fn a_put_that_fails_cancels_its_session() {
    for status in [403, 400] {
        let faults = move |method: &str, _| {
            (method == "PATCH").then_some(Fault { reaches: Reaches::Nothing, then: Then::Status(status) })
        };
        let (model, script) = Model::new(faults).script();
        let error = process(&script, 0).put_blob(&repo(), &blob(), replayable()).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(script.methods(), "HEAD POST PATCH DELETE");
        assert_eq!(model.open_sessions(), 0);
    }
    let script = Script::new(|seen, _| match seen.name() {
        "PUT" => Reply::status(403),
        "DELETE" => Reply::Hang,
        _ => lenient(seen),
    });
    let before = Instant::now();
    remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap_err();
    assert_eq!(before.elapsed(), Limits::default().connect);
}

/// H25: a registry that is down is not asked for ever.
#[tokio::test(start_paused = true)]
async fn tries_without_a_new_byte_are_bounded() {
    let script = Script::new(|seen, _| match seen.name() {
        "PATCH" => Reply::status(503),
        "GET" => Reply::status(204).header("range", "0-0"),
        _ => lenient(seen),
    });
    let error = process(&script, 0).put_blob(&repo(), &blob(), replayable()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(script.methods(), format!("HEAD POST{} PATCH DELETE", " PATCH GET".repeat(4)));
}

/// H8: as long as the registry asks for, unless nobody waits that long.
#[tokio::test(start_paused = true)]
async fn a_registry_that_asks_for_time_gets_it() {
    for (asked, waited) in [(7, Some(7)), (61, None)] {
        let script = Script::new(move |seen, before| match (seen.name(), before) {
            ("PUT", 2) => Reply::status(503).header("retry-after", asked),
            ("GET", _) => Reply::status(204).header("range", "0-0"),
            _ => lenient(seen),
        });
        let started = Instant::now();
        let outcome = remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await;
        match waited {
            Some(seconds) => {
                outcome.unwrap();
                assert_eq!(started.elapsed().as_secs(), seconds);
            }
            None => assert_eq!(outcome.unwrap_err().retry(), Retry::After(Duration::from_secs(asked))),
        }
    }
}

/// H16, H19: any success ends the upload, but not as something else.
#[tokio::test]
async fn what_ends_an_upload() {
    for status in [200, 201, 202, 204] {
        let script = Script::new(move |seen, _| match seen.name() {
            "PUT" => Reply::status(status),
            // ECR says 201 to chunks.
            "PATCH" => Reply::status(201),
            _ => lenient(seen),
        });
        process(&script, 0).put_blob(&repo(), &blob(), replayable()).await.unwrap();
        assert_eq!(script.methods(), "HEAD POST PATCH PUT", "{status}");
    }
    let script = Script::new(|seen, _| match seen.name() {
        "PUT" => Reply::status(201).header("docker-content-digest", Digest::of(b"x")),
        _ => lenient(seen),
    });
    let error = remote(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

/// H15: what registries say of a chunk, in all their dialects; all of it has arrived, and none is sent again.
#[tokio::test]
async fn a_chunk_that_has_arrived_is_not_sent_again_whatever_is_said_of_it() {
    for said in [
        None,
        Some("0-102399"),
        Some("bytes=0-102399"),
        Some("0-0"),
        Some("0-5"),
        Some("0--1"),
        Some("junk"),
        Some("0-102400"),
    ] {
        let script = Script::new(move |seen, _| match (seen.name(), said) {
            ("PATCH", Some(said)) => Reply::status(202).header("range", said),
            ("GET", _) => Reply::status(204).header("range", "0-102399"),
            _ => lenient(seen),
        });
        process(&script, 0).put_blob(&repo(), &blob(), replayable()).await.unwrap();
        assert_eq!(script.methods().matches("PATCH").count(), 1, "{said:?}");
    }
}

/// A10: a token that expires on the way is renewed, and the upload goes on from where it stands.
#[tokio::test(start_paused = true)]
async fn a_token_that_expires_on_the_way_is_renewed() {
    let (model, script) = {
        let inner = Model::new(|_, _| None).script();
        let (model, behind) = inner;
        let tokens = AtomicUsize::new(0);
        let outer = Script::new(move |seen, _| {
            if seen.url.starts_with("https://auth.test/") {
                return Reply::ok(format!(r#"{{"token":"t{}"}}"#, tokens.fetch_add(1, Ordering::SeqCst)));
            }
            // Each is good for three requests.
            let good = format!("Bearer t{}", behind.count() / 3);
            if seen.authorization() != Some(&good) {
                let realm = r#"Bearer realm="https://auth.test/token",service="s",scope="repository:a/b:pull,push""#;
                return Reply::status(401).header("www-authenticate", realm);
            }
            behind.answer(seen)
        });
        (model, outer)
    };
    let limits = limits(|limits| (limits.chunk, limits.monolithic_put) = (8 << 10, 0));
    let remote = builder(&script).limits(limits).build().unwrap();
    remote.put_blob(&repo(), &blob(), once()).await.unwrap();
    assert_eq!(model.blob(&blob().digest), Some(data()));
    assert_eq!(model.sent_again(), 0);
    let tokens = script.lines().iter().filter(|line| line.contains("auth.test")).count();
    assert_eq!(tokens, 6, "{:?}", script.lines());
}

/// One token does for the question and for the push.
#[tokio::test]
async fn a_push_asks_for_one_token() {
    let script = Script::new(|seen, _| match seen.authorization() {
        _ if seen.url.starts_with("https://auth.test/") => Reply::ok(r#"{"token":"t"}"#),
        Some(_) => lenient(seen),
        None => Reply::status(401).header("www-authenticate", r#"Bearer realm="https://auth.test/token""#),
    });
    named(&script).put_blob(&repo(), &tiny(), BlobBody::bytes(TINY)).await.unwrap();
    assert_eq!(script.methods(), "HEAD GET HEAD POST PUT");
    assert!(script.lines()[1].contains("scope=repository%3Aa%2Fb%3Apull%2Cpush"), "{:?}", script.lines());
}
