//! Redirects: what is followed, and what goes along (A4, A7, A13).

use std::sync::Arc;

use gantri_core::{ErrorKind, Pull};
use gantri_remote::{Credential, Destination, PlainHttp};
use gantri_spec::{ByteRange, Digest};

use crate::script::{Reply, Script, builder, builder_for, named, remote, repo};

const CHALLENGE: &str = r#"Basic realm="registry""#;

fn digest() -> Digest {
    Digest::of(b"blob")
}

/// A4: from A to B to A to B. Whoever has left A is nobody to A either, and B never hears who asks.
#[tokio::test]
async fn authorization_is_dropped_on_leaving_and_never_put_back() {
    let script = Script::new(|seen, before| match (before, seen.authorization()) {
        (0, None) => Reply::status(401).header("www-authenticate", CHALLENGE),
        (1, Some(_)) => Reply::status(307).header("location", "https://cdn.test/1"),
        (2, None) => Reply::status(307).header("location", "https://registry.test/2"),
        (3, None) => Reply::status(307).header("location", "https://cdn.test/3"),
        // As S3 does when it sees a signature and an authorization.
        (4, None) => Reply::ok("blob"),
        _ => Reply::status(400),
    });
    let me = Arc::new(Credential::basic("me", "canary"));
    let remote = builder(&script).credentials(me).header("x-own", "canary").build().unwrap();
    let reader = remote.blob(&repo(), &digest(), ByteRange::Full).await.unwrap();
    assert_eq!(reader.bytes(10).await.unwrap(), "blob");
    let authorized: Vec<_> = script.seen().iter().map(|seen| seen.authorization().is_some()).collect();
    assert_eq!(authorized, [false, true, false, false, false]);
    let own: Vec<_> = script.seen().iter().map(|seen| seen.header("x-own").is_some()).collect();
    assert_eq!(own, [true, true, false, false, false], "headers of the user's own neither");
    let foreign: Vec<_> = script.seen().iter().map(|seen| seen.destination == Destination::Foreign).collect();
    assert_eq!(foreign, [false, false, true, false, true]);
}

/// A4: another port, another scheme, another host: another origin. The same origin keeps the authorization.
#[tokio::test]
async fn an_origin_is_scheme_host_and_port() {
    let cases = [
        ("/elsewhere", true),
        ("https://registry.test/elsewhere", true),
        ("https://registry.test:443/elsewhere", true),
        ("https://registry.test:444/elsewhere", false),
        ("https://cdn.registry.test/elsewhere", false),
        ("https://registry.test.evil.test/elsewhere", false),
        ("//cdn.test/elsewhere", false),
    ];
    for (location, kept) in cases {
        let script = Script::new(move |seen, before| match (before, seen.url.contains("elsewhere")) {
            (0, _) => Reply::status(401).header("www-authenticate", CHALLENGE),
            (_, false) => Reply::status(302).header("location", location),
            (_, true) => Reply::ok("blob"),
        });
        named(&script).blob(&repo(), &digest(), ByteRange::Full).await.unwrap();
        assert_eq!(script.seen()[2].authorization().is_some(), kept, "{location}");
    }
}

/// A1, A4: a challenge from where the registry has led us is not met, with anybody's credentials.
#[tokio::test]
async fn a_challenge_from_another_origin_is_not_met() {
    let script = Script::new(|seen, _| match seen.url.as_str() {
        url if url.starts_with("https://evil.test/") => {
            Reply::status(401).header("www-authenticate", r#"Bearer realm="https://evil.test/token""#)
        }
        _ => Reply::status(307).header("location", "https://evil.test/x"),
    });
    let error = named(&script).blob(&repo(), &digest(), ByteRange::Full).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(script.count(), 2);
    assert!(script.seen().iter().all(|seen| seen.authorization().is_none()));
}

#[tokio::test]
async fn a_range_goes_along() {
    let script = Script::new(|seen, before| match before {
        0 => Reply::status(307).header("location", "https://cdn.test/x"),
        _ => Reply::status(206).header("content-range", "bytes 1-2/4").body(seen.header("range").map_or("", |_| "lo")),
    });
    let reader = remote(&script).blob(&repo(), &digest(), (1..3).into()).await.unwrap();
    assert_eq!(reader.bytes(10).await.unwrap(), "lo");
}

#[tokio::test]
async fn five_hops_and_no_more() {
    let script = Script::new(|_, before| Reply::status(302).header("location", format!("/{before}")));
    let error = remote(&script).blob(&repo(), &digest(), ByteRange::Full).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(script.count(), 6);
}

/// A7, A13: what is refused is refused before a packet is sent.
#[tokio::test]
async fn a_redirect_may_not_lead_everywhere() {
    let refused = [
        "http://registry.test/x",
        "http://cdn.test/x",
        "ftp://cdn.test/x",
        "file:///etc/passwd",
        "data:text/plain,x",
        "https://me:secret@cdn.test/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://a.localhost./x",
        "https://[::1]/x",
        "https://10.0.0.1/x",
        "https://192.168.1.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/x",
        "https://[fd00:ec2::254]/x",
        "https://100.100.100.200/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://0177.0.0.1/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https:///x y z:",
    ];
    for location in refused {
        let script = Script::new(move |_, _| Reply::status(307).header("location", location));
        let error = remote(&script).blob(&repo(), &digest(), ByteRange::Full).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{location}: {error}");
        assert_eq!(script.count(), 1, "{location}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

/// A7: a registry inside may lead to its own side of the network; link-local is nobody's.
#[tokio::test]
async fn a_private_registry_may_lead_to_its_own_side() {
    let cases = [
        ("127.0.0.1:5000", "http://127.0.0.1:9000/x", true),
        ("localhost:5000", "http://127.0.0.1:9000/x", true),
        ("127.0.0.1:5000", "http://10.0.0.1/x", false),
        ("127.0.0.1:5000", "https://cdn.test/x", true),
        ("10.0.0.1:5000", "http://10.0.0.2/x", true),
        ("10.0.0.1:5000", "http://127.0.0.1/x", false),
        ("10.0.0.1:5000", "http://169.254.169.254/x", false),
        ("registry.test", "http://10.0.0.1/x", false),
    ];
    for (host, location, followed) in cases {
        let script = Script::new(move |_, before| match before {
            0 => Reply::status(307).header("location", location),
            _ => Reply::ok("blob"),
        });
        let remote = builder_for(host, &script).plain_http(PlainHttp::Always).build().unwrap();
        assert_eq!(remote.blob(&repo(), &digest(), ByteRange::Full).await.is_ok(), followed, "{host} to {location}");
    }
}

#[tokio::test]
async fn errors_do_not_show_what_a_url_keeps_secret() {
    let script = Script::new(|_, before| match before {
        0 => Reply::status(307).header("location", "https://cdn.test/x?X-Amz-Signature=canary"),
        _ => Reply::status(403).body("denied"),
    });
    let error = builder(&script).build().unwrap().blob(&repo(), &digest(), ByteRange::Full).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("https://cdn.test/x?.."), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
}
