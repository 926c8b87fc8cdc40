//! Token servers that the user named, and those that nobody did (A2).

use gantri_core::{ErrorKind, Pull};
use gantri_remote::Destination;

use crate::script::{Reply, Script, builder, repo, tag};

fn manifest() -> Reply {
    Reply::ok(r#"{"schemaVersion":2,"manifests":[]}"#).header("content-type", "application/vnd.oci.image.index.v1+json")
}

fn challenge(realm: &str) -> Reply {
    Reply::status(401).header("www-authenticate", format!(r#"Bearer realm="{realm}""#))
}

/// A2: a registry on the public internet names a token server inside only if the user named it too.
#[tokio::test]
async fn a_trusted_realm_may_stand_inside() {
    let cases: [(&[&str], bool); 4] =
        [(&[], false), (&["127.0.0.1:5001"], true), (&["127.0.0.1"], true), (&["127.0.0.1:5002"], false)];
    for (trusted, visited) in cases {
        let script = Script::new(|seen, _| match (seen.url.contains(":5001"), seen.authorization()) {
            (true, _) => {
                assert_eq!(seen.destination, Destination::Trusted);
                Reply::ok(r#"{"token":"t"}"#)
            }
            (false, Some(_)) => manifest(),
            (false, None) => challenge("https://127.0.0.1:5001/token"),
        });
        let remote = trusted
            .iter()
            .fold(builder(&script), |builder, host| builder.trust_realm(host.parse().unwrap()))
            .build()
            .unwrap();
        assert_eq!(remote.manifest(&repo(), &tag("v1")).await.is_ok(), visited, "{trusted:?}");
    }
}

/// A2: `strict_realm` asks no token server but the registry's own host and those that were listed.
#[tokio::test]
async fn a_strict_realm_is_the_registrys_own_or_listed() {
    for (listed, visited) in [(&[][..], false), (&["auth.test"][..], true), (&["other.test"][..], false)] {
        let script = Script::new(|seen, _| match (seen.url.starts_with("https://auth.test/"), seen.authorization()) {
            (true, _) => Reply::ok(r#"{"token":"t"}"#),
            (false, Some(_)) => manifest(),
            (false, None) => challenge("https://auth.test/token"),
        });
        let remote = listed
            .iter()
            .fold(builder(&script).strict_realm(true), |builder, host: &&str| {
                builder.trust_realm(host.parse().unwrap())
            })
            .build()
            .unwrap();
        let answer = remote.manifest(&repo(), &tag("v1")).await;
        assert_eq!(answer.is_ok(), visited, "{listed:?}");
        if let Err(error) = answer {
            assert_eq!((error.kind(), script.count()), (ErrorKind::Protocol, 1), "{error}");
        }
    }
}
