//! What a registry says beside its answers: warnings, pauses, and how many requests it allows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantri_core::{Event, Observer, Pull};
use gantri_spec::{ByteRange, Digest};

use crate::pace::waiting_token_server;
use crate::script::{HOST, Reply, Script, builder, limits, remote, repo, tag};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn manifest() -> Reply {
    Reply::ok(r#"{"schemaVersion":2,"manifests":[]}"#).header("content-type", INDEX)
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Heard {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Notice(text) => (*text).to_owned(),
            Event::Waiting { host, pause } => format!("{host} {pause:?}"),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// The spec's `299 - "text"`, once each, shown harmless; other codes and agents are none of ours.
#[tokio::test]
async fn a_warning_is_passed_on_once() {
    let script = Script::new(|_, _| {
        let reply = manifest().header("warning", r#"299 - "gone by May""#).header("warning", r#"199 - "other""#);
        reply.header("warning", "299 - \"move to \u{202e}here\", 299 - \"gone by May\"")
    });
    let heard = Arc::new(Heard::default());
    let remote = builder(&script).observer(Arc::clone(&heard) as Arc<dyn Observer>).build().unwrap();
    for _ in 0..3 {
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
    }
    let said = [format!("{HOST} warns: gone by May"), format!("{HOST} warns: move to \\u{{202e}}here")];
    assert_eq!(heard.all(), said);
}

/// A refusal may warn too; whatever the registry leads to may not.
#[tokio::test]
async fn only_the_registry_warns() {
    let script = Script::new(|seen, _| {
        if seen.url.contains("cdn.test") {
            return Reply::ok("blob").header("warning", r#"299 - "elsewhere""#).header("ratelimit-remaining", "1");
        }
        if seen.url.contains("manifests") {
            return Reply::status(404).header("warning", r#"299 - "refused""#);
        }
        Reply::status(307).header("location", "https://cdn.test/x").header("warning", r#"299 - "moved""#)
    });
    let heard = Arc::new(Heard::default());
    let remote = builder(&script).observer(Arc::clone(&heard) as Arc<dyn Observer>).build().unwrap();
    remote.blob(&repo(), &Digest::of(b"blob"), ByteRange::Full).await.unwrap();
    assert!(remote.manifest(&repo(), &tag("v1")).await.is_err());
    assert_eq!(heard.all(), [format!("{HOST} warns: moved"), format!("{HOST} warns: refused")]);
    assert_eq!(remote.rate_limit(), None);
}

/// No registry talks without end: neither in one answer, nor in many.
#[tokio::test]
async fn warnings_are_bounded_in_number_and_length() {
    let script = Script::new(|_, before| manifest().header("warning", format!("299 - \"number {before}\"")));
    let heard = Arc::new(Heard::default());
    let observer = || Arc::clone(&heard) as Arc<dyn Observer>;
    let few = limits(|limits| limits.warnings = 3);
    let remote = builder(&script).observer(observer()).limits(few).build().unwrap();
    for _ in 0..10 {
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
    }
    assert_eq!(heard.all().len(), 3);

    let script = Script::new(|_, _| {
        let long = |of: &str| format!("299 - \"{}\"", of.repeat(3_000));
        manifest().header("warning", long("a")).header("warning", long("b"))
    });
    let remote = builder(&script).observer(observer()).build().unwrap();
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(heard.all().len(), 4);
    assert!(heard.all()[3].ends_with('a'));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_registry_asks_for_is_told() {
    let script = Script::new(|_, before| match before {
        0 => Reply::status(429).header("retry-after", "20"),
        1 => Reply::status(429).header("retry-after", "1"),
        _ => manifest(),
    });
    let heard = Arc::new(Heard::default());
    let remote = builder(&script).observer(Arc::clone(&heard) as Arc<dyn Observer>).build().unwrap();
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(heard.all(), [format!("{HOST}:443 20s")]);
}

/// Whoever waits for a token server is told so like whoever waits for a registry.
#[tokio::test(start_paused = true)]
async fn a_pause_that_a_token_server_asks_for_is_told() {
    let script = waiting_token_server("20");
    let heard = Arc::new(Heard::default());
    let remote = builder(&script).observer(Arc::clone(&heard) as Arc<dyn Observer>).build().unwrap();
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(heard.all(), ["auth.test:443 20s"]);
}

#[tokio::test]
async fn what_a_registry_counts_can_be_asked() {
    let script = Script::new(|_, before| {
        let left = 100 - before;
        match before {
            2 => manifest(),
            _ => manifest()
                .header("ratelimit-limit", "100;w=21600")
                .header("ratelimit-remaining", format!("{left};w=21600")),
        }
    });
    let remote = remote(&script);
    assert_eq!(remote.rate_limit(), None);
    for left in [100, 99, 99] {
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        let said = remote.rate_limit().unwrap();
        assert_eq!((said.limit, said.remaining), (Some(100), Some(left)), "what it said last");
        assert_eq!(said.window, Some(Duration::from_secs(21_600)));
    }
}
