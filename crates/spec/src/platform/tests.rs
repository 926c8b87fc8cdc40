use super::*;

/// Offered, wanted, in falling order of rank; what is behind the bar must not match.
const RANKINGS: [(&str, &[&str], &[&str]); 17] = [
    ("linux/amd64", &["linux/amd64"], &["linux/386", "linux/arm64", "windows/amd64", "linux/amd64/v2"]),
    ("linux/amd64/v1", &["linux/amd64"], &["linux/amd64/v3"]),
    ("linux/amd64/v3", &["linux/amd64/v3", "linux/amd64/v2", "linux/amd64/v1"], &["linux/amd64/v4"]),
    ("linux/x86_64", &["linux/amd64"], &["linux/x86"]),
    ("linux/amd64", &["Linux/X86-64"], &[]),
    ("linux/arm64", &["linux/arm64/v8"], &["linux/arm64/v9", "linux/arm64/v8.1", "linux/arm/v8", "linux/arm/v7"]),
    ("linux/arm64/v8", &["linux/arm64"], &["linux/arm"]),
    ("linux/aarch64/8", &["linux/arm64/v8.0"], &[]),
    ("linux/arm64/v8.2", &["linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64"], &["linux/arm64/v8.3"]),
    (
        "linux/arm64/v9.1",
        &["linux/arm64/v9.1", "linux/arm64/v9", "linux/arm64/v8.6", "linux/arm64"],
        &["linux/arm64/v8.7"],
    ),
    (
        "linux/arm/v7",
        &["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"],
        &["linux/arm/v8", "linux/arm/v4", "linux/arm64"],
    ),
    ("linux/armhf", &["linux/arm", "linux/armel", "linux/arm/v5"], &["linux/arm/v8"]),
    ("linux/arm", &["linux/arm/7", "linux/arm/6"], &[]),
    ("linux/arm/v6", &["linux/arm/v6", "linux/arm/v5"], &["linux/arm", "linux/arm/v7"]),
    ("linux/386", &["linux/i686"], &["linux/amd64"]),
    ("macos/arm64", &["darwin/arm64"], &["linux/arm64"]),
    ("linux/riscv64", &["linux/riscv64"], &["linux/riscv64/rva23", "linux/ppc64le"]),
];

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// M14: which offer wins is decided by documented order, not by chance.
#[test]
fn offers_rank_as_documented() {
    for (want, ranked, refused) in RANKINGS {
        let want = platform(want);
        let ranks: Vec<_> = ranked.iter().map(|offered| platform(offered).rank(&want)).collect();
        assert!(ranks.iter().all(Option::is_some), "{want}: {ranked:?} gave {ranks:?}");
        assert!(ranks.is_sorted_by(|better, worse| better > worse), "{want}: {ranked:?} gave {ranks:?}");
        for offered in refused {
            assert_eq!(platform(offered).rank(&want), None, "{want} took {offered}");
        }
    }
}

#[test]
fn windows_versions_match_by_prefix() {
    let want = platform("windows(10.0.17763)/amd64");
    let ranked = ["windows(10.0.17763)/amd64", "windows(10.0.17763.1999)/amd64", "windows/amd64"];
    let ranks: Vec<_> = ranked.iter().map(|offered| platform(offered).rank(&want).unwrap()).collect();
    assert!(ranks.is_sorted_by(|better, worse| better > worse), "{ranks:?}");
    for refused in ["windows(10.0.177630)/amd64", "windows(10.0.20348.1)/amd64", "windows(10.0)/amd64"] {
        assert_eq!(platform(refused).rank(&want), None, "{refused}");
    }
    // Not asked: all equal, so that the first of the index is taken.
    let any = platform("windows/amd64");
    let ranks: Vec<_> = ranked.iter().map(|offered| platform(offered).rank(&any).unwrap()).collect();
    assert!(ranks.iter().all(|rank| *rank == ranks[0]), "{ranks:?}");
}

#[test]
fn an_image_demands_no_feature_that_is_not_there() {
    let (bare, one, two) = ("windows/amd64", "windows(+win32k)/amd64", "windows(+win32k+gpu)/amd64");
    let rank = |offered: &str, want: &str| platform(offered).rank(&platform(want));
    assert_eq!(rank(one, bare), None);
    assert_eq!(rank(two, one), None);
    assert!(rank(one, one) > rank(bare, one) && rank(bare, one).is_some());
    assert!(rank("windows(+gpu+win32k)/amd64", two).is_some());
}

#[test]
fn attestations_match_nothing() {
    for want in ["unknown/unknown", "linux/amd64", "unknown/amd64", "linux/unknown"] {
        assert_eq!(platform("unknown/unknown").rank(&platform(want)), None, "{want}");
        assert_eq!(platform("linux/unknown").rank(&platform(want)), None, "{want}");
        assert_eq!(platform("unknown/amd64").rank(&platform(want)), None, "{want}");
    }
}

#[test]
fn blanks_in_documents_are_nothing() {
    let offered: Platform = serde_json::from_str(
        r#"{"os":"linux","architecture":"arm64","variant":"","os.version":"","os.features":null}"#,
    )
    .unwrap();
    assert!(offered.rank(&platform("linux/arm64/v8")).is_some());
    let silent: Platform = serde_json::from_str("{}").unwrap();
    assert_eq!(silent.rank(&platform("linux/amd64")), None);
}

#[test]
fn the_text_form_round_trips() {
    let texts = ["linux/amd64", "linux/arm64/v8", "windows(10.0.17763.1)/amd64", "windows(10.0+a+b)/arm/v7", "x(+f)/y"];
    for text in texts {
        assert_eq!(platform(text).to_string(), text);
    }
}

#[test]
fn what_is_no_platform_is_refused_at_the_first_bad_byte() {
    let cases = [
        ("", 0),
        ("linux", 5),
        ("/amd64", 0),
        ("linux/", 6),
        ("linux//v8", 6),
        ("linux/arm/", 10),
        ("linux/arm/v7/x", 12),
        ("li nux/amd64", 2),
        ("linux/*", 6),
        ("windows(/amd64", 8),
        ("windows()/amd64", 8),
        ("windows(1+)/amd64", 10),
        ("windows(1)x/amd64", 11),
        ("(1)/amd64", 0),
    ];
    for (text, offset) in cases {
        let error = text.parse::<Platform>().unwrap_err();
        assert_eq!(error.offset(), offset, "{text:?}: {error}");
    }
}

#[test]
fn this_machine_serves_itself() {
    let host = Platform::host();
    assert!(host.rank(&host).is_some(), "{host}");
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        assert_eq!(host.to_string(), "linux/amd64");
    }
}
