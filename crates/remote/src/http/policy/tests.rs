use super::*;

fn supplier(origin: &str) -> Supplier {
    let origin = Url::parse(origin).unwrap();
    Supplier { side: Arc::new(Side::told_by(&origin)), origin, realms: Vec::new(), strict_realm: false }
}

fn decide(purpose: Purpose, registry: &str, to: &str) -> Result<Admitted, Refusal> {
    let supplier = supplier(registry);
    let to = supplier.origin.join(to).unwrap();
    outbound_policy(purpose, &supplier, supplier.speaker(), to)
}

fn hop(url: &Url) -> Speaker<'_> {
    Speaker { url, outside: false }
}

/// A2: the token servers that registries name, and may not name.
#[test]
fn realms() {
    use AddressClass::{Loopback, Never, Private};
    use Refusal::{Address, Fragment, NoHost, NotHttp, PlainHttp, UserInfo};
    const PUBLIC: &str = "https://registry.test";
    const LOOPBACK: &str = "http://127.0.0.1:5000";
    const INSIDE: &str = "https://10.0.0.5:5000";
    let cases: &[(&str, &str, Option<Refusal>)] = &[
        // Other hosts are common: Docker Hub, GitLab.
        (PUBLIC, "https://registry.test/token", None),
        (PUBLIC, "https://auth.docker.io/token", None),
        (PUBLIC, "https://gitlab.test:8443/jwt/auth?x=y", None),
        (PUBLIC, "https://93.184.216.34/token", None),
        (PUBLIC, "https://[2606:2800:220:1::1]/token", None),
        (PUBLIC, "/token", None),
        (PUBLIC, "//auth.test/token", None),
        // Schemes.
        (PUBLIC, "http://registry.test/token", Some(PlainHttp)),
        (PUBLIC, "http://auth.test/token", Some(PlainHttp)),
        (PUBLIC, "http://127.0.0.1/token", Some(PlainHttp)),
        (PUBLIC, "ftp://auth.test/token", Some(NotHttp)),
        (PUBLIC, "file:///etc/passwd", Some(NotHttp)),
        (PUBLIC, "data:text/plain,{}", Some(NotHttp)),
        (PUBLIC, "javascript:0", Some(NotHttp)),
        (PUBLIC, "gopher://auth.test/", Some(NotHttp)),
        (PUBLIC, "unix:///var/run/docker.sock", Some(NotHttp)),
        // Secrets and fragments.
        (PUBLIC, "https://me:pw@auth.test/token", Some(UserInfo)),
        (PUBLIC, "https://registry.test@evil.test/token", Some(UserInfo)),
        (PUBLIC, "https://:pw@auth.test/token", Some(UserInfo)),
        (PUBLIC, "https://auth.test/token#x", Some(Fragment)),
        // Addresses, however they are written.
        (PUBLIC, "https://127.0.0.1/token", Some(Address(Loopback))),
        (PUBLIC, "https://127.1/token", Some(Address(Loopback))),
        (PUBLIC, "https://2130706433/token", Some(Address(Loopback))),
        (PUBLIC, "https://0x7f000001/token", Some(Address(Loopback))),
        (PUBLIC, "https://0177.0.0.1/token", Some(Address(Loopback))),
        (PUBLIC, "https://%31%32%37.0.0.1/token", Some(Address(Loopback))),
        (PUBLIC, "https://１２７.0.0.1/token", Some(Address(Loopback))),
        (PUBLIC, "https://[::1]/token", Some(Address(Loopback))),
        (PUBLIC, "https://[::ffff:127.0.0.1]/token", Some(Address(Loopback))),
        (PUBLIC, "https://[64:ff9b::127.0.0.1]/token", Some(Address(Loopback))),
        (PUBLIC, "https://localhost/token", Some(Address(Loopback))),
        (PUBLIC, "https://LOCALHOST./token", Some(Address(Loopback))),
        (PUBLIC, "https://a.localhost/token", Some(Address(Loopback))),
        (PUBLIC, "https://10.0.0.1/token", Some(Address(Private))),
        (PUBLIC, "https://172.16.0.1/token", Some(Address(Private))),
        (PUBLIC, "https://172.31.255.255/token", Some(Address(Private))),
        (PUBLIC, "https://172.32.0.1/token", None),
        (PUBLIC, "https://192.168.0.1/token", Some(Address(Private))),
        (PUBLIC, "https://100.64.0.1/token", Some(Address(Private))),
        (PUBLIC, "https://[fd12:3456::1]/token", Some(Address(Private))),
        (PUBLIC, "https://[2002:a00:1::]/token", Some(Address(Private))),
        (PUBLIC, "https://0.0.0.0/token", Some(Address(Loopback))),
        (PUBLIC, "https://[::]/token", Some(Address(Loopback))),
        (PUBLIC, "https://0.0.0.1/token", Some(Address(Never))),
        (PUBLIC, "https://169.254.169.254/token", Some(Address(Never))),
        (PUBLIC, "https://[::ffff:169.254.169.254]/token", Some(Address(Never))),
        (PUBLIC, "https://[fe80::1]/token", Some(Address(Never))),
        (PUBLIC, "https://[fd00:ec2::254]/token", Some(Address(Never))),
        (PUBLIC, "https://100.100.100.200/token", Some(Address(Never))),
        (PUBLIC, "https://255.255.255.255/token", Some(Address(Never))),
        (PUBLIC, "https://[ff02::1]/token", Some(Address(Never))),
        // A registry inside may have its token server beside it, and nowhere further inside.
        (LOOPBACK, "http://127.0.0.1:5000/token", None),
        (LOOPBACK, "http://127.0.0.1:5001/token", None),
        (LOOPBACK, "http://localhost:5000/token", None),
        (LOOPBACK, "http://10.0.0.1/token", Some(Address(Private))),
        (LOOPBACK, "http://169.254.169.254/token", Some(Address(Never))),
        (LOOPBACK, "http://auth.test/token", None),
        (LOOPBACK, "https://auth.test/token", None),
        (INSIDE, "https://10.0.0.5:5000/token", None),
        (INSIDE, "http://10.0.0.5:5000/token", Some(PlainHttp)),
        (INSIDE, "https://10.0.0.5/token", None),
        (INSIDE, "https://10.0.0.6:5000/token", None),
        (INSIDE, "https://[fd12:3456::1]/token", None),
        (INSIDE, "https://127.0.0.1/token", Some(Address(Loopback))),
        (INSIDE, "https://169.254.169.254/token", Some(Address(Never))),
        (INSIDE, "https://[fd00:ec2::254]/token", Some(Address(Never))),
    ];
    for (registry, realm, expected) in cases {
        let decided = decide(Purpose::Realm, registry, realm).err();
        assert_eq!(decided, *expected, "{realm} of {registry}");
    }
    assert!(matches!(decide(Purpose::Realm, PUBLIC, "https:/token"), Ok(_) | Err(NoHost)));
}

