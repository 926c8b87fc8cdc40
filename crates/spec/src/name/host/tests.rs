use super::*;

#[test]
fn a_host_is_read_into_name_and_port() {
    // text, canonical, name, port
    let cases = [
        ("localhost", "localhost", "localhost", None),
        ("localhost:5000", "localhost:5000", "localhost", Some(5000)),
        ("ghcr.io", "ghcr.io", "ghcr.io", None),
        ("Registry.Example.COM:443", "registry.example.com:443", "registry.example.com", Some(443)),
        ("a-b.c--d.xn--e", "a-b.c--d.xn--e", "a-b.c--d.xn--e", None),
        ("127.0.0.1:65535", "127.0.0.1:65535", "127.0.0.1", Some(65535)),
        ("[::1]", "[::1]", "::1", None),
        ("[::1]:5000", "[::1]:5000", "::1", Some(5000)),
        ("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80", "2001:db8::1", Some(80)),
        ("[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", None),
        ("host:0080", "host:80", "host", Some(80)),
    ];
    for (text, canonical, name, port) in cases {
        let host: Host = text.parse().unwrap();
        assert_eq!((host.as_str(), host.name(), host.port()), (canonical, name, port), "{text}");
        assert_eq!(host.authority(), canonical, "{text}");
        assert_eq!(canonical.parse(), Ok(host), "{text}");
    }
}

#[test]
fn what_is_no_host_is_refused_at_the_first_bad_byte() {
    let cases = [
        ("", 0),
        (".", 0),
        ("a..b", 2),
        ("a.", 2),
        ("-a", 0),
        ("a.b-", 3),
        ("a_b", 1),
        ("a b", 1),
        ("a/b", 1),
        ("user@host", 4),
        ("b\u{fc}cher", 1),
        ("a:", 2),
        ("a:x", 2),
        ("a:8x", 3),
        ("a:0", 2),
        ("a:65536", 2),
        ("a:1:2", 3),
        ("::1", 0),
        ("[::1", 4),
        ("[]", 1),
        ("[1.2.3.4]", 1),
        ("[fe80::1%eth0]", 1),
        ("[::1]5", 5),
        ("[::1]:", 6),
        ("https://ghcr.io", 5),
    ];
    for (text, offset) in cases {
        let error = text.parse::<Host>().unwrap_err();
        assert_eq!(error.offset(), offset, "{text:?}: {error}");
    }
    assert!("a".repeat(255).parse::<Host>().is_ok());
    assert_eq!("a".repeat(256).parse::<Host>().unwrap_err().offset(), 255);
}

#[test]
fn a_scheme_is_refused_with_what_was_meant() {
    let error = "https://ghcr.io".parse::<Host>().unwrap_err();
    assert!(error.to_string().ends_with("did you mean \"ghcr.io\"?"), "{error}");
}

#[test]
fn docker_hub_has_one_name() {
    for alias in ["docker.io", "Docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"] {
        let host: Host = alias.parse().unwrap();
        assert_eq!(host, Host::docker_hub(), "{alias}");
        assert!(host.is_docker_hub());
        assert_eq!((host.as_str(), host.authority()), ("docker.io", "registry-1.docker.io"));
    }
}

/// A15: what only looks like a host is another host, with credentials of its own.
#[test]
fn look_alikes_are_other_hosts() {
    let look_alikes = [
        "docker.io.evil.net",
        "evil-docker.io",
        "evil.docker.io",
        "index.docker.io.evil.net",
        "xindex.docker.io",
        "registry-1.docker.io:443",
        "docker.io:443",
        "index.docker.io:80",
        "registry-2.docker.io",
        "hub.docker.com",
        "registry.hub.docker.com.evil.net",
        "docker.com",
        "dockerxio",
        "docker.i0",
        "docker-io",
        "dockerio",
        "io.docker",
        "docker",
        "d0cker.io",
        "127.0.0.1",
    ];
    for text in look_alikes {
        let host: Host = text.parse().unwrap();
        assert!(!host.is_docker_hub(), "{text}");
        assert_ne!(host, Host::docker_hub(), "{text}");
        assert_eq!(host.authority(), text);
    }
}

#[test]
fn loopback_is_what_stays_on_this_machine() {
    let cases = [
        ("localhost", true),
        ("LOCALHOST:5000", true),
        ("a.localhost", true),
        ("127.0.0.1:80", true),
        ("127.255.0.9", true),
        ("[::1]:5000", true),
        ("[::ffff:127.0.0.1]", true),
        ("notlocalhost", false),
        ("localhost.evil.net", false),
        ("127.evil.net", false),
        ("127.0.0.1.evil.net", false),
        ("127.1", false),
        ("128.0.0.1", false),
        ("0.0.0.0", false),
        ("10.0.0.1", false),
        ("[::]", false),
        ("[::2]", false),
        ("[fe80::1]", false),
        ("docker.io", false),
    ];
    for (text, loopback) in cases {
        assert_eq!(text.parse::<Host>().unwrap().is_loopback(), loopback, "{text}");
    }
}
