//! What the user says about the way to a registry: addresses for names, a root for the API, headers of his own.

use gantri_core::ErrorKind;
use gantri_remote::{PlainHttp, Remote, RemoteBuilder};

use crate::net::{Heads, Net, THERE, ask, shown};

fn net(address: &str, answer: &'static str) -> (Net, Heads) {
    let heads = Heads::default();
    let seen = heads.clone();
    (Net::default().host(address, move |socket| seen.clone().answer(socket, answer)), heads)
}

fn plain(net: &Net) -> RemoteBuilder {
    net.builder("registry.test").plain_http(PlainHttp::Always)
}

/// What the user says is not resolved, and not judged by its class: he may know of a tunnel.
#[tokio::test(start_paused = true)]
async fn a_name_is_where_the_user_says() {
    for (host, to, dialled) in [
        ("registry.test", "10.0.0.7:0", "10.0.0.7:80"),
        ("registry.test:80", "[fd00::7]:8080", "[fd00::7]:8080"),
        ("REGISTRY.test", "127.0.0.1:5000", "127.0.0.1:5000"),
    ] {
        let (net, heads) = net(dialled, THERE);
        let remote = plain(&net).resolve_to(host.parse().unwrap(), to.parse().unwrap()).build().unwrap();
        ask(&remote).await.unwrap();
        assert_eq!(net.log(), [format!("dial {dialled}")]);
        assert!(heads.all()[0].contains("host: registry.test\r\n"), "{:?}", heads.all());
    }
    let (net, _) = net("10.0.0.7:80", THERE);
    let elsewhere = plain(&net).resolve_to("registry.test:81".parse().unwrap(), "10.0.0.7:80".parse().unwrap());
    assert_eq!(ask(&elsewhere.build().unwrap()).await.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(net.log(), ["resolve registry.test"], "another port is another place");
}

/// A registry may lead to a name that the user has put inside, though not to the same address by another name.
#[tokio::test(start_paused = true)]
async fn where_the_user_put_a_name_the_registry_may_lead() {
    const MOVED: &str =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://storage.test/x\r\ncontent-length: 0\r\n\r\n";
    let (net, _) = net("192.0.2.1:80", MOVED);
    let storage = Heads::default();
    let seen = storage.clone();
    let net = net
        .name("registry.test", &["192.0.2.1"])
        .name("storage.test", &["10.0.0.2"])
        .host("10.0.0.2:80", move |socket| seen.clone().answer(socket, THERE));
    let error = ask(&plain(&net).build().unwrap()).await.unwrap_err();
    assert!(shown(&error).contains("10.0.0.2"), "{}", shown(&error));
    assert!(storage.all().is_empty());
    let told = plain(&net).resolve_to("storage.test".parse().unwrap(), "10.0.0.2:0".parse().unwrap()).build().unwrap();
    assert_eq!(ask(&told).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_api_stands_where_the_user_says() {
    for (root, path) in [
        ("/v2", "/v2/a/b/blobs/"),
        ("/", "/a/b/blobs/"),
        ("/v2/mirrors/hub", "/v2/mirrors/hub/a/b/blobs/"),
        ("/artifactory/v2/", "/artifactory/v2/a/b/blobs/"),
    ] {
        let (net, heads) = net("192.0.2.1:80", THERE);
        let net = net.name("registry.test", &["192.0.2.1"]);
        ask(&plain(&net).api_root(root).build().unwrap()).await.unwrap();
        assert!(heads.lines()[0].starts_with(&format!("HEAD {path}sha256:")), "{root}: {:?}", heads.lines());
    }
    for root in ["", "v2", "/a//b", "/a/../b", "/a?b", "/a#b", "/a b", "/%2e%2e"] {
        let error = Remote::builder("registry.test".parse().unwrap()).api_root(root).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{root}");
    }
}

/// A16 for headers: they reach the registry's own origin, on every request to it, and no other.
#[tokio::test(start_paused = true)]
async fn the_users_headers_reach_the_registry_alone() {
    const MOVED: &str =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://storage.test/x\r\ncontent-length: 0\r\n\r\n";
    let (net, heads) = net("192.0.2.1:80", MOVED);
    let storage = Heads::default();
    let seen = storage.clone();
    let net = net
        .name("registry.test", &["192.0.2.1"])
        .name("storage.test", &["192.0.2.2"])
        .host("192.0.2.2:80", move |socket| seen.clone().answer(socket, THERE));
    let builder = plain(&net).header("X-Gate", "canary").header("x-gate", "canary2");
    assert!(!format!("{builder:?}").contains("canary"));
    let remote = builder.build().unwrap();
    ask(&remote).await.unwrap();
    let head = &heads.all()[0];
    assert!(head.contains("x-gate: canary\r\n") && head.contains("x-gate: canary2\r\n"), "{head}");
    assert_eq!(storage.all().len(), 1);
    assert!(!storage.all()[0].contains("canary"), "{:?}", storage.all());
    assert!(!format!("{remote:?}").contains("canary"));
    let own = plain(&net).header("Authorization", "canary").build().unwrap_err();
    assert_eq!(own.kind(), ErrorKind::Config);
}
