//! How authorization goes on where it can: other forms of the token request, credentials that were renewed, what has
//! expired on the way, and token servers that are out of order (A8 to A10, A17).

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use gantri_core::{ErrorKind, Mount, Pull, Push, Result};
use gantri_remote::{Credential, Credentials, SendErrorKind};
use gantri_spec::{Algorithm, Digest, Host, RepositoryName};
use tokio::time::Instant;

use crate::script::{Reply, Script, Seen, builder, named, remote, repo, tag};

const TOKEN: &str = "https://auth.test/token";

fn manifest() -> Reply {
    Reply::ok(r#"{"schemaVersion":2,"manifests":[]}"#).header("content-type", "application/vnd.oci.image.index.v1+json")
}

fn challenge(scope: &str) -> Reply {
    Reply::status(401)
        .header("www-authenticate", format!(r#"Bearer realm="{TOKEN}",service="registry.test",scope="{scope}""#))
}

fn is_token(seen: &Seen) -> bool {
    seen.url.starts_with(TOKEN)
}

fn token(name: &str) -> Reply {
    Reply::ok(format!(r#"{{"token":"{name}","expires_in":300}}"#))
}

/// What was asked of the token server: `GET SCOPE SCOPE`, decoded.
fn exchanges(script: &Script) -> Vec<String> {
    let scopes = |query: &str| -> Vec<String> {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(name, _)| name == "scope").map(|(_, value)| value.into_owned()).collect()
    };
    let of = |seen: &Seen| {
        let body = std::str::from_utf8(&seen.body).unwrap();
        let query = if seen.name() == "POST" { body } else { seen.url.split('?').nth(1).unwrap_or_default() };
        [vec![seen.name().to_owned()], scopes(query)].concat().join(" ")
    };
    script.seen().iter().filter(|seen| is_token(seen)).map(of).collect()
}

fn exchanged(script: &Arc<Script>) -> gantri_remote::Remote {
    builder(script).credentials(Arc::new(Credential::IdentityToken("canary".into()))).build().unwrap()
}

/// Which answers to the OAuth2 form send us to the older one: 404 (GCR), 405 (GitLab), 401 (Artifactory), 400 (ACR). An
/// identity that is refused in both is refused for the reason that was given first.
#[tokio::test]
async fn the_older_form_is_tried_where_the_newer_may_be_unknown() {
    for (status, falls_back) in [(400, true), (401, true), (404, true), (405, true), (403, false), (409, false)] {
        for older in [200, 401] {
            let script = Script::new(move |seen, _| match (is_token(seen), seen.name(), seen.authorization()) {
                (true, "POST", _) => {
                    Reply::status(status).body(r#"{"error":"invalid_grant","error_description":"first"}"#)
                }
                (true, _, _) if older == 200 => token("t"),
                (true, _, _) => Reply::status(older).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"second"}]}"#),
                (false, _, Some("Bearer t")) => manifest(),
                _ => challenge("repository:a/b:pull"),
            });
            let answer = exchanged(&script).manifest(&repo(), &tag("v1")).await;
            let name = format!("{status} {older}");
            assert_eq!(answer.is_ok(), falls_back && older == 200, "{name}");
            assert_eq!(exchanges(&script).len(), if falls_back { 2 } else { 1 }, "{name}");
            if let Err(error) = answer {
                let speaks_first = !matches!(status, 404 | 405);
                assert_eq!(error.to_string().contains("first"), speaks_first, "{name}: {error}");
                assert!(!error.to_string().contains("canary"), "{error}");
            }
        }
    }
}

/// A token server that replaces the identity token with every exchange, and knows only the newest.
fn rotating() -> Arc<Script> {
    let current = Mutex::new(0_usize);
    Script::new(move |seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) => {
            let mut current = current.lock().unwrap();
            let held =
                format!("refresh_token=canary{}", if *current == 0 { String::new() } else { current.to_string() });
            if seen.body.ends_with(held.as_bytes()) {
                *current += 1;
                let name = *current;
                Reply::ok(format!(r#"{{"access_token":"t{name}","refresh_token":"canary{name}"}}"#))
            } else {
                Reply::status(401)
            }
        }
        (false, Some(_)) => manifest(),
        (false, None) => challenge("repository:a/b:pull"),
    })
}

/// A refresh token that came with a token takes the place of the one it was got for; of two that are exchanged at once the
/// later one goes on with what the earlier one got.
#[tokio::test]
async fn a_renewed_identity_token_replaces_the_old_one() {
    let remote = exchanged(&rotating());
    let repos: Vec<RepositoryName> = (0..4).map(|number| format!("a/{number}").parse().unwrap()).collect();
    for repo in &repos[..2] {
        remote.manifest(repo, &tag("v1")).await.unwrap();
    }
    let v1 = tag("v1");
    let both = join_all(repos[2..].iter().map(|repo| remote.manifest(repo, &v1))).await;
    assert!(both.iter().all(Result::is_ok), "{both:?}");
}

/// The same for the very first requests: whose identity was replaced while it was on the way goes on with the new one.
#[tokio::test]
async fn a_renewed_identity_token_serves_those_that_came_too_late() {
    let remote = exchanged(&rotating());
    let (repos, v1) = (["a/1", "a/2", "a/3"].map(|repo| repo.parse::<RepositoryName>().unwrap()), tag("v1"));
    let all = join_all(repos.iter().map(|repo| remote.manifest(repo, &v1))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

/// G41: some servers read only the first scope: what is needed stands there.
#[tokio::test]
async fn the_scope_that_is_needed_stands_first() {
    // The registry calls the repository by another name than we do.
    let script = Script::new(|seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) => token("t"),
        (false, Some(_)) => manifest(),
        (false, None) => challenge("repository:z/a/b:pull"),
    });
    remote(&script).manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(exchanges(&script), ["GET repository:z/a/b:pull repository:a/b:pull"]);
    let script = Script::new(|seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) => Reply::ok(r#"{"access_token":"t"}"#),
        (false, Some(_)) => manifest(),
        (false, None) => challenge("repository:z/a/b:pull"),
    });
    exchanged(&script).manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(exchanges(&script), ["POST repository:z/a/b:pull repository:a/b:pull"]);
    // A mount writes to one and reads another: without the first there is nothing to be done.
    let script = Script::new(|seen, _| match (is_token(seen), seen.authorization()) {
        (true, _) => token("t"),
        (false, Some(_)) => Reply::status(201).header("location", "/v2/b/to/blobs/x"),
        (false, None) => challenge("repository:a/from:pull repository:b/to:pull,push"),
    });
    let (to, from) = ("b/to".parse().unwrap(), "a/from".parse().unwrap());
    let mounted = named(&script).mount_blob(&to, &Digest::of(b"x"), Some(&from)).await.unwrap();
    assert!(matches!(mounted, Mount::Mounted));
    assert_eq!(exchanges(&script), ["GET repository:b/to:pull,push repository:a/from:pull"]);
}

/// C30: a token server that gives nobody as much as the registry asks for is asked for what we need.
#[tokio::test]
async fn a_wider_scope_that_is_refused_gives_way_to_the_narrower() {
    for status in [401, 403] {
        let script = Script::new(move |seen, _| match (is_token(seen), seen.authorization()) {
            (true, _) if seen.url.contains("delete") => Reply::status(status),
            (true, _) => token("t"),
            (false, Some(_)) => manifest(),
            (false, None) => challenge("repository:a/b:delete,pull"),
        });
        remote(&script).manifest(&repo(), &tag("v1")).await.unwrap();
        assert_eq!(exchanges(&script), ["GET repository:a/b:delete,pull", "GET repository:a/b:pull"]);
    }
    // Where nothing more was asked for, there is nothing to ask for again: a wrong password is sent once.
    let script =
        Script::new(|seen, _| if is_token(seen) { Reply::status(401) } else { challenge("repository:a/b:pull") });
    assert_eq!(named(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(exchanges(&script).len(), 1);
}

/// Hands out a new password each time.
#[derive(Debug, Default)]
struct Helper {
    asked: AtomicUsize,
    /// Always the same one.
    stubborn: bool,
    takes: Duration,
}

#[async_trait]
impl Credentials for Helper {
    async fn credential(&self, _host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        if self.takes > Duration::ZERO {
            tokio::time::sleep(self.takes).await;
        }
        Ok(Credential::basic("me", if self.stubborn { "p0".to_owned() } else { format!("p{asked}") }))
    }
}

/// `Basic me:p0`, `me:p1`.
const P0: &str = "Basic bWU6cDA=";
const P1: &str = "Basic bWU6cDE=";

/// A token server that takes the first password for the first request alone, and the second one ever after.
fn renewing() -> Arc<Script> {
    Script::new(|seen, before| match (is_token(seen), seen.authorization()) {
        (true, Some(P0)) if before < 3 => Reply::ok(r#"{"token":"t0","expires_in":60}"#),
        (true, Some(P1)) => token("t1"),
        (true, _) => Reply::status(401),
        (false, Some("Bearer t0")) if before < 3 => manifest(),
        (false, Some("Bearer t1")) => manifest(),
        (false, _) => challenge("repository:a/b:pull"),
    })
}

/// A password that a token server took an hour ago and takes no longer (GCP's) is looked up again, within the same request.
#[tokio::test]
async fn a_password_that_the_token_server_takes_no_longer_is_looked_up_again() {
    for stubborn in [false, true] {
        let script = renewing();
        let helper = Arc::new(Helper { stubborn, ..Helper::default() });
        let remote = builder(&script).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        assert_eq!(remote.manifest(&repo(), &tag("v1")).await.is_ok(), !stubborn);
        assert_eq!(helper.asked.load(Ordering::SeqCst), 2);
        // What is the same is not sent again.
        assert_eq!(exchanges(&script).len(), if stubborn { 2 } else { 3 });
    }
}

/// The same for many at once, all of whom wait for the exchange that fails: the new password is sent, once, for all.
#[tokio::test(start_paused = true)]
async fn a_password_that_is_looked_up_again_serves_all_who_waited() {
    let script = renewing();
    let helper = Arc::new(Helper::default());
    let remote = builder(&script).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
    let (repo, v1) = (repo(), tag("v1"));
    remote.manifest(&repo, &v1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let answers = join_all((0..8).map(|_| remote.manifest(&repo, &v1))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!((helper.asked.load(Ordering::SeqCst), exchanges(&script).len()), (2, 3), "{:?}", script.lines());
}

/// Many requests whose password has expired on the way ask for another one together.
#[tokio::test(start_paused = true)]
async fn an_expired_password_is_looked_up_once_for_all() {
    let script = Script::new(|seen, before| match (before, seen.authorization()) {
        (0, _) => Reply::status(401).header("www-authenticate", "Basic realm=\"ecr\""),
        (1, Some(P0)) | (_, Some(P1)) => manifest(),
        _ => Reply::status(403).body("Your authorization token has expired."),
    });
    let helper = Arc::new(Helper { takes: Duration::from_millis(100), ..Helper::default() });
    let remote = builder(&script).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
    let (repo, v1) = (repo(), tag("v1"));
    remote.manifest(&repo, &v1).await.unwrap();
    let answers = join_all((0..8).map(|_| remote.manifest(&repo, &v1))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(helper.asked.load(Ordering::SeqCst), 2);
    // The same at the very start.
    let helper = Arc::new(Helper { takes: Duration::from_millis(100), ..Helper::default() });
    let script = Script::new(|seen, _| match seen.authorization() {
        Some(_) => manifest(),
        None => Reply::status(401).header("www-authenticate", "Basic realm=\"ecr\""),
    });
    let remote = builder(&script).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
    let answers = join_all((0..8).map(|_| remote.manifest(&repo, &v1))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(helper.asked.load(Ordering::SeqCst), 1);
}

/// ECR says with a 403, and no challenge, that a password has expired: it is looked up once more, and the request sent once
/// more. Any other 403 is a refusal.
#[tokio::test]
async fn an_expired_password_is_renewed_once() {
    const EXPIRED: &str = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
    const BARRED: &str = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    let cases = [(EXPIRED, false, true, 4), (EXPIRED, true, false, 3), (BARRED, false, false, 3)];
    for (body, stubborn, goes_on, requests) in cases {
        let script = Script::new(move |seen, before| match (before, seen.authorization()) {
            (0, _) => Reply::status(401).header("www-authenticate", "Basic realm=\"ecr\""),
            (1, Some(P0)) | (_, Some(P1)) => manifest(),
            _ => Reply::status(403).body(body),
        });
        let helper = Arc::new(Helper { stubborn, ..Helper::default() });
        let remote = builder(&script).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
        remote.manifest(&repo(), &tag("v1")).await.unwrap();
        let answer = remote.manifest(&repo(), &tag("v1")).await;
        assert_eq!(answer.is_ok(), goes_on, "{body} {stubborn}");
        assert_eq!(script.count(), requests, "{body} {stubborn}");
        if let Err(error) = answer {
            assert_eq!(error.kind(), ErrorKind::Denied);
            assert!(error.to_string().contains(if body == EXPIRED { "expired" } else { "denied" }), "{error}");
        }
        // To HEAD no reason is given: only another password is worth another request.
        let before = script.count();
        let resolved = remote.resolve_manifest(&repo(), &tag("v1")).await;
        assert_eq!(script.seen()[before].name(), "HEAD");
        assert_eq!(resolved.is_ok(), !stubborn, "{body}");
    }
}

/// A8: a token that expires again and again, as the registry says, is renewed once for each request.
#[tokio::test]
async fn what_expires_at_once_is_refused() {
    let script = Script::new(|seen, before| match (is_token(seen), before) {
        (true, _) => token(&format!("t{before}")),
        (false, 0) => challenge("repository:a/b:pull"),
        _ => Reply::status(403).body("token has expired"),
    });
    assert_eq!(named(&script).manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(script.methods(), "GET GET GET");
}

/// A token server's failures are retried within the request's own budget, whatever the request: it was not acted upon.
/// What the token server says about waiting is kept to.
#[tokio::test(start_paused = true)]
async fn a_token_server_is_waited_for_whatever_the_request() {
    type Fault = fn() -> Reply;
    let cases: [(&str, Fault, u64); 4] = [
        ("out of order", || Reply::status(503), 0),
        ("too many", || Reply::status(429).header("retry-after", "7"), 7),
        ("dead connection", || Reply::Fault(SendErrorKind::Closed), 0),
        ("nobody there", || Reply::Fault(SendErrorKind::Refused), 0),
    ];
    for (name, fault, least) in cases {
        let faults = AtomicUsize::new(0);
        let script = Script::new(move |seen, _| match (is_token(seen), seen.name(), seen.authorization()) {
            // Twice: for the first request and, after half its life, in the middle of the upload.
            (true, ..) if faults.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => fault(),
            (true, ..) => Reply::ok(r#"{"token":"t","expires_in":4}"#),
            (false, _, None) => challenge("repository:a/b:pull,push"),
            (false, "POST", _) => Reply::status(202).header("location", "/u"),
            (false, "PATCH", _) => Reply::status(202).header("range", "0-1"),
            _ => Reply::status(201),
        });
        let remote = named(&script);
        let started = Instant::now();
        let mut upload =
            remote.start_upload(&repo(), Algorithm::Sha256).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(started.elapsed() >= Duration::from_secs(least), "{name}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        upload.write(Bytes::from_static(b"ab")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        upload.commit(&Digest::of(b"ab")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(exchanges(&script).len(), 4, "{name}");
        assert_eq!(script.seen().iter().filter(|seen| seen.name() == "PATCH").count(), 1, "{name}");
    }
    // For six hours nobody waits.
    let script = Script::new(|seen, _| {
        if is_token(seen) {
            Reply::status(429).header("retry-after", "21600")
        } else {
            challenge("repository:a/b:pull")
        }
    });
    let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!((error.kind(), script.count()), (ErrorKind::RateLimited, 2));
    assert!(error.hint().unwrap().contains("21600 seconds"), "{error:?}");
}

/// O29: why a token could not be had is in the error and behind it, for all who waited.
#[tokio::test]
async fn the_cause_of_a_failed_exchange_is_kept() {
    let script =
        Script::new(
            |seen, _| if is_token(seen) { Reply::Fault(SendErrorKind::Tls) } else { challenge("repository:a/b:pull") },
        );
    let remote = remote(&script);
    let (repo, v1) = (repo(), tag("v1"));
    for answer in join_all((0..8).map(|_| remote.manifest(&repo, &v1))).await {
        let error = answer.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("manifest registry.test/a/b:v1: token from https://auth.test/token"), "{text}");
        assert!(text.contains("tls handshake failed"), "{text}");
    }
    let script = Script::new(|seen, _| {
        if is_token(seen) {
            Reply::status(403).body(r#"{"errors":[{"code":"DENIED","message":"ask sales"}]}"#)
        } else {
            challenge("repository:a/b:pull")
        }
    });
    let error = named(&script).manifest(&repo, &v1).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(403));
    assert_eq!(error.codes().len(), 1);
    assert!(error.to_string().contains("ask sales"), "{error}");
    assert!(error.source().is_none_or(|cause| !cause.to_string().is_empty()));
    // Docker Hub's, that of others, and none in particular: escaped, not endless, and no web page.
    let long = format!("no\u{1b}[2J {}", "x".repeat(1_000));
    let forms = [
        (401, r#"{"details":"incorrect username or password"}"#, "refused: incorrect username or password (401)"),
        (401, r#"{"message":"use a personal access token"}"#, "refused: use a personal access token (401)"),
        (403, "your ip is not on the list\n", "refused: your ip is not on the list (403)"),
        (400, &long, "refused: no\\u{1b}[2J xxx"),
        (401, "<!doctype html><h1>Log in</h1>", "refused (401)"),
        (401, r#"{"token":"canary"}"#, "refused (401)"),
    ];
    for (status, body, expected) in forms {
        let answer = body.to_owned();
        let script = Script::new(move |seen, _| {
            if is_token(seen) { Reply::status(status).body(answer.clone()) } else { challenge("repository:a/b:pull") }
        });
        let text = named(&script).manifest(&repo, &v1).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{body}: {text}");
        assert!(text.len() < 400 && !text.contains("canary"), "{body}: {text}");
    }
}

/// A10: tokens of five seconds, and a push that takes a minute, by a registry whose clock is anybody's guess: every token is
/// renewed ahead or once it is refused, and no byte that was acknowledged is sent again.
#[tokio::test(start_paused = true)]
async fn a_slow_push_outlives_its_tokens() {
    for issued in ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        // Every third token is taken back at once, before its time.
        let (given, held) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));
        let acknowledged = Arc::clone(&held);
        let script = Script::new(move |seen, _| {
            if is_token(seen) {
                let number = given.fetch_add(1, Ordering::SeqCst);
                let body = format!(r#"{{"token":"t{number}","expires_in":5,"issued_at":"{issued}"}}"#);
                return Reply::ok(body).header("date", "Thu, 01 Jan 1970 00:00:00 GMT");
            }
            let latest = format!("Bearer t{}", given.load(Ordering::SeqCst).wrapping_sub(1));
            let taken_back = given.load(Ordering::SeqCst) % 3 == 1 && seen.name() == "PATCH";
            if seen.authorization() != Some(&latest) || taken_back {
                return challenge("repository:a/b:pull,push");
            }
            let mut held = acknowledged.lock().unwrap();
            match seen.name() {
                "POST" => Reply::status(202).header("location", "/u"),
                "PATCH" => {
                    assert_eq!(seen.header("content-range"), Some(&*format!("{}-{}", held.len(), held.len() + 9)));
                    held.extend_from_slice(&seen.body);
                    Reply::status(202).header("range", format!("0-{}", held.len() - 1))
                }
                _ => Reply::status(201),
            }
        });
        let remote = named(&script);
        let mut upload = remote.start_upload(&repo(), Algorithm::Sha256).await.unwrap();
        let mut sent = Vec::new();
        for number in 0..20_u8 {
            let chunk = vec![number; 10];
            upload.write(Bytes::from(chunk.clone())).await.unwrap();
            sent.extend(chunk);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        upload.commit(&Digest::of(&sent)).await.unwrap();
        assert_eq!(*held.lock().unwrap(), sent);
        let refused = script.lines().iter().filter(|line| line.starts_with("PATCH")).count() - 20;
        assert!(refused > 0, "a token was taken back on the way");
    }
}

/// A17: whatever a registry puts into service and scope stays a value: it adds no parameter, and no header.
#[tokio::test]
async fn service_and_scope_are_values_and_nothing_else() {
    let hostile = ["a&refresh_token=x", "a#x", "a?b=c&d", "a%26b", "a+b", "a b", "a;b", "../x", "a=b", "é"];
    for text in hostile {
        for identity in [false, true] {
            let script = Script::new(move |seen, _| match (is_token(seen), seen.authorization()) {
                (true, _) => Reply::ok(r#"{"access_token":"t"}"#),
                (false, Some(_)) => manifest(),
                (false, None) => {
                    let value = format!(r#"Bearer realm="{TOKEN}",service="{text}",scope="repository:{text}:pull""#);
                    Reply::status(401).header("www-authenticate", value)
                }
            });
            let remote = if identity { exchanged(&script) } else { named(&script) };
            // What is no header's text is no challenge.
            let answer = remote.manifest(&repo(), &tag("v1")).await;
            let Some(asked) = script.seen().into_iter().find(is_token) else {
                assert!(answer.is_err(), "{text}");
                continue;
            };
            let query = if identity {
                String::from_utf8(asked.body.to_vec()).unwrap()
            } else {
                url::Url::parse(&asked.url).unwrap().query().unwrap().to_owned()
            };
            let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let known = ["grant_type", "client_id", "service", "scope", "refresh_token"];
            assert!(pairs.iter().all(|(name, _)| known.contains(&name.as_str())), "{text}: {query}");
            let service: Vec<_> = pairs.iter().filter(|(name, _)| name == "service").collect();
            assert_eq!(service.len(), 1, "{text}: {query}");
            assert_eq!(service[0].1, text, "{query}");
            let refresh = pairs.iter().filter(|(name, _)| name == "refresh_token").count();
            assert_eq!(refresh, usize::from(identity), "{text}: {query}");
            assert!(url::Url::parse(&asked.url).unwrap().fragment().is_none());
        }
    }
}
