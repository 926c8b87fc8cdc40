//! Blobs: whole, by range, and taken up again when they break off (H2 to H7, H11, M6 to M8).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantri_core::{BlobReader, ErrorKind, Pull, Result};
use gantri_spec::{ByteRange, Digest};
use tokio::time::Instant;

use crate::script::{HOST, Reply, Script, Seen, broken, builder, limits, remote, repo};

fn blob() -> Bytes {
    (0..1000_u32).map(|byte| u8::try_from(byte % 251).unwrap()).collect()
}

fn digest() -> Digest {
    Digest::of(&blob())
}

async fn read(script: &Arc<Script>, range: impl Into<ByteRange>) -> Result<Bytes> {
    open(script, range).await?.bytes(1 << 20).await
}

async fn open(script: &Arc<Script>, range: impl Into<ByteRange>) -> Result<BlobReader> {
    remote(script).blob(&repo(), &digest(), range.into()).await
}

/// What an honest registry answers to a request with a range.
fn honest(seen: &Seen) -> Reply {
    let Some(range) = seen.header("range") else { return Reply::ok(blob()) };
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = if end.is_empty() { 999 } else { end.parse::<usize>().unwrap().min(999) };
    if start > 999 {
        return Reply::status(416).header("content-range", "bytes */1000");
    }
    part(start, end + 1).body(blob().slice(start..=end))
}

fn part(start: usize, end: usize) -> Reply {
    Reply::status(206).header("content-range", format!("bytes {start}-{}/1000", end - 1))
}

fn ranges(script: &Script) -> Vec<String> {
    script.seen().iter().map(|seen| seen.header("range").unwrap_or("whole").to_owned()).collect()
}