/// A2: strictness leaves the registry's own host, the pairs that everybody knows, and what the user listed.
#[test]
fn strict_realms() {
    use Refusal::{Address, PlainHttp, Unlisted};
    const HUB: &str = "https://registry-1.docker.io";
    type Case<'a> = (&'a str, &'a [&'a str], &'a str, Result<Destination, Refusal>);
    let cases: &[Case<'_>] = &[
        ("https://registry.test", &[], "https://registry.test/token", Ok(Destination::Registry)),
        ("https://registry.test", &[], "https://registry.test:8443/token", Ok(Destination::Foreign)),
        ("https://registry.test", &[], "http://registry.test/token", Err(PlainHttp)),
        ("https://registry.test", &[], "https://auth.registry.test/token", Err(Unlisted)),
        ("https://registry.test", &[], "https://registry.test.evil.test/token", Err(Unlisted)),
        ("https://registry.test", &[], "https://auth.docker.io/token", Err(Unlisted)),
        ("https://registry.test", &[], "https://10.0.0.1/token", Err(Unlisted)),
        ("https://registry.test", &["auth.test"], "https://auth.test/token", Ok(Destination::Trusted)),
        ("https://registry.test", &["auth.test"], "https://auth.test:8443/token", Ok(Destination::Trusted)),
        ("https://registry.test", &["auth.test:443"], "https://auth.test:8443/token", Err(Unlisted)),
        ("https://registry.test", &["10.0.0.1"], "https://10.0.0.1/token", Ok(Destination::Trusted)),
        ("https://registry.test", &["169.254.1.1"], "https://169.254.1.1/token", Err(Unlisted)),
        ("https://10.0.0.5:5000", &[], "https://10.0.0.5/token", Ok(Destination::Foreign)),
        ("https://10.0.0.5:5000", &[], "https://10.0.0.6/token", Err(Unlisted)),
        (HUB, &[], "https://auth.docker.io/token", Ok(Destination::Foreign)),
        (HUB, &[], "https://auth.docker.io:8443/token", Err(Unlisted)),
        (HUB, &[], "https://auth.docker.io.evil.test/token", Err(Unlisted)),
        ("https://registry.gitlab.com", &[], "https://gitlab.com/jwt/auth", Ok(Destination::Foreign)),
    ];
    for (registry, listed, realm, expected) in cases {
        let mut supplier = supplier(registry);
        supplier.strict_realm = true;
        supplier.realms = listed.iter().map(|host| host.parse().unwrap()).collect();
        let decided = outbound_policy(Purpose::Realm, &supplier, supplier.speaker(), Url::parse(realm).unwrap());
        assert_eq!(decided.map(|admitted| admitted.destination), *expected, "{realm} of {registry}");
    }
    // Strictness is about token servers alone, and an address inside stays out of reach without it too.
    assert!(decide(Purpose::Redirect, "https://registry.test", "https://cdn.test/").is_ok());
    let inside = decide(Purpose::Realm, "https://registry.test", "https://10.0.0.1/");
    assert_eq!(inside.unwrap_err(), Address(AddressClass::Private));
}

