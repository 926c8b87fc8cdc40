//! What is printed parses back to what it was printed from, for every grammar of names and for every document.

use gantri_spec::{
    Annotations, Descriptor, Digest, Host, ImageConfig, ImageManifest, Index, Manifest, MediaType, Platform,
    RawManifest, Reference, RepositoryName, Selector, Tag,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn digest() -> impl Strategy<Value = String> {
    prop_oneof![
        "sha256:[0-9a-f]{64}",
        "sha512:[0-9a-f]{128}",
        "[a-z0-9]{1,9}([+._-][a-z0-9]{1,9}){0,3}:[a-zA-Z0-9=_-]{1,200}"
            .prop_filter("a known algorithm has its own length", |text| !text.starts_with("sha")),
    ]
}

fn host() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?(\\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?){1,3}",
        Just("localhost".to_owned()),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ];
    (name, option::of(1..=u16::MAX)).prop_map(|(name, port)| match port {
        Some(port) => format!("{name}:{port}"),
        None => name,
    })
}

const REPOSITORY: &str =
    "[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,9}){0,2}(/[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,9}){0,2}){0,4}";
const TAG: &str = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const PLATFORM: &str = "[A-Za-z0-9_.-]{1,9}(\\([A-Za-z0-9_.-]{1,9}(\\+[A-Za-z0-9_.-]{1,9}){0,2}\\))?/[A-Za-z0-9_.-]{1,9}(/[A-Za-z0-9_.-]{1,5})?";
const REAL_PLATFORM: &str = "(linux|windows\\((10\\.0(\\.1)?)?(\\+[ab]){1,3}\\)|windows\\(10\\.0(\\.1)?\\))/(amd64|x86_64|arm64|arm|386)(/v?[5-9](\\.[0-7])?)?";

fn reference() -> impl Strategy<Value = String> {
    let on_host = (host(), REPOSITORY).prop_map(|(host, name)| format!("{host}/{name}"));
    // Without a host, the first component must not look like one.
    let path = prop_oneof![on_host, "[a-z0-9]{1,9}", REPOSITORY.prop_map(|name| format!("a/{name}"))];
    (path, option::of(TAG), option::of(digest())).prop_map(|(path, tag, digest)| {
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        path + &tag + &digest
    })
}

fn annotations() -> impl Strategy<Value = Annotations> {
    btree_map(any::<String>(), any::<String>(), 0..3).prop_map(Annotations::from)
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let platform = option::of(PLATFORM.prop_filter_map("a platform", |text| text.parse::<Platform>().ok()));
    let digest = digest().prop_filter_map("a digest", |text| text.parse::<Digest>().ok());
    let parts = ("[a-z]{1,9}/[a-z.+]{1,9}", digest, 0..=i64::MAX.unsigned_abs(), annotations(), platform);
    (parts, vec(any::<u8>(), 0..9)).prop_map(|((media_type, digest, size, annotations, platform), data)| {
        let mut descriptor =
            Descriptor::new(media_type.into(), digest, size).with_annotations(annotations).with_data(data.into());
        descriptor.platform = platform;
        descriptor.extra.insert("x-unknown".to_owned(), serde_json::json!([1, null, {"a": 1.5}]));
        descriptor
    })
}

