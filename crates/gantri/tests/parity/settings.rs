//! What a client passes on to the registries that it makes: a setting of [`ClientBuilder`](gantri::ClientBuilder) that nobody
//! hears of would be none.

use std::sync::Arc;

use gantri::{Client, ClientBuilder, Credential, ErrorKind, HttpVersion};
use gantri_core::Limits;
use test_support::image::manifest_reply;
use test_support::{Reply, Request, ScriptedServer};

use crate::world::{Embedded, at, image, limits};

fn client(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    set(Client::builder()).build().unwrap()
}

/// A registry whose token server is at this host.
fn led_to(realm: String) -> ScriptedServer {
    let guarded = move |asked: &Request| {
        let challenge = format!(r#"Bearer realm="http://{realm}/token",service="s""#);
        asked.header("authorization").is_none().then(|| Reply::new(401).header("www-authenticate", challenge))
    };
    image(1).serve(move |_, asked| guarded(asked))
}

/// G40: the token server of another host is asked as a rule, not where it has to be the registry's own, and there if the
/// user trusts it.
#[tokio::test]
async fn token_servers_are_those_that_the_client_allows() {
    type Set = fn(ClientBuilder, &str) -> ClientBuilder;
    let cases: [(&str, Set, bool); 3] = [
        ("by default", |builder, _| builder, true),
        ("strict", |builder, _| builder.strict_realm(true), false),
        ("trusted", |builder, realm| builder.strict_realm(true).trust_realm(realm.parse().unwrap()), true),
    ];
    for (name, set, asked) in cases {
        let realm = ScriptedServer::start(|_| Reply::ok(r#"{"token":"t"}"#));
        let host = realm.host().replace("127.0.0.1", "localhost");
        let registry = led_to(host.clone());
        let client = client(|builder| set(builder, &host).credentials(Arc::new(Credential::basic("me", "canary"))));
        let answer = client.image(&at(&registry.host(), ":v1")).await;
        assert_eq!((answer.is_ok(), realm.requests().len()), (asked, usize::from(asked)), "{name}: {answer:?}");
    }
}

/// G33: what the user takes for passing is tried again.
#[tokio::test]
async fn statuses_of_the_users_choice_are_tried_again() {
    for (status, is_tried) in [(418, true), (410, false)] {
        let manifest = image(1).manifest;
        let server = ScriptedServer::start(move |asked| match asked.target.as_str() {
            "/v2/team/app/manifests/v1" => Reply::new(status),
            _ => manifest_reply(&manifest),
        });
        let soon = limits(|limits: &mut Limits| limits.request_tries = 3);
        let client = client(|builder| builder.limits(soon).retry_statuses([http::StatusCode::IM_A_TEAPOT]));
        assert!(client.manifest(&at(&server.host(), ":v1")).await.is_err());
        assert_eq!(server.requests().len(), if is_tried { 3 } else { 1 }, "{status}");
    }
}

/// A header goes to the registry that it is for, on every request, and to no other; what can't be sent is told at once.
#[tokio::test]
async fn a_header_is_sent_to_its_own_host_alone() {
    let (own, other) = (image(1).serve(|_, _| None), image(1).serve(|_, _| None));
    let client = client(|builder| builder.header(own.host().parse().unwrap(), "x-tenant", "canary"));
    for server in [&own, &other] {
        let found = client.image(&at(&server.host(), ":v1")).await.unwrap();
        client.config(&at(&server.host(), ":v1"), &found).await.unwrap();
        let told: Vec<_> = server.requests().iter().map(|asked| asked.header("x-tenant").map(str::to_owned)).collect();
        let expected = (server.host() == own.host()).then(|| "canary".to_owned());
        assert_eq!(told, [expected.clone(), expected]);
    }
    assert!(!format!("{client:?}").contains("canary"));
    for (name, value) in [("x y", "canary"), ("x", "canary\n"), ("authorization", "canary")] {
        let builder = Client::builder().header("a.test".parse().unwrap(), name, value);
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

/// Without TLS only prior knowledge makes it HTTP/2, which the embedded server speaks and the scripted one does not.
#[tokio::test]
async fn the_version_of_http_is_the_clients() {
    let embedded = Embedded::start().await;
    let manifest = embedded.put_bare("{}").await;
    let scripted = image(1).serve(|_, _| None);
    for (version, old_too) in [(HttpVersion::Auto, true), (HttpVersion::Http1, true), (HttpVersion::Http2, false)] {
        let hasty = limits(|limits: &mut Limits| limits.request_tries = 1);
        let client = client(|builder| builder.limits(hasty).http_version(version));
        assert!(client.manifest(&at(&embedded.host, &format!("@{}", manifest.digest))).await.is_ok(), "{version:?}");
        assert_eq!(client.manifest(&at(&scripted.host(), ":v1")).await.is_ok(), old_too, "{version:?}");
    }
}

/// O1: what can't be kept is an error that names it, and never another bound.
#[tokio::test]
async fn bounds_that_cannot_be_kept_are_refused() {
    for (name, bad) in [
        ("concurrent_layers", limits(|limits: &mut Limits| limits.concurrent_layers = 0)),
        ("connections", limits(|limits: &mut Limits| limits.connections = 0)),
        ("manifest", limits(|limits: &mut Limits| limits.manifest = 3_999_999)),
    ] {
        let error = Client::builder().limits(bad).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("limit {name} = ")), "{error}");
    }
}
