//! containers-registries.conf(5), by its own words.

use super::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn with(text: &str) -> (TempDir, Configuration) {
    let dir = dir(&[("registries.conf", text)]);
    let configuration = Configuration::default().registries_conf(dir.path().join("registries.conf"));
    (dir, configuration)
}

fn route(text: &str, reference: &str) -> Vec<String> {
    read_from(&with(text).1, reference).unwrap()
}

/// The example of the manual, whole.
const EXAMPLE: &str = r#"
unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true

[[registry]]
location = "registry.com"

[[registry.mirror]]
location = "mirror.registry.com"
"#;

#[test]
fn the_example_of_the_manual_leads_where_the_manual_says() {
    let cases: &[(&str, &[&str])] = &[
        (
            "example.com/foo/image:latest",
            &[
                "https example-mirror-0.local/mirror-for-foo/image",
                "either example-mirror-1.local/mirrors/foo/image",
                "https internal-registry-for-example.com/bar/image",
            ],
        ),
        ("registry.com/image:latest", &["https mirror.registry.com/image", "https registry.com/image"]),
        ("example.com/foobar/image", &["https example.com/foobar/image"]),
        ("example.com/image", &["https example.com/image"]),
        ("other.com/foo/image", &["https other.com/foo/image"]),
    ];
    for (reference, expected) in cases {
        assert_eq!(route(EXAMPLE, reference), *expected, "{reference}");
    }
}

#[test]
fn the_longest_prefix_decides_alone() {
    let text = r#"
        [[registry]]
        location = "example.com"
        [[registry.mirror]]
        location = "of-all.test"
        [[registry]]
        prefix = "example.com/a"
        location = "a.test"
        [[registry]]
        prefix = "example.com/a/b"
        location = "b.test/x"
        [[registry]]
        prefix = "*.example.com"
        [[registry.mirror]]
        location = "of-subdomains.test/m"
        [[registry]]
        prefix = "very.special.example.com"
        location = "special.test"
    "#;
    let cases: &[(&str, &[&str])] = &[
        ("example.com/z", &["https of-all.test/z", "https example.com/z"]),
        ("example.com/a/z", &["https a.test/z"]),
        ("example.com/a/b/z:v1", &["https b.test/x/z"]),
        ("example.com/a/b", &["https b.test/x"]),
        ("example.com/ab", &["https of-all.test/ab", "https example.com/ab"]),
        // Any number of subdomains, the name as it is, on any port.
        ("x.example.com/z", &["https of-subdomains.test/m/z", "https x.example.com/z"]),
        ("x.y.example.com:5000/z", &["https of-subdomains.test/m/z", "https x.y.example.com:5000/z"]),
        ("very.special.example.com/z", &["https special.test/z"]),
        ("badexample.com/z", &["https badexample.com/z"]),
        ("example.com.evil.test/z", &["https example.com.evil.test/z"]),
        // A port is part of a host.
        ("example.com:5000/z", &["https example.com:5000/z"]),
    ];
    for (reference, expected) in cases {
        assert_eq!(route(text, reference), *expected, "{reference}");
    }
}

#[test]
fn the_reference_decides_which_mirrors_are_asked() {
    let mirrors = r#"
        [[registry.mirror]]
        location = "all.test"
        pull-from-mirror = "all"
        [[registry.mirror]]
        location = "digests.test"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "tags.test"
        pull-from-mirror = "tag-only"
    "#;
    let text = format!("[[registry]]\nlocation = \"example.com\"\n{mirrors}");
    let by_tag = ["https all.test/z", "https tags.test/z", "https example.com/z"];
    assert_eq!(route(&text, "example.com/z:v1"), by_tag);
    assert_eq!(route(&text, "example.com/z"), by_tag);
    let by_digest = ["https all.test/z", "https digests.test/z", "https example.com/z"];
    assert_eq!(route(&text, &format!("example.com/z@{D}")), by_digest);

    let only = "[[registry]]\nlocation = \"example.com\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"m.test\"";
    assert_eq!(route(only, "example.com/z:v1"), ["https example.com/z"]);
    assert_eq!(route(only, &format!("example.com/z@{D}")), ["https m.test/z", "https example.com/z"]);
}

/// `Normalization of docker.io references`.
#[test]
fn docker_hub_is_matched_by_the_whole_name() {
    let text = r#"
        [[registry]]
        prefix = "docker.io/library"
        location = "docker.io/library"
        [[registry.mirror]]
        location = "library.test"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "hub.test"
    "#;
    assert_eq!(route(text, "alpine"), ["https library.test/alpine", "https docker.io/library/alpine"]);
    assert_eq!(route(text, "docker.io/a/b"), ["https hub.test/a/b", "https docker.io/a/b"]);
    assert_eq!(
        route("[[registry]]\nprefix = \"h.test\"\nlocation = \"docker.io\"", "h.test/alpine"),
        ["https docker.io/library/alpine"]
    );
}

#[test]
fn what_is_written_goes_where_the_name_says() {
    let (_dir, configuration) = with(
        "[[registry]]\nprefix = \"a.test\"\nlocation = \"b.test\"\ninsecure = true\n\
        [[registry.mirror]]\nlocation = \"m.test\"",
    );
    assert_eq!(at(&configuration.target(&reference("a.test/x:v1")).unwrap()), "either a.test/x");
}