/// A3: a token server leads only to itself.
#[test]
fn redirects_of_token_servers() {
    let supplier = supplier("https://registry.test");
    let from = Url::parse("https://auth.test/token").unwrap();
    let cases = [
        ("/other", None),
        ("https://auth.test/other#x", None),
        ("https://me:pw@auth.test/other", Some(Refusal::UserInfo)),
        ("https://auth.test:8443/other", Some(Refusal::OtherOrigin)),
        ("http://auth.test/other", Some(Refusal::OtherOrigin)),
        ("https://registry.test/other", Some(Refusal::OtherOrigin)),
        ("//evil.test/other", Some(Refusal::OtherOrigin)),
        ("file:///etc/passwd", Some(Refusal::NotHttp)),
    ];
    for (to, expected) in cases {
        let decided = outbound_policy(Purpose::RealmRedirect, &supplier, hop(&from), from.join(to).unwrap());
        assert_eq!(decided.err(), expected, "{to}");
    }
}

/// Every range that is not the public internet, and its neighbours that are.
#[rustfmt::skip]
const CLASSES: &[(AddressClass, &[&str])] = &[
    (AddressClass::Public, &[
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
        "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111",
        "::ffff:1.1.1.1", "::1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1", "2001:0:1:2:3:4:fefe:fefe",
        "2001:4860::8888", "64:ff9c::10.0.0.1",
    ]),
    (AddressClass::Private, &[
        "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "100.64.0.0",
        "100.127.255.255", "198.18.0.0", "198.19.255.255", "fc00::", "fdff::1", "fec0::1", "fd00:ec3::254",
        "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "::10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1",
        "64:ff9b:1:a00:0:100::", "2002:c0a8:1::", "2001:0:1:2:3:4:f5ff:fffe",
    ]),
    (AddressClass::Loopback, &[
        "127.0.0.0", "127.255.255.255", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
        "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2001:0:1:2:3:4:80ff:fffe",
    ]),
    (AddressClass::Never, &[
        "0.0.0.1", "0.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255",
        "100.100.100.200", "192.0.0.0", "192.0.0.192", "168.63.129.16", "224.0.0.1", "239.255.255.255", "240.0.0.0",
        "255.255.255.255", "fe80::1", "febf::1", "ff02::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
        "fd00:c1::a9fe:a9fe", "fd00:42::42", "100::1", "::ffff:169.254.169.254", "::ffff:0:169.254.169.254",
        "::169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::", "2001:0:1:2:3:4:5601:5601",
    ]),
];

/// A7.
#[test]
fn classes_of_addresses() {
    for (class, addresses) in CLASSES {
        for address in *addresses {
            assert_eq!(AddressClass::of(address.parse().unwrap()), *class, "{address}");
        }
    }
}

