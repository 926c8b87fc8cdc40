//! A choice among the platforms of an index.

use gantri::spec::{Descriptor, Digest, ImageManifest, Index, MediaType, Platform, RawManifest};
use test_support::image::{gzip, manifest_reply};
use test_support::mask::mask;
use test_support::{Reply, ScriptedServer, Tar};

use crate::{prints, scene};

/// An image that holds the name of its platform.
struct Variant {
    manifest: RawManifest,
    blobs: [(Digest, Vec<u8>); 2],
    platform: Platform,
}

fn variant(platform: &str) -> Variant {
    let archive = Tar::new().file("platform", platform).finish();
    let packed = gzip(&archive);
    let parsed: Platform = platform.parse().unwrap();
    let config = format!(
        r#"{{"architecture":"{}","os":"{}","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        parsed.architecture,
        parsed.os,
        Digest::of(&archive)
    );
    let layer = Descriptor::of(MediaType::OCI_LAYER_GZIP, &packed);
    let descriptor = Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes());
    let blobs = [(descriptor.digest.clone(), config.into_bytes()), (layer.digest.clone(), packed)];
    Variant { manifest: ImageManifest::new(descriptor, vec![layer]).to_raw(), blobs, platform: parsed }
}

/// What is chosen from no index may be for somebody else: whoever looks at its config hears that too.
#[test]
fn the_config_of_an_image_for_another_platform_is_shown_with_a_note() {
    let scene = scene();
    std::fs::create_dir(scene.path("tree")).unwrap();
    prints(&scene, &["build", "oci:images:v1", "tree"]);
    let ran = scene.run(["config", "oci:images:v1", "--platform", "windows/amd64"]);
    let note = format!("note: the image is for {}, not for windows/amd64\n", Platform::host());
    assert_eq!((ran.code, ran.stderr), (Some(0), note));
    assert_eq!(prints(&scene, &["config", "oci:images:v1"]), mask(&ran.stdout));
}

/// `app:v1`, for two platforms beside this machine's.
pub(crate) fn registry() -> (ScriptedServer, String) {
    let variants = ["linux/arm64/v8".to_owned(), "linux/riscv64".to_owned(), Platform::host().to_string()];
    let variants = variants.map(|platform| variant(&platform));
    let entry = |variant: &Variant| variant.manifest.descriptor().clone().with_platform(variant.platform.clone());
    let index = Index::new(variants.iter().map(entry).collect()).to_raw();
    let server = ScriptedServer::start(move |request| {
        let asked = request.target.rsplit('/').next().unwrap_or_default();
        if asked == "v1" || asked == index.digest().as_str() {
            return manifest_reply(&index);
        }
        let manifests = variants.iter().map(|variant| &variant.manifest);
        if let Some(manifest) = manifests.into_iter().find(|manifest| manifest.digest().as_str() == asked) {
            return manifest_reply(manifest);
        }
        let blob = variants.iter().flat_map(|variant| &variant.blobs).find(|(digest, _)| digest.as_str() == asked);
        blob.map_or(Reply::new(404), |(_, bytes)| Reply::ok(bytes.clone()))
    });
    let reference = format!("{}/app:v1", server.host());
    (server, reference)
}

#[test]
fn the_platform_that_is_asked_for_is_unpacked() {
    let scene = scene();
    let (_server, image) = registry();
    prints(&scene, &["unpack", &image, "riscv", "--platform", "linux/riscv64"]);
    assert_eq!(std::fs::read_to_string(scene.path("riscv/platform")).unwrap(), "linux/riscv64");
    prints(&scene, &["unpack", &image, "own"]);
    assert_eq!(std::fs::read_to_string(scene.path("own/platform")).unwrap(), Platform::host().to_string());
}

#[test]
fn manifest_and_digest_are_the_index_unless_a_platform_is_named() {
    let scene = scene();
    let (_server, image) = registry();
    let index = scene.run(["manifest", &image]).stdout;
    assert!(index.contains("riscv64"), "{index}");
    let digest = scene.run(["digest", &image]).stdout;
    assert_eq!(digest, format!("{}\n", Digest::of(index.as_bytes())));
    let manifest = scene.run(["manifest", &image, "--platform", "linux/arm64"]).stdout;
    let digest = scene.run(["digest", &image, "--platform", "linux/arm64"]).stdout;
    assert_eq!(digest, format!("{}\n", Digest::of(manifest.as_bytes())));
    let config = scene.run(["config", &image, "--platform", "linux/arm64"]).stdout;
    assert!(config.contains(r#""architecture":"arm64""#), "{config}");
}

#[test]
fn a_pull_takes_the_one_platform() {
    let scene = scene();
    let (_server, image) = registry();
    let pulled = scene.run(["pull", &image, "oci:arm", "--platform", "linux/arm64/v8"]).stdout;
    assert_eq!(pulled, scene.run(["digest", &image, "--platform", "linux/arm64/v8"]).stdout);
    assert_eq!(pulled, scene.run(["digest", "oci:arm:v1"]).stdout);
}
