//! Row A7 and H22 over the real client: which sockets it opens, and for whom.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::dial::Connection;
use super::*;

/// Answers every request with 204, for ever.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 204 x\r\nconnection: close\r\n\r\n");
        }
    });
    port
}

/// A resolver of the test's own: told the name, and which call it is.
type Addresses = fn(&str, usize) -> &'static [&'static str];

#[derive(Debug)]
struct Played(Addresses, AtomicUsize);

#[async_trait]
impl Resolve for Played {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.0(name, self.1.fetch_add(1, Ordering::SeqCst));
        Ok(found.iter().map(|address| address.parse().unwrap()).collect())
    }
}

fn client(side: &str, addresses: Addresses) -> HyperClient {
    over(side, addresses, None)
}

fn over(side: &str, addresses: Addresses, dialer: Option<Arc<dyn Dial>>) -> HyperClient {
    let side = Arc::new(Side::told_by(&side.parse().unwrap()));
    let resolver = Arc::new(Played(addresses, AtomicUsize::new(0)));
    HyperClient::new(Route { resolver, dialer, ..Route::default() }, &Limits::default(), side)
}

async fn ask(client: &HyperClient, destination: Destination, url: String) -> Result<(), SendErrorKind> {
    let request = http::Request::get(url).extension(destination).body(Body::empty()).unwrap();
    client.send(request).await.map(drop).map_err(|error| error.kind())
}

/// A7: the address that a name resolves to is checked as it is connected to, for every URL that the registry named.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_at_the_socket() {
    let port = server();
    let evil = |_: &str, _| &["127.0.0.1"][..];
    let url = || format!("http://evil.test:{port}/");
    let public = client("https://registry.test", evil);
    assert_eq!(ask(&public, Destination::Foreign, url()).await, Err(SendErrorKind::Forbidden));
    assert_eq!(ask(&public, Destination::Registry, url()).await, Ok(()), "the user may name what he likes");
    assert_eq!(ask(&public, Destination::Foreign, url()).await, Ok(()), "a registry that was found to stand inside");
    let loopback = client("http://localhost:5000", evil);
    assert_eq!(ask(&loopback, Destination::Foreign, url()).await, Ok(()));
}

#[tokio::test]
async fn a_literal_address_is_refused_as_well() {
    let port = server();
    let public = client("https://registry.test", |_, _| &[]);
    let literals = [format!("http://127.0.0.1:{port}/"), "http://169.254.169.254/".into(), "http://[::1]:1/".into()];
    for url in literals {
        assert_eq!(ask(&public, Destination::Foreign, url.clone()).await, Err(SendErrorKind::Forbidden), "{url}");
    }
}

/// A7: a name that is pointed elsewhere between two connections is checked again.
#[tokio::test]
async fn a_name_is_checked_for_every_connection() {
    let port = server();
    let rebinding = client("http://localhost", |_, call| if call == 0 { &["127.0.0.1"] } else { &["169.254.169.254"] });
    let url = || format!("http://evil.test:{port}/");
    assert_eq!(ask(&rebinding, Destination::Foreign, url()).await, Ok(()));
    assert_eq!(ask(&rebinding, Destination::Foreign, url()).await, Err(SendErrorKind::Forbidden));
}

/// H22: a dead address among several does not stand in the way; no address is said to be none.
#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let port = server();
    let several =
        client("http://localhost", |name, _| if name == "none.test" { &[] } else { &["127.0.0.2", "127.0.0.1"] });
    assert_eq!(ask(&several, Destination::Registry, format!("http://some.test:{port}/")).await, Ok(()));
    assert_eq!(ask(&several, Destination::Registry, "http://none.test/".into()).await, Err(SendErrorKind::Resolve));
}
/// A network in memory: whoever is dialled answers 204, but for one address that never does.
#[derive(Debug, Default)]
struct Net(Mutex<Vec<String>>);

const BLACK_HOLE: &str = "192.0.2.66";