/// A4, A7: what may be reached by redirect depends on where the registry stands.
#[test]
fn redirects() {
    let cases = [
        ("https://registry.test", "https://cdn.test/x", true),
        ("https://registry.test", "http://cdn.test/x", false),
        ("http://registry.test", "http://cdn.test/x", true),
        ("https://registry.test", "https://10.0.0.1/x", false),
        ("https://10.0.0.1", "https://10.0.0.2/x", true),
        ("https://10.0.0.1", "https://192.168.0.1/x", true),
        ("https://10.0.0.1", "https://127.0.0.1/x", false),
        ("http://127.0.0.1:1", "http://127.0.0.1:2/x", true),
        ("http://127.0.0.1:1", "http://localhost:2/x", true),
        ("http://127.0.0.1:1", "http://10.0.0.1/x", false),
        ("http://127.0.0.1:1", "http://169.254.169.254/x", false),
    ];
    for (registry, to, expected) in cases {
        assert_eq!(decide(Purpose::Redirect, registry, to).is_ok(), expected, "{registry} to {to}");
    }
}

/// A7: what stands on the public internet leads nobody inside, although the registry may.
#[test]
fn hops_from_outside() {
    let cases = [
        ("https://10.0.0.2/x", Err(Refusal::Address(AddressClass::Private))),
        ("https://127.0.0.1/x", Err(Refusal::Address(AddressClass::Loopback))),
        ("https://169.254.169.254/x", Err(Refusal::Address(AddressClass::Never))),
        ("https://93.184.216.34/x", Ok(Destination::Outside)),
        ("https://storage.test/x", Ok(Destination::Outside)),
        ("https://10.0.0.1/x", Ok(Destination::Registry)),
    ];
    for (to, expected) in cases {
        for purpose in [Purpose::Redirect, Purpose::Upload] {
            let (supplier, cdn) = (supplier("https://10.0.0.1"), Url::parse("https://cdn.test/").unwrap());
            let from = Speaker { url: &cdn, outside: true };
            let decided = outbound_policy(purpose, &supplier, from, Url::parse(to).unwrap());
            assert_eq!(decided.map(|admitted| admitted.destination), expected, "{to}");
        }
    }
}

/// A13: a hop that came over https does not go on without it, even for a registry without.
#[test]
fn a_hop_is_held_to_the_scheme_before_it() {
    let supplier = supplier("http://registry.test");
    let from = Url::parse("https://cdn.test/x").unwrap();
    let to = Url::parse("http://cdn.test/y").unwrap();
    let decided = outbound_policy(Purpose::Redirect, &supplier, hop(&from), to);
    assert_eq!(decided.unwrap_err(), Refusal::PlainHttp);
}

/// A6: a listing goes on at its registry or nowhere.
#[test]
fn next_pages() {
    let cases = [
        ("/v2/x?last=y", true),
        ("?last=y", true),
        ("https://registry.test:443/v2/x", true),
        ("https://registry.test:444/v2/x", false),
        ("http://registry.test/v2/x", false),
        ("https://other.test/v2/x", false),
        ("//other.test/v2/x", false),
    ];
    for (to, expected) in cases {
        assert_eq!(decide(Purpose::NextPage, "https://registry.test", to).is_ok(), expected, "{to}");
    }
}

/// A5: the one fault that is put right, and its look-alikes that are not.
#[test]
fn a_proxys_fault_is_put_right_only_for_the_very_host() {
    let cases = [
        ("https://registry.test", "http://registry.test/u", Some("https://registry.test/u")),
        ("https://registry.test:8443", "https://registry.test/u", Some("https://registry.test:8443/u")),
        ("https://registry.test:8443", "http://registry.test/u", Some("https://registry.test:8443/u")),
        ("http://registry.test:5000", "http://registry.test/u", Some("http://registry.test:5000/u")),
        ("https://registry.test", "http://other.test/u", None),
        ("https://registry.test", "http://registry.test.evil.test/u", None),
    ];
    for (registry, to, expected) in cases {
        let decided = decide(Purpose::Upload, registry, to);
        assert_eq!(decided.ok().map(|admitted| admitted.url.to_string()).as_deref(), expected, "{to} of {registry}");
    }
    let other = decide(Purpose::Upload, "https://registry.test", "https://other.test/u").unwrap();
    assert_eq!(other.destination, Destination::Foreign);
}
