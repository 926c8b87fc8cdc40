use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Text, canonical form, familiar form.
const REFERENCES: [(&str, &str, &str); 24] = [
    ("ubuntu", "docker.io/library/ubuntu", "ubuntu"),
    ("ubuntu:24.04", "docker.io/library/ubuntu:24.04", "ubuntu:24.04"),
    ("user/app", "docker.io/user/app", "user/app"),
    ("library/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
    ("docker.io/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
    ("index.docker.io/user/app:v1", "docker.io/user/app:v1", "user/app:v1"),
    ("registry-1.docker.io/library/a", "docker.io/library/a", "a"),
    ("registry.hub.docker.com/a", "docker.io/library/a", "a"),
    ("localhost/a", "localhost/a", "localhost/a"),
    ("localhost:5000/a", "localhost:5000/a", "localhost:5000/a"),
    ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
    ("localhost", "docker.io/library/localhost", "localhost"),
    ("docker.io/localhost/a", "docker.io/localhost/a", "docker.io/localhost/a"),
    ("docker.io/gcr.io/a", "docker.io/gcr.io/a", "docker.io/gcr.io/a"),
    ("ghcr.io/a", "ghcr.io/a", "ghcr.io/a"),
    ("GHCR.io/a/b/c/d:Tag", "ghcr.io/a/b/c/d:Tag", "ghcr.io/a/b/c/d:Tag"),
    ("[::1]:5000/a:b", "[::1]:5000/a:b", "[::1]:5000/a:b"),
    ("[2001:db8::1]/a", "[2001:db8::1]/a", "[2001:db8::1]/a"),
    ("10.0.0.1:80/a", "10.0.0.1:80/a", "10.0.0.1:80/a"),
    ("reg:5000/a__b/c--d.e_f:_x", "reg:5000/a__b/c--d.e_f:_x", "reg:5000/a__b/c--d.e_f:_x"),
    ("abc/def:abc", "docker.io/abc/def:abc", "abc/def:abc"),
    ("a@blake3:Xy", "docker.io/library/a@blake3:Xy", "a@blake3:Xy"),
    ("r.io/a:1@blake3:Xy", "r.io/a:1@blake3:Xy", "r.io/a:1@blake3:Xy"),
    ("a:latest", "docker.io/library/a:latest", "a:latest"),
];

#[test]
fn references_are_normalised_and_print_canonically() {
    for (text, canonical, familiar) in REFERENCES {
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reference.to_string(), canonical, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(canonical.parse().as_ref(), Ok(&reference), "{text}");
        assert_eq!(familiar.parse().as_ref(), Ok(&reference), "{text}");
    }
}

#[test]
fn tag_and_digest_stand_together_and_the_digest_wins() {
    let text = format!("reg:5000/a/b:v1@sha256:{HEX}");
    let reference: Reference = text.parse().unwrap();
    assert_eq!(reference.host().as_str(), "reg:5000");
    assert_eq!(reference.repository().as_str(), "a/b");
    assert_eq!(reference.tag().map(Tag::as_str), Some("v1"));
    assert_eq!(reference.digest().map(Digest::encoded), Some(HEX));
    assert_eq!(reference.selector(), Selector::Digest(reference.digest().unwrap().clone()));
    assert_eq!(reference.to_string(), text);
}

#[test]
fn what_is_not_named_is_latest() {
    let bare: Reference = "reg.io/a".parse().unwrap();
    assert_eq!((bare.tag(), bare.selector()), (None, Selector::Tag(Tag::latest())));
    let tagged = bare.with_tag("x".parse().unwrap());
    assert_eq!(tagged.selector().to_string(), "x");
}

#[test]
fn what_is_no_reference_is_refused_at_the_first_bad_byte() {
    let digest = format!("@sha256:{HEX}");
    let cases = [
        (String::new(), 0),
        (" a".to_owned(), 0),
        ("a ".to_owned(), 1),
        (":a".to_owned(), 0),
        ("@a".to_owned(), 0),
        ("a@b".to_owned(), 3),
        ("a:".to_owned(), 2),
        ("a:b:c".to_owned(), 3),
        ("a:.b".to_owned(), 2),
        ("a/".to_owned(), 2),
        ("/a".to_owned(), 0),
        ("a//b".to_owned(), 2),
        ("a/-b".to_owned(), 2),
        ("a/b-".to_owned(), 4),
        ("a/b-:t".to_owned(), 4),
        ("a___b".to_owned(), 3),
        ("a..b".to_owned(), 2),
        ("a._b".to_owned(), 2),
        ("a/../b".to_owned(), 2),
        ("reg.io/a/../b".to_owned(), 9),
        ("reg.io/".to_owned(), 7),
        ("reg_x.io/a".to_owned(), 3),
        ("reg.io:/a".to_owned(), 7),
        ("reg.io:x/a".to_owned(), 7),
        ("[::1/a".to_owned(), 4),
        ("[::x]/a".to_owned(), 1),
        ("[::1]:5000".to_owned(), 0),
        ("::1/a".to_owned(), 0),
        ("user@reg.io/a".to_owned(), 11),
        ("https://reg.io/a".to_owned(), 5),
        ("Foo/bar".to_owned(), 0),
        ("reg.io/Foo".to_owned(), 7),
        ("a\u{e9}".to_owned(), 1),
        (format!("a{digest}0"), 73),
        (format!("a{}", &digest[..71]), 72),
        (format!("a{digest}{digest}"), 73),
        ("a@sha256".to_owned(), 8),
        (format!("a:{}", "x".repeat(129)), 2 + 128),
        (HEX.to_owned(), 0),
    ];
    for (text, offset) in cases {
        let error = text.parse::<Reference>().unwrap_err();
        assert_eq!(error.offset(), offset, "{text:?}: {error}");
    }
}

#[test]
fn a_name_has_at_most_255_bytes_with_what_is_filled_in() {
    let long = |count: usize| "a".repeat(count);
    assert!(format!("reg.io/{}", long(255)).parse::<Reference>().is_ok());
    assert_eq!(format!("reg.io/{}", long(256)).parse::<Reference>().unwrap_err().offset(), 7 + 255);
    assert!(long(247).parse::<Reference>().is_ok());
    assert_eq!(long(248).parse::<Reference>().unwrap_err().offset(), 248);
}

#[test]
fn refused_upper_case_comes_with_the_lower_case_form() {
    let upper_digest = format!("reg.io/a@sha256:{}", HEX.to_uppercase());
    let lower_digest = format!("reg.io/a@sha256:{HEX}");
    let cases = [
        ("Foo/Bar:Tag", Some("foo/bar:Tag")),
        ("reg.io/Foo", Some("reg.io/foo")),
        ("LOCALHOST/a", Some("localhost/a")),
        (&upper_digest, Some(&*lower_digest)),
        ("https://reg.io/a", Some("reg.io/a")),
        ("https://https://reg.io/a", None),
        ("Foo/B ar", None),
        ("foo/b ar", None),
    ];
    for (text, meant) in cases {
        let message = text.parse::<Reference>().unwrap_err().to_string();
        match meant {
            Some(meant) => assert!(message.ends_with(&format!("did you mean {meant:?}?")), "{message}"),
            None => assert!(!message.contains("did you mean"), "{message}"),
        }
    }
    assert_eq!(
        "reg.io/Foo".parse::<Reference>().unwrap_err().to_string(),
        "reference \"reg.io/Foo\": a repository name is lower case (at byte 7); did you mean \"reg.io/foo\"?"
    );
}

#[test]
fn a_repository_of_the_hub_gets_its_library() {
    let reference = Reference::new(Host::docker_hub(), "ubuntu".parse().unwrap());
    assert_eq!(reference, "ubuntu".parse().unwrap());
    let elsewhere = Reference::new("reg.io".parse().unwrap(), "ubuntu".parse().unwrap());
    assert_eq!(elsewhere.to_string(), "reg.io/ubuntu");
}

#[test]
fn an_image_id_is_familiar_only_with_its_library() {
    let reference = Reference::new(Host::docker_hub(), HEX.parse().unwrap());
    assert_eq!(reference.familiar(), format!("library/{HEX}"));
}

#[test]
fn a_selector_with_a_colon_is_a_digest() {
    assert_eq!("v1".parse(), Ok(Selector::Tag("v1".parse().unwrap())));
    let digest = Digest::of(b"");
    assert_eq!(digest.as_str().parse(), Ok(Selector::Digest(digest)));
    assert!(matches!("sha256:x".parse::<Selector>(), Err(InvalidSelector::Digest(_))));
    assert!(matches!("-x".parse::<Selector>(), Err(InvalidSelector::Tag(_))));
}

#[test]
fn serde_uses_the_text_form() {
    let reference: Reference = "ubuntu:1".parse().unwrap();
    let json = serde_json::to_string(&reference).unwrap();
    assert_eq!(json, "\"docker.io/library/ubuntu:1\"");
    assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    assert!(serde_json::from_str::<Reference>("\"A\"").is_err());
}
