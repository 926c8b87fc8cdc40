use std::collections::HashMap;

use super::*;

/// What the environment says, and where plain and secure requests go.
type Case<'a> = (&'a [(&'a str, &'a str)], [Option<&'a str>; 2]);

fn goes(proxies: &Proxies, url: &str) -> Option<String> {
    proxies.proxy_for(&url.parse().unwrap()).map(ToString::to_string)
}

fn from(variables: &[(&str, &str)]) -> Result<Proxies> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Proxies::from_variables(|name| variables.get(name).map(ToString::to_string))
}

#[test]
fn a_proxy_is_told_as_a_url() {
    for (text, expected, user) in [
        ("http://proxy.test:3128", "http://proxy.test:3128", None),
        ("proxy.test:3128", "http://proxy.test:3128", None),
        (" proxy.test ", "http://proxy.test:80", None),
        ("https://proxy.test/", "https://proxy.test:443", None),
        ("socks5://10.0.0.1", "socks5://10.0.0.1:1080", None),
        ("socks5h://[fd00::1]:9", "socks5h://[fd00::1]:9", None),
        ("http://me:p%40ss:word@proxy.test", "http://proxy.test:80", Some(("me", "p@ss:word"))),
        ("socks5h://me@proxy.test", "socks5h://proxy.test:1080", Some(("me", ""))),
    ] {
        let proxy: Proxy = text.parse().unwrap();
        assert_eq!(proxy.to_string(), expected, "{text}");
        assert_eq!(proxy.user, user.map(|(name, password)| (name.into(), password.into())), "{text}");
    }
}

/// A16: neither a proxy nor what is wrong with one shows its password.
#[test]
fn a_proxys_password_is_never_shown() {
    let proxy: Proxy = "http://me:canary@proxy.test:3128".parse().unwrap();
    let proxies = Proxies::default().all(&proxy);
    assert!(!format!("{proxy} {proxy:?} {proxies:?} {:?}", proxy.authorization()).contains("canary"));
    assert_eq!(proxy.authorization().unwrap(), "Basic bWU6Y2FuYXJ5");
    for text in [
        "ftp://me:canary@proxy.test",
        "http://me:canary@",
        "http://me:canary@proxy.test:99999",
        "http://me:canary%0d%0ax@proxy.test",
        "http://me:canary%ff@proxy.test",
        "socks4://me:canary@proxy.test",
        "",
    ] {
        let error = text.parse::<Proxy>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn variables_are_read_in_both_cases_and_a_bad_one_is_an_error() {
    let both = ["http://a.test/", "https://a.test/"];
    let cases: &[Case<'_>] = &[
        (&[], [None, None]),
        (&[("HTTP_PROXY", "p:1")], [Some("http://p:1"), None]),
        (&[("http_proxy", "p:1"), ("https_proxy", "q:2")], [Some("http://p:1"), Some("http://q:2")]),
        (&[("HTTPS_PROXY", "p:1"), ("https_proxy", "q:2")], [None, Some("http://p:1")]),
        (&[("HTTPS_PROXY", ""), ("https_proxy", "q:2")], [None, Some("http://q:2")]),
        (&[("ALL_PROXY", "socks5h://p:1"), ("https_proxy", "q:2")], [Some("socks5h://p:1"), Some("http://q:2")]),
        (&[("all_proxy", "p:1"), ("NO_PROXY", "a.test")], [None, None]),
        (&[("all_proxy", "p:1"), ("no_proxy", "a.test:80")], [None, Some("http://p:1")]),
        // A header of that name becomes this variable in a CGI program.
        (&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], [None, None]),
        (&[("http_proxy", "p:1"), ("REQUEST_METHOD", "GET")], [Some("http://p:1"), None]),
    ];
    for (variables, expected) in cases {
        let proxies = from(variables).unwrap();
        assert_eq!(
            both.map(|url| goes(&proxies, url)),
            expected.map(|proxy| proxy.map(str::to_owned)),
            "{variables:?}"
        );
    }
    for (name, value) in [("HTTPS_PROXY", "gopher://me:canary@p"), ("no_proxy", "10.0.0.0/33")] {
        let error = from(&[(name, value)]).unwrap_err();
        assert!(error.to_string().contains(name) && !format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn a_variable_that_is_wrong_is_told_with_what_would_do() {
    let told = |name, value| {
        let error = from(&[(name, value)]).unwrap_err();
        (error.to_string(), error.hint().unwrap_or_default().to_owned())
    };
    let url = "set HTTPS_PROXY to a URL like http://proxy.example:3128, or unset it".to_owned();
    assert_eq!(told("HTTPS_PROXY", "http://"), ("HTTPS_PROXY: proxy: not a URL".to_owned(), url));
    let list = "NO_PROXY holds names, addresses and ranges like 10.0.0.0/8, with commas between";
    for (value, what) in [
        ("10.0.0.0/99", ": a prefix is 0 to 32 bits long"),
        ("fd00::/129", ": a prefix is 0 to 128 bits long"),
        ("a.test/8", ""),
    ] {
        let error = format!("NO_PROXY: no proxy for {value:?}: no range of addresses{what}");
        assert_eq!(told("NO_PROXY", value), (error, list.to_owned()));
    }
}

#[test]
fn a_list_names_what_goes_past() {
    let proxy: Proxy = "http://proxy.test:3128".parse().unwrap();
    for (list, past, through) in [
        ("*", &["a.test", "10.0.0.1"][..], &[][..]),
        ("a.test", &["a.test", "x.a.test", "A.TEST", "a.test."], &["ba.test", "a.test.evil"]),
        (".a.test", &["x.a.test", "y.x.a.test"], &["a.test", "xa.test"]),
        ("*.a.test", &["x.a.test"], &["a.test"]),
        ("a.test:8443", &["a.test:8443"], &["a.test", "a.test:80"]),
        ("a.test:443", &["a.test"], &["a.test:8443"]),
        (
            "10.0.0.0/8, fd00::/8",
            &["10.1.2.3:5000", "[fd00::1]:5000", "[::ffff:10.0.0.1]"],
            &["11.0.0.1", "[fe00::1]", "a.test"],
        ),
        ("10.0.0.1 fd00::1", &["10.0.0.1", "[fd00::1]"], &["10.0.0.2", "[fd00::2]"]),
        ("[fd00::1]:5000", &["[fd00::1]:5000"], &["[fd00::1]"]),
        ("10.0.0.1:5000", &["10.0.0.1:5000"], &["10.0.0.1"]),
        (" , ,", &[], &["a.test"]),
        // What stays on this machine, whatever the list.
        (
            "",
            &["localhost:5000", "x.localhost", "127.8.9.1", "[::1]:1", "[::ffff:127.0.0.1]"],
            &["localhost.test", "0.0.0.0"],
        ),
    ] {
        let proxies = Proxies::default().all(&proxy).except(list).unwrap();
        for host in past {
            assert_eq!(goes(&proxies, &format!("https://{host}/")), None, "{list:?} {host}");
        }
        for host in through {
            assert!(goes(&proxies, &format!("https://{host}/")).is_some(), "{list:?} {host}");
        }
    }
    let told = Proxies::default().all(&proxy).loopback_too();
    assert!(goes(&told, "http://127.0.0.1:5000/").is_some());
}
