use super::*;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn known_content_has_its_known_digest() {
    assert_eq!(Digest::of(b"").as_str(), EMPTY);
    let sha512 = Algorithm::Sha512.digest(b"abc").unwrap();
    assert!(sha512.as_str().starts_with("sha512:ddaf35a193617abacc417349ae204131"), "{sha512}");
    assert_eq!(sha512.encoded().len(), 128);
    assert_eq!(Algorithm::Other.digest(b""), None);
}

#[test]
fn pieces_hash_as_the_whole_does() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let mut hasher = algorithm.hasher().unwrap();
        assert_eq!(hasher.algorithm(), algorithm);
        for piece in [&b"he"[..], b"", b"llo"] {
            hasher.update(piece);
        }
        let digest = hasher.finish();
        assert_eq!(Some(&digest), algorithm.digest(b"hello").as_ref());
        assert_eq!(digest.algorithm(), algorithm);
        assert_eq!(digest.hasher().map(|hasher| hasher.algorithm()), Some(algorithm));
    }
}

#[test]
fn other_algorithms_are_carried_and_never_verified() {
    for text in ["blake3:abc", "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", "sha384:00", "a.b_c-d+e:F=_-"]
    {
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.algorithm(), Algorithm::Other, "{text}");
        assert!(digest.hasher().is_none(), "{text}");
        assert_eq!(format!("{}:{}", digest.algorithm_name(), digest.encoded()), text);
    }
}

/// M2: whatever is not exactly a digest is none, and can't reach a path.
#[test]
fn malformed_digests_are_refused_at_the_first_bad_byte() {
    let hex = |count| "a".repeat(count);
    let cases = [
        (String::new(), 0),
        ("sha256".to_owned(), 6),
        ("sha256:".to_owned(), 7),
        (":abc".to_owned(), 0),
        ("sha256:../../x".to_owned(), 7),
        (format!("sha256:{}", hex(63)), 7 + 63),
        (format!("sha256:{}", hex(65)), 7 + 64),
        (format!("sha256:{}A", hex(63)), 7 + 63),
        (format!("sha256:{}g", hex(63)), 7 + 63),
        (format!("sha256:{}\u{661}", hex(62)), 7 + 62),
        (format!("sha256: {}", hex(63)), 7),
        (format!("sha512:{}", hex(64)), 7 + 64),
        (format!("sha512:{}", hex(129)), 7 + 128),
        (format!("SHA256:{}", hex(64)), 0),
        ("blake3:".to_owned(), 7),
        ("blake3:a/b".to_owned(), 8),
        ("blake3:a:b".to_owned(), 8),
        ("a..b:c".to_owned(), 2),
        ("../a:c".to_owned(), 0),
        ("a+:c".to_owned(), 2),
        (format!("x:{}", hex(255)), 256),
    ];
    for (text, offset) in cases {
        let error = text.parse::<Digest>().unwrap_err();
        assert_eq!(error.offset(), offset, "{text:?}: {error}");
        assert!(serde_json::from_value::<Digest>(text.clone().into()).is_err(), "{text:?}");
    }
    assert!(format!("x:{}", hex(254)).parse::<Digest>().is_ok());
}

#[test]
fn upper_case_hex_is_refused_with_what_was_meant() {
    let error = EMPTY.to_uppercase().replace("SHA", "sha").parse::<Digest>().unwrap_err();
    assert!(error.to_string().ends_with(&format!("did you mean {EMPTY:?}?")), "{error}");
}

#[test]
fn an_error_repeats_at_most_100_bytes_and_no_controls() {
    let text = format!("\u{1b}]52;c;\u{202e}{}", "\u{e9}".repeat(100));
    let error = text.parse::<Digest>().unwrap_err();
    assert!(error.input().len() <= 100 && text.starts_with(error.input()));
    assert!(error.to_string().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{error}");
}
