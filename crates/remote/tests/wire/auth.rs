//! Who asks, and who gets to know (A2, A3, A8 to A10, A12).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use gantri_core::{Error, ErrorKind, Pull, Result};
use gantri_remote::{Credential, Credentials, PlainHttp};
use gantri_spec::{Host, RepositoryName};

use crate::script::{Reply, Script, Seen, builder, builder_for, named, remote, repo, tag};

const TOKEN: &str = "https://auth.test/token";
const BODY: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn manifest() -> Reply {
    Reply::ok(BODY).header("content-type", "application/vnd.oci.image.index.v1+json")
}

fn challenge(scope: &str) -> Reply {
    Reply::status(401)
        .header("www-authenticate", format!(r#"Bearer realm="{TOKEN}",service="registry.test",scope="{scope}""#))
        .body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
}

fn is_token(seen: &Seen) -> bool {
    seen.url.starts_with(TOKEN)
}

fn token(name: &str) -> Reply {
    Reply::ok(format!(r#"{{"token":"{name}","expires_in":300}}"#))
}

/// Takes any token.
fn lenient(seen: &Seen) -> Reply {
    match (is_token(seen), seen.authorization()) {
        (true, _) => token("t"),
        (false, Some("Bearer t")) => manifest(),
        (false, _) => challenge("repository:a/b:pull"),
    }
}

#[tokio::test]
async fn nothing_is_asked_and_nothing_is_sent_before_the_challenge() {
    let script = Script::new(|seen, _| lenient(seen));
    let remote = named(&script);
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    remote.manifest(&repo(), &tag("v2")).await.unwrap();
    assert_eq!(
        script.lines(),
        [
            "GET https://registry.test/v2/a/b/manifests/v1",
            "GET https://auth.test/token?service=registry.test&scope=repository%3Aa%2Fb%3Apull +auth",
            "GET https://registry.test/v2/a/b/manifests/v1 +auth",
            "GET https://registry.test/v2/a/b/manifests/v2 +auth",
        ]
    );
    assert_eq!(script.seen()[1].authorization(), Some("Basic bWU6Y2FuYXJ5"));
    assert_eq!(script.seen()[2].authorization(), Some("Bearer t"));
}

#[tokio::test]
async fn an_anonymous_token_is_asked_for_without_a_name() {
    let script = Script::new(|seen, _| lenient(seen));
    remote(&script).manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(script.seen()[1].authorization(), None);
}

#[tokio::test]
async fn basic_is_sent_where_basic_is_asked_for() {
    let script = Script::new(|seen, _| match seen.authorization() {
        Some("Basic bWU6Y2FuYXJ5") => manifest(),
        _ => Reply::status(401).header("www-authenticate", "Basic realm=\"ECR\""),
    });
    let remote = named(&script);
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    remote.manifest(&repo(), &tag("v2")).await.unwrap();
    assert_eq!(script.count(), 3);
}

/// O31, A12: a token of the user's own is used as it is, and not before it is asked for.
#[tokio::test]
async fn a_token_of_the_users_own_is_sent_as_it_is() {
    let script = Script::new(|seen, _| match seen.authorization() {
        Some("Bearer mine") => manifest(),
        _ => challenge("repository:a/b:pull"),
    });
    let remote = builder(&script).credentials(Arc::new(Credential::Bearer("mine".into()))).build().unwrap();
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(script.lines().iter().filter(|line| line.contains("token")).count(), 0);
    assert_eq!(script.count(), 2);
}

/// An identity token is exchanged by POST; where there is no POST, by GET.
#[tokio::test]
async fn an_identity_token_is_exchanged() {
    for refused in [None, Some(404), Some(405)] {
        let script = Script::new(move |seen, _| match (seen.method.as_str(), refused) {
            ("POST", Some(status)) => Reply::status(status),
            _ => lenient(seen),
        });
        let identity = Credential::IdentityToken("canary".into());
        let remote = builder(&script).credentials(Arc::new(identity)).build().unwrap();
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        let post = &script.seen()[1];
        assert_eq!(post.line(), format!("POST {TOKEN}"));
        assert_eq!(post.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(
            post.body,
            "grant_type=refresh_token&client_id=gantri&service=registry.test&scope=repository%3Aa%2Fb%3Apull&refresh_token=canary"
        );
        if refused.is_some() {
            assert!(script.lines()[2].starts_with(&format!("GET {TOKEN}?")));
            assert!(script.seen()[2].authorization().unwrap().starts_with("Basic "));
        }
    }
}

/// A8: one fresh token and one replay, then the registry's own reason.
#[tokio::test]
async fn a_registry_that_always_says_no_is_believed() {
    let script = Script::new(|seen, before| {
        if is_token(seen) { token(&format!("t{before}")) } else { challenge(&format!("repository:a/b:pull,p{before}")) }
    });
    let remote = named(&script);
    for at_most in [3, 4] {
        let before = script.count();
        let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("authentication required"), "{error}");
        assert!(script.count() - before <= at_most, "{:?}", script.lines());
    }
    let script = Script::new(|_, _| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""));
    let remote = named(&script);
    for requests in [2, 3] {
        assert_eq!(remote.manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert_eq!(script.count(), requests, "what was refused is not sent again");
    }
    for header in ["Negotiate", "Basic realm=x"] {
        let script = Script::new(move |_, _| Reply::status(401).header("www-authenticate", header));
        assert!(crate::script::remote(&script).manifest(&repo(), &tag("v1")).await.is_err());
        assert_eq!(script.count(), 1, "nothing to offer to {header}");
    }
}

/// G41: what the registry asks for beyond what we thought is asked for too, and then kept.
#[tokio::test]
async fn the_scope_of_the_challenge_is_added() {
    let script = Script::new(|seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) if seen.url.contains("metadata_read") => token("wide"),
        (true, _) => token("narrow"),
        (false, Some("Bearer wide")) => manifest(),
        (false, _) => challenge("repository:a/b:metadata_read"),
    });
    let remote = remote(&script);
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    remote.manifest(&repo(), &tag("v2")).await.unwrap();
    assert_eq!(script.count(), 4);
    assert!(script.seen()[1].url.contains("repository%3Aa%2Fb%3Ametadata_read%2Cpull"));

    // The same when a narrow token has done until now: it does not come back.
    let script = Script::new(|seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) if seen.url.contains("metadata_read") => token("wide"),
        (true, _) => token("narrow"),
        (false, Some("Bearer wide")) => manifest(),
        (false, Some(_)) if seen.url.ends_with("v0") => manifest(),
        (false, Some(_)) => challenge("repository:a/b:metadata_read"),
        (false, None) => challenge("repository:a/b:pull"),
    });
    let remote = crate::script::remote(&script);
    for (reference, requests) in [("v0", 3), ("v1", 6), ("v2", 7), ("v0", 8)] {
        remote.manifest(&repo(), &tag(reference)).await.unwrap();
        assert_eq!(script.count(), requests, "{reference}");
    }
}

