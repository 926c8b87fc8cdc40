//! containers-registries.conf(5), `Short-Name Aliasing`.

use super::*;

fn stands_for(text: &str, name: &str) -> Result<Option<Vec<String>>> {
    let dir = dir(&[("registries.conf", text)]);
    let configuration = Configuration::default().registries_conf(dir.path().join("registries.conf"));
    let found = configuration.short_name(name)?;
    Ok(found.map(|found| found.candidates.iter().map(ToString::to_string).collect()))
}

#[test]
fn an_alias_comes_first_and_then_the_registries_to_search() {
    let text = "unqualified-search-registries = [\"one.test\", \"two.test:5000\"]\n\
        [aliases]\nimage = \"registry.com/namespace/image\"\n\"a/b\" = \"registry.com/ab\"\ngone = \"\"\n";
    let d = format!("@sha256:{}", "0".repeat(64));
    let cases: &[(&str, Option<Vec<String>>)] = &[
        ("image", Some(vec!["registry.com/namespace/image".into()])),
        ("image:v1", Some(vec!["registry.com/namespace/image:v1".into()])),
        (&format!("image{d}"), Some(vec![format!("registry.com/namespace/image{d}")])),
        ("a/b:v1", Some(vec!["registry.com/ab:v1".into()])),
        ("other:v1", Some(vec!["one.test/other:v1".into(), "two.test:5000/other:v1".into()])),
        ("a/c", Some(vec!["one.test/a/c".into(), "two.test:5000/a/c".into()])),
        ("gone", Some(vec!["one.test/gone".into(), "two.test:5000/gone".into()])),
        ("h.test/image", None),
        ("localhost/image", None),
    ];
    for (name, expected) in cases {
        assert_eq!(stands_for(text, name).unwrap(), *expected, "{name}");
    }
}

#[test]
fn without_a_word_about_it_a_short_name_is_dockers() {
    assert_eq!(stands_for("", "alpine:3").unwrap().unwrap(), ["docker.io/library/alpine:3"]);
    assert_eq!(stands_for("unqualified-search-registries = []", "a/b").unwrap().unwrap(), ["docker.io/a/b"]);
    let hub = "unqualified-search-registries = [\"docker.io\"]";
    assert_eq!(stands_for(hub, "alpine").unwrap().unwrap(), ["docker.io/library/alpine"]);
}

/// Nobody is asked here: `enforcing` is what it is where there is no terminal.
#[test]
fn several_registries_are_tried_only_where_that_is_allowed() {
    let several = "unqualified-search-registries = [\"one.test\", \"two.test\"]\n";
    for mode in ["permissive", "disabled"] {
        let text = format!("{several}short-name-mode = \"{mode}\"");
        assert_eq!(stands_for(&text, "a").unwrap().unwrap(), ["one.test/a", "two.test/a"], "{mode}");
    }
    let error = stands_for(&format!("{several}short-name-mode = \"enforcing\""), "a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NameInvalid);
    assert!(error.to_string().starts_with("\"a\": 2 registries may be meant, and short names are enforced"), "{error}");
    assert_eq!(error.hint(), Some("name the registry too, or set an alias in registries.conf"));
    let one = "unqualified-search-registries = [\"one.test\"]\nshort-name-mode = \"enforcing\"";
    assert_eq!(stands_for(one, "a").unwrap().unwrap(), ["one.test/a"]);
}
