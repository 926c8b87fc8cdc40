//! Listings: pages as `Link` says (A6, M10, M11).

use futures_util::TryStreamExt;
use gantri_core::{Discover, ErrorKind, Result};
use gantri_remote::Remote;
use gantri_spec::{Descriptor, Digest, MediaType, Tag};

use crate::script::{Reply, Script, builder, limits, named, remote, repo};

async fn tags(remote: &Remote) -> Result<Vec<String>> {
    remote.tags(&repo(), None).map_ok(|tag| tag.to_string()).try_collect().await
}

fn page(tags: &[&str]) -> Reply {
    Reply::ok(serde_json::json!({ "name": "a/b", "tags": tags }).to_string()).header("content-type", "application/json")
}

fn leads(to: &str) -> String {
    format!("<{to}>; rel=\"next\"")
}

/// A short page is not the last one, a long one need not be followed by another: the link alone says.
#[tokio::test]
async fn pages_are_followed_as_the_link_says() {
    let script = Script::new(|seen, before| match before {
        0 => page(&["a"]).header("link", leads("/v2/a/b/tags/list?last=a&n=1")),
        1 => page(&["b", "c"]).header("link", leads("https://registry.test/v2/a/b/tags/list?next_page=opaque")),
        _ => page(&[seen.url.contains("next_page=opaque").then_some("d").unwrap()]),
    });
    assert_eq!(tags(&remote(&script)).await.unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(
        script.lines(),
        [
            "GET https://registry.test/v2/a/b/tags/list",
            "GET https://registry.test/v2/a/b/tags/list?last=a&n=1",
            "GET https://registry.test/v2/a/b/tags/list?next_page=opaque",
        ]
    );
}

#[tokio::test]
async fn a_page_size_is_asked_for_only_if_told() {
    let script = Script::new(|_, _| page(&["v2"]));
    let remote = builder(&script).page_size(Some(100)).build().unwrap();
    let after: Tag = "v1".parse().unwrap();
    let found: Vec<_> = remote.tags(&repo(), Some(&after)).try_collect().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(script.lines(), ["GET https://registry.test/v2/a/b/tags/list?n=100&last=v1"]);

    let script = Script::new(|seen, _| {
        if seen.url.contains("referrers") { Reply::status(404) } else { Reply::ok(r#"{"tags":[],"repositories":[]}"#) }
    });
    let untold = crate::script::remote(&script);
    tags(&untold).await.unwrap();
    untold.repositories(None).try_collect::<Vec<_>>().await.unwrap();
    untold.referrers(&repo(), &Digest::of(b"x"), None).try_collect::<Vec<_>>().await.unwrap();
    assert!(script.count() >= 3 && script.lines().iter().all(|line| !line.contains('?')), "{:?}", script.lines());
}

#[tokio::test]
async fn nothing_is_sent_before_the_stream_is_read_nor_a_page_before_it_is_needed() {
    let script = Script::new(|_, _| page(&["a"]).header("link", leads("/v2/a/b/tags/list?last=a")));
    let mut stream = remote(&script).tags(&repo(), None);
    assert_eq!(script.count(), 0);
    assert!(stream.try_next().await.unwrap().is_some());
    assert_eq!(script.count(), 1);
}

/// A registry that takes no notice of `last` is seen through.
#[tokio::test]
async fn after_is_exclusive_whatever_the_registry_does() {
    let script = Script::new(|_, _| page(&["a", "b", "c"]));
    let after: Tag = "b".parse().unwrap();
    let found: Vec<Tag> = remote(&script).tags(&repo(), Some(&after)).try_collect().await.unwrap();
    assert_eq!(found, ["c".parse::<Tag>().unwrap()]);
}

/// A6: the next page is at the registry or nowhere; nobody else learns of us.
#[tokio::test]
async fn a_link_elsewhere_is_refused() {
    let links = [
        "https://evil.test/v2/a/b/tags/list",
        "//evil.test/v2/a/b/tags/list",
        "https://registry.test:444/v2/a/b/tags/list",
        "http://registry.test/v2/a/b/tags/list",
        "https://registry.test.evil.test/x",
        "https://registry.test@evil.test/x",
        "https://me:secret@registry.test/x",
        "ftp://registry.test/x",
        "https://127.0.0.1/x",
        "\\\\evil.test/x",
    ];
    for link in links {
        let script = Script::new(move |seen, _| match seen.authorization() {
            None => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
            Some(_) => page(&["a"]).header("link", leads(link)),
        });
        let error = tags(&named(&script)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{link}");
        assert_eq!(script.count(), 2, "{link}");
    }
}

/// M11: a link to itself, a circle, the same page under ever new names, and lists without end.
#[tokio::test]
async fn a_listing_that_goes_nowhere_is_an_error() {
    let to_itself = Script::new(|_, _| page(&["a"]).header("link", leads("/v2/a/b/tags/list")));
    let circle = Script::new(|_, before| {
        let (item, to) = if before.is_multiple_of(2) { ("a", "/v2/x?1") } else { ("b", "/v2/x?0") };
        page(&[item]).header("link", leads(to))
    });
    let same_page =
        Script::new(|_, before| page(&["a", "b"]).header("link", leads(&format!("/v2/a/b/tags/list?cursor={before}"))));
    let empty = Script::new(|_, before| page(&[]).header("link", leads(&format!("/v2/a/b/tags/list?cursor={before}"))));
    for (name, script, requests) in
        [("to itself", to_itself, 1), ("circle", circle, 3), ("same page", same_page, 2), ("empty", empty, 1)]
    {
        assert_eq!(tags(&remote(&script)).await.unwrap_err().kind(), ErrorKind::Protocol, "{name}");
        assert_eq!(script.count(), requests, "{name}");
    }
}

#[tokio::test]
async fn a_listing_has_bounds() {
    let endless = || {
        Script::new(|_, before| {
            page(&[&format!("t{before}"), "u"]).header("link", leads(&format!("/v2/a/b/tags/list?cursor={before}")))
        })
    };
    let cases = [
        ("list_pages = 7", limits(|limits| limits.list_pages = 7), 7),
        ("list_items = 9", limits(|limits| limits.list_items = 9), 5),
        ("list_page = 16", limits(|limits| limits.list_page = 16), 1),
    ];
    for (name, limits, requests) in cases {
        let script = endless();
        let remote = builder(&script).limits(limits).build().unwrap();
        let error = tags(&remote).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{name}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(script.count(), requests, "{name}");
    }
}

/// M10: no list is an empty list; an odd name hides no other.
#[tokio::test]
async fn odd_lists_are_read_as_far_as_they_make_sense() {
    for (body, expected) in [
        (r#"{"name":"a/b","tags":null}"#, vec![]),
        (r#"{"name":"a/b"}"#, vec![]),
        (r#"{"tags":["ok","not ok!","-no","fine"]}"#, vec!["fine", "ok"]),
        (r#"{"tags":["v1"],"manifest":{"sha256:x":{}},"child":[]}"#, vec!["v1"]),
    ] {
        let script = Script::new(move |_, _| Reply::ok(body));
        assert_eq!(tags(&remote(&script)).await.unwrap(), expected, "{body}");
    }
    for body in ["", "<html>", r#"{"tags":"v1"}"#, r#""v1""#] {
        let script = Script::new(move |_, _| Reply::ok(body));
        assert_eq!(tags(&remote(&script)).await.unwrap_err().kind(), ErrorKind::NotARegistry, "{body}");
    }
}

#[tokio::test]
async fn repositories_are_asked_of_the_catalog() {
    let script = Script::new(|_, _| Reply::ok(r#"{"repositories":["a","b/c","Not one"]}"#));
    let found: Vec<_> = remote(&script).repositories(None).try_collect().await.unwrap();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b/c"]);
    assert_eq!(script.lines(), ["GET https://registry.test/v2/_catalog"]);
    for status in [404, 405] {
        let script = Script::new(move |_, _| Reply::status(status));
        let found: Result<Vec<_>> = remote(&script).repositories(None).try_collect().await;
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

/// O33, C18, G7: the catalog is nobody's repository, and its scope says so, whether or not the registry names one.
#[tokio::test]
async fn the_catalog_has_a_scope_of_its_own() {
    for named in ["", r#",scope="registry:catalog:*""#] {
        let script =
            Script::new(move |seen, _| match (seen.url.starts_with("https://auth.test/"), seen.authorization()) {
                (true, _) => Reply::ok(r#"{"token":"t"}"#),
                (false, Some("Bearer t")) => Reply::ok(r#"{"repositories":["a"]}"#),
                (false, _) => {
                    let challenge = format!(r#"Bearer realm="https://auth.test/token",service="s"{named}"#);
                    Reply::status(401).header("www-authenticate", challenge)
                }
            });
        let found: Vec<_> = remote(&script).repositories(None).try_collect().await.unwrap();
        assert_eq!(found.len(), 1);
        let asked = url::Url::parse(&script.seen()[1].url).unwrap();
        let scopes: Vec<_> = asked.query_pairs().filter(|(name, _)| name == "scope").collect();
        assert_eq!(scopes, [("scope".into(), "registry:catalog:*".into())], "{asked}");
    }
}

#[tokio::test]
async fn referrers_are_filtered_here_if_the_registry_does_not() {
    let mut one = Descriptor::of(MediaType::OCI_MANIFEST, b"1");
    one.artifact_type = Some("application/one".into());
    let two = Descriptor::of(MediaType::OCI_MANIFEST, b"2");
    let index = gantri_spec::Index::new(vec![one.clone(), two]).to_raw();
    let script =
        Script::new(move |_, _| Reply::ok(index.bytes().clone()).header("content-type", MediaType::OCI_INDEX.as_str()));
    let remote = remote(&script);
    let subject = Digest::of(b"subject");
    let all: Vec<_> = remote.referrers(&repo(), &subject, None).try_collect().await.unwrap();
    assert_eq!(all.len(), 2);
    let some: Vec<_> =
        remote.referrers(&repo(), &subject, Some(&"application/one".into())).try_collect().await.unwrap();
    assert_eq!(some.iter().map(|found| &found.digest).collect::<Vec<_>>(), [&one.digest]);
    assert!(script.lines()[1].ends_with("?artifactType=application/one"), "{:?}", script.lines());
}
