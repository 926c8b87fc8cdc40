//! What a host sees of many who ask at once: the herd is held, tries are spared, and all who share a throttle share that
//! (H8, H25).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use gantri_core::{BlobBody, ByteStream, ErrorKind, Event, Limits, Observer, Pull, Push, Result, Retry};
use gantri_remote::{Body, HttpClient, Remote, SendError, Throttle};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType};
use tokio::time::Instant;

use crate::script::{Reply, Script, builder, builder_for, limits, named, remote, repo, tag};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BODY: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
const TASKS: usize = 64;

fn manifest() -> Reply {
    Reply::ok(BODY).header("content-type", INDEX)
}

/// When each request came, by the paused clock.
#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<Instant>>>);

impl Times {
    fn note(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    /// The most that came within so long.
    fn most_within(&self, window: Duration) -> usize {
        let times = self.0.lock().unwrap();
        let within = |start: &Instant| times.iter().filter(|at| **at >= *start && **at < *start + window).count();
        times.iter().map(within).max().unwrap_or(0)
    }
}

async fn herd(remote: &Remote) -> Vec<Result<()>> {
    let (repo, tags): (_, Vec<_>) = (repo(), (0..TASKS).map(|task| tag(&format!("v{task}"))).collect());
    join_all(tags.iter().map(|tag| async { remote.manifest(&repo, tag).await.map(drop) })).await
}

/// Every third answer is `429 Retry-After: 5`: all get through, and the host sees no more between two of its pauses than
/// those that were under way and those that it let through. Chance has a part in it, so more than one herd is sent.
#[tokio::test(start_paused = true)]
async fn a_herd_that_is_told_to_wait_gets_through_at_the_hosts_pace() {
    for _ in 0..20 {
        let times = Times::default();
        let noted = times.clone();
        let script = Script::new(move |_, before| {
            noted.note();
            if before % 3 == 2 { Reply::status(429).header("retry-after", "5") } else { manifest() }
        });
        let started = Instant::now();
        let outcomes = herd(&remote(&script)).await;
        let (took, sent) = (started.elapsed(), script.count());
        let pace = times.most_within(Duration::from_secs(5));
        println!("429 herd: {TASKS} tasks, {sent} requests in {took:?}, at most {pace} in 5 s");
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        // Of three requests two are answered, so two thirds of what was sent are the tasks.
        assert_eq!(sent, TASKS + (TASKS - 1) / 2);
        assert!(pace <= Limits::default().concurrent_requests + 3, "{pace}");
        assert!(took < Duration::from_mins(3), "{took:?}");
    }
}

/// A host that lets two through in five seconds, and many who want several things of it, one after the other: nobody's time
/// runs out while others are served that came later.
#[tokio::test(start_paused = true)]
async fn nobodys_time_runs_out_while_later_ones_are_served() {
    for _ in 0..20 {
        let passed = Mutex::new((Instant::now(), 0));
        let script = Script::new(move |_, _| {
            let mut window = passed.lock().unwrap();
            if window.0.elapsed() >= Duration::from_secs(5) {
                *window = (Instant::now(), 0);
            }
            window.1 += 1;
            if window.1 > 2 { Reply::status(429).header("retry-after", "5") } else { manifest() }
        });
        let started = Instant::now();
        let remote = remote(&script);
        let (repo, tag) = (repo(), tag("v1"));
        let worker = async || {
            for _ in 0..4 {
                remote.manifest(&repo, &tag).await?;
            }
            Ok(())
        };
        let outcomes: Vec<Result<()>> = join_all((0..TASKS / 4).map(|_| worker())).await;
        println!("quota herd: {TASKS} things, {} requests in {:?}", script.count(), started.elapsed());
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(started.elapsed() > Limits::default().retry_total);
    }
}

/// H25: a host that answers nobody sees each task once, and then what the budget has: so many tries, and one a second.
#[tokio::test(start_paused = true)]
async fn a_host_that_fails_everybody_is_spared() {
    let times = Times::default();
    let noted = times.clone();
    let script = Script::new(move |_, _| {
        noted.note();
        Reply::status(503)
    });
    let started = Instant::now();
    let outcomes = herd(&remote(&script)).await;
    let (took, sent) = (started.elapsed(), script.count());
    println!("503 herd: {TASKS} tasks, {sent} requests in {took:?}");
    assert!(outcomes.iter().all(Result::is_err));
    let budget = usize::try_from(u64::from(Limits::default().retry_budget) + took.as_secs()).unwrap();
    assert!(sent <= TASKS + budget && sent < TASKS * 4, "{sent}");
    assert!(times.most_within(Duration::from_secs(1)) <= TASKS + 41);
    assert!(took <= Limits::default().retry_total + Duration::from_secs(1), "{took:?}");
}

/// H8: six hours are not waited for. The error comes at once and says until when.
#[tokio::test(start_paused = true)]
async fn a_wait_of_six_hours_ends_at_once_and_says_until_when() {
    let script = Script::new(|_, _| Reply::status(429).header("retry-after", "21600"));
    let started = Instant::now();
    let outcomes = herd(&remote(&script)).await;
    assert_eq!((script.count(), started.elapsed()), (TASKS, Duration::ZERO));
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::After(Duration::from_hours(6))));
        let hint = error.hint().unwrap();
        assert!(
            hint.starts_with("the registry asks to wait 21600 seconds, until ") && hint.ends_with(" GMT"),
            "{hint}"
        );
    }
    let script = Script::new(|_, _| Reply::status(429).header("retry-after", "99999999999999999999"));
    let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert!(error.hint().unwrap().ends_with(" seconds"), "no date is that far away");
}

