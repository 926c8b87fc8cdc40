//! A server over a client is a proxy: the suite through both, and what of the registry behind its clients must never see
//! (R12). It keeps nothing, so there is nothing in it that could be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantri::remote::HttpVersion;
use gantri::spec::Digest;
use gantri::{Credential, Memory, Remote};
use gantri_core::registry_suite;
use gantri_core::testkit::{Profile, Subject};
use test_support::{Body, Image, Reply, Request, ScriptedServer};

use super::raw::{Answer, ask};
use super::{Running, remote_of, serve, served};

registry_suite! {
    remote_server_remote_server_memory_http1 => async { proxied(HttpVersion::Http1).await };
    profile: Profile::FULL;
}

registry_suite! {
    remote_server_remote_server_memory_http2 => async { proxied(HttpVersion::Http2).await };
    profile: Profile::FULL;
}

async fn proxied(version: HttpVersion) -> Subject {
    let (upstream, running) = remote_of(Arc::new(Memory::new()), version).await;
    served(Arc::new(upstream), version, running).await
}

/// A proxy before a scripted registry, whose user it is by this password.
async fn proxy(upstream: &ScriptedServer, password: &str) -> (String, Running) {
    let credential = Credential::basic("proxy-user", password);
    let remote = Remote::builder(upstream.host().parse().unwrap()).credentials(Arc::new(credential)).build().unwrap();
    serve(Arc::new(remote)).await
}

fn image() -> Image {
    Image::of(&[b"a layer".to_vec()])
}

fn challenge(asked: &Request) -> Reply {
    let host = asked.header("host").unwrap();
    let challenge = format!(r#"Bearer realm="http://{host}/marked-realm",service="marked-service""#);
    Reply::new(401).header("www-authenticate", challenge)
}

/// Serves an image to who bears a token, which it gives for the password `marked-password`.
fn guarded() -> ScriptedServer {
    // proxy-user:marked-password
    const BASIC: &str = "Basic cHJveHktdXNlcjptYXJrZWQtcGFzc3dvcmQ=";
    image().serve(|_, asked| match asked.header("authorization") {
        Some(BASIC) if asked.target.starts_with("/marked-realm") => Some(Reply::ok(r#"{"token":"marked-token"}"#)),
        _ if asked.target.starts_with("/marked-realm") => Some(Reply::new(401)),
        Some("Bearer marked-token") => None,
        _ => Some(challenge(asked)),
    })
}

#[track_caller]
fn assert_unmarked(answer: &Answer) {
    assert!(!answer.head.contains("marked") && !answer.body.contains("marked"), "{answer:?}");
    assert!(answer.header("www-authenticate").is_none(), "{answer:?}");
}

/// (R12) The proxy logs in, and its clients see neither how nor that it does.
#[tokio::test]
async fn what_the_proxy_logs_in_with_stays_with_it() {
    let upstream = guarded();
    let (host, _running) = proxy(&upstream, "marked-password").await;
    let layer = image().first_layer().clone();
    for request in [
        "GET /v2/".to_owned(),
        "GET /v2/team/app/manifests/v1".to_owned(),
        "HEAD /v2/team/app/manifests/v1".to_owned(),
        format!("GET /v2/team/app/blobs/{layer}"),
        format!("GET /v2/team/app/blobs/{}", Digest::of(b"none")),
    ] {
        let answer = ask(&host, &request, "", b"").await;
        assert!([200, 404].contains(&answer.status), "{request}: {answer:?}");
        assert_unmarked(&answer);
    }
}

/// (R12, A2) A challenge would send the proxy's clients, and their passwords, to the registry's token server.
#[tokio::test]
async fn a_challenge_of_the_registry_behind_ends_at_the_proxy() {
    let upstream = guarded();
    let (host, _running) = proxy(&upstream, "marked-but-wrong").await;
    for request in [
        "GET /v2/team/app/manifests/v1",
        "GET /v2/team/app/tags/list",
        "POST /v2/team/app/blobs/uploads/",
        "DELETE /v2/team/app/manifests/v1",
    ] {
        let answer = ask(&host, request, "", b"").await;
        assert_eq!(answer.verdict(), (403, "DENIED"), "no challenge, so no 401: {answer:?}");
        assert_unmarked(&answer);
    }
}

/// (R12) Nor does what a client logs in with reach the registry behind: it is another's.
#[tokio::test]
async fn what_a_client_sends_to_log_in_is_not_passed_on() {
    let upstream = guarded();
    let (host, _running) = proxy(&upstream, "marked-password").await;
    let headers = "authorization: Bearer of-the-client\r\ncookie: of-the-client\r\n";
    assert_eq!(ask(&host, "GET /v2/team/app/manifests/v1", headers, b"").await.status, 200);
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3, "asked, logged in, asked again");
    assert!(!format!("{requests:?}").contains("of-the-client"), "{requests:?}");
}

/// (R12) A signed address is as good as a password: the proxy goes there itself.
#[tokio::test]
async fn a_signed_address_is_not_handed_on() {
    let upstream = image().serve(|image, asked| {
        let host = asked.header("host").unwrap();
        if asked.target.contains("marked-signature") {
            return Some(Reply::ok(image.blobs[image.first_layer()].clone()));
        }
        let signed = format!("http://{host}/storage?marked-signature");
        asked.target.contains("/blobs/").then(|| Reply::new(307).header("location", signed))
    });
    let (host, _running) = proxy(&upstream, "marked-password").await;
    let answer = ask(&host, &format!("GET /v2/team/app/blobs/{}", image().first_layer()), "", b"").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("location").is_none() && answer.is_whole(), "{answer:?}");
    assert_unmarked(&answer);
}

const RIGHT: &[u8] = b"the right bytes";
const WRONG: &[u8] = b"the wrong bytes";

/// (R12) Wrong bytes of the registry behind never make a whole answer, and the next who asks does not get them either.
#[tokio::test]
async fn wrong_bytes_are_not_served_whole_and_not_kept() {
    let answers = AtomicUsize::new(0);
    let upstream = ScriptedServer::start(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::ok(WRONG),
        1 => Reply::ok(RIGHT).body(Body::Whole(RIGHT[..4].to_vec().into())),
        _ => Reply::ok(RIGHT),
    });
    let (host, _running) = proxy(&upstream, "marked-password").await;
    let request = format!("GET /v2/team/app/blobs/{}", Digest::of(RIGHT));
    for _ in 0..2 {
        let answer = ask(&host, &request, "", b"").await;
        assert!(answer.status != 200 || !answer.is_whole(), "{answer:?}");
    }
    for _ in 0..2 {
        let answer = ask(&host, &request, "", b"").await;
        assert!(answer.is_whole() && answer.body.as_bytes() == RIGHT, "{answer:?}");
    }
    assert_eq!(upstream.requests().len(), 4, "every answer comes from the registry behind");
}

/// (R12) Nor is a manifest that is not the one asked for.
#[tokio::test]
async fn a_manifest_of_another_digest_is_not_served() {
    let upstream = image().serve(|_, _| None);
    let (host, _running) = proxy(&upstream, "marked-password").await;
    let request = |digest: &Digest| format!("GET /v2/team/app/manifests/{digest}");
    let answer = ask(&host, &request(&Digest::of(RIGHT)), "", b"").await;
    assert!(answer.status >= 400, "{answer:?}");
    assert_eq!(ask(&host, &request(image().manifest.digest()), "", b"").await.status, 200);
}
