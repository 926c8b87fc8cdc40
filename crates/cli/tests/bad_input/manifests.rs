//! Documents that are two things at once, or not the thing that was wanted.

use test_support::{Image, Reply, ScriptedServer};

use crate::{image, scene};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Serves one document under this content type, and the blobs of an honest image.
fn serving(document: String, content_type: &'static str) -> ScriptedServer {
    image().serve(move |_, request| {
        let reply = Reply::ok(document.clone()).header("content-type", content_type);
        request.target.contains("/manifests/").then_some(reply)
    })
}

fn refused(document: String, content_type: &'static str, error: &str) {
    let server = serving(document, content_type);
    let scene = scene();
    let reference = format!("{}/app:v1", server.host());
    for (verb, target) in [("unpack", "rootfs"), ("pull", "oci:new")] {
        scene.refuses([verb, &reference, target]).is(1, &format!("{verb} HOST/app:v1: {error}"), "");
    }
}

/// The fields of an honest manifest, without the braces.
fn manifest_fields(image: &Image) -> String {
    let text = String::from_utf8(image.manifest.bytes().to_vec()).unwrap();
    text[1..text.len() - 1].to_owned()
}

#[test]
fn a_manifest_that_is_an_index_too_is_refused() {
    refused(
        format!(r#"{{{},"manifests":[]}}"#, manifest_fields(&image())),
        MANIFEST,
        "manifest D1: field manifests has no place in \"application/vnd.oci.image.manifest.v1+json\"",
    );
}

#[test]
fn an_index_with_layers_is_refused() {
    refused(
        r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.into(),
        INDEX,
        "manifest D1: field layers has no place in \"application/vnd.oci.image.index.v1+json\"",
    );
}

#[test]
fn an_index_with_a_config_is_refused() {
    refused(
        r#"{"schemaVersion":2,"manifests":[],"config":{}}"#.into(),
        INDEX,
        "manifest D1: field config has no place in \"application/vnd.oci.image.index.v1+json\"",
    );
}

#[test]
fn a_manifest_that_the_registry_calls_an_index_is_refused() {
    refused(
        format!("{{{}}}", manifest_fields(&image())),
        INDEX,
        "manifest D1: field layers has no place in \"application/vnd.oci.image.index.v1+json\"",
    );
}

#[test]
fn an_index_that_the_registry_calls_a_manifest_is_refused() {
    refused(
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#),
        MANIFEST,
        "manifest D1: field manifests has no place in \"application/vnd.oci.image.manifest.v1+json\"",
    );
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    refused(
        format!(r#"{{{},"layers":[]}}"#, manifest_fields(&image())),
        MANIFEST,
        "manifest D1: key \"layers\" appears twice",
    );
}

#[test]
fn a_second_document_behind_the_first_is_refused() {
    refused(format!("{{{}}}{{}}", manifest_fields(&image())), MANIFEST, "manifest HOST/app:v1: not json");
}

#[test]
fn a_document_that_is_too_deep_is_refused() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    refused(
        format!(r#"{{{},"x":{deep}}}"#, manifest_fields(&image())),
        MANIFEST,
        "manifest D1: nested deeper than 64 levels",
    );
}

#[test]
fn a_manifest_without_a_config_is_refused() {
    refused(
        r#"{"schemaVersion":2,"layers":[]}"#.into(),
        MANIFEST,
        "manifest D1: not a valid document: missing field `config` at line 1 column 31",
    );
}

#[test]
fn a_manifest_of_the_first_schema_is_refused() {
    let schema1 = r#"{"schemaVersion":1,"name":"app","tag":"v1","fsLayers":[],"history":[]}"#;
    refused(
        schema1.into(),
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "manifest D1: application/vnd.docker.distribution.manifest.v1+prettyjws is no image",
    );
}

#[test]
fn a_size_that_no_blob_has_is_refused() {
    for (size, error) in [
        ("-1", "manifest D1: not a valid document: invalid value: integer `-1`, expected u64 at line 1 column 233"),
        ("1e400", "manifest D1: not a valid document: number out of range at line 1 column 236"),
        ("\"5\"", "manifest D1: not a valid document: invalid type: string \"5\", expected u64 at line 1 column 234"),
        (
            "18446744073709551615",
            "manifest D1: not a valid document: size 18446744073709551615 is over 2^63 - 1 at line 1 column 252",
        ),
    ] {
        let fields = manifest_fields(&image());
        let place = fields.find("\"size\":").unwrap() + 7;
        let end = place + fields[place..].find(['}', ',']).unwrap();
        refused(format!("{{{}{size}{}}}", &fields[..place], &fields[end..]), MANIFEST, error);
    }
}

#[test]
fn a_config_that_is_said_to_be_huge_is_refused_before_it_is_asked_for() {
    let image = image().saying(|manifest| manifest.config.size = 1 << 60);
    let config = image.config().clone();
    let server = image.serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    scene().refuses(["unpack", &reference, "rootfs"]).is(
        1,
        "unpack HOST/app:v1: config D1: blob D1 of 1152921504606846976 bytes in memory: over the limit config = 8388608",
        "",
    );
    assert!(!server.requests().iter().any(|request| request.target.contains(config.as_str())));
}

#[test]
fn a_layer_that_is_said_to_be_huge_is_refused() {
    let server = image().saying(|manifest| manifest.layers[0].size = 1 << 62).serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    let scene = scene();
    scene.refuses(["unpack", &reference, "rootfs"]).is(
        1,
        "unpack HOST/app:v1: layer 1 D1: size 4611686018427387904 expected, 140 received",
        "",
    );
    scene.refuses(["pull", &reference, "oci:new"]).is(
        1,
        "pull HOST/app:v1: source: blob D1: size 4611686018427387904 expected, 140 received",
        "",
    );
}

#[test]
fn more_layers_than_any_image_has_are_refused() {
    let image = image().saying(|manifest| manifest.layers = vec![manifest.layers[0].clone(); 4097]);
    let server = image.serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    scene().refuses(["unpack", &reference, "rootfs"]).is(
        1,
        "unpack HOST/app:v1: manifest D1 with 4097 layers: over the limit layers = 4096",
        "",
    );
}

#[test]
fn an_index_where_its_parent_promised_a_manifest_is_refused() {
    let inner = r#"{"schemaVersion":2,"manifests":[]}"#;
    let outer = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST}","digest":"{}","size":{}}}]}}"#,
        gantri::Digest::of(inner.as_bytes()),
        inner.len()
    );
    let server = ScriptedServer::start(move |request| {
        let inside = request.target.contains("sha256:");
        Reply::ok(if inside { inner.to_owned() } else { outer.clone() }).header("content-type", INDEX)
    });
    let reference = format!("{}/app:v1", server.host());
    scene().refuses(["unpack", &reference, "rootfs"]).is(1, "unpack HOST/app:v1: manifest D1: field manifests has no place in \"application/vnd.oci.image.manifest.v1+json\"", "");
}

