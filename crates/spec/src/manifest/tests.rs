use super::raw::{ManifestMismatch, RawManifest};
use super::*;
use crate::digest::{Algorithm, Digest};

fn raw(media_type: &MediaType, json: &str) -> RawManifest {
    RawManifest::new(media_type.clone(), Bytes::copy_from_slice(json.as_bytes()))
}

fn descriptor(media_type: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":0}}"#, Digest::of(b""))
}

fn image_with(fields: &str) -> String {
    format!(r#"{{"schemaVersion":2,"config":{},"layers":[]{fields}}}"#, descriptor("c/d"))
}

fn index_with(fields: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]{fields}}}"#, descriptor("c/d"))
}

fn parse(media_type: &MediaType, json: &str) -> Result<Manifest, InvalidManifest> {
    raw(media_type, json).parse()
}

#[test]
fn the_four_known_documents_parse_and_keep_their_media_type() {
    for media_type in [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST] {
        let json = image_with(&format!(r#","mediaType":"{media_type}""#));
        let Manifest::Image(image) = parse(&media_type, &json).unwrap() else { panic!("{media_type}") };
        assert_eq!(image.media_type, Some(media_type));
    }
    for media_type in [MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST_LIST] {
        let json = index_with(&format!(r#","mediaType":"{media_type}""#));
        let Manifest::Index(index) = parse(&media_type, &json).unwrap() else { panic!("{media_type}") };
        assert_eq!((index.media_type, index.manifests.len()), (Some(media_type), 1));
    }
}

/// M1: CVE-2021-41190, and the spellings that let a Go reader see what we would not.
#[test]
fn hybrid_documents_are_refused() {
    let image = descriptor("c/d");
    let hybrids = [
        format!(r#"{{"manifests":[{image}],"config":{image},"layers":[{image}]}}"#),
        format!(r#"{{"manifests":[{image}],"config":{image}}}"#),
        format!(r#"{{"manifests":[{image}],"layers":[{image}]}}"#),
        format!(r#"{{"manifests":[],"config":{image},"layers":[]}}"#),
        format!(r#"{{"manifests":null,"config":{image},"layers":null}}"#),
        format!(r#"{{"Manifests":[{image}],"config":{image},"layers":[]}}"#),
        format!(r#"{{"manife\u017ft\u017f":[{image}],"config":{image},"LAYER\u017f":[]}}"#),
        format!(r#"{{"fsLayers":[],"manifests":[{image}],"config":{image}}}"#),
    ];
    let types = [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, "application/json".into()];
    let mut refused = 0;
    for json in &hybrids {
        for media_type in &types {
            let result = parse(media_type, json);
            assert!(matches!(result, Err(InvalidManifest::Ambiguous { .. })), "{media_type} {json}: {result:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 24);
}

#[test]
fn a_document_of_one_kind_does_not_come_as_another() {
    let cases = [
        (MediaType::OCI_MANIFEST, index_with("")),
        (MediaType::DOCKER_MANIFEST, index_with("")),
        (MediaType::OCI_INDEX, image_with("")),
        (MediaType::DOCKER_MANIFEST_LIST, image_with("")),
        (MediaType::OCI_MANIFEST, r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned()),
    ];
    for (media_type, json) in cases {
        let result = parse(&media_type, &json);
        assert!(matches!(result, Err(InvalidManifest::Ambiguous { .. })), "{media_type} {json}: {result:?}");
    }
}

#[test]
fn the_body_names_the_media_type_it_came_with() {
    let says = |media_type: &str| format!(r#","mediaType":"{media_type}""#);
    let cases = [
        (MediaType::OCI_MANIFEST, image_with(&says(MediaType::OCI_INDEX.as_str()))),
        (MediaType::OCI_MANIFEST, image_with(&says(MediaType::DOCKER_MANIFEST.as_str()))),
        (MediaType::OCI_MANIFEST, image_with(&says("a/b"))),
        (MediaType::DOCKER_MANIFEST_LIST, index_with(&says(MediaType::OCI_INDEX.as_str()))),
        ("application/vnd.acme+json".into(), image_with(&says(MediaType::OCI_MANIFEST.as_str()))),
    ];
    for (media_type, json) in cases {
        let result = parse(&media_type, &json);
        assert!(matches!(result, Err(InvalidManifest::MediaTypeMismatch { .. })), "{media_type} {json}: {result:?}");
    }
    for silent in [r#","mediaType":"""#, r#","mediaType":null"#, ""] {
        assert!(parse(&MediaType::OCI_MANIFEST, &image_with(silent)).is_ok(), "{silent}");
    }
}

#[test]
fn a_type_that_says_nothing_is_decided_by_the_document() {
    let docker = image_with(&format!(r#","mediaType":"{}""#, MediaType::DOCKER_MANIFEST));
    let image = image_with("");
    let cases = [
        (docker.as_str(), MediaType::DOCKER_MANIFEST),
        (image.as_str(), MediaType::OCI_MANIFEST),
        (r#"{"layers":[]}"#, MediaType::OCI_MANIFEST),
        (r#"{"manifests":null}"#, MediaType::OCI_INDEX),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#, MediaType::DOCKER_SCHEMA1),
        (r#"{"fsLayers":[],"signatures":[]}"#, MediaType::DOCKER_SCHEMA1_SIGNED),
        (r#"{"mediaType":"a/b"}"#, "a/b".into()),
    ];
    for (json, decided) in cases {
        for given in ["", "application/octet-stream", "application/json; charset=utf-8", "text/plain"] {
            let given = MediaType::from(given);
            assert_eq!(*raw(&given, json).media_type(), decided, "{given} {json}");
        }
    }
    for json in ["{}", "[]", "", "<html>", r#"{"manifests":[],"layers":[]}"#] {
        assert_eq!(*raw(&MediaType::OCTET_STREAM, json).media_type(), MediaType::OCTET_STREAM, "{json}");
    }
}

/// M17
#[test]
fn schema_1_and_foreign_documents_are_never_parsed() {
    let cases = [
        (MediaType::DOCKER_SCHEMA1, "not even JSON"),
        (MediaType::DOCKER_SCHEMA1_SIGNED, r#"{"manifests":[],"layers":[]}"#),
        ("application/vnd.acme".into(), "\u{0}\u{1}"),
        ("application/json".into(), "{}"),
    ];
    for (media_type, body) in cases {
        let manifest = parse(&media_type, body).unwrap();
        assert_eq!(manifest, Manifest::Unknown, "{media_type}");
        assert!(manifest.children().is_empty() && manifest.subject().is_none() && manifest.annotations().is_none());
    }
}

/// M10
#[test]
fn malformed_documents_are_refused() {
    let deep = |levels: usize| image_with(&format!(r#","x":{}{}"#, "[".repeat(levels), "]".repeat(levels)));
    let image = image_with("");
    let manifest = MediaType::OCI_MANIFEST;
    assert!(parse(&manifest, &deep(63)).is_ok());
    for levels in [64, 126, 1_000, 100_000] {
        assert_eq!(parse(&manifest, &deep(levels)), Err(InvalidManifest::TooDeep), "{levels}");
    }
    let duplicates = [
        (r#","layers":[]"#, "layers"),
        (r#","annotations":{"a":"1","a":"2"}"#, "a"),
        (r#","subject":{"digest":"x","size":1,"digest":"y"}"#, "digest"),
        (r#","x":[{"k":1,"\u006b":2}]"#, "k"),
    ];
    for (fields, key) in duplicates {
        let expected = Err(InvalidManifest::DuplicateKey(key.to_owned()));
        assert_eq!(parse(&manifest, &image_with(fields)), expected, "{fields}");
    }
    let misspelt = parse(&manifest, &image_with(r#","Layers":[]"#));
    assert_eq!(misspelt, Err(InvalidManifest::MisspeltKey("Layers".to_owned())));
    let not_json = ["", "{", "nope", "{}{}", &format!("{image}x"), &format!("\u{feff}{image}"), "{\"layers\":01}"];
    for json in not_json {
        assert!(matches!(parse(&manifest, json), Err(InvalidManifest::Json(_))), "{json}");
    }
    for json in ["[]", "null", "1", "\"x\""] {
        assert_eq!(parse(&manifest, json), Err(InvalidManifest::NotAnObject), "{json}");
    }
    let bytes = Bytes::from_static(b"{\"config\":\"\xff\"}");
    assert!(matches!(RawManifest::new(manifest, bytes).parse(), Err(InvalidManifest::Json(_))));
}

#[test]
fn missing_and_mistyped_fields_are_refused() {
    let bad = [
        "{}".to_owned(),
        r#"{"schemaVersion":2,"layers":[]}"#.to_owned(),
        r#"{"config":null}"#.to_owned(),
        image_with(r#","subject":{}"#),
        image_with(r#","annotations":[]"#),
        image_with("").replace(":2", ":1"),
        image_with("").replace(":2", ":\"2\""),
        image_with("").replace("sha256:", "sha256:../"),
        image_with("").replace("\"size\":0", "\"size\":-1"),
    ];
    for json in bad {
        let result = parse(&MediaType::OCI_MANIFEST, &json);
        assert!(matches!(result, Err(InvalidManifest::Json(_))), "{json}: {result:?}");
    }
}

#[test]
fn null_lists_are_empty() {
    let image = image_with("").replace("[]", "null");
    let Manifest::Image(image) = parse(&MediaType::OCI_MANIFEST, &image).unwrap() else { panic!() };
    assert!(image.layers.is_empty());
    let index = parse(&MediaType::OCI_INDEX, r#"{"manifests":null,"annotations":null}"#).unwrap();
    assert!(index.children().is_empty());
}

/// M10: the bytes that came are the bytes that go, whatever they look like.
#[test]
fn received_bytes_are_kept_as_they_came() {
    let json = image_with(",\n\t\"z\" : 1.0,  \"a\":\"\\u0041\",\"big\":123456789012345678901234567890 ") + "\n";
    let raw = raw(&MediaType::OCI_MANIFEST, &json);
    assert_eq!(raw.bytes(), json.as_bytes());
    assert_eq!(*raw.digest(), Digest::of(json.as_bytes()));
    let Manifest::Image(image) = raw.parse().unwrap() else { panic!() };
    assert_eq!(image.extra.keys().collect::<Vec<_>>(), ["a", "big", "z"]);
    assert_eq!(raw.bytes(), json.as_bytes());
}

#[test]
fn what_we_build_is_always_the_same_bytes() {
    let layer = Descriptor::of(MediaType::OCI_LAYER, b"x").with_annotation("b", "2").with_annotation("a", "1");
    let mut image = ImageManifest::new(Descriptor::of(MediaType::OCI_CONFIG, b"{}"), vec![layer.clone()]);
    image.annotations = [("z", "1"), ("y", "2")].into_iter().collect();
    image.extra.insert("unknown".to_owned(), serde_json::json!({"b": 1, "a": 2}));
    image.subject = Some(layer.clone());
    let raw = image.to_raw();
    assert_eq!(raw, image.clone().to_raw());
    assert_eq!(raw.parse(), Ok(Manifest::Image(image.clone())));
    assert!(
        raw.bytes().starts_with(br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#)
    );
    image.media_type = None;
    assert_eq!(image.to_raw(), raw);

    let index = Index::new(vec![raw.descriptor().clone()]);
    assert_eq!(index.to_raw().parse(), Ok(Manifest::Index(index.clone())));
    assert_eq!(*index.to_raw().media_type(), MediaType::OCI_INDEX);
}

#[test]
fn a_manifest_tells_its_children_subject_and_artifact_type() {
    let layer = Descriptor::of(MediaType::OCI_LAYER, b"x");
    let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    let mut image = ImageManifest::new(config.clone(), vec![layer.clone()]);
    image.subject = Some(layer.clone());
    let manifest = Manifest::Image(image.clone());
    assert_eq!(manifest.children(), [&config, &layer]);
    assert_eq!(manifest.subject(), Some(&layer));
    assert_eq!(manifest.artifact_type(), Some(&MediaType::OCI_EMPTY));
    image.artifact_type = Some("a/b".into());
    assert_eq!(Manifest::Image(image).artifact_type(), Some(&"a/b".into()));
    let index = Manifest::Index(Index::new(vec![layer.clone()]));
    assert_eq!((index.children(), index.artifact_type()), (vec![&layer], None));
}

/// M3, M6: what was asked for by descriptor or digest is exactly that, by the algorithm that was named.
#[test]
fn expected_bytes_match_size_and_digest() {
    let bytes = Bytes::from_static(b"{}");
    let good = Descriptor::of(MediaType::OCI_INDEX, &bytes).with_annotation("kept", "yes");
    assert_eq!(RawManifest::expect(&good, bytes.clone()).unwrap().descriptor(), &good);

    for size in [0, 1, 3, 1 << 62] {
        let lies = Descriptor { size, ..good.clone() };
        let expected = Err(ManifestMismatch::Size { expected: size, actual: 2 });
        assert_eq!(RawManifest::expect(&lies, bytes.clone()), expected);
    }
    let other = Digest::of(b"[]");
    let lies = Descriptor { digest: other.clone(), ..good.clone() };
    let expected = Err(ManifestMismatch::Digest { expected: other.clone(), actual: good.digest.clone() });
    assert_eq!(RawManifest::expect(&lies, bytes.clone()), expected);
    assert_eq!(RawManifest::expect_digest(&other, MediaType::OCI_INDEX, bytes.clone()), expected);

    let sha512 = Algorithm::Sha512.digest(&bytes).unwrap();
    let raw = RawManifest::expect_digest(&sha512, MediaType::OCI_INDEX, bytes.clone()).unwrap();
    assert_eq!(*raw.digest(), sha512);
    let unknown: Digest = "blake3:00".parse().unwrap();
    let expected = Err(ManifestMismatch::Algorithm(unknown.clone()));
    assert_eq!(RawManifest::expect_digest(&unknown, MediaType::OCI_INDEX, bytes), expected);
}

#[test]
fn errors_print_no_controls() {
    let errors = [
        parse(&MediaType::OCI_MANIFEST, &image_with(r#","\u001b]52":1,"\u001b]52":2"#)).unwrap_err(),
        parse(&MediaType::OCI_MANIFEST, &image_with(r#","mediaType":"\u001b[2J""#)).unwrap_err(),
        parse(&MediaType::OCI_MANIFEST, &image_with("").replace("sha256:e", r"sha256:\u001b")).unwrap_err(),
        parse(&MediaType::OCI_MANIFEST, &image_with(r#","subject":"\u001b[2J""#)).unwrap_err(),
        parse(&MediaType::OCI_MANIFEST, &image_with(r#","annotations":{"\u001b":1}"#)).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().chars().all(|c| !c.is_control()), "{error}");
    }
}
