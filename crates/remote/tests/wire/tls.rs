//! TLS as the user tells it, against servers with certificates of the test's own: whom is trusted, who is shown to whom, and
//! what is said of a certificate that won't do.

use gantri_core::{ErrorKind, Retry};
use gantri_remote::{Pem, Tls};
use tokio_rustls::TlsAcceptor;

use crate::net::{Authority, Heads, Net, THERE, ask, shown};

/// A registry and its storage, inside one network; the registry leads there.
struct Site {
    net: Net,
    /// Whether whoever came had a certificate, at each connection.
    callers: Heads,
}

const MOVED: &str = "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://storage.test/x\r\ncontent-length: 0\r\n\r\n";

fn site(registry: &TlsAcceptor, storage: &TlsAcceptor, answer: &'static str) -> Site {
    let callers = Heads::default();
    let host = |tls: &TlsAcceptor, name: &'static str, answer: &'static str| {
        let (tls, callers) = (tls.clone(), callers.clone());
        move |socket| {
            let (tls, callers) = (tls.clone(), callers.clone());
            async move {
                let Ok(secured) = tls.accept(socket).await else { return };
                let shown = if secured.get_ref().1.peer_certificates().is_some() { "somebody" } else { "anybody" };
                callers.note(format!("{shown} at {name}"));
                Heads::default().answer(Box::new(secured), answer).await;
            }
        }
    };
    let net = Net::default()
        .name("registry.test", &["10.0.0.1"])
        .name("storage.test", &["10.0.0.2"])
        .host("10.0.0.1:443", host(registry, "registry", answer))
        .host("10.0.0.2:443", host(storage, "storage", THERE));
    Site { net, callers }
}

fn ca(authority: &Authority) -> Pem {
    Pem::new("ca.crt", authority.pem())
}

#[tokio::test(start_paused = true)]
async fn a_private_authority_is_trusted_by_whoever_is_told_to() {
    let (private, other) = (Authority::new("private"), Authority::new("other"));
    let server = private.server("registry.test", None);
    let site = site(&server, &server, THERE);
    let told = |tls| site.net.builder("registry.test").tls(tls).build().unwrap();
    let tls = Tls::default().roots(&ca(&private)).unwrap();
    assert_eq!(ask(&told(tls.clone())).await.unwrap(), 2);
    assert_eq!(ask(&told(tls.clone().without_system_roots())).await.unwrap(), 2);
    assert_eq!(ask(&told(Tls::default().danger_accept_any_certificate())).await.unwrap(), 2);
    let only_other = Tls::default().roots(&ca(&other)).unwrap().without_system_roots();
    for tls in [Tls::default(), only_other] {
        let error = ask(&told(tls)).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Connect, Retry::Never), "{}", shown(&error));
        assert!(shown(&error).contains("its certificate is signed by nobody who is trusted"), "{}", shown(&error));
    }
    let error = ask(&site.net.builder("storage.test").tls(tls).build().unwrap()).await.unwrap_err();
    assert!(shown(&error).contains("its certificate is for registry.test, not for storage.test"), "{}", shown(&error));
}

/// The roots hold where the registry leads, who the user is does not.
#[tokio::test(start_paused = true)]
async fn the_users_certificate_is_shown_to_the_registry_alone() {
    let (private, clients) = (Authority::new("private"), Authority::new("clients"));
    let [registry, storage] = ["registry.test", "storage.test"].map(|name| private.server(name, Some(&clients)));
    let site = site(&registry, &storage, MOVED);
    let (certificate, key) = clients.issue("me");
    let tls = Tls::default().roots(&ca(&private)).unwrap();
    let tls = tls.identity(&Pem::new("me.crt", certificate), &Pem::new("me.key", key)).unwrap();
    assert_eq!(ask(&site.net.builder("registry.test").tls(tls).build().unwrap()).await.unwrap(), 2);
    assert_eq!(site.callers.all(), ["somebody at registry", "anybody at storage"]);
}

/// Whoever accepts any certificate of the registry has said nothing about where it leads.
#[tokio::test(start_paused = true)]
async fn certificates_are_checked_where_the_registry_leads() {
    let private = Authority::new("private");
    let [registry, storage] = ["registry.test", "storage.test"].map(|name| private.server(name, None));
    let site = site(&registry, &storage, MOVED);
    let tls = Tls::default().danger_accept_any_certificate();
    let error = ask(&site.net.builder("registry.test").tls(tls).build().unwrap()).await.unwrap_err();
    assert!(shown(&error).contains("https://storage.test"), "{}", shown(&error));
    assert_eq!(site.callers.all(), ["anybody at registry"]);
}

/// A certificate that won't do is told with its date; so is that the server wants to see one.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_certificate_is_told() {
    let (private, clients, other) = (Authority::new("private"), Authority::new("clients"), Authority::new("other"));
    let trusted = || Tls::default().roots(&ca(&private)).unwrap();
    let (certificate, key) = other.issue("me");
    let me = trusted().identity(&Pem::new("me.crt", certificate), &Pem::new("me.key", key)).unwrap();
    let cases = [
        (private.server_from("registry.test", 2001, 2002), trusted(), "expired on Tue, 01 Jan 2002"),
        (private.server_from("registry.test", 4001, 4002), trusted(), "valid from Mon, 01 Jan 4001"),
        (private.server_asking("registry.test", &clients), trusted(), "shown none"),
        (private.server_asking("registry.test", &clients), me, "does not take the certificate"),
    ];
    for (server, tls, said) in cases {
        let site = site(&server, &server, THERE);
        let error = ask(&site.net.builder("registry.test").tls(tls).build().unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Connect, Retry::Never), "{}", shown(&error));
        assert!(shown(&error).contains(said), "{said}: {}", shown(&error));
        assert!(site.callers.all().is_empty());
    }
}