#[test]
fn indexes_inside_indexes_come_to_an_end() {
    let mut documents = vec![r#"{"schemaVersion":2,"manifests":[]}"#.to_owned()];
    for depth in 0..10 {
        let inner = &documents[depth];
        documents.push(format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{INDEX}","digest":"{}","size":{}}}]}}"#,
            gantri::Digest::of(inner.as_bytes()),
            inner.len()
        ));
    }
    let server = ScriptedServer::start(move |request| {
        let wanted = |document: &&String| request.target.ends_with(gantri::Digest::of(document.as_bytes()).as_str());
        let document = documents.iter().find(wanted).or(documents.last());
        Reply::ok(document.cloned().unwrap_or_default()).header("content-type", INDEX)
    });
    let reference = format!("{}/app:v1", server.host());
    scene().refuses(["unpack", &reference, "rootfs"]).is(
        1,
        "unpack HOST/app:v1: indexes inside indexes: over the limit index_depth = 4",
        "",
    );
}

#[test]
fn an_artifact_is_not_unpacked() {
    let image =
        image().saying(|manifest| manifest.layers[0].media_type = "application/vnd.example.sbom".parse().unwrap());
    let server = image.serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    scene().refuses(["unpack", &reference, "rootfs"]).is(
        1,
        "unpack HOST/app:v1: layer 1 D1: application/vnd.example.sbom is no layer that can be unpacked",
        "",
    );
}

#[test]
fn a_config_that_fits_another_image_is_refused() {
    let none = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    for (config, error) in [
        (none, "0 diff_ids for 1 layers"),
        ("[]", "not a valid document: invalid type: sequence, expected struct ImageConfig at line 1 column 0"),
        ("not json", "not a valid document: expected ident at line 1 column 2"),
    ] {
        let server = image().with_config(config).serve(|_, _| None);
        let reference = format!("{}/app:v1", server.host());
        let error = format!("unpack HOST/app:v1: config D1: {error}");
        scene().refuses(["unpack", &reference, "rootfs"]).is(1, &error, "");
    }
}