/// Whoever would wait for ever waits, whatever a registry says: no clock overflows.
#[tokio::test(start_paused = true)]
async fn a_wait_that_no_clock_holds_is_waited_for() {
    let script = Script::new(|_, before| match before {
        0 => Reply::status(503),
        _ => Reply::status(429).header("retry-after", "99999999999999999999"),
    });
    let patient = limits(|limits| {
        limits.retry_pause = Duration::from_secs(60);
        (limits.retry_after, limits.retry_total) = (Duration::MAX, Duration::MAX);
    });
    let remote = builder(&script).limits(patient).build().unwrap();
    let (repo, v1) = (repo(), tag("v1"));
    assert!(tokio::time::timeout(Duration::from_hours(1), remote.manifest(&repo, &v1)).await.is_err());
    assert_eq!(script.count(), 2);
}

/// Two values for one host: with one throttle, what the host tells one of them holds for the other.
#[tokio::test(start_paused = true)]
async fn who_shares_a_throttle_shares_the_pauses() {
    for shared in [true, false] {
        let script = Script::new(|_, before| match before {
            0 => Reply::status(429).header("retry-after", "20"),
            _ => manifest(),
        });
        let throttle = Throttle::new(&Limits::default()).unwrap();
        let make = || if shared { builder(&script).throttle(throttle.clone()) } else { builder(&script) };
        let (one, other) = (make().build().unwrap(), make().build().unwrap());
        let started = Instant::now();
        let (repo, tag) = (repo(), tag("v1"));
        let second = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            other.manifest(&repo, &tag).await.unwrap();
            started.elapsed().as_secs()
        };
        let (first, waited) = tokio::join!(one.manifest(&repo, &tag), second);
        assert!(first.is_ok());
        assert_eq!(waited >= 20, shared, "{waited}");
    }
}

/// Answers after a second, and counts how many wait for it at once.
#[derive(Debug, Default)]
struct Busy {
    inside: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl HttpClient for Busy {
    async fn send(&self, _request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
        let body: ByteStream = Box::pin(futures_util::stream::iter([Ok(BODY.into())]));
        Ok(http::Response::builder().header("content-type", INDEX).body(body).unwrap())
    }
}

/// O15: so many requests at a time for a host, whoever makes them: calls, and values that share a throttle. Another host has
/// as many of its own.
#[tokio::test(start_paused = true)]
async fn requests_at_a_time_are_counted_by_host_and_across_calls() {
    let cases =
        [("one.test", "one.test", true, 8), ("one.test", "one.test", false, 16), ("one.test", "b.test", true, 16)];
    for (one, other, shared, most) in cases {
        let busy = Arc::new(Busy::default());
        let throttle = Throttle::new(&Limits::default()).unwrap();
        let make = |host: &str| {
            let builder = Remote::builder(host.parse().unwrap()).http_client(Arc::clone(&busy) as Arc<dyn HttpClient>);
            if shared { builder.throttle(throttle.clone()) } else { builder }.build().unwrap()
        };
        let (one, other) = (make(one), make(other));
        let started = Instant::now();
        let (first, second) = tokio::join!(half(&one), half(&other));
        assert!(first.iter().chain(&second).all(Result::is_ok));
        assert_eq!(busy.most.load(Ordering::SeqCst), most, "{one:?} {other:?} {shared}");
        assert_eq!(started.elapsed().as_secs(), (TASKS / most) as u64);
    }
}

async fn half(remote: &Remote) -> Vec<Result<()>> {
    let (repo, tags): (_, Vec<_>) = (repo(), (0..TASKS / 2).map(|task| tag(&format!("v{task}"))).collect());
    join_all(tags.iter().map(|tag| async { remote.manifest(&repo, tag).await.map(drop) })).await
}

/// Where registries lead is a host like any other: its pause is its own, and holds for all who are led there.
#[tokio::test(start_paused = true)]
async fn the_pause_of_a_store_holds_for_every_registry_that_leads_there() {
    let script = Script::new(|seen, before| match (seen.url.contains("cdn.test"), before) {
        (true, 0..=2) => Reply::status(429).header("retry-after", "20"),
        (true, _) => Reply::ok("blob"),
        (false, _) if seen.url.contains("manifests") => manifest(),
        (false, _) => Reply::status(307).header("location", "https://cdn.test/x"),
    });
    let throttle = Throttle::new(&Limits::default()).unwrap();
    let make = |host| builder_for(host, &script).throttle(throttle.clone()).build().unwrap();
    let (one, other) = (make("one.test"), make("other.test"));
    let (repo, tag, digest) = (repo(), tag("v1"), Digest::of(b"blob"));
    let started = Instant::now();
    let elsewhere = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        one.manifest(&repo, &tag).await.unwrap();
        let manifest = started.elapsed().as_secs();
        other.blob(&repo, &digest, ByteRange::Full).await.unwrap();
        (manifest, started.elapsed().as_secs())
    };
    let (blob, (manifest, second)) = tokio::join!(one.blob(&repo, &digest, ByteRange::Full), elsewhere);
    assert!(blob.is_ok());
    assert_eq!(manifest, 1, "the registry itself asked for nothing");
    assert!(second >= 20, "{second}");
}