#[test]
fn what_is_blocked_is_refused_by_file_and_line() {
    let text = "[[registry]]\nlocation = \"open.test\"\n[[registry.mirror]]\nlocation = \"closed.test/m\"\n\n\
        [[registry]]\nprefix = \"closed.test\"\nlocation = \"closed.test\"\nblocked = true\n\n\
        [[registry]]\nprefix = \"behind.test\"\nlocation = \"closed.test\"\n";
    let (dir, configuration) = with(text);
    let dir = dir.path();
    let hint = format!("whoever administers this machine forbids it; see {}/registries.conf", dir.display());
    let told = |what: &str| {
        format!("{what}: blocked by registries.conf:9; {}", hint.replace(&format!("{}/", dir.display()), ""))
    };
    let read = |text: &str| refused(read_from(&configuration, text), ErrorKind::Denied, dir);
    assert_eq!(read("closed.test/a:v1"), told("closed.test/a:v1"));
    assert_eq!(read("behind.test/a"), told("behind.test/a: its location closed.test"));
    let target = configuration.target(&reference("closed.test/a"));
    assert_eq!(refused(target, ErrorKind::Denied, dir), told("closed.test/a"));
    let host = configuration.registry(&"closed.test".parse().unwrap());
    assert_eq!(refused(host, ErrorKind::Denied, dir), told("closed.test"));
    // A mirror that is closed is no mirror.
    assert_eq!(read_from(&configuration, "open.test/a").unwrap(), ["https open.test/a"]);
}

#[test]
fn what_is_wrong_is_told_in_one_line_with_file_line_and_key() {
    let registry = "[[registry]]\n";
    let cases: &[(&str, &str)] = &[
        ("x = \"", "registries.conf:1: not toml: "),
        ("[[registry]]\nlocation = 3", "registries.conf:2: registry.location: not a string; write it in quotes"),
        (
            "[[registry]]\nlocation = \"h.test\"\ninsecure = \"true\"",
            "registries.conf:3: registry.insecure: not true or false; write true or false, without quotes",
        ),
        (
            "[[registry]]\nlocation = \"https://h.test\"",
            "registries.conf:2: registry.location: \"https://h.test\": a scheme has no place here; \
             write HOST[:PORT][/PATH]; insecure = true allows http",
        ),
        (
            registry,
            "registries.conf:1: registry.prefix: neither this nor location is there; say which names the table is for",
        ),
        (
            "[[registry]]\nprefix = \"h.test/a\"",
            "registries.conf:2: registry.location: is not there, and only a prefix *.HOST does without; \
             say where the names lead; it may be the prefix again",
        ),
        (
            "[[registry]]\nprefix = \"*.h.test/a\"",
            "registries.conf:2: registry.prefix: \"*.h.test/a\": a wildcard stands before a host, without port and path; \
             write *.example.com",
        ),
        (
            "[[registry]]\nlocation = \"h.test\"\n[[registry.mirror]]\ninsecure = true",
            "registries.conf:3: registry.mirror.location: is not there; say where the mirror is",
        ),
        (
            "[[registry]]\nlocation = \"h.test\"\n[[registry.mirror]]\nlocation = \"m.test\"\npull-from-mirror = \"some\"",
            "registries.conf:5: registry.mirror.pull-from-mirror: \"some\" is none of its values; \
             write all, digest-only or tag-only",
        ),
        (
            "[[registry]]\nlocation = \"h.test\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"m.test\"\n\
             pull-from-mirror = \"all\"",
            "registries.conf:6: registry.mirror.pull-from-mirror: can't be said where the registry says \
             mirror-by-digest-only = true; keep one of the two",
        ),
        (
            "[[registry]]\nlocation = \"h.test\"\npull-from-mirror = \"all\"",
            "registries.conf:1: registry.pull-from-mirror: belongs to a mirror; write it below [[registry.mirror]]",
        ),
        (
            "[registries.search]\nregistries = ['registry1.com', 'registry2.com']",
            "registries.conf:1: registries: version 1 of the format, which is not read any more; \
             write [[registry]] tables, containers-registries.conf(5)",
        ),
        (
            "short-name-mode = \"ask\"",
            "registries.conf:1: short-name-mode: \"ask\" is none of its values; write enforcing, permissive or disabled",
        ),
        (
            "[aliases]\n\"a.test/b\" = \"c.test/d\"",
            "registries.conf:2: aliases.a.test/b: not a short name; write a name without host, tag and digest",
        ),
        (
            "[aliases]\nb = \"d\"",
            "registries.conf:2: aliases.b: \"d\": not the full name of a repository; write HOST/NAME, without tag and digest",
        ),
    ];
    for (text, expected) in cases {
        let (dir, configuration) = with(text);
        let told = refused(read_from(&configuration, "h.test/a"), ErrorKind::Config, dir.path());
        assert!(told.starts_with(expected), "{text}\n{told}\n{expected}");
    }
}

/// Neither may make the rest of the file useless: newer versions have keys that this one does not know.
#[test]
fn what_is_left_out_of_account_is_noted() {
    let text = "[[registry]]\nlocation = \"h.test\"\nmirrors = 3\n[[registry]]\nprefix = \"h.test/a:v1\"\nlocation = \"b.test\"\n\
        [[registry]]\nlocation = \"h.test\"\nblocked = true\n";
    let (dir, configuration) = with(text);
    let route = configuration.route(&reference("h.test/a:v1")).unwrap();
    assert_eq!(at(&route.origin), "https h.test/a");
    let notes: Vec<String> =
        route.notes.iter().map(|note| note.replace(&format!("{}/", dir.path().display()), "")).collect();
    assert_eq!(
        notes,
        [
            "registries.conf:3: registry.mirrors: not a key that is known here, ignored",
            "registries.conf:5: registry.prefix: with a tag or digest it holds for nothing, as with podman; ignored",
            "registries.conf:7: registry h.test: a second table for this prefix, ignored",
        ]
    );
}
