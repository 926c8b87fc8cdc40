//! Blobs: what may be taken for one, and for a part of one.

use gantri::spec::ByteRange;
use gantri::{Digest, ErrorKind, Pull};
use test_support::{Body, Reply, ScriptedServer};

use crate::world::{at, client, remote, repo};

const BLOB: &str = "0123456789";

fn digest() -> Digest {
    Digest::of(BLOB.as_bytes())
}

async fn part_of(server: &ScriptedServer, range: ByteRange) -> gantri::Result<bytes::Bytes> {
    remote(server).blob(&repo(), &digest(), range).await?.bytes(1 << 20).await
}

/// O43, C13: a 200 is the whole blob, never the range; the part is cut out of it.
#[tokio::test]
async fn a_whole_answer_is_not_taken_for_the_range() {
    let server = ScriptedServer::start(|_| Reply::ok(BLOB));
    for (range, expected) in [(ByteRange::Span { start: 3, end: 6 }, "345"), (ByteRange::From(8), "89")] {
        assert_eq!(part_of(&server, range).await.unwrap(), expected);
    }
}

/// O43, C13: a part is taken only if it is the one that was asked for.
#[tokio::test]
async fn another_range_than_asked_is_not_taken() {
    let server = ScriptedServer::start(|asked| match asked.header("range") {
        Some(_) => Reply::new(206).header("content-range", "bytes 0-2/10").body(Body::Whole("012".into())),
        None => Reply::ok(BLOB),
    });
    assert_eq!(part_of(&server, ByteRange::Span { start: 3, end: 6 }).await.unwrap(), "345");
}

/// C13: a registry may keep the total to itself.
#[tokio::test]
async fn a_range_without_a_total_is_a_range() {
    let server = ScriptedServer::start(|asked| match (asked.method.as_str(), asked.header("range")) {
        ("GET", Some("bytes=3-5")) => {
            Reply::new(206).header("content-range", "bytes 3-5/*").body(Body::Whole("345".into()))
        }
        _ => Reply::ok(BLOB),
    });
    assert_eq!(part_of(&server, ByteRange::Span { start: 3, end: 6 }).await.unwrap(), "345");
}

/// M7: whatever is no success gives no byte, for the whole and for a part.
#[tokio::test]
async fn an_error_page_is_never_data() {
    let page = "<!doctype html><p>Sorry";
    let cases = [
        (200, "text/html", ErrorKind::NotARegistry),
        (404, "text/html", ErrorKind::NotARegistry),
        (404, "application/json", ErrorKind::BlobUnknown),
        (403, "text/html", ErrorKind::Denied),
        (500, "text/html", ErrorKind::Unavailable),
    ];
    for (status, kind, expected) in cases {
        let body = if kind == "text/html" { page } else { "{}" };
        let server = ScriptedServer::start(move |_| {
            Reply::new(status).header("content-type", kind).header("retry-after", "0").body(Body::Whole(body.into()))
        });
        for range in [ByteRange::Full, ByteRange::Span { start: 0, end: 5 }] {
            let refused = remote(&server).blob(&repo(), &digest(), range).await.unwrap_err();
            assert_eq!(refused.kind(), expected, "{status} {kind} {range:?}");
        }
    }
}

/// O41, O42, I10: a reader that has given every byte of another blob ends with an error.
#[tokio::test]
async fn a_blob_that_is_another_ends_in_an_error() {
    let server = ScriptedServer::start(|_| Reply::ok("9876543210"));
    let reader = client().blob(&at(&server.host(), ""), &digest()).await.unwrap();
    assert_eq!(reader.bytes(1 << 20).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
}
