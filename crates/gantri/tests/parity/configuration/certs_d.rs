//! containers-certs.d(5), and docker's certificates by host.

use super::*;

/// The example of the manual.
const EXAMPLE: &[(&str, &str)] = &[
    ("my-registry.com:5000/client.cert", "certificate"),
    ("my-registry.com:5000/client.key", "key"),
    ("my-registry.com:5000/ca.crt", "authority"),
    ("my-registry.com:5000/README", "not one of them"),
];

#[test]
fn the_example_of_the_manual_is_an_authority_and_a_client() {
    let dir = dir(EXAMPLE);
    let configuration = Configuration::default().cert_dir(dir.path());
    let certificates = |text: &str| configuration.route(&reference(text)).unwrap().origin.endpoint.certificates;
    let found = certificates("my-registry.com:5000/a");
    let base = dir.path().join("my-registry.com:5000");
    assert_eq!(found.roots[0].value, base.join("ca.crt"));
    assert_eq!(found.roots[0].said.as_ref().unwrap().to_string(), base.join("ca.crt").display().to_string());
    assert_eq!(found.clients[0].value.certificate, base.join("client.cert"));
    assert_eq!(found.clients[0].value.key, base.join("client.key"));
    assert_eq!((found.roots.len(), found.clients.len()), (1, 1));
    // Another port is another host.
    for other in ["my-registry.com/a", "my-registry.com:5001/a", "other.com/a"] {
        let found = certificates(other);
        assert!(found.roots.is_empty() && found.clients.is_empty(), "{other}");
    }
}

/// A mirror has certificates of its own, and none of the origin's.
#[test]
fn each_place_of_a_route_has_its_own() {
    let files = [
        ("certs.d/origin.test/ca.crt", ""),
        ("certs.d/mirror.test/mirror.crt", ""),
        (
            "registries.conf",
            "[[registry]]\nlocation = \"origin.test\"\n[[registry.mirror]]\nlocation = \"mirror.test\"\n",
        ),
    ];
    let dir = dir(&files);
    let configuration = Configuration::default()
        .registries_conf(dir.path().join("registries.conf"))
        .cert_dir(dir.path().join("certs.d"));
    let route = configuration.route(&reference("origin.test/a")).unwrap();
    let names = |stop: &Stop| -> Vec<String> {
        let roots = &stop.endpoint.certificates.roots;
        roots.iter().map(|root| root.value.file_name().unwrap().display().to_string()).collect()
    };
    assert_eq!((names(&route.mirrors[0]), names(&route.origin)), (vec!["mirror.crt".into()], vec!["ca.crt".into()]));
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let cases = [
        (
            "h.test/client.cert",
            "h.test/client.cert: a client certificate without its key; \
             add h.test/client.key; authorities are called *.crt",
        ),
        ("h.test/client.key", "h.test/client.key: a key without its client certificate; add h.test/client.cert"),
    ];
    for (file, expected) in cases {
        let dir = dir(&[(file, "")]);
        let configuration = Configuration::default().cert_dir(dir.path());
        let route = configuration.route(&reference("h.test/a"));
        assert_eq!(refused(route, ErrorKind::Config, dir.path()), expected);
    }
}