/// A registry whose token server is busy at first, and asks to wait for so many seconds.
pub(crate) fn waiting_token_server(seconds: &'static str) -> Arc<Script> {
    Script::new(move |seen, before| match (seen.url.starts_with("https://auth.test/"), before) {
        (true, 0..=1) => Reply::status(429).header("retry-after", seconds),
        (true, _) => Reply::ok(r#"{"token":"t"}"#),
        (false, _) if seen.authorization().is_none() => {
            Reply::status(401).header("www-authenticate", r#"Bearer realm="https://auth.test/",service="s""#)
        }
        (false, _) => manifest(),
    })
}

/// A token server is spared like every other host: who was told to wait comes back when its gate opens.
#[tokio::test(start_paused = true)]
async fn the_pause_of_a_token_server_is_kept() {
    let script = waiting_token_server("20");
    let started = Instant::now();
    named(&script).manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 20, "{:?}", script.lines());
    let asked = script.seen().iter().filter(|seen| seen.url.starts_with("https://auth.test/")).count();
    assert_eq!(asked, 2);
}

/// What is waited at the gate of a token server is not counted against its answer.
#[tokio::test(start_paused = true)]
async fn a_token_server_has_its_time_from_when_it_is_asked() {
    let script = waiting_token_server("60");
    let throttle = Throttle::new(&Limits::default()).unwrap();
    let make = || builder(&script).throttle(throttle.clone()).limits(limits(|limits| limits.request_tries = 1));
    let (one, other) = (make().build().unwrap(), make().build().unwrap());
    let (repo, v1) = (repo(), tag("v1"));
    assert_eq!(one.manifest(&repo, &v1).await.unwrap_err().kind(), ErrorKind::RateLimited);
    let started = Instant::now();
    other.manifest(&repo, &v1).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(60), "{:?}", started.elapsed());
}

