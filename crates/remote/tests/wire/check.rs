//! What is asked about a registry and about a repository, without touching what they hold.

use std::sync::Arc;

use gantri_core::ErrorKind;
use gantri_remote::{Credential, Ping};

use crate::script::{Reply, Script, Seen, builder, limits, named, remote, repo};

const BEARER: &str = r#"Bearer realm="https://auth.test/token",service="registry.test""#;

fn asks(scheme: &str) -> Reply {
    Reply::status(401).header("www-authenticate", scheme)
}

fn is_token(seen: &Seen) -> bool {
    seen.url.starts_with("https://auth.test/")
}

/// One line for each kind of registry, and of what is none.
#[tokio::test(start_paused = true)]
async fn a_ping_says_who_answers_and_whether_we_are_let_in() {
    type Answer = fn(&Seen) -> Reply;
    let cases: &[(&str, Answer, Result<Ping, ErrorKind>, usize)] = &[
        ("open", |_| Reply::ok("{}"), Ok(Ping::Open), 1),
        ("open, and says nothing", |_| Reply::status(200), Ok(Ping::Open), 1),
        (
            "basic",
            |seen| if seen.authorization().is_some() { Reply::ok("{}") } else { asks("Basic realm=\"x\"") },
            Ok(Ping::Authorized),
            2,
        ),
        (
            "token",
            |seen| match (is_token(seen), seen.authorization()) {
                (true, Some(_)) => Reply::ok(r#"{"token":"t"}"#),
                (false, Some("Bearer t")) => Reply::ok("{}"),
                _ => asks(BEARER),
            },
            Ok(Ping::Authorized),
            3,
        ),
        ("wrong password", |_| asks("Basic realm=\"x\""), Err(ErrorKind::Unauthorized), 2),
        (
            "a token server that knows no such user",
            |seen| if is_token(seen) { Reply::status(401) } else { asks(BEARER) },
            Err(ErrorKind::Unauthorized),
            2,
        ),
        ("barred", |_| Reply::status(403), Err(ErrorKind::Denied), 1),
        ("asks in no way we know", |_| asks("Negotiate"), Err(ErrorKind::Unauthorized), 1),
        ("nothing there", |_| Reply::status(404), Err(ErrorKind::NotARegistry), 1),
        (
            "a web page",
            |_| Reply::ok("<html>log in</html>").header("content-type", "text/html; charset=utf-8"),
            Err(ErrorKind::NotARegistry),
            1,
        ),
        (
            "a web page elsewhere",
            |seen| {
                if seen.url.starts_with("https://sso.test/") {
                    Reply::ok("<html>log in</html>").header("content-type", "text/html")
                } else {
                    Reply::status(302).header("location", "https://sso.test/login")
                }
            },
            Err(ErrorKind::NotARegistry),
            2,
        ),
        (
            "out of order",
            |_| Reply::status(503),
            Err(ErrorKind::Unavailable),
            gantri_core::Limits::default().request_tries as usize,
        ),
    ];
    for (name, answer, expected, requests) in cases {
        let answer = *answer;
        let script = Script::new(move |seen, _| answer(seen));
        let pinged = named(&script).ping().await;
        assert_eq!(
            pinged.as_ref().map_err(gantri_core::Error::kind),
            expected.as_ref().map_err(|kind| *kind),
            "{name}"
        );
        assert_eq!(script.count(), *requests, "{name}: {:?}", script.lines());
        assert_eq!(script.lines()[0], "GET https://registry.test/v2/", "{name}");
        if let Err(error) = pinged {
            assert!(error.to_string().starts_with("registry registry.test"), "{error}");
        }
    }
}

/// Nobody in particular is let in where a token for nobody is enough, and nowhere else.
#[tokio::test]
async fn a_ping_without_credentials() {
    let script = Script::new(|_, _| asks("Basic realm=\"x\""));
    assert_eq!(remote(&script).ping().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    let script = Script::new(|seen, _| match (is_token(seen), seen.authorization()) {
        (true, None) => Reply::ok(r#"{"token":"t"}"#),
        (false, Some("Bearer t")) => Reply::ok("{}"),
        _ => asks(BEARER),
    });
    assert_eq!(remote(&script).ping().await.unwrap(), Ping::Authorized);
}

/// G14: an upload is started and cancelled; no byte is sent.
#[tokio::test]
async fn whether_one_may_push_is_asked_by_an_upload_that_is_cancelled() {
    let script = Script::new(|seen, _| match seen.name() {
        "POST" => Reply::status(202).header("location", "/v2/a/b/blobs/uploads/1?state=x"),
        _ => Reply::status(204),
    });
    remote(&script).check_push(&repo()).await.unwrap();
    assert_eq!(
        script.lines(),
        [
            "POST https://registry.test/v2/a/b/blobs/uploads/",
            "DELETE https://registry.test/v2/a/b/blobs/uploads/1?state=x",
        ]
    );
    assert!(script.seen().iter().all(|seen| seen.body.is_empty()));
}

/// G14: a token that was given for pushing proves nothing; one that is refused does.
#[tokio::test]
async fn a_token_is_no_proof_that_one_may_push() {
    let cases = [(401, ErrorKind::Unauthorized), (403, ErrorKind::Denied), (404, ErrorKind::RepositoryUnknown)];
    for (status, kind) in cases {
        let script = Script::new(move |seen, _| match (is_token(seen), seen.authorization()) {
            (true, _) => {
                assert!(seen.url.contains("scope=repository%3Aa%2Fb%3Apull%2Cpush"), "{}", seen.url);
                Reply::ok(r#"{"token":"t"}"#)
            }
            (false, Some(_)) => Reply::status(status),
            (false, None) => asks(BEARER),
        });
        assert_eq!(named(&script).check_push(&repo()).await.unwrap_err().kind(), kind);
        assert_eq!(script.methods(), "POST GET POST", "{status}");
    }
}

/// What may be started but not cancelled (ECR) may be pushed to; nobody waits long for the cancelling.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_cancelled_does_not_change_the_answer() {
    let answers: [fn() -> Reply; 3] = [|| Reply::status(405), || Reply::status(404), || Reply::Hang];
    for answer in answers {
        let script = Script::new(move |seen, _| match seen.name() {
            "POST" => Reply::status(202).header("location", "/u/1"),
            _ => answer(),
        });
        let limits = limits(|limits| limits.connect = std::time::Duration::from_secs(1));
        let remote = builder(&script).limits(limits).credentials(Arc::new(Credential::Anonymous)).build().unwrap();
        remote.check_push(&repo()).await.unwrap();
    }
}
