//! Which of several challenges is met (G39).

use std::sync::Arc;

use gantri_core::Pull;
use gantri_remote::Credential;

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
