//! What is tried again, how often, and when everybody waits (H1, H8, H9, H23, H25).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantri_core::{ErrorKind, Limits, Pull, Retry};
use gantri_remote::SendErrorKind;
use gantri_spec::{ByteRange, Digest};
use tokio::time::Instant;

use crate::script::{Reply, Script, builder, limits, remote, repo, tag};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BODY: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn manifest() -> Reply {
    Reply::ok(BODY).header("content-type", INDEX)
}

/// H9, H1: which statuses and faults are tried again, and which are not.
#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    let passing = [408, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524];
    for status in passing {
        let script = Script::new(move |_, before| if before < 4 { Reply::status(status) } else { manifest() });
        assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_ok(), "{status}");
        assert_eq!(script.count(), 5, "{status}");
    }
    for status in [400, 403, 404, 405, 406, 409, 410, 413, 422, 501, 505] {
        let script = Script::new(move |_, _| Reply::status(status));
        assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_err(), "{status}");
        assert_eq!(script.count(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_connection_are_tried_again_unless_they_will_not_pass() {
    let cases = [
        (SendErrorKind::Closed, 6, ErrorKind::Unavailable),
        (SendErrorKind::Connect, 5, ErrorKind::Connect),
        (SendErrorKind::Refused, 5, ErrorKind::Connect),
        (SendErrorKind::Resolve, 2, ErrorKind::Connect),
        (SendErrorKind::Timeout, 5, ErrorKind::Timeout),
        (SendErrorKind::ConnectTimeout, 5, ErrorKind::Timeout),
        (SendErrorKind::Proxy, 5, ErrorKind::Connect),
        (SendErrorKind::Tls, 1, ErrorKind::Connect),
        (SendErrorKind::PlainHttp, 1, ErrorKind::Connect),
        (SendErrorKind::Forbidden, 1, ErrorKind::Protocol),
        (SendErrorKind::NotHttp, 1, ErrorKind::NotARegistry),
    ];
    for (fault, tries, kind) in cases {
        let script = Script::new(move |_, _| Reply::Fault(fault));
        let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!((error.kind(), script.count()), (kind, tries), "{fault:?}");
    }
}

/// H23: a pooled connection that has died costs nothing: another one at once, and no try.
#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_replaced_at_once() {
    let script = Script::new(|_, before| if before == 0 { Reply::Fault(SendErrorKind::Closed) } else { manifest() });
    let remote = builder(&script).limits(limits(|limits| limits.request_tries = 1)).build().unwrap();
    let started = Instant::now();
    assert!(remote.manifest(&repo(), &tag("v1")).await.is_ok());
    assert_eq!((script.count(), started.elapsed()), (2, Duration::ZERO));
}

/// H8: as long as the registry says, if anybody would wait that long.
#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_within_bounds() {
    let cases = [("0", Some(0)), ("7", Some(7)), ("60", Some(60)), ("61", None), ("99999999999999999999", None)];
    for (value, waited) in cases {
        let script = Script::new(move |_, before| match before {
            0 => Reply::status(429).header("retry-after", value),
            _ => manifest(),
        });
        let started = Instant::now();
        let answer = remote(&script).manifest(&repo(), &tag("v1")).await;
        if let Some(seconds) = waited {
            assert!(answer.is_ok(), "{value}");
            assert_eq!(started.elapsed().as_secs(), seconds, "{value}");
        } else {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            assert!(matches!(error.retry(), Retry::After(pause) if pause > Duration::from_mins(1)), "{value}");
            assert_eq!((script.count(), started.elapsed()), (1, Duration::ZERO), "{value}");
        }
    }
    // A date beyond everything, and junk: fail now, and back off as usual.
    let script = Script::new(|_, _| Reply::status(429).header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"));
    assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_err());
    assert_eq!(script.count(), 1);
    for junk in ["-5", "soon", ""] {
        let script = Script::new(move |_, before| match before {
            0 => Reply::status(429).header("retry-after", junk),
            _ => manifest(),
        });
        let started = Instant::now();
        assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_ok(), "{junk:?}");
        assert!(started.elapsed() <= Duration::from_millis(100), "{junk:?}");
    }
}