/// A10: a token that the registry no longer takes is replaced, once for all who hold it.
#[tokio::test]
async fn a_token_that_was_revoked_is_replaced() {
    let good = Arc::new(Mutex::new("t0".to_owned()));
    let current = Arc::clone(&good);
    let script = Script::new(move |seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) => token(&current.lock().unwrap()),
        (false, Some(bearer)) if bearer == format!("Bearer {}", current.lock().unwrap()) => manifest(),
        (false, _) => challenge("repository:a/b:pull"),
    });
    let remote = remote(&script);
    remote.manifest(&repo(), &tag("v1")).await.unwrap();
    *good.lock().unwrap() = "t1".to_owned();
    let (repo, v1) = (repo(), tag("v1"));
    let answers = join_all((0..8).map(|_| remote.manifest(&repo, &v1))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(script.seen().iter().filter(|seen| is_token(seen)).count(), 2);
}

/// A10: a token is given up before it expires, by our own clock, whatever `issued_at` says.
#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_expires() {
    let cases = [
        (r#"{"token":"t","expires_in":300,"issued_at":"1970-01-01T00:00:00Z"}"#, 289, 291),
        (r#"{"token":"t","expires_in":300,"issued_at":"2100-01-01T00:00:00Z"}"#, 289, 291),
        (r#"{"token":"t"}"#, 49, 51),
        (r#"{"token":"t","expires_in":0}"#, 49, 51),
        (r#"{"token":"t","expires_in":5}"#, 2, 3),
        (r#"{"token":"t","expires_in":1e300}"#, 86_389, 86_391),
    ];
    for (answer, still_good, renewed) in cases {
        let script = Script::new(move |seen, _| if is_token(seen) { Reply::ok(answer) } else { lenient(seen) });
        let remote = remote(&script);
        let exchanges = |script: &Script| script.seen().iter().filter(|seen| is_token(seen)).count();
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(still_good)).await;
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        assert_eq!(exchanges(&script), 1, "{answer}");
        tokio::time::sleep(Duration::from_secs(renewed - still_good)).await;
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        assert_eq!(exchanges(&script), 2, "{answer}");
        assert_eq!(script.count(), 6, "renewed ahead, not after another 401: {answer}");
    }
}

/// A9: two repositories, two identities, 64 tasks: every token is used for what it was got for and nothing else, and each
/// is got once.
#[tokio::test]
async fn tokens_are_kept_apart() {
    let issued: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let counts = Arc::clone(&issued);
    let script = Script::new(move |seen, _| {
        if is_token(seen) {
            let scope = seen.url.split("scope=repository%3A").nth(1).unwrap().split("%3A").next().unwrap().to_owned();
            let owner =
                seen.authorization().map_or("nobody", |basic| if basic == "Basic YTox" { "one" } else { "two" });
            let name = format!("{owner}.{}", scope.replace("%2F", "."));
            *counts.lock().unwrap().entry(name.clone()).or_default() += 1;
            return token(&name);
        }
        let repo = seen.url.split("/v2/").nth(1).unwrap().split("/manifests/").next().unwrap().replace('/', ".");
        match seen.authorization() {
            Some(bearer) if bearer.ends_with(&repo) => manifest(),
            Some(_) => Reply::status(500),
            None => challenge(&format!("repository:{}:pull", repo.replace('.', "/"))),
        }
    });
    let remotes: Vec<_> = [Credential::basic("a", "1"), Credential::basic("b", "2"), Credential::Anonymous]
        .into_iter()
        .map(|credential| builder(&script).credentials(Arc::new(credential)).build().unwrap())
        .collect();
    let repos: [RepositoryName; 2] = ["a/x".parse().unwrap(), "a/y".parse().unwrap()];
    let v1 = tag("v1");
    let tasks = (0..64).map(|task| {
        let (remote, repo) = (&remotes[task % 3], &repos[task % 2]);
        remote.manifest(repo, &v1)
    });
    assert!(join_all(tasks).await.iter().all(Result::is_ok));
    // And once more, now that all of them are at hand.
    let again = (0..6).map(|task| remotes[task % 3].manifest(&repos[task / 3], &v1));
    assert!(join_all(again).await.iter().all(Result::is_ok));
    // One that comes later is not served with what is at hand for others.
    for remote in &remotes {
        remote.manifest(&"a/z".parse().unwrap(), &v1).await.unwrap();
    }
    let issued = issued.lock().unwrap();
    assert_eq!(issued.len(), 9, "{issued:?}");
    assert!(issued.values().all(|count| *count == 1), "{issued:?}");
}

/// A failed exchange fails for all who waited for it, and keeps its cause (O29).
#[tokio::test]
async fn a_failed_exchange_is_shared_and_keeps_its_cause() {
    let script = Script::new(|seen, _| {
        if is_token(seen) {
            Reply::status(403).body(r#"{"details":"no such account","error":"denied","error_description":"ask sales"}"#)
        } else {
            challenge("repository:a/b:pull")
        }
    });
    let remote = named(&script);
    let (repo, v1) = (repo(), tag("v1"));
    for answer in join_all((0..8).map(|_| remote.manifest(&repo, &v1))).await {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let text = error.to_string();
        assert!(text.contains("token from https://auth.test/token for repository:a/b:pull"), "{text}");
        assert!(text.contains("denied ask sales"), "{text}");
    }
    assert_eq!(script.seen().iter().filter(|seen| is_token(seen)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_fails_is_asked_again() {
    let failures = AtomicUsize::new(0);
    let script = Script::new(move |seen, _| {
        if is_token(seen) && failures.fetch_add(1, Ordering::SeqCst) < 3 { Reply::status(503) } else { lenient(seen) }
    });
    remote(&script).manifest(&repo(), &tag("v1")).await.unwrap();
    let script = Script::new(|seen, _| if is_token(seen) { Reply::Hang } else { lenient(seen) });
    assert_eq!(remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn an_answer_without_a_token_is_no_answer() {
    let bodies = [
        "",
        "{}",
        r#"{"token":""}"#,
        r#"{"token":"a b"}"#,
        r#"{"token":"a\nb"}"#,
        "<html>",
        r#"{"token":1}"#,
        r#"["t"]"#,
    ];
    for body in bodies {
        let script = Script::new(move |seen, _| if is_token(seen) { Reply::ok(body) } else { lenient(seen) });
        let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
        assert_eq!(script.count(), 2, "{body}");
    }
    let script = Script::new(|seen, _| if is_token(seen) { Reply::ok(vec![b' '; 100_000]) } else { lenient(seen) });
    assert_eq!(remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    // `access_token` is the newer name and wins.
    let script =
        Script::new(
            |seen, _| if is_token(seen) { Reply::ok(r#"{"token":"old","access_token":"t"}"#) } else { lenient(seen) },
        );
    assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_ok());
}

/// A3: the token server may move things about at home; a secret goes nowhere else, and is never posted twice.
#[tokio::test]
async fn a_token_server_may_redirect_only_within_its_origin() {
    let elsewhere = [
        ("https://auth.test/other", true),
        ("/other", true),
        ("https://auth.test:8443/other", false),
        ("http://auth.test/other", false),
        ("https://evil.test/other", false),
        ("//evil.test/other", false),
        ("https://registry.test/other", false),
    ];
    for status in [301, 302, 303, 307, 308] {
        for (location, followed) in elsewhere {
            let script = Script::new(move |seen, _| match is_token(seen) {
                true => Reply::status(status).header("location", location),
                false if seen.url.ends_with("/other") => token("t"),
                false => lenient(seen),
            });
            let answer = named(&script).manifest(&repo(), &tag("v1")).await;
            assert_eq!(answer.is_ok(), followed, "{status} {location}");
            if !followed {
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Protocol);
                assert_eq!(script.count(), 2, "{status} {location}");
            }
            let identity = Credential::IdentityToken("canary".into());
            let script = Script::new(move |seen, _| {
                if is_token(seen) { Reply::status(status).header("location", location) } else { lenient(seen) }
            });
            let remote = builder(&script).credentials(Arc::new(identity)).build().unwrap();
            assert!(remote.manifest(&repo(), &tag("v1")).await.is_err());
            assert_eq!(script.count(), 2, "{status} {location}");
        }
    }
}

/// A2: a realm that is refused gets no packet, and no secret goes anywhere.
#[tokio::test]
async fn a_refused_realm_is_not_visited() {
    for realm in ["http://auth.test/token", "https://10.0.0.1/token", "https://localhost/token", "ftp://x.test/"] {
        let script = Script::new(move |_, _| {
            Reply::status(401).header("www-authenticate", format!(r#"Bearer realm="{realm}",service="s""#))
        });
        let error = named(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{realm}");
        assert_eq!(script.count(), 1, "{realm}");
    }
}

/// A12: no secret in the clear, but to this machine or by the user's word; anonymously one may ask all the same.
#[tokio::test]
async fn secrets_are_not_sent_in_the_clear() {
    let cases = [
        ("registry.test", PlainHttp::Always, false),
        ("10.0.0.1:5000", PlainHttp::Always, false),
        ("registry.test", PlainHttp::AlwaysWithSecrets, true),
        ("localhost:5000", PlainHttp::Auto, true),
        ("127.0.0.1:5000", PlainHttp::Auto, true),
        ("registry.test", PlainHttp::Auto, true),
    ];
    for (host, plain_http, sent) in cases {
        let basic = Script::new(|seen, _| match seen.authorization() {
            Some(_) => manifest(),
            None => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
        });
        for credential in [Credential::basic("me", "canary"), Credential::Bearer("canary".into())] {
            let remote =
                builder_for(host, &basic).plain_http(plain_http).credentials(Arc::new(credential)).build().unwrap();
            let answer = remote.manifest(&repo(), &tag("v1")).await;
            assert_eq!(answer.is_ok(), sent, "{host} {plain_http:?}");
            if let Err(error) = answer {
                assert_eq!(error.kind(), ErrorKind::Credentials);
                // A second request must not find a way round.
                assert!(remote.manifest(&repo(), &tag("v1")).await.is_err());
            }
        }
        assert!(sent || basic.seen().iter().all(|seen| seen.authorization().is_none()), "{host}");
    }
    let anonymous = Script::new(|seen, _| match (seen.url.contains("/token"), seen.authorization()) {
        (true, _) => token("t"),
        (false, Some("Bearer t")) => manifest(),
        (false, _) => Reply::status(401).header("www-authenticate", r#"Bearer realm="http://registry.test/token""#),
    });
    let remote = builder_for("registry.test", &anonymous).plain_http(PlainHttp::Always).build().unwrap();
    assert!(remote.manifest(&repo(), &tag("v1")).await.is_ok());
}

/// A16: whatever happens, no error tells a secret.
#[tokio::test(start_paused = true)]
async fn errors_tell_no_secret() {
    let replies: [fn(&Seen) -> Reply; 6] = [
        |_| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
        |seen| if is_token(seen) { Reply::ok("canary") } else { challenge("repository:a/b:pull") },
        |seen| if is_token(seen) { Reply::status(500) } else { challenge("repository:a/b:pull") },
        |seen| {
            if is_token(seen) {
                Reply::status(302).header("location", "https://x.test/?password=canary")
            } else {
                challenge("repository:a/b:pull")
            }
        },
        // What was sent comes back, in the spec's form and in none.
        |seen| match seen.authorization() {
            None => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
            Some(sent) => Reply::status(403).body(format!(
                r#"{{"errors":[{{"code":"DENIED","message":"no {sent} me:canary","detail":"{sent} canary"}}]}}"#
            )),
        },
        |seen| {
            if is_token(seen) {
                let sent = seen.authorization().unwrap_or_default();
                Reply::status(403).body(format!("no such token: canary, {sent}"))
            } else {
                challenge("repository:a/b:pull")
            }
        },
    ];
    for reply in replies {
        for credential in [Credential::basic("me", "canary"), Credential::IdentityToken("canary".into())] {
            let script = Script::new(move |seen, _| reply(seen));
            let remote = builder(&script).credentials(Arc::new(credential)).build().unwrap();
            let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
            let mut told = format!("{remote:?} {error} {error:?}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                told = format!("{told} {error}");
                source = error.source();
            }
            assert!(!told.contains("canary") && !told.contains("Y2FuYXJ5"), "{told}");
        }
    }
}

#[derive(Debug)]
struct Changing(AtomicUsize);

#[async_trait]
impl Credentials for Changing {
    async fn credential(&self, _host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(Credential::basic("me", "old")),
            1 => Ok(Credential::basic("me", "canary")),
            _ => Err(Error::new(ErrorKind::Credentials, "helper said no")),
        }
    }
}

/// C29: a credential is looked up when it is needed, kept while it works, and looked up again when it was refused.
#[tokio::test]
async fn a_refused_credential_is_looked_up_again() {
    let script = Script::new(|seen, before| match (before, seen.authorization()) {
        (0..5, Some("Basic bWU6b2xk")) | (_, Some("Basic bWU6Y2FuYXJ5")) => manifest(),
        _ => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
    });
    let remote = builder(&script).credentials(Arc::new(Changing(AtomicUsize::new(0)))).build().unwrap();
    for _ in 0..8 {
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
    }
    let script = Script::new(|_, _| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""));
    let remote = builder(&script).credentials(Arc::new(Changing(AtomicUsize::new(2)))).build().unwrap();
    let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.to_string().contains("credentials for registry.test: helper said no"), "{error}");
}
