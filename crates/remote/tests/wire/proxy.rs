//! Row A18: what is said to a proxy, what it never learns, and what becomes of a registry behind one that fails.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Retry};
use gantri_remote::{Pem, PlainHttp, Proxies, Proxy, Remote, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::{Authority, Heads, Net, Socket, THERE, ask, shown};

const PROXY: &str = "10.9.9.9:3128";

fn through(proxy: &str) -> Arc<Proxies> {
    Arc::new(Proxies::default().all(&proxy.parse::<Proxy>().unwrap()))
}

/// Takes a `CONNECT`, and is the registry from then on.
async fn connect(heads: Heads, registry: Heads, tls: tokio_rustls::TlsAcceptor, mut socket: Socket) {
    if heads.read(&mut socket).await.is_none() {
        return;
    }
    socket.write_all(b"HTTP/1.1 200 Connection established\r\nx-proxy: 1\r\n\r\n").await.unwrap();
    if let Ok(secured) = tls.accept(socket).await {
        registry.answer(Box::new(secured), THERE).await;
    }
}

/// The proxy learns a host and a port, and who asks it; the registry does not learn the latter; nothing is resolved here.
#[tokio::test(start_paused = true)]
async fn https_goes_through_a_tunnel_that_the_proxy_opens() {
    let (authority, proxy, registry) = (Authority::new("private"), Heads::default(), Heads::default());
    let tls = authority.server("registry.test", None);
    let (seen, behind) = (proxy.clone(), registry.clone());
    let net = Net::default()
        .name("proxy.test", &["10.9.9.9"])
        .host(PROXY, move |socket| connect(seen.clone(), behind.clone(), tls.clone(), socket));
    let trusted = Tls::default().roots(&Pem::new("ca", authority.pem())).unwrap();
    let proxies = through("http://me:can%40ry@proxy.test:3128");
    let remote = net.builder("registry.test").tls(trusted).proxies(proxies).build().unwrap();
    assert_eq!(ask(&remote).await.unwrap(), 2);
    assert_eq!(net.log(), ["resolve proxy.test", "dial 10.9.9.9:3128"]);
    let head = &proxy.all()[0];
    assert_eq!(head.lines().next(), Some("CONNECT registry.test:443 HTTP/1.1"));
    assert!(head.contains("proxy-authorization: Basic bWU6Y2FuQHJ5\r\n"), "{head}");
    let head = &registry.all()[0];
    assert!(head.starts_with("HEAD /v2/") && !head.contains("proxy-authorization"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn http_is_handed_to_the_proxy_request_by_request() {
    let heads = Heads::default();
    let seen = heads.clone();
    let net = Net::default().host(PROXY, move |socket| seen.clone().answer(socket, THERE));
    let remote = plain(&net, "http://me:canary@10.9.9.9:3128");
    ask(&remote).await.unwrap();
    ask(&remote).await.unwrap();
    assert_eq!(net.log(), ["dial 10.9.9.9:3128"]);
    for head in heads.all() {
        assert!(head.starts_with("HEAD http://registry.test/v2/"), "{head}");
        assert!(head.contains("proxy-authorization: Basic bWU6Y2FuYXJ5\r\n"), "{head}");
    }
    assert_eq!(heads.all().len(), 2);
}

fn plain(net: &Net, proxy: &str) -> Remote {
    net.builder("registry.test").plain_http(PlainHttp::Always).proxies(through(proxy)).build().unwrap()
}

/// A SOCKS proxy that wants this user and password, if any, notes where it is to connect to, replies, and is the registry
/// from then on.
async fn socks(wants: Option<(&str, &str)>, reply: u8, heads: Heads, mut socket: Socket) -> io::Result<()> {
    let methods = counted(&mut socket, 1).await?;
    if let Some((name, password)) = wants {
        if !methods.contains(&2) {
            return socket.write_all(&[5, 0xff]).await;
        }
        socket.write_all(&[5, 2]).await?;
        let login = (counted(&mut socket, 1).await?, counted(&mut socket, 0).await?);
        let is_known = login == (name.into(), password.into());
        socket.write_all(&[1, u8::from(!is_known)]).await?;
    } else {
        socket.write_all(&[5, 0]).await?;
    }
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => IpAddr::from(read::<4>(&mut socket).await?).to_string(),
        4 => IpAddr::from(read::<16>(&mut socket).await?).to_string(),
        _ => String::from_utf8(counted(&mut socket, 0).await?).unwrap(),
    };
    heads.note(format!("{host} {}", socket.read_u16().await?));
    socket.write_all(&[5, reply, 0, 3, 1, b'x', 0, 0]).await?;
    heads.answer(socket, THERE).await;
    Ok(())
}

/// Bytes behind their count, which some more come before.
async fn counted(socket: &mut Socket, before: usize) -> io::Result<Vec<u8>> {
    for _ in 0..before {
        socket.read_u8().await?;
    }
    let mut bytes = vec![0; socket.read_u8().await?.into()];
    socket.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn read<const N: usize>(socket: &mut Socket) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    socket.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn behind_socks(wants: Option<(&'static str, &'static str)>, reply: u8) -> (Net, Heads) {
    let heads = Heads::default();
    let seen = heads.clone();
    let net = Net::default().name("registry.test", &["10.0.0.1"]).host(PROXY, move |socket| {
        let heads = seen.clone();
        async move { drop(socks(wants, reply, heads, socket).await) }
    });
    (net, heads)
}

/// With `socks5h` the proxy resolves, with `socks5` we do, and hold the address to its class (A7).
#[tokio::test(start_paused = true)]
async fn socks_is_told_a_name_or_an_address() {
    let me = Some(("me", "canary"));
    for (proxy, wants, asked, dialled) in [
        ("socks5h://10.9.9.9:3128", None, "registry.test 80", &["dial 10.9.9.9:3128"][..]),
        ("socks5h://me:canary@10.9.9.9:3128", me, "registry.test 80", &["dial 10.9.9.9:3128"]),
        ("socks5h://me:canary@10.9.9.9:3128", None, "registry.test 80", &["dial 10.9.9.9:3128"]),
        ("socks5://10.9.9.9:3128", None, "10.0.0.1 80", &["dial 10.9.9.9:3128", "resolve registry.test"]),
    ] {
        let (net, heads) = behind_socks(wants, 0);
        assert_eq!(ask(&plain(&net, proxy)).await.unwrap(), 2, "{proxy}");
        assert_eq!(net.log(), dialled, "{proxy}");
        assert_eq!(heads.lines()[0], asked, "{proxy}");
        assert!(heads.lines()[1].starts_with("HEAD /v2/"), "{proxy}: a tunnel, and not a proxy's request");
    }
}

fn moved(to: &str) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

/// A7 behind a proxy that resolves: an address in a URL is held to its class, whoever would connect to it.
#[tokio::test(start_paused = true)]
async fn no_proxy_is_asked_for_an_address_that_a_registry_may_not_lead_to() {
    for to in ["http://169.254.169.254/x", "http://10.0.0.1/x", "http://[::1]:1/x"] {
        let heads = Heads::default();
        let seen = heads.clone();
        let net = Net::default().host(PROXY, move |socket| {
            let heads = seen.clone();
            async move { heads.answer(socket, &moved(to)).await }
        });
        let error = ask(&plain(&net, "http://10.9.9.9:3128")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{}", shown(&error));
        assert_eq!(heads.all().len(), 1, "{to}");
    }
}

/// A7 behind a proxy that does not resolve: a name is held to the class of its address.
#[tokio::test(start_paused = true)]
async fn no_proxy_is_asked_for_a_name_that_leads_inside() {
    let heads = Heads::default();
    let seen = heads.clone();
    let net = Net::default().name("registry.test", &["192.0.2.1"]).name("evil.test", &["169.254.169.254"]).host(
        PROXY,
        move |mut socket| {
            let heads = seen.clone();
            async move {
                let greeted = async {
                    counted(&mut socket, 1).await?;
                    socket.write_all(&[5, 0]).await?;
                    read::<10>(&mut socket).await?;
                    socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await
                };
                if greeted.await.is_ok() {
                    heads.answer(socket, &moved("http://evil.test/x")).await;
                }
            }
        },
    );
    let error = ask(&plain(&net, "socks5://10.9.9.9:3128")).await.unwrap_err();
    assert!(shown(&error).contains("resolves to 169.254.169.254"), "{}", shown(&error));
    assert_eq!(error.kind(), ErrorKind::Protocol, "{}", shown(&error));
    assert_eq!(heads.all().len(), 1);
}

/// What stays on this machine, and what the list names, goes past the proxy.
#[tokio::test(start_paused = true)]
async fn loopback_and_what_the_list_names_go_past_the_proxy() {
    let at = |address: &str| {
        Net::default()
            .name("registry.test", &["10.0.0.1"])
            .host(address, |socket| Heads::default().answer(socket, THERE))
    };
    let proxies = || Proxies::default().all(&"http://10.9.9.9:3128".parse().unwrap());
    let net = at("127.0.0.1:5000");
    let remote = net.builder("127.0.0.1:5000").proxies(Arc::new(proxies())).build().unwrap();
    ask(&remote).await.unwrap();
    assert_eq!(net.log(), ["dial 127.0.0.1:5000"]);

    let net = at(PROXY);
    let remote = net.builder("127.0.0.1:5000").proxies(Arc::new(proxies().loopback_too())).build().unwrap();
    ask(&remote).await.unwrap();
    assert_eq!(net.log(), ["dial 10.9.9.9:3128"]);

    let net = at("10.0.0.1:80");
    let except = Arc::new(proxies().except("other.test,registry.test:80").unwrap());
    let remote = net.builder("registry.test").plain_http(PlainHttp::Always).proxies(except).build().unwrap();
    ask(&remote).await.unwrap();
    assert_eq!(net.log(), ["resolve registry.test", "dial 10.0.0.1:80"]);
}

/// A proxy that fails is named, with what it did and without its password, and it is not the registry that failed.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_fails_is_named_and_not_the_registry_blamed() {
    const DENIED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    const BROKEN: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
    const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    const NO_HTTP: &str = "SSH-2.0-OpenSSH\r\n\r\n";
    let cases = [
        ("https", Some(DENIED), ErrorKind::Connect, Retry::Never, "does not serve who asks"),
        ("http", Some(DENIED), ErrorKind::Connect, Retry::Never, "does not serve who asks"),
        ("https", Some(FORBIDDEN), ErrorKind::Connect, Retry::Never, "403 Forbidden"),
        ("https", Some(BROKEN), ErrorKind::Connect, Retry::Backoff, "502 Bad Gateway"),
        ("https", Some(NO_HTTP), ErrorKind::Connect, Retry::Backoff, "HTTP"),
        ("https", Some(""), ErrorKind::Connect, Retry::Backoff, "connection closed"),
        ("https", None, ErrorKind::Timeout, Retry::Backoff, "within 10s"),
    ];
    for (scheme, answer, kind, retry, what) in cases {
        let net = Net::default().host(PROXY, move |mut socket| async move {
            Heads::default().read(&mut socket).await;
            match answer {
                Some(answer) => drop(socket.write_all(answer.as_bytes()).await),
                None => std::future::pending().await,
            }
        });
        let plain_http = if scheme == "http" { PlainHttp::Always } else { PlainHttp::Auto };
        let proxies = through("http://me:canary@10.9.9.9:3128");
        let remote = net.builder("registry.test").plain_http(plain_http).proxies(proxies).build().unwrap();
        expect(&ask(&remote).await.unwrap_err(), kind, retry, what);
        assert!(!format!("{remote:?}").contains("canary"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_out_of_reach_and_one_that_refuses_in_socks_are_named_too() {
    let nobody = Net::default();
    let error = ask(&plain(&nobody, "http://10.9.9.9:3128")).await.unwrap_err();
    expect(&error, ErrorKind::Connect, Retry::Backoff, "10.9.9.9:3128: connection refused");
    let error = ask(&plain(&nobody, "http://proxy.test:3128")).await.unwrap_err();
    assert!(shown(&error).contains("proxy http://proxy.test:3128: no connection"), "{}", shown(&error));

    let cases = [
        (Some(("me", "another")), 0, Retry::Never, "does not serve who asks"),
        (None, 2, Retry::Never, "its rules forbid"),
        (None, 5, Retry::Backoff, "its connection was refused"),
    ];
    for (wants, reply, retry, what) in cases {
        let (net, _) = behind_socks(wants, reply);
        let error = ask(&plain(&net, "socks5h://me:canary@10.9.9.9:3128")).await.unwrap_err();
        expect(&error, ErrorKind::Connect, retry, what);
    }
    let (net, _) = behind_socks(Some(("me", "canary")), 0);
    let error = ask(&plain(&net, "socks5h://10.9.9.9:3128")).await.unwrap_err();
    expect(&error, ErrorKind::Connect, Retry::Never, "does not serve who asks");
}

fn expect(error: &Error, kind: ErrorKind, retry: Retry, what: &str) {
    let shown = shown(error);
    assert_eq!((error.kind(), error.retry()), (kind, retry), "{shown}");
    assert!(shown.contains("//10.9.9.9:3128") && shown.contains(what), "{what}: {shown}");
    assert!(!format!("{shown}{error:?}{:?}", error.hint()).contains("canary"), "{error:?}");
}

/// A proxy may want TLS for itself: it is held to the roots, and never shown who the user is to the registry.
#[tokio::test(start_paused = true)]
async fn a_proxy_with_tls_of_its_own() {
    let (authority, clients, proxy, registry) =
        (Authority::new("private"), Authority::new("clients"), Heads::default(), Heads::default());
    let outer = authority.server("proxy.test", Some(&clients));
    let inner = authority.server("registry.test", None);
    let (seen, behind) = (proxy.clone(), registry.clone());
    let net = Net::default().name("proxy.test", &["10.9.9.9"]).host("10.9.9.9:443", move |socket| {
        let (seen, behind, outer, inner) = (seen.clone(), behind.clone(), outer.clone(), inner.clone());
        async move {
            let Ok(secured) = outer.accept(socket).await else { return };
            assert!(secured.get_ref().1.peer_certificates().is_none(), "who the user is, is not the proxy's to know");
            connect(seen, behind, inner, Box::new(secured)).await;
        }
    });
    let (certificate, key) = clients.issue("me");
    let tls = Tls::default().roots(&Pem::new("ca", authority.pem())).unwrap();
    let tls = tls.identity(&Pem::new("me.crt", certificate), &Pem::new("me.key", key)).unwrap();
    let remote = |tls| net.builder("registry.test").tls(tls).proxies(through("https://proxy.test")).build().unwrap();
    assert_eq!(ask(&remote(tls.clone())).await.unwrap(), 2);
    assert_eq!((proxy.all().len(), registry.all().len()), (1, 1));
    // Whoever accepts anything from the registry does not accept anything from a proxy.
    let error = ask(&remote(Tls::default().danger_accept_any_certificate())).await.unwrap_err();
    assert!(shown(&error).contains("proxy https://proxy.test:443"), "{}", shown(&error));
    assert_eq!((proxy.all().len(), registry.all().len()), (1, 1));
}
