//! Many who attach to one subject of a registry without the referrers API: none is lost, and few lists are written.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use gantri_core::{ByteStream, ErrorKind, Manage, Push};
use gantri_remote::{Body, HttpClient, Remote, SendError};
use gantri_spec::{Digest, RawManifest};
use tokio::time::sleep;

use crate::script::{HOST, Script, limits, remote, repo};
use crate::tiny::{Tiny, list_tag, signature, subject};

fn signatures(names: std::ops::Range<usize>) -> Vec<RawManifest> {
    names.map(|name| signature(&name.to_string(), &subject())).collect()
}

fn sorted(mut digests: Vec<Digest>) -> Vec<Digest> {
    digests.sort();
    digests
}

fn all(signatures: &[RawManifest]) -> Vec<Digest> {
    sorted(signatures.iter().map(|signature| signature.digest().clone()).collect())
}

/// How often a list was written.
fn writes(script: &Script) -> usize {
    let tag = list_tag(&subject().digest);
    script.seen().iter().filter(|seen| seen.method == "PUT" && seen.url.ends_with(&tag)).count()
}

/// The first writes alone; all others wait for it, and are written together.
#[tokio::test(start_paused = true)]
async fn sixty_four_in_one_process_take_two_writes() {
    let tiny = Tiny::new();
    let script = tiny.script();
    let remote = remote(&script);
    let signatures = signatures(0..64);
    let puts = signatures.iter().map(|signature| {
        let remote = remote.clone();
        async move { remote.put_manifest(&repo(), signature, &[]).await }
    });
    for put in join_all(puts).await {
        assert_eq!(put.unwrap().subject, Some(subject().digest));
    }
    assert_eq!(tiny.listed(&subject().digest).map(sorted), Some(all(&signatures)));
    assert_eq!(writes(&script), 2);
}

/// Some come while others go.
#[tokio::test(start_paused = true)]
async fn those_who_come_and_those_who_go_lose_nobody() {
    let tiny = Tiny::new();
    let script = tiny.script();
    let remote = remote(&script);
    let (old, new) = (signatures(0..16), signatures(16..32));
    for signature in &old {
        remote.put_manifest(&repo(), signature, &[]).await.unwrap();
    }
    let before = writes(&script);
    let (come, go) = (
        new.iter().map(|signature| async { remote.put_manifest(&repo(), signature, &[]).await.map(drop) }),
        old.iter().map(|signature| async { remote.delete_manifest(&repo(), signature.digest()).await }),
    );
    let (come, go) = futures_util::future::join(join_all(come), join_all(go)).await;
    for outcome in come.into_iter().chain(go) {
        outcome.unwrap();
    }
    assert_eq!(tiny.listed(&subject().digest).map(sorted), Some(all(&new)));
    assert!(writes(&script) - before <= 4, "{} writes", writes(&script) - before);
}

/// A network that takes from one to forty milliseconds each way, by a seed.
struct Far {
    script: Arc<Script>,
    dice: AtomicU64,
}

impl Far {
    async fn way(&self) {
        let mut state = self.dice.load(Ordering::Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.store(state, Ordering::Relaxed);
        sleep(Duration::from_millis(1 + state % 40)).await;
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Far")
    }
}

#[async_trait]
impl HttpClient for Far {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError> {
        self.way().await;
        let answer = self.script.send(request).await;
        self.way().await;
        answer
    }
}

/// A client that shares nothing with the others, as one in another process.
fn apart(script: &Arc<Script>, seed: u64) -> Remote {
    let dice = AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let far = Far { script: Arc::clone(script), dice };
    Remote::builder(HOST.parse().unwrap()).http_client(Arc::new(far)).build().unwrap()
}

/// Four that know nothing of each other, a hundred times over, at every time that the dice give.
#[tokio::test(start_paused = true)]
async fn four_that_share_nothing_lose_nobody_in_a_hundred_runs() {
    let mut most = 0;
    for run in 0..100 {
        let tiny = Tiny::new();
        let script = tiny.script();
        let signatures = signatures(0..8);
        let puts = signatures.iter().enumerate().map(|(at, signature)| {
            let who = at as u64 % 4;
            let remote = apart(&script, 4 * run + who + 1);
            async move { remote.put_manifest(&repo(), signature, &[]).await.map(drop) }
        });
        for put in join_all(puts).await {
            put.unwrap();
        }
        assert_eq!(tiny.listed(&subject().digest).map(sorted), Some(all(&signatures)), "run {run}");
        most = most.max(writes(&script));
    }
    assert!(most <= 64, "{most} writes for 8 referrers");
}

/// Whoever is written over for ever gives up, and says so.
#[tokio::test(start_paused = true)]
async fn a_list_that_others_write_over_for_ever_is_a_conflict() {
    let tiny = Tiny::new();
    let theirs = gantri_spec::Index::new(vec![]).to_raw();
    let script = {
        let tiny = Arc::clone(&tiny);
        Script::new(move |seen, _| {
            let answer = tiny.answer(seen);
            if seen.method == "PUT" {
                tiny.put(&theirs, Some(&list_tag(&subject().digest)));
            }
            answer
        })
    };
    let limits = limits(|limits| limits.referrers_rounds = 3);
    let remote = crate::script::builder(&script).limits(limits).build().unwrap();
    let error = remote.put_manifest(&repo(), &signature("a", &subject()), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("others wrote over it 3 times"), "{error}");
    assert_eq!(writes(&script), 3);
}
