//! Files as artifacts, artifacts beside images, and files again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use gantri_core::{BlobBody, Discover, ErrorKind, Memory, Pull, Push};
use gantri_image::{Artifact, Place, PullOptions, PushOptions, attach, push, tag as tag_it, unpack_artifact};
use gantri_spec::{Annotations, Descriptor, ImageManifest, Manifest, MediaType, Selector};

use crate::graph::{put, put_blob, put_image};
use crate::{names, repo, tag};

fn kind() -> MediaType {
    MediaType::from_static("application/vnd.example.sbom")
}

fn place(memory: &Memory) -> Place {
    Place::new(Arc::new(memory.clone()), repo())
}

/// Packs with the scene as the working directory's stand-in: absolute paths are titled by their last component.
async fn pushed(artifact: Artifact) -> (Memory, ImageManifest) {
    let memory = Memory::new();
    let image = artifact.pack().await.unwrap();
    let Manifest::Image(parsed) = image.manifest.parse().unwrap() else { panic!("an image manifest") };
    push(image, &place(&memory), &[tag()], &PushOptions::default()).await.unwrap();
    (memory, parsed)
}

async fn unpacked(memory: &Memory, to: &Path) -> gantri_core::Result<Vec<PathBuf>> {
    unpack_artifact(&place(memory), &tag().into(), to, &PullOptions::default()).await.map(|unpacked| unpacked.files)
}

/// image-spec 1.1, "guidelines for artifact usage": this is what oras writes.
#[tokio::test]
async fn files_become_titled_layers_below_an_empty_config() {
    let scene = tempfile::tempdir().unwrap();
    fs::write(scene.path().join("sbom.json"), "{}").unwrap();
    fs::write(scene.path().join("notes.txt"), "notes").unwrap();
    let text = MediaType::from_static("text/plain");
    let artifact = Artifact::new(kind())
        .with_file(scene.path().join("sbom.json"), None)
        .with_file(scene.path().join("notes.txt"), Some(text.clone()))
        .with_annotation("a", "b");
    let (memory, manifest) = pushed(artifact).await;
    assert_eq!(manifest.artifact_type, Some(kind()));
    assert_eq!((manifest.config.media_type, manifest.config.data.as_deref()), (MediaType::OCI_EMPTY, Some(&b"{}"[..])));
    let layers: Vec<_> = manifest
        .layers
        .iter()
        .map(|layer| (layer.annotations.get(Annotations::TITLE).unwrap().as_str(), layer.media_type.clone()))
        .collect();
    assert_eq!(layers, [("sbom.json", MediaType::OCI_LAYER), ("notes.txt", text)]);
    let root = scene.path().join("root");
    assert_eq!(unpacked(&memory, &root).await.unwrap(), ["notes.txt", "sbom.json"].map(PathBuf::from));
    assert_eq!(fs::read_to_string(root.join("notes.txt")).unwrap(), "notes");
    assert_eq!(names(scene.path()), ["notes.txt", "root", "sbom.json"], "nothing else stays behind");
}

#[tokio::test]
async fn an_artifact_without_files_has_the_empty_layer() {
    let (_, manifest) = pushed(Artifact::new(kind())).await;
    assert_eq!(manifest.layers, [manifest.config]);
}

