//! Which of several challenges is met (G39), and how often somebody is asked with what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use gantri_core::{Error, ErrorKind, Pull, Result};
use gantri_remote::{Credential, Credentials};
use gantri_spec::{Host, RepositoryName};

use crate::script::{Reply, Script, Seen, builder, repo, tag};

const TOKEN: &str = "https://auth.test/token";

fn is_token(seen: &Seen) -> bool {
    seen.url.starts_with(TOKEN)
}

fn manifest() -> Reply {
    Reply::ok(r#"{"schemaVersion":2,"manifests":[]}"#).header("content-type", "application/vnd.oci.image.index.v1+json")
}

/// Who asks, with what, for which challenges, and what is sent then.
type Case<'a> = (&'static str, fn() -> Credential, [&'a str; 2], Option<&'static str>);

/// G39: of several challenges the first that the user can meet, in one header or in two.
#[tokio::test]
async fn the_first_challenge_that_can_be_met_is_met() {
    const BASIC: &str = r#"Basic realm="x""#;
    let bearer = format!(r#"Bearer realm="{TOKEN}",service="registry.test",scope="repository:a/b:pull""#);
    let elsewhere = r#"Bearer realm="http://10.0.0.1/token",service="registry.test""#.to_owned();
    let anonymous = || Credential::Anonymous;
    let identity = || Credential::IdentityToken("canary".into());
    let basic = || Credential::basic("me", "canary");
    let cases: [Case<'_>; 8] = [
        ("anonymous", anonymous, [BASIC, &bearer], Some("Bearer t")),
        ("anonymous", anonymous, [&bearer, BASIC], Some("Bearer t")),
        ("identity", identity, [BASIC, &bearer], Some("Bearer t")),
        ("identity", identity, [&bearer, BASIC], Some("Bearer t")),
        ("basic", basic, [BASIC, &bearer], Some("Basic bWU6Y2FuYXJ5")),
        ("basic", basic, [&bearer, BASIC], Some("Bearer t")),
        // A token server that may not be asked can't be met either.
        ("basic", basic, [&elsewhere, BASIC], Some("Basic bWU6Y2FuYXJ5")),
        ("anonymous", anonymous, [&elsewhere, BASIC], None),
    ];
    for (name, credential, challenges, met) in cases {
        for together in [true, false] {
            let headers = if together { vec![challenges.join(", ")] } else { challenges.map(str::to_owned).to_vec() };
            let script = Script::new(move |seen, _| match (is_token(seen), seen.authorization()) {
                (true, _) => Reply::ok(r#"{"token":"t"}"#),
                (false, authorization) if authorization.is_some() && authorization == met => manifest(),
                _ => headers.iter().fold(Reply::status(401), |reply, value| reply.header("www-authenticate", value)),
            });
            let remote = builder(&script).credentials(Arc::new(credential())).build().unwrap();
            let answer = remote.manifest(&repo(), &tag("v1")).await;
            let exchanges = script.seen().iter().filter(|seen| is_token(seen)).count();
            let case = format!("{name} {challenges:?} {together}: {answer:?}");
            assert_eq!(answer.is_ok(), met.is_some(), "{case}");
            assert_eq!(exchanges, usize::from(met == Some("Bearer t")), "{case}");
            let next = remote.manifest(&repo(), &tag("v2")).await;
            assert_eq!((next.is_ok(), script.count() > exchanges + 2), (met.is_some(), met.is_some()), "{case}");
        }
    }
}

/// Knows a password that nobody takes, or takes long to know nothing.
#[derive(Debug, Default)]
struct Helper {
    asked: AtomicUsize,
    fails: bool,
    by_repository: bool,
}

#[async_trait]
impl Credentials for Helper {
    async fn credential(&self, _host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails {
            tokio::time::sleep(PATIENCE).await;
            return Err(Error::new(ErrorKind::Credentials, "no answer"));
        }
        Ok(Credential::basic("me", "wrong"))
    }

    fn by_repository(&self, _host: &Host) -> bool {
        self.by_repository
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

fn asks() -> Arc<Script> {
    Script::new(|seen, _| {
        let refused = Reply::status(401);
        if is_token(seen) {
            return refused;
        }
        let bearer = format!(r#"Bearer realm="{TOKEN}",service="registry.test",scope="repository:a/b:pull""#);
        refused.header("www-authenticate", bearer).header("www-authenticate", r#"Basic realm="x""#)
    })
}

/// A wrong password is got once for a request, however many ways there are to send it.
#[tokio::test]
async fn who_provides_a_wrong_password_is_asked_once() {
    let helper = Arc::new(Helper::default());
    let remote = builder(&asks()).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
    assert_eq!(remote.manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(helper.asked.load(Ordering::SeqCst), 1);
}

/// H25: whoever waited for a lookup that failed does not begin another; who asks about another repository does not wait.
#[tokio::test(start_paused = true)]
async fn a_lookup_that_fails_has_failed_for_all_who_waited() {
    for (by_repository, lookups) in [(false, 1), (true, 2)] {
        let helper = Arc::new(Helper { fails: true, by_repository, ..Helper::default() });
        let remote = builder(&asks()).credentials(Arc::clone(&helper) as Arc<dyn Credentials>).build().unwrap();
        let started = tokio::time::Instant::now();
        let ask = |at: usize| {
            let (remote, repo) = (&remote, ["a/b", "c/d"][at % 2].parse().unwrap());
            async move { remote.manifest(&repo, &tag("v1")).await }
        };
        for answer in join_all((0..8).map(ask)).await {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Credentials);
        }
        assert_eq!((helper.asked.load(Ordering::SeqCst), started.elapsed()), (lookups, PATIENCE));
    }
}
