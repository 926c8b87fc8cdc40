//! Who asks: tokens kept, replaced and shared; credentials renewed; refusals explained.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use gantri::spec::{Host, RepositoryName};
use gantri::{Client, Credential, Credentials, Error, ErrorKind, Result};
use test_support::{Body, Image, Reply, Request, ScriptedServer};

use crate::world::{at, client, image, layout};

fn challenge(asked: &Request) -> Reply {
    let host = asked.header("host").unwrap();
    let scope = asked.target.trim_start_matches("/v2/").split("/manifests/").next().unwrap();
    let scope = scope.split("/blobs/").next().unwrap();
    Reply::new(401).header(
        "www-authenticate",
        format!(r#"Bearer realm="http://{host}/token",service="s",scope="repository:{scope}:pull""#),
    )
}

fn token(name: &str) -> Reply {
    Reply::ok(format!(r#"{{"token":"{name}","expires_in":300}}"#))
}

/// Serves an image to who bears the token `good`.
fn guarded(image: Image) -> ScriptedServer {
    image.serve(|_, asked| match asked.header("authorization") {
        _ if asked.target.starts_with("/token") => Some(token("good")),
        Some("Bearer good") => None,
        _ => Some(challenge(asked)),
    })
}

fn exchanges(server: &ScriptedServer) -> usize {
    server.requests().iter().filter(|asked| asked.target.starts_with("/token")).count()
}

/// O26, M10: one token for a manifest, a config and three layers; another repository needs one of its own.
#[tokio::test]
async fn a_token_serves_every_request_of_its_scope() {
    let server = guarded(image(3));
    let home = tempfile::tempdir().unwrap();
    let client = client();
    client.pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    assert_eq!(exchanges(&server), 1);
    client.image(&at(&server.host(), "/other:v1")).await.unwrap();
    assert_eq!(exchanges(&server), 2);
}

/// O5, G20: clones share what they know.
#[tokio::test]
async fn clones_share_tokens() {
    let server = guarded(image(1));
    let client = client();
    client.image(&at(&server.host(), ":v1")).await.unwrap();
    client.clone().image(&at(&server.host(), ":v1")).await.unwrap();
    assert_eq!(exchanges(&server), 1);
}

/// O30: a token that was revoked before its time is replaced once, and the request sent again.
#[tokio::test]
async fn a_revoked_token_is_replaced() {
    let given = AtomicUsize::new(0);
    let server = image(1).serve(move |_, asked| {
        if asked.target.starts_with("/token") {
            return Some(token(&format!("t{}", given.fetch_add(1, Ordering::SeqCst))));
        }
        // The first token is good for the manifest of v1 alone.
        let revoked = asked.header("authorization") == Some("Bearer t0") && !asked.target.ends_with("/v1");
        (revoked || asked.header("authorization").is_none()).then(|| challenge(asked))
    });
    let client = client();
    client.image(&at(&server.host(), ":v1")).await.unwrap();
    client.image(&at(&server.host(), ":v2")).await.unwrap();
    assert_eq!(exchanges(&server), 2);
    assert_eq!(server.requests().len(), 2 + 1 + 1 + 1 + 1, "v1 twice, two exchanges, v2 twice");
}

/// O30, C11: a registry that refuses a fresh token is believed: there is no second round.
#[tokio::test]
async fn a_fresh_token_that_is_refused_is_the_end() {
    let server = ScriptedServer::start(|asked| match asked.target.as_str() {
        target if target.starts_with("/token") => token("good"),
        _ => challenge(asked),
    });
    let refused = client().image(&at(&server.host(), ":v1")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    assert_eq!(server.requests().len(), 3);
}

/// O29: when the token server says no, its reason is what the user hears, and nothing is sent without the token.
#[tokio::test]
async fn the_token_servers_reason_is_kept() {
    let server = ScriptedServer::start(|asked| match asked.target.as_str() {
        target if target.starts_with("/token") => {
            let why = r#"{"errors":[{"code":"DENIED","message":"the account is suspended"}]}"#;
            Reply::new(403).body(Body::Whole(why.into()))
        }
        _ => challenge(asked),
    });
    let refused = client().image(&at(&server.host(), ":v1")).await.unwrap_err();
    let mut told = refused.to_string();
    let mut cause = refused.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    assert_eq!(refused.kind(), ErrorKind::Denied, "{told}");
    assert!(told.contains("the account is suspended"), "{told}");
    assert_eq!(server.requests().len(), 2);
}

/// Gives another password each time it is asked.
#[derive(Debug, Default)]
struct Renewed(AtomicUsize);

#[async_trait]
impl Credentials for Renewed {
    async fn credential(&self, _host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        Ok(Credential::basic("me", format!("p{}", self.0.fetch_add(1, Ordering::SeqCst))))
    }
}

/// O23, C29: a credential that was refused is not the client's for life.
#[tokio::test]
async fn a_refused_credential_is_replaced() {
    // me:p1
    let server = image(1).serve(|_, asked| {
        (asked.header("authorization") != Some("Basic bWU6cDE="))
            .then(|| Reply::new(401).header("www-authenticate", r#"Basic realm="x""#))
    });
    let client = Client::builder().credentials(Arc::new(Renewed::default())).build().unwrap();
    let source = at(&server.host(), ":v1");
    let first = client.image(&source).await;
    assert_eq!(first.map_err(|error| error.kind()).unwrap_err(), ErrorKind::Unauthorized);
    client.image(&source).await.unwrap();
}

/// Has nothing, for reasons of its own.
#[derive(Debug)]
struct Locked;

#[async_trait]
impl Credentials for Locked {
    async fn credential(&self, _host: &Host, _repository: Option<&RepositoryName>) -> Result<Credential> {
        Err(Error::new(ErrorKind::Credentials, "the keychain is locked"))
    }
}

/// G52: a lookup that fails is an error, and never an anonymous request.
#[tokio::test]
async fn a_failed_lookup_is_not_anonymous() {
    let server = guarded(image(1));
    let client = Client::builder().credentials(Arc::new(Locked)).build().unwrap();
    let refused = client.image(&at(&server.host(), ":v1")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Credentials);
    assert!(refused.to_string().contains("the keychain is locked"), "{refused}");
    assert_eq!(server.requests().len(), 1);
}