#[tokio::test]
async fn a_directory_goes_as_a_reproducible_archive_and_comes_back() {
    let scene = tempfile::tempdir().unwrap();
    let (one, two) = (scene.path().join("one/docs"), scene.path().join("two/docs"));
    for dir in [&one, &two] {
        fs::create_dir_all(dir.join("deep")).unwrap();
        fs::write(dir.join("deep/file"), "text").unwrap();
        symlink("deep/file", dir.join("link")).unwrap();
        for part in ["deep/file", "deep", ""] {
            fs::set_permissions(dir.join(part), fs::Permissions::from_mode(0o750)).unwrap();
        }
    }
    let pack = |dir: &Path| Artifact::new(kind()).with_directory(dir, None, scene.path());
    let (memory, manifest) = pushed(pack(&one)).await;
    assert_eq!(manifest, pushed(pack(&two)).await.1);
    assert_eq!(manifest.layers[0].annotations.get("io.deis.oras.content.unpack").map(String::as_str), Some("true"));
    let root = scene.path().join("root");
    assert_eq!(unpacked(&memory, &root).await.unwrap(), [PathBuf::from("docs")]);
    assert_eq!((names(&root), names(&root.join("docs"))), (vec!["docs".into()], vec!["deep".into(), "link".into()]));
    assert_eq!(fs::read_to_string(root.join("docs/link")).unwrap(), "text");
    assert_eq!(fs::metadata(root.join("docs")).unwrap().permissions().mode() & 0o7777, 0o750);
}

/// Keeps an artifact whose layers have these titles, each with its number as content.
async fn titled(titles: &[&str]) -> Memory {
    let memory = Memory::new();
    let config = put_blob(&memory, MediaType::OCI_EMPTY, "{}").await;
    let mut layers = Vec::new();
    for (number, title) in titles.iter().enumerate() {
        let layer = put_blob(&memory, MediaType::OCI_LAYER, &number.to_string()).await;
        layers.push(layer.with_annotation(Annotations::TITLE, *title));
    }
    put(&memory, &ImageManifest::new(config, layers).to_raw(), &["v1"]).await;
    memory
}

/// T1, T2: a title is a name from outside.
#[tokio::test]
async fn a_title_that_is_no_plain_path_writes_nothing() {
    let long = "x".repeat(256);
    let deep = "x/".repeat(2048) + "x";
    let bad = [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/..",
        "a//b",
        "a/./b",
        "./a",
        "a/",
        "a\\b",
        "a\0b",
        "a\nb",
        "\u{1b}[2J",
        &long,
        &deep,
    ];
    for title in bad {
        let scene = tempfile::tempdir().unwrap();
        let root = scene.path().join("root");
        let error = unpacked(&titled(&["good", title]).await, &root).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LayerInvalid, "{title:?}");
        assert!(!error.to_string().contains(|c: char| c.is_control()), "{error}");
        assert_eq!(names(scene.path()), Vec::<String>::new(), "{title:?}");
    }
}

#[tokio::test]
async fn titles_in_each_others_way_write_nothing() {
    for titles in [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"]] {
        let scene = tempfile::tempdir().unwrap();
        let error = unpacked(&titled(&titles).await, &scene.path().join("root")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LayerInvalid, "{titles:?}");
        assert_eq!(names(scene.path()), Vec::<String>::new(), "{titles:?}");
    }
    let scene = tempfile::tempdir().unwrap();
    let root = scene.path().join("root");
    unpacked(&titled(&["a/b", "a.b", "a/c/d", "ab"]).await, &root).await.unwrap();
    assert_eq!(
        (names(&root), names(&root.join("a"))),
        (vec!["a".into(), "a.b".into(), "ab".into()], vec!["b".into(), "c".into()])
    );
}