/// H8: the pause holds for every task that asks this host.
#[tokio::test(start_paused = true)]
async fn retry_after_holds_the_whole_host() {
    let script = Script::new(|_, before| match before {
        0 => Reply::status(429).header("retry-after", "20"),
        _ => manifest(),
    });
    let remote = remote(&script);
    let started = Instant::now();
    let (repo, v1, v2) = (repo(), tag("v1"), tag("v2"));
    let first = remote.manifest(&repo, &v1);
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        remote.manifest(&repo, &v2).await.unwrap();
        started.elapsed()
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok());
    assert!(second >= Duration::from_secs(20), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_says_how_much_is_left() {
    let script =
        Script::new(|_, _| Reply::status(429).header("retry-after", "3600").header("ratelimit-remaining", "0;w=21600"));
    let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("the registry asks to wait 3600 seconds, until "), "{hint}");
    assert!(hint.ends_with(" GMT; 0 requests left in 21600 seconds"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_a_time_to_begin() {
    let script = Script::new(|_, _| Reply::Hang);
    let remote = builder(&script).limits(limits(|limits| limits.request_tries = 1)).build().unwrap();
    let started = Instant::now();
    let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (ErrorKind::Timeout, 60));
}

#[tokio::test(start_paused = true)]
async fn all_tries_together_have_a_time() {
    let script = Script::new(|_, _| Reply::Hang);
    let started = Instant::now();
    assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_err());
    assert!(script.count() <= 3 && started.elapsed() <= Duration::from_mins(3), "{:?}", started.elapsed());
}

/// H7 again: after a failure elsewhere the registry is asked, not the place it led to.
#[tokio::test(start_paused = true)]
async fn a_retry_starts_at_the_registry() {
    let script = Script::new(|seen, before| match (before, seen.url.contains("cdn.test")) {
        (_, false) => Reply::status(307).header("location", format!("https://cdn.test/{before}")),
        (1, true) => Reply::status(503),
        (_, true) => Reply::ok("blob"),
    });
    let reader = remote(&script).blob(&repo(), &Digest::of(b"blob"), ByteRange::Full).await.unwrap();
    assert_eq!(reader.bytes(10).await.unwrap(), "blob");
    assert_eq!(script.seen()[3].url, "https://cdn.test/2");
}

/// M9, H9: the page of a gateway is no verdict on the registry behind it, and is never kept whole.
#[tokio::test(start_paused = true)]
async fn an_error_body_is_read_as_far_as_its_bound() {
    const CHUNK: &[u8] = &[b'x'; 4096];
    let read = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read);
    let script = Script::new(move |_, _| {
        let counted = Arc::clone(&counted);
        let page = futures_util::stream::repeat_with(move || {
            counted.fetch_add(CHUNK.len() as u64, Ordering::Relaxed);
            Ok(bytes::Bytes::from_static(CHUNK))
        });
        Reply::status(403).header("content-type", "text/html").stream(Box::pin(page))
    });
    assert_eq!(remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Denied);
    let (read, bound) = (read.load(Ordering::Relaxed), Limits::default().error_body);
    assert!(read <= bound + CHUNK.len() as u64, "{read} bytes of a page, {bound} are wanted");
    let script = Script::new(|_, _| Reply::status(502).body("<html>bad gateway").header("content-type", "text/html"));
    assert_eq!(remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(script.count(), 5);
}

/// What a refusal says in another form than the spec's is quoted: from its beginning, escaped, without what URLs keep
/// secret. It decides nothing.
#[tokio::test(start_paused = true)]
async fn the_words_of_a_refusal_are_kept_whatever_their_form() {
    const S3: &str = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message>\
                      <StringToSign>canary</StringToSign></Error>";
    let long = "over ".repeat(200);
    let cases = [
        (403, "text/plain", "quota\u{1b}[2J \u{202e}exceeded\n", "forbidden: quota\\u{1b}[2J \\u{202e}exceeded (403)"),
        (400, "application/json", r#"{"message":"no such project"}"#, "bad request: no such project (400)"),
        (404, "text/plain", "Not Found", "v1: not found (404)"),
        (403, "application/xml", S3, "forbidden: Request has expired (403)"),
        (403, "text/plain", "see https://me:canary@a.test/x?sig=canary", "forbidden: see https://a.test/x?.. (403)"),
        (403, "text/html", "canary", "v1: forbidden (403)"),
        (503, "text/plain", "upstream connect error", "service unavailable: upstream connect error (503)"),
        (403, "text/plain", &long, "forbidden: over over"),
    ];
    for (status, content_type, body, expected) in cases {
        let answer = body.to_owned();
        let script =
            Script::new(move |_, _| Reply::status(status).body(answer.clone()).header("content-type", content_type));
        let text = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{body}: {text}");
        assert!(text.len() < 400 && !text.contains("canary"), "{body}: {text}");
    }
    // What is sent with an answer to HEAD is no part of it.
    let script = Script::new(|_, _| Reply::status(403).body("canary").header("content-type", "text/plain"));
    let error = remote(&script).resolve_manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!((script.methods(), error.to_string().contains("canary")), ("HEAD".to_owned(), false), "{error}");
}

/// H25: a body that breaks off is a try like any other; the two do not multiply.
#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_counts_as_a_try() {
    let script = Script::new(|_, before| match before % 2 {
        0 => Reply::status(503),
        _ => Reply::status(200).header("content-type", INDEX).cut(&BODY.into(), 5),
    });
    let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!((error.kind(), script.count()), (ErrorKind::Unavailable, 5), "{error}");
}