proptest! {
    #[test]
    fn digests_round_trip(text in digest()) {
        prop_assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
    }

    #[test]
    fn repository_names_round_trip(text in REPOSITORY) {
        prop_assert_eq!(text.parse::<RepositoryName>().unwrap().to_string(), text);
    }

    #[test]
    fn tags_and_selectors_round_trip(text in TAG, digest in digest()) {
        prop_assert_eq!(text.parse::<Tag>().unwrap().to_string(), text.clone());
        prop_assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        prop_assert_eq!(digest.parse::<Selector>().unwrap().to_string(), digest);
    }

    #[test]
    fn platforms_round_trip(text in PLATFORM) {
        prop_assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
    }

    #[test]
    fn hosts_print_canonically(text in host()) {
        let host: Host = text.parse().unwrap();
        prop_assert_eq!(host.to_string().parse(), Ok(host.clone()));
        let rebuilt = match (host.name().contains(':'), host.port()) {
            (true, Some(port)) => format!("[{}]:{port}", host.name()),
            (true, None) => format!("[{}]", host.name()),
            (false, Some(port)) => format!("{}:{port}", host.name()),
            (false, None) => host.name().to_owned(),
        };
        prop_assert_eq!(host.as_str(), rebuilt);
    }

    #[test]
    fn references_print_canonically_and_familiarly(text in reference()) {
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
        prop_assert_eq!(reference.familiar().parse(), Ok(reference.clone()));
        let json = serde_json::to_string(&reference).unwrap();
        prop_assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    }

    #[test]
    fn references_made_of_parts_print_and_parse(host in host(), name in REPOSITORY, tag in TAG, digest in digest()) {
        let reference = Reference::new(host.parse().unwrap(), name.parse().unwrap())
            .with_tag(tag.parse().unwrap())
            .with_digest(digest.parse().unwrap());
        prop_assume!(reference.host().as_str().contains(['.', ':']) || reference.host().name() == "localhost");
        prop_assert_eq!(reference.to_string().parse(), Ok(reference));
    }

    /// Whatever the input, an error points into it, and the accepted is what it prints.
    #[test]
    fn any_text_is_refused_inside_or_read_back(text in ".{0,80}|[a-zA-Z0-9:/@.\\[\\]_-]{0,80}") {
        match text.parse::<Reference>() {
            Ok(reference) => prop_assert_eq!(reference.to_string().parse(), Ok(reference)),
            Err(error) => prop_assert!(error.offset() <= text.len(), "{}", error),
        }
        for offset in [
            text.parse::<Host>().err().map(|error| error.offset()),
            text.parse::<Digest>().err().map(|error| error.offset()),
            text.parse::<RepositoryName>().err().map(|error| error.offset()),
            text.parse::<Tag>().err().map(|error| error.offset()),
            text.parse::<Platform>().err().map(|error| error.offset()),
        ].into_iter().flatten() {
            prop_assert!(offset <= text.len());
        }
    }

    #[test]
    fn built_manifests_round_trip_and_are_deterministic(
        config in descriptor(),
        layers in vec(descriptor(), 0..4),
        subject in option::of(descriptor()),
        annotations in annotations(),
    ) {
        let mut index = Index::new(layers.clone());
        let mut image = ImageManifest::new(config, layers);
        (image.subject, image.annotations) = (subject.clone(), annotations.clone());
        (index.subject, index.annotations) = (subject, annotations);
        let (image_raw, index_raw) = (image.to_raw(), index.to_raw());
        prop_assert_eq!(&image_raw, &image.to_raw());
        prop_assert_eq!(image_raw.parse(), Ok(Manifest::Image(image)));
        prop_assert_eq!(index_raw.parse(), Ok(Manifest::Index(index)));
    }

    /// M10: hostile bytes make no parser panic, and are kept as they came.
    #[test]
    fn any_bytes_are_kept_and_never_panic(bytes in vec(any::<u8>(), 0..200), json in "[\\[\\]{}:,\"a-z0-9 ]{0,60}") {
        for bytes in [bytes, json.into_bytes()] {
            for media_type in [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, MediaType::OCTET_STREAM] {
                let raw = RawManifest::new(media_type, bytes.clone().into());
                let _ = raw.parse();
                prop_assert_eq!(&raw.bytes()[..], &bytes[..]);
                prop_assert_eq!(raw.digest(), &Digest::of(&bytes));
            }
            let _ = ImageConfig::parse(&bytes);
        }
    }

    #[test]
    fn configs_round_trip(platform in PLATFORM, diff_ids in vec(digest(), 0..4)) {
        let platform: Platform = platform.parse().unwrap();
        let diff_ids = diff_ids.iter().map(|digest| digest.parse().unwrap()).collect();
        let config = ImageConfig::new(platform.clone(), diff_ids);
        prop_assert_eq!(ImageConfig::parse(&config.to_bytes()), Ok(config.clone()));
        prop_assert_eq!(config.platform(), platform);
    }

    /// M14: none ranks above the wanted platform itself. Of few words, so that offers match.
    #[test]
    fn nothing_serves_better_than_what_was_wanted(want in REAL_PLATFORM, offered in REAL_PLATFORM) {
        let (want, offered): (Platform, Platform) = (want.parse().unwrap(), offered.parse().unwrap());
        prop_assert!(want.rank(&want).is_some());
        prop_assert!(want.rank(&want) >= offered.rank(&want));
    }
}