#[async_trait]
#[expect(clippy::disallowed_methods, reason = "whoever stands at an address outlives the call")]
impl Dial for Net {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        self.0.lock().unwrap().push(to.to_string());
        if to.ip().to_string() == BLACK_HOLE {
            std::future::pending::<()>().await;
        }
        let (ours, mut theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let _ = theirs.read(&mut [0; 4096]).await;
            let _ = theirs.write_all(b"HTTP/1.1 204 x\r\nconnection: close\r\n\r\n").await;
        });
        Ok(Box::new(ours))
    }
}

/// A7 and "over-correction": a registry inside may lead inside, by name and by address, once it was found to stand there;
/// one outside may not, and nobody may lead to a metadata service. What is noted is the address that was dialled.
#[tokio::test(start_paused = true)]
async fn addresses_of_any_class_are_played_by_a_dialer_and_judged_all_the_same() {
    let inside = |name: &str, _| match name {
        "registry.test" => &["10.0.0.1"][..],
        "storage.test" => &["10.0.0.2"],
        "six.test" => &["fd00::2"],
        "metadata.test" => &["169.254.169.254"],
        _ => &["192.0.2.1"],
    };
    let net = Arc::new(Net::default());
    let client = over("http://registry.test", inside, Some(net.clone()));
    let storage = || ask(&client, Destination::Foreign, "http://storage.test/".into());
    assert_eq!(storage().await, Err(SendErrorKind::Forbidden), "nobody knows yet where the registry stands");
    assert_eq!(ask(&client, Destination::Registry, "http://registry.test:5000/".into()).await, Ok(()));
    assert_eq!(storage().await, Ok(()));
    for (url, expected) in [
        ("http://10.0.0.3:81/", Ok(())),
        ("http://six.test/", Ok(())),
        ("http://public.test/", Ok(())),
        ("http://metadata.test/", Err(SendErrorKind::Forbidden)),
        ("http://169.254.169.254/", Err(SendErrorKind::Forbidden)),
        ("http://127.0.0.1/", Err(SendErrorKind::Forbidden)),
    ] {
        assert_eq!(ask(&client, Destination::Foreign, url.into()).await, expected, "{url}");
    }
    let dialled = ["10.0.0.1:5000", "10.0.0.2:80", "10.0.0.3:81", "[fd00::2]:80", "192.0.2.1:80"];
    assert_eq!(*net.0.lock().unwrap(), dialled);
}

/// H22: where nobody answers, the limit on connecting ends it.
#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_limit_on_connecting() {
    let client = over("http://registry.test", |_, _| &[BLACK_HOLE], Some(Arc::new(Net::default())));
    let started = tokio::time::Instant::now();
    let asked = ask(&client, Destination::Registry, "http://registry.test/".into()).await;
    assert_eq!(asked, Err(SendErrorKind::ConnectTimeout));
    assert_eq!(started.elapsed(), Limits::default().connect);
}

/// A7 behind a proxy: nobody but the proxy is dialled, yet an address in a URL is judged before the proxy hears of it.
#[tokio::test(start_paused = true)]
async fn an_address_is_judged_before_a_proxy_hears_of_it() {
    let net = Arc::new(Net::default());
    let route = Route {
        dialer: Some(Arc::<Net>::clone(&net)),
        proxies: Arc::new(Proxies::default().all(&"http://10.9.9.9:3128".parse().unwrap())),
        ..Route::default()
    };
    let side = Arc::new(Side::told_by(&"http://10.0.0.1".parse().unwrap()));
    let client = HyperClient::new(route, &Limits::default(), side);
    for (destination, url, expected) in [
        (Destination::Foreign, "http://10.0.0.2/", Ok(())),
        (Destination::Foreign, "http://169.254.169.254/", Err(SendErrorKind::Forbidden)),
        (Destination::Outside, "http://10.0.0.2:81/", Err(SendErrorKind::Forbidden)),
        (Destination::Outside, "http://storage.test/", Ok(())),
        (Destination::Registry, "http://10.0.0.1/", Ok(())),
    ] {
        assert_eq!(ask(&client, destination, url.into()).await, expected, "{destination:?} {url}");
    }
    assert_eq!(*net.0.lock().unwrap(), ["10.9.9.9:3128"; 3]);
    assert_eq!(client.side.class(), AddressClass::Private, "what the registry's own address says");
}