#[tokio::test]
async fn a_blob_is_one_request() {
    let script = Script::new(|seen, _| honest(seen));
    let reader = open(&script, ..).await.unwrap();
    assert_eq!(reader.descriptor().size, 1000);
    assert_eq!(reader.bytes(1000).await.unwrap(), blob());
    assert_eq!(script.lines(), [format!("GET https://{HOST}/v2/a/b/blobs/{}", digest())]);
    assert_eq!(script.seen()[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_part_is_one_request() {
    let cases: [(ByteRange, &str, std::ops::Range<usize>); 4] = [
        ((10..20).into(), "bytes=10-19", 10..20),
        ((990..).into(), "bytes=990-", 990..1000),
        ((990..2000).into(), "bytes=990-1999", 990..1000),
        ((..1).into(), "bytes=0-0", 0..1),
    ];
    for (range, header, expected) in cases {
        let script = Script::new(|seen, _| honest(seen));
        let reader = open(&script, range).await.unwrap();
        assert_eq!(reader.descriptor().size, 1000);
        assert_eq!(reader.bytes(1000).await.unwrap(), blob().slice(expected), "{header}");
        assert_eq!(ranges(&script), [header]);
    }
}

#[tokio::test]
async fn a_range_past_the_end_has_its_own_kind() {
    let script = Script::new(|seen, _| honest(seen));
    assert_eq!(open(&script, 1000..).await.unwrap_err().kind(), ErrorKind::RangeInvalid);
    // The registry that knows no ranges has to be seen through as well.
    let script = Script::new(|_, _| Reply::ok(blob()));
    assert_eq!(open(&script, 1000..).await.unwrap_err().kind(), ErrorKind::RangeInvalid);
    let script = Script::new(|_, _| unreachable!("an empty range is not sent"));
    assert_eq!(open(&script, 5..5).await.unwrap_err().kind(), ErrorKind::RangeInvalid);
}

/// H3: a registry without ranges answers with the whole; the part is cut from it.
#[tokio::test]
async fn a_part_is_cut_from_a_whole_answer() {
    for range in [ByteRange::from(10..20), (990..).into(), (995..2000).into()] {
        let script = Script::new(|_, _| Reply::ok(blob()));
        let expected = range.resolve(1000).unwrap();
        let expected = blob().slice(usize::try_from(expected.start).unwrap()..usize::try_from(expected.end).unwrap());
        assert_eq!(read(&script, range).await.unwrap(), expected);
        assert_eq!(script.count(), 1);
    }
}

/// H2: cut by an error or by an early end, at any place, the rest is asked for and nothing else.
#[tokio::test(start_paused = true)]
async fn a_blob_that_breaks_off_goes_on_from_the_byte_it_has_reached() {
    type Cut = fn(usize) -> Reply;
    let reset: Cut = |at| Reply::ok("").header("x", "reset").cut(&blob(), at);
    let ended: Cut = |at| Reply::status(200).header("content-length", 1000).chunks([Ok(blob().slice(..at))]);
    for cut in [reset, ended] {
        for at in [0, 1, 500, 999] {
            let script =
                Script::new(move |seen, before| if before == 0 { strip_length(cut(at)) } else { honest(seen) });
            assert_eq!(read(&script, ..).await.unwrap(), blob(), "cut at {at}");
            let resumed = if at == 0 { "whole".to_owned() } else { format!("bytes={at}-") };
            assert_eq!(ranges(&script), ["whole".to_owned(), resumed]);
        }
    }
}

/// Only one length, whatever the helpers have added.
fn strip_length(reply: Reply) -> Reply {
    let Reply::Answer(mut answer) = reply else { return reply };
    answer.headers_mut().insert("content-length", "1000".parse().unwrap());
    Reply::Answer(answer)
}

#[tokio::test(start_paused = true)]
async fn a_part_that_breaks_off_goes_on_within_the_part() {
    let script = Script::new(|seen, before| match before {
        0 => part(100, 200).chunks([Ok(blob().slice(100..150)), Err(broken())]),
        _ => honest(seen),
    });
    assert_eq!(read(&script, 100..200).await.unwrap(), blob().slice(100..200));
    assert_eq!(ranges(&script), ["bytes=100-199", "bytes=150-199"]);
}

/// H2: progress starts the count anew; no progress ends it.
#[tokio::test(start_paused = true)]
async fn only_breaks_without_a_new_byte_are_counted() {
    // Ten bytes each time: a hundred breaks, none of them in vain.
    let script = Script::new(|seen, before| {
        let start = before * 10;
        if seen.header("range").is_some() {
            part(start, 1000).chunks([Ok(blob().slice(start..start + 10)), Err(broken())])
        } else {
            Reply::status(200).cut(&blob(), 10)
        }
    });
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    assert_eq!(script.count(), 100);

    let script = Script::new(|seen, _| match seen.header("range") {
        None => Reply::status(200).cut(&blob(), 10),
        Some(_) => part(10, 1000).chunks([Err(broken())]),
    });
    assert_eq!(read(&script, ..).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(script.count(), 6, "the first, and five that brought nothing");
}

/// H25: a byte a request is not progress, or a blob would be as many requests as it has bytes.
#[tokio::test(start_paused = true)]
async fn breaks_after_a_byte_are_counted() {
    let script = Script::new(|seen, before| match seen.header("range") {
        None => Reply::status(200).cut(&blob(), 1),
        Some(_) => part(before, 1000).chunks([Ok(blob().slice(before..=before)), Err(broken())]),
    });
    assert_eq!(read(&script, ..).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(script.count(), 6);
}

/// H3: a resume that is answered with the whole is thrown away up to the byte that is here.
#[tokio::test(start_paused = true)]
async fn a_resume_may_be_answered_with_the_whole() {
    let script =
        Script::new(|_, before| if before == 0 { Reply::status(200).cut(&blob(), 600) } else { Reply::ok(blob()) });
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    assert_eq!(ranges(&script), ["whole", "bytes=600-"]);
}

/// H3: but not for ever: all that is received for a blob stays under twice its size.
#[tokio::test(start_paused = true)]
async fn a_registry_that_always_starts_anew_is_given_up_on() {
    let script = Script::new(|_, before| Reply::status(200).cut(&blob(), (600 + before).min(999)));
    let error = read(&script, ..).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
    assert!(script.count() <= 4, "{}", script.count());
}

/// H4: a wrong range is not joined on. The whole is asked for, once.
#[tokio::test(start_paused = true)]
async fn a_resume_with_another_range_is_not_joined_on() {
    type Wrong = fn() -> Reply;
    let wrongs: [(&str, Wrong); 5] = [
        ("another start", || part(599, 1000).body(blob().slice(599..))),
        ("from the beginning", || part(0, 1000).body(blob())),
        ("another end", || part(600, 900).body(blob().slice(600..900))),
        ("no content-range", || Reply::status(206).body(blob().slice(600..))),
        ("another total", || {
            Reply::status(206).header("content-range", "bytes 600-999/2000").body(blob().slice(600..))
        }),
    ];
    for (name, wrong) in wrongs {
        let script = Script::new(move |seen, before| match before {
            0 => Reply::status(200).cut(&blob(), 600),
            1 => wrong(),
            _ => honest(seen),
        });
        assert_eq!(read(&script, ..).await.unwrap(), blob(), "{name}");
        assert_eq!(ranges(&script), ["whole", "bytes=600-", "whole"], "{name}");
        // Once, and then it fails.
        let script =
            Script::new(move |_, before| if before == 0 { Reply::status(200).cut(&blob(), 600) } else { wrong() });
        assert_eq!(read(&script, ..).await.unwrap_err().kind(), ErrorKind::Protocol, "{name}");
        assert_eq!(script.count(), 3, "{name}");
    }
}

/// H4, at the start: a part that was not asked for is not taken for it.
#[tokio::test]
async fn the_first_answer_must_be_the_range_asked_for() {
    let script = Script::new(|seen, _| match seen.header("range") {
        Some(_) => part(0, 10).body(blob().slice(0..10)),
        None => Reply::ok(blob()),
    });
    assert_eq!(read(&script, 100..110).await.unwrap(), blob().slice(100..110));
    assert_eq!(ranges(&script), ["bytes=100-109", "whole"]);
}

/// H5: what was there a moment ago can't be out of range: the whole, once.
#[tokio::test(start_paused = true)]
async fn a_resume_that_is_refused_as_out_of_range_starts_anew_once() {
    let script = Script::new(|seen, before| match (before, seen.header("range")) {
        (0, _) => Reply::status(200).cut(&blob(), 600),
        (_, Some(_)) => Reply::status(416),
        (_, None) => Reply::ok(blob()),
    });
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    assert_eq!(ranges(&script), ["whole", "bytes=600-", "whole"]);
}

/// H7: a resume asks the registry, never the place it led to, whose signature may have expired.
#[tokio::test(start_paused = true)]
async fn a_resume_goes_back_to_the_registry() {
    let script = Script::new(|seen, before| match (before, seen.url.starts_with("https://cdn.test/")) {
        (0, _) => Reply::status(307).header("location", "https://cdn.test/x?sig=1"),
        (1, true) => Reply::status(200).cut(&blob(), 600),
        (_, false) => Reply::status(307).header("location", "https://cdn.test/x?sig=2"),
        (_, true) if seen.url.ends_with("sig=2") => honest(seen),
        (_, true) => Reply::status(403),
    });
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    let hosts: Vec<_> = script.seen().iter().map(|seen| seen.url.contains("cdn.test")).collect();
    assert_eq!(hosts, [false, true, false, true]);
}

/// H6: what was joined is judged by its digest.
#[tokio::test(start_paused = true)]
async fn parts_of_different_blobs_do_not_pass() {
    let script = Script::new(|_, before| match before {
        0 => Reply::status(200).cut(&blob(), 600),
        _ => part(600, 1000).body(Bytes::from(vec![7; 400])),
    });
    assert_eq!(read(&script, ..).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
}

/// H6: whoever can begin anew is told whether that may help: what came in one piece would come so again.
#[tokio::test(start_paused = true)]
async fn a_blob_that_was_joined_says_so() {
    for breaks in [false, true] {
        let script = Script::new(move |seen, before| match before {
            0 if breaks => Reply::status(200).cut(&blob(), 600),
            _ => honest(seen),
        });
        let reader = open(&script, ..).await.unwrap();
        let seams = reader.seams().clone();
        assert!(!seams.any(), "not before it was read");
        reader.bytes(1000).await.unwrap();
        assert_eq!(seams.any(), breaks);
    }
}

/// M6, M7: more bytes than announced are an error; what was announced short is not silently complete.
#[tokio::test(start_paused = true)]
async fn a_body_of_another_length_than_announced_fails() {
    let long = Script::new(|_, _| Reply::status(200).header("content-length", 999).chunks([Ok(blob())]));
    assert_eq!(read(&long, ..).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
    let long = Script::new(|_, _| {
        Reply::status(200).header("content-length", 1000).chunks([Ok(blob()), Ok(Bytes::new()), Ok("x".into())])
    });
    assert_eq!(read(&long, ..).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
    // Announced too long: the rest does not exist, and saying so is the registry's last word.
    let short = Script::new(|seen, before| match (before, seen.header("range")) {
        (0, _) | (_, None) => Reply::status(200).header("content-length", 2000).chunks([Ok(blob())]),
        _ => Reply::status(416),
    });
    assert_eq!(read(&short, ..).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
}

/// M7: without a length the size is asked for, and an endless body ends there.
#[tokio::test(start_paused = true)]
async fn a_body_without_a_length_is_bounded_by_what_head_says() {
    let head = || Reply::status(200).header("content-length", 1000);
    let script = Script::new(move |seen, _| match seen.method.as_str() {
        "HEAD" => head(),
        _ => Reply::status(200).chunks([Ok(blob())]),
    });
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    let endless = Script::new(move |seen, _| match seen.method.as_str() {
        "HEAD" => head(),
        _ => Reply::status(200)
            .stream(Box::pin(futures_util::stream::repeat_with(|| Ok(Bytes::from_static(b"endless"))))),
    });
    assert_eq!(read(&endless, ..).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
    let silent = Script::new(|_, _| Reply::status(200).chunks([Ok(blob())]));
    assert_eq!(open(&silent, ..).await.unwrap_err().kind(), ErrorKind::Protocol);
}

/// H11: a body that stands still is taken up again after the idle time; the end of a complete one is not waited for.
#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_taken_up_again() {
    let started = Instant::now();
    let script =
        Script::new(|seen, before| if before == 0 { Reply::status(200).stall(&blob(), 600) } else { honest(seen) });
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    assert_eq!(started.elapsed().as_secs(), 30);
    let started = Instant::now();
    let script = Script::new(|_, _| Reply::status(200).stall(&blob(), 1000));
    assert_eq!(read(&script, ..).await.unwrap(), blob());
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(script.count(), 1);
}

/// H11: a registry that stands still every time is given up on, whatever little it brings.
#[tokio::test(start_paused = true)]
async fn standing_still_is_no_progress() {
    let script = Script::new(|seen, before| match seen.header("range") {
        None => Reply::status(200).stall(&blob(), 1),
        Some(_) => part(before, 1000).stream(Box::pin(futures_util::StreamExt::chain(
            futures_util::stream::iter([Ok(blob().slice(before..=before))]),
            futures_util::stream::pending(),
        ))),
    });
    let error = read(&script, ..).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(script.count(), 6);
}

/// M8 for blobs, M9 for blobs, M4 for blobs.
#[tokio::test]
async fn a_blobs_head_is_checked_before_its_body() {
    type Wrong = fn() -> Reply;
    let cases: [(&str, Wrong, ErrorKind); 5] = [
        ("recoded", || Reply::ok(blob()).header("content-encoding", "gzip"), ErrorKind::Protocol),
        ("a page", || Reply::ok("<html>").header("content-type", "text/html"), ErrorKind::NotARegistry),
        ("nothing", || Reply::status(204), ErrorKind::NotARegistry),
        (
            "another digest",
            || Reply::ok(blob()).header("docker-content-digest", Digest::of(b"x")),
            ErrorKind::DigestMismatch,
        ),
        ("no digest", || Reply::ok(blob()).header("docker-content-digest", "sha256:x"), ErrorKind::Protocol),
    ];
    for (name, wrong, kind) in cases {
        let script = Script::new(move |_, _| wrong());
        assert_eq!(open(&script, ..).await.unwrap_err().kind(), kind, "{name}");
        assert_eq!(script.count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_blobs_size_is_asked_of_head_and_only_then_of_get() {
    let script = Script::new(|_, _| Reply::status(200).header("content-length", 1000));
    assert_eq!(remote(&script).resolve_blob(&repo(), &digest()).await.unwrap().size, 1000);
    assert_eq!(script.lines(), [format!("HEAD https://{HOST}/v2/a/b/blobs/{}", digest())]);

    let heads: [fn() -> Reply; 2] = [|| Reply::status(405), || Reply::status(200)];
    for head in heads {
        let script = Script::new(move |seen, _| if seen.method == "HEAD" { head() } else { honest(seen) });
        assert_eq!(remote(&script).resolve_blob(&repo(), &digest()).await.unwrap().size, 1000);
        assert_eq!(ranges(&script), ["whole", "bytes=0-0"]);
    }
    let empty = Script::new(|seen, _| if seen.method == "HEAD" { Reply::status(405) } else { Reply::status(416) });
    assert_eq!(remote(&empty).resolve_blob(&repo(), &digest()).await.unwrap().size, 0);
}

#[tokio::test(start_paused = true)]
async fn resumes_are_bounded_by_the_limits() {
    let script = Script::new(|seen, _| match seen.header("range") {
        None => Reply::status(200).cut(&blob(), 10),
        Some(_) => part(10, 1000).chunks([Err(broken())]),
    });
    let remote = builder(&script).limits(limits(|limits| limits.resume_tries = 1)).build().unwrap();
    let reader = remote.blob(&repo(), &digest(), ByteRange::Full).await.unwrap();
    assert!(reader.bytes(1000).await.is_err());
    assert_eq!(script.count(), 2);
}