/// An archive may hold its own directory, and nothing else; a link in it leads no later file astray.
#[tokio::test]
async fn an_archive_that_holds_something_else_is_refused() {
    use crate::fixture::{gzip, tar};
    for (files, fits) in [
        (&[("docs/a", &b"a"[..])][..], true),
        (&[("other/a", &b"a"[..])][..], false),
        (&[("docs/a", &b"a"[..]), ("beside", &b"b"[..])][..], false),
        (&[("docs", &b"a file"[..])][..], false),
    ] {
        let archive = tar(files);
        let memory = Memory::new();
        let config = put_blob(&memory, MediaType::OCI_EMPTY, "{}").await;
        let bytes = gzip(&archive);
        let layer = Descriptor::of(MediaType::OCI_LAYER_GZIP, &bytes)
            .with_annotation(Annotations::TITLE, "docs")
            .with_annotation("io.deis.oras.content.digest", gantri_spec::Digest::of(&archive).to_string())
            .with_annotation("io.deis.oras.content.unpack", "true");
        memory.put_blob(&repo(), &layer, BlobBody::bytes(bytes)).await.unwrap();
        put(&memory, &ImageManifest::new(config, vec![layer]).to_raw(), &["v1"]).await;
        let scene = tempfile::tempdir().unwrap();
        let outcome = unpacked(&memory, &scene.path().join("root")).await;
        assert_eq!(outcome.is_ok(), fits, "{files:?} {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!((error.kind(), names(scene.path())), (ErrorKind::LayerInvalid, vec![]), "{error}");
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_before_it_is_sent_is_found_out() {
    let scene = tempfile::tempdir().unwrap();
    let file = scene.path().join("file");
    fs::write(&file, "before").unwrap();
    let image = Artifact::new(kind()).with_file(&file, None).pack().await.unwrap();
    fs::write(&file, "after it").unwrap();
    let memory = Memory::new();
    let error = push(image, &place(&memory), &[tag()], &PushOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::SizeMismatch), "{error:?}");
    assert!(memory.manifest(&repo(), &tag().into()).await.is_err());
}

#[tokio::test]
async fn an_artifact_that_is_attached_is_listed_by_its_subject() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config"], &["v1"]).await;
    let attached =
        attach(&place(&memory), &tag().into(), Artifact::new(kind()), &PushOptions::default()).await.unwrap();
    let listed: Vec<Descriptor> = memory.referrers(&repo(), image.digest(), Some(&kind())).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|found| &found.digest).collect::<Vec<_>>(), [&attached.digest]);
    let stored = memory.manifest(&repo(), &Selector::Digest(attached.digest)).await.unwrap();
    let subject = stored.parse().unwrap().subject().cloned().unwrap();
    assert_eq!(subject, *image.descriptor());
    let nowhere = Selector::Tag("v9".parse().unwrap());
    let error = attach(&place(&memory), &nowhere, Artifact::new(kind()), &PushOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
}

#[tokio::test]
async fn a_tag_is_another_name_for_the_same_bytes() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config"], &["v1"]).await;
    let tags = ["v2", "latest"].map(|name| name.parse().unwrap());
    for at in [Selector::from(tag()), Selector::Digest(image.digest().clone())] {
        assert_eq!(tag_it(&place(&memory), &at, &tags).await.unwrap(), *image.descriptor());
        for name in &tags {
            assert_eq!(memory.manifest(&repo(), &name.clone().into()).await.unwrap(), image);
        }
    }
}

/// A chart's and a signature's layers have no titles either; only an image can be unpacked.
#[tokio::test]
async fn layers_without_titles_are_no_files_and_only_an_image_is_said_to_be_one() {
    let blobs = "`gantri manifest` shows its blobs by their digests, `gantri blob` fetches one";
    let unpack = "an image is unpacked, not fetched: `gantri unpack`";
    let cases = [
        (MediaType::OCI_CONFIG, unpack),
        (MediaType::DOCKER_CONFIG, unpack),
        (MediaType::from_static("application/vnd.cncf.helm.config.v1+json"), blobs),
        (MediaType::OCI_EMPTY, blobs),
    ];
    for (config, hint) in cases {
        let memory = Memory::new();
        let layer = put_blob(&memory, MediaType::from_static("application/vnd.example.chart"), "a chart").await;
        let config = put_blob(&memory, config, "{}").await;
        put(&memory, &ImageManifest::new(config.clone(), vec![layer]).to_raw(), &["v1"]).await;
        let scene = tempfile::tempdir().unwrap();
        let error = unpacked(&memory, &scene.path().join("root")).await.unwrap_err();
        assert_eq!((error.kind(), error.hint()), (ErrorKind::Unsupported, Some(hint)), "{config:?}");
        assert_eq!(names(scene.path()), Vec::<String>::new());
    }
}
