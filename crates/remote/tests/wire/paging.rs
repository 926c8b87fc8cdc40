//! Listings without links, and those that registries get wrong: each entry once, and an end.

use std::sync::Arc;

use futures_util::TryStreamExt;
use gantri_core::{Discover, ErrorKind, Result};
use gantri_remote::Remote;
use gantri_spec::{RepositoryName, Tag};

use crate::script::{Reply, Script, Seen, builder, remote, repo};
use crate::tiny::refusal;

async fn tags(remote: &Remote, after: Option<&str>) -> Result<Vec<String>> {
    let after: Option<Tag> = after.map(|after| after.parse().unwrap());
    remote.tags(&repo(), after.as_ref()).map_ok(|tag| tag.to_string()).try_collect().await
}

fn paged(script: &Arc<Script>, n: u32) -> Remote {
    builder(script).page_size(Some(n)).build().unwrap()
}

fn page<S: AsRef<str>>(tags: &[S]) -> Reply {
    let tags: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
    Reply::ok(serde_json::json!({ "name": "a/b", "tags": tags }).to_string()).header("content-type", "application/json")
}

fn asked<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    let query = seen.url.split_once('?')?.1;
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// What a registry without `Link` gives: `n` entries behind `last`, in its own order.
fn without_link(held: &'static [&'static str]) -> Arc<Script> {
    Script::new(move |seen, _| {
        let n = asked(seen, "n").map_or(held.len(), |n| n.parse().unwrap());
        let from = asked(seen, "last").and_then(|last| held.iter().position(|tag| *tag == last)).map_or(0, |at| at + 1);
        page(&held[from..held.len().min(from + n)])
    })
}