/// Nor is an answer waited for without end: neither its head nor its body.
#[tokio::test(start_paused = true)]
async fn a_token_server_that_does_not_answer_is_given_up() {
    let body = bytes::Bytes::from_static(br#"{"token":"t"}"#);
    for stalls in [true, false] {
        let body = body.clone();
        let script = Script::new(move |seen, _| match (seen.url.starts_with("https://auth.test/"), stalls) {
            (true, true) => Reply::status(200).stall(&body, 3),
            (true, false) => Reply::Hang,
            _ => Reply::status(401).header("www-authenticate", r#"Bearer realm="https://auth.test/",service="s""#),
        });
        let remote = builder(&script).limits(limits(|limits| limits.request_tries = 1)).build().unwrap();
        let started = Instant::now();
        let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (ErrorKind::Timeout, Limits::default().first_byte), "{error}");
    }
}

/// Where all places of a token server's host are taken, that is what is said.
#[tokio::test(start_paused = true)]
async fn no_room_at_a_token_server_is_called_so() {
    let script = Script::new(|seen, _| match (seen.url.contains("/token"), seen.url.contains("manifests")) {
        (true, _) => Reply::ok(r#"{"token":"t"}"#),
        (_, true) => {
            Reply::status(401).header("www-authenticate", r#"Bearer realm="https://auth.test/token",service="s""#)
        }
        _ => Reply::ok("blob"),
    });
    let throttle = Throttle::new(&limits(|limits| limits.connections = 1)).unwrap();
    let make = |host| builder_for(host, &script).throttle(throttle.clone()).build().unwrap();
    let (registry, beside) = (make("registry.test"), make("auth.test"));
    let (repo, digest) = (repo(), Digest::of(b"blob"));
    let _reader = beside.blob(&repo, &digest, ByteRange::Full).await.unwrap();
    let error = registry.manifest(&repo, &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(error.to_string().contains("connections = 1"), "{error}");
}

/// Refusals that are to be met hold no place: the token may be got at the same host.
#[tokio::test(start_paused = true)]
async fn a_challenge_leaves_room_for_the_token_that_meets_it() {
    let script = Script::new(|seen, _| match (seen.url.contains("/token"), seen.authorization()) {
        (true, _) => Reply::ok(r#"{"token":"t"}"#),
        (_, Some(_)) => manifest(),
        _ => Reply::status(401)
            .header("www-authenticate", r#"Bearer realm="https://registry.test/token",service="s""#)
            .body("who are you?"),
    });
    let remote = builder(&script).limits(limits(|limits| limits.connections = 16)).build().unwrap();
    let outcomes = herd(&remote).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// H25: however many uploads have spent the tries of a host, its gate is closed for no longer than anybody waits.
#[tokio::test(start_paused = true)]
async fn no_gate_is_closed_for_longer_than_anybody_waits() {
    const MOST: Duration = Duration::from_secs(20);
    let patched = AtomicUsize::new(0);
    let script = Script::new(move |seen, _| match seen.name() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", "/u"),
        "GET" => Reply::status(204).header("range", "0--1"),
        _ if patched.fetch_add(1, Ordering::SeqCst) < 250 => Reply::status(503),
        _ => Reply::status(503).header("retry-after", "1"),
    });
    let pauses = Arc::new(Pauses::default());
    let small = limits(|limits| {
        (limits.monolithic_put, limits.retry_budget, limits.retry_total) = (1, 0, MOST);
    });
    let remote = builder(&script).limits(small).observer(Arc::clone(&pauses) as Arc<dyn Observer>).build().unwrap();
    let (repo, blob) = (repo(), Descriptor::of(MediaType::OCTET_STREAM, &[0; 8 << 10]));
    let put = || remote.put_blob(&repo, &blob, BlobBody::bytes(vec![0; 8 << 10]));
    let outcomes = join_all((0..300).map(|_| put())).await;
    assert!(outcomes.iter().all(Result::is_err));
    let longest = pauses.0.lock().unwrap().iter().max().copied();
    assert_eq!(longest, Some(MOST));
}

/// The pauses that were told.
#[derive(Debug, Default)]
struct Pauses(Mutex<Vec<Duration>>);

impl Observer for Pauses {
    fn event(&self, event: &Event<'_>) {
        if let Event::Waiting { pause, .. } = event {
            self.0.lock().unwrap().push(*pause);
        }
    }
}

/// Answers that nobody reads hold their places; who finds none is told so, and not for ever.
#[tokio::test(start_paused = true)]
async fn answers_that_are_not_read_are_bounded() {
    let script = Script::new(|_, _| Reply::ok("blob"));
    let remote = builder(&script).limits(limits(|limits| limits.connections = 3)).build().unwrap();
    let (repo, digest) = (repo(), Digest::of(b"blob"));
    let open = || remote.blob(&repo, &digest, ByteRange::Full);
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(open().await.unwrap());
    }
    let started = Instant::now();
    let error = open().await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed()), (ErrorKind::LimitExceeded, Limits::default().first_byte));
    assert!(error.to_string().contains("connections = 3"), "{error}");
    readers.pop();
    readers.push(open().await.unwrap());
    for reader in readers {
        assert_eq!(reader.bytes(10).await.unwrap(), "blob");
    }
    assert!(open().await.is_ok());
}

/// What the user takes for passing is tried again; the pauses are his as well.
#[tokio::test(start_paused = true)]
async fn statuses_and_pauses_can_be_chosen() {
    let script = Script::new(|_, before| if before < 3 { Reply::status(404) } else { manifest() });
    let patient = limits(|limits| {
        limits.retry_pause = Duration::from_secs(8);
        limits.retry_pause_most = Duration::from_secs(8);
    });
    let remote = builder(&script).retry_statuses([http::StatusCode::NOT_FOUND]).limits(patient).build().unwrap();
    let started = Instant::now();
    assert!(remote.manifest(&repo(), &tag("v1")).await.is_ok());
    assert_eq!(script.count(), 4);
    // Three pauses of up to eight seconds: that all of them are short has a chance of one in half a million.
    assert!(started.elapsed() > Duration::from_millis(100) && started.elapsed() <= Duration::from_secs(24));
}