#[tokio::test]
async fn without_a_link_the_next_page_begins_behind_the_last_entry() {
    let script = without_link(&["a", "b", "c", "d", "e"]);
    assert_eq!(tags(&paged(&script, 2), None).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(
        script.lines(),
        [
            "GET https://registry.test/v2/a/b/tags/list?n=2",
            "GET https://registry.test/v2/a/b/tags/list?n=2&last=b",
            "GET https://registry.test/v2/a/b/tags/list?n=2&last=d",
        ]
    );
    // A full last page takes one request to see that it was the last.
    let script = without_link(&["a", "b", "c", "d"]);
    assert_eq!(tags(&paged(&script, 2), None).await.unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(script.count(), 3);
    // Who asks for no size gets what there is, and is not made to guess.
    let script = without_link(&["a", "b", "c", "d"]);
    assert_eq!(tags(&remote(&script), None).await.unwrap().len(), 4);
    assert_eq!(script.count(), 1);
}

/// M11: neither takes `n` and `last` for anything, nor is it asked for ever.
#[tokio::test]
async fn a_registry_that_takes_no_notice_of_pages_is_read_once() {
    let cases: [(&str, u32, usize); 3] = [("fewer than it has", 2, 1), ("as many as it has", 3, 2), ("more", 9, 1)];
    for (name, n, requests) in cases {
        let script = Script::new(|_, _| page(&["a", "b", "c"]));
        assert_eq!(tags(&paged(&script, n), None).await.unwrap(), ["a", "b", "c"], "{name}");
        assert_eq!(script.count(), requests, "{name}");
    }
    // One that lets the last page overlap.
    let script = Script::new(|seen, _| match asked(seen, "last") {
        None => page(&["a", "b"]),
        Some("b") => page(&["b", "c"]),
        Some(_) => page(&["c"]),
    });
    assert_eq!(tags(&paged(&script, 2), None).await.unwrap(), ["a", "b", "c"]);
    assert_eq!(script.count(), 3);
}

/// M10: a page of nothing but odd names is a page; behind it come others.
#[tokio::test]
async fn a_page_of_odd_names_hides_no_other() {
    let linked = Script::new(|_, before| match before {
        0 => page(&["no tag!"]).header("link", "</v2/a/b/tags/list?p=1>; rel=next"),
        1 => page(&["-neither"]).header("link", "</v2/a/b/tags/list?p=2>; rel=next"),
        _ => page(&["v1"]),
    });
    assert_eq!(tags(&remote(&linked), None).await.unwrap(), ["v1"]);
    let unlinked = without_link(&["-odd", "-too", "v1"]);
    assert_eq!(tags(&paged(&unlinked, 2), None).await.unwrap(), ["v1"]);
}

/// ECR Public lists in no order: what stands behind an entry there is not what comes after it.
#[tokio::test]
async fn a_registry_without_order_is_sorted_out_here() {
    let held: &[&str] = &["d", "a", "c", "b", "e"];
    let script = without_link(held);
    let found = tags(&remote(&script), Some("a")).await.unwrap();
    assert_eq!(found, ["b", "c", "d", "e"], "{:?}", script.lines());
    assert_eq!(tags(&remote(&script), None).await.unwrap(), ["a", "b", "c", "d", "e"], "what comes whole is in order");
    assert_eq!(tags(&paged(&without_link(held), 2), None).await.unwrap(), *held);
}

/// Some sort by letters and not by bytes: what they list behind an entry is behind it.
#[tokio::test]
async fn an_order_by_letters_is_an_order() {
    let script = without_link(&["a", "B", "c", "D"]);
    assert_eq!(tags(&remote(&script), Some("a")).await.unwrap(), ["B", "D", "c"]);
}

/// ECR and distribution v3 refuse long pages with 400, Quay with 413: shorter ones are asked for, and go on being.
#[tokio::test]
async fn a_page_size_that_is_refused_is_made_smaller() {
    let cases: [(u16, u32, &[&str]); 3] = [
        (400, 1_000, &["n=20000", "n=1000"]),
        (413, 100, &["n=20000", "n=1000", "n=100"]),
        (400, 0, &["n=20000", "n=1000", "n=100", ""]),
    ];
    for (status, most, expected) in cases {
        let script = Script::new(move |seen, _| match asked(seen, "n").map(|n| n.parse::<u32>().unwrap()) {
            Some(n) if n > most => refusal(status, "PAGINATION_NUMBER_INVALID"),
            _ => page(&["a"]),
        });
        let remote = paged(&script, 20_000);
        assert_eq!(tags(&remote, None).await.unwrap(), ["a"]);
        let sent: Vec<String> =
            script.seen().iter().map(|seen| asked(seen, "n").map_or_else(String::new, |n| format!("n={n}"))).collect();
        assert_eq!(sent, expected);
        // Learned once, for all listings and all clones.
        let _: Result<Vec<RepositoryName>> = remote.clone().repositories(None).try_collect().await;
        assert_eq!(script.count(), expected.len() + 1);
    }
    // A refusal that is about something else stays one.
    let script = Script::new(|_, _| Reply::status(400));
    let error = tags(&paged(&script, 5_000), None).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(400));
    assert_eq!(script.count(), 4);
}

#[tokio::test]
async fn a_catalog_that_is_not_there_or_not_for_us_says_so() {
    let cases: [(u16, Option<&'static str>, ErrorKind); 6] = [
        (404, None, ErrorKind::Unsupported),
        (405, None, ErrorKind::Unsupported),
        (501, None, ErrorKind::Unsupported),
        (403, None, ErrorKind::Denied),
        (401, None, ErrorKind::Denied),
        (401, Some("Basic realm=\"x\""), ErrorKind::Unauthorized),
    ];
    for (status, challenge, kind) in cases {
        let script = Script::new(move |_, _| {
            challenge.into_iter().fold(Reply::status(status), |reply, asks| reply.header("www-authenticate", asks))
        });
        let found: Result<Vec<_>> = remote(&script).repositories(None).try_collect().await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {challenge:?}: {error}");
    }
}
