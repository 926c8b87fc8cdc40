//! From a tag and a platform to one image.

use crate::spy::Spy;
use crate::{repo, tag};
use gantri_core::testkit::Content;
use gantri_core::{ErrorKind, Limits, Memory, Push, Result};
use gantri_image::{Resolved, resolve};
use gantri_spec::{Descriptor, Index, MediaType, Platform, RawManifest, Selector};

/// Images of these names, and an index over what `entries` makes of them.
async fn served(names: &[&str], entries: impl FnOnce(&Content) -> Vec<Descriptor>) -> (Spy, Content) {
    let mut content = Content::new("team/app");
    for name in names {
        content = content.image(name, []);
    }
    let index = Index::new(entries(&content)).to_raw();
    let content = content.manifest("index", index).tag("v1", "index");
    let memory = Memory::new();
    content.push_to(&memory).await.unwrap();
    (Spy::new(memory), content)
}

async fn resolved(source: &Spy, platform: &str) -> Result<Resolved> {
    resolve(source, &repo(), &Selector::Tag(tag()), &platform.parse().unwrap(), &Limits::default()).await
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn attestation(descriptor: Descriptor) -> Descriptor {
    descriptor.with_annotation("vnd.docker.reference.type", "attestation-manifest")
}

#[tokio::test]
async fn the_best_ranked_entry_is_taken_and_of_equals_the_first() {
    let names = ["amd64", "arm-v6", "arm-v7", "arm64", "arm64-again", "attestation"];
    let (source, content) = served(&names, |content| {
        let at = |name: &str, text: &str| content.descriptor(name).with_platform(platform(text));
        vec![
            attestation(at("attestation", "linux/amd64")),
            at("arm-v6", "linux/arm/v6"),
            at("arm-v7", "linux/arm/v7"),
            at("arm64", "linux/arm64"),
            at("arm64-again", "linux/arm64"),
            at("amd64", "linux/amd64"),
        ]
    })
    .await;
    let cases = [
        ("linux/amd64", "amd64"),
        ("linux/arm/v7", "arm-v7"),
        ("linux/arm/v6", "arm-v6"),
        ("linux/arm/v8", "arm-v7"),
        ("linux/arm64", "arm64"),
    ];
    for (want, name) in cases {
        let resolved = resolved(&source, want).await.unwrap();
        assert_eq!(resolved.manifest.digest(), &content.digest(name), "{want}");
        assert_eq!(resolved.index.unwrap().digest, content.digest("index"), "{want}");
    }
}

#[tokio::test]
async fn an_unknown_platform_is_an_error_that_lists_what_there_is() {
    let (source, _) = served(&["a", "b", "c"], |content| {
        vec![
            content.descriptor("a").with_platform(platform("linux/amd64")),
            content.descriptor("b").with_platform(platform("linux/arm64/v8")),
            content.descriptor("c").with_platform(Platform::new("evil\u{1b}[2J", "x")),
        ]
    })
    .await;
    let error = resolved(&source, "linux/s390x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PlatformUnknown);
    let text = error.to_string();
    for part in ["linux/s390x", "linux/amd64", "linux/arm64/v8", "evil\\u{1b}[2J/x"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(source.count("manifest"), 1);
}

#[tokio::test]
async fn a_manifest_that_is_no_index_is_taken_as_it_is() {
    let content = Content::new("team/app").image("app", []).tag("v1", "app");
    let memory = Memory::new();
    content.push_to(&memory).await.unwrap();
    let resolved = resolved(&Spy::new(memory), "plan9/mips").await.unwrap();
    assert_eq!(resolved.manifest.digest(), &content.digest("app"));
    assert!(resolved.index.is_none());
}

#[tokio::test]
async fn an_entry_without_platform_is_taken_only_if_it_is_the_only_one() {
    let (source, content) = served(&["only", "other"], |content| {
        vec![content.descriptor("only"), content.descriptor("other").with_platform(platform("linux/arm64"))]
    })
    .await;
    assert_eq!(resolved(&source, "linux/amd64").await.unwrap().manifest.digest(), &content.digest("only"));
    let (source, _) = served(&["a", "b"], |content| vec![content.descriptor("a"), content.descriptor("b")]).await;
    assert_eq!(resolved(&source, "linux/amd64").await.unwrap_err().kind(), ErrorKind::PlatformUnknown);
}

/// An index in an index, and so on; the image lies `depth` indexes below the tagged one.
async fn nested(depth: u32) -> (Spy, Content) {
    let mut content = Content::new("team/app").image("app", []);
    let entry = content.descriptor("app").with_platform(platform("linux/amd64"));
    let mut raw = Index::new(vec![entry]).to_raw();
    for level in 0..depth {
        content = content.manifest(&format!("level-{level}"), raw.clone());
        raw = Index::new(vec![raw.descriptor().clone()]).to_raw();
    }
    let content = content.manifest("index", raw).tag("v1", "index");
    let memory = Memory::new();
    content.push_to(&memory).await.unwrap();
    (Spy::new(memory), content)
}

#[tokio::test]
async fn indexes_nest_as_deep_as_the_limit_and_no_deeper() {
    let limit = Limits::default().index_depth;
    let (source, content) = nested(limit - 1).await;
    assert_eq!(resolved(&source, "linux/amd64").await.unwrap().manifest.digest(), &content.digest("app"));
    let (source, _) = nested(limit).await;
    let error = resolved(&source, "linux/amd64").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("index_depth"), "{error}");
}

#[tokio::test]
async fn a_child_named_ten_thousand_times_is_looked_at_once() {
    let inner = Index::new(Vec::new()).to_raw();
    let content = Content::new("team/app").manifest("inner", inner);
    let index = Index::new(vec![content.descriptor("inner"); 10_000]).to_raw();
    let content = content.manifest("index", index).tag("v1", "index");
    let memory = Memory::new();
    content.push_to(&memory).await.unwrap();
    let source = Spy::new(memory);
    assert_eq!(resolved(&source, "linux/amd64").await.unwrap_err().kind(), ErrorKind::PlatformUnknown);
    assert_eq!(source.count("manifest"), 2);
}

#[tokio::test]
async fn as_many_manifests_as_the_limit_are_looked_at() {
    let (source, _) = served(&[], |_| Vec::new()).await;
    let mut content = Content::new("team/app");
    let children: Vec<String> = (0..4).map(|child| format!("child-{child}")).collect();
    for child in &children {
        let annotated = [("n".to_owned(), child.clone())].into_iter().collect();
        let mut index = Index::new(Vec::new());
        index.annotations = annotated;
        content = content.manifest(child, index.to_raw());
    }
    let index = Index::new(children.iter().map(|child| content.descriptor(child)).collect()).to_raw();
    let memory = Memory::new();
    content.manifest("index", index).tag("v1", "index").push_to(&memory).await.unwrap();
    drop(source);
    let mut limits = Limits::default();
    limits.graph_nodes = 3;
    let at = Selector::Tag(tag());
    let error = resolve(&memory, &repo(), &at, &platform("linux/amd64"), &limits).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn an_entry_whose_size_lies_is_refused() {
    for lie in [-1_i64, 1] {
        let (source, _) = served(&["app"], |content| {
            let mut entry = content.descriptor("app").with_platform(platform("linux/amd64"));
            entry.size = entry.size.saturating_add_signed(lie);
            vec![entry]
        })
        .await;
        assert_eq!(resolved(&source, "linux/amd64").await.unwrap_err().kind(), ErrorKind::SizeMismatch, "{lie}");
    }
}

#[tokio::test]
async fn an_index_entry_that_is_called_what_it_is_not_is_refused() {
    let (source, _) = served(&["app"], |content| {
        let app = content.descriptor("app");
        vec![Descriptor::new(MediaType::OCI_INDEX, app.digest, app.size).with_platform(platform("linux/amd64"))]
    })
    .await;
    assert_eq!(resolved(&source, "linux/amd64").await.unwrap_err().kind(), ErrorKind::ManifestInvalid);
}

#[tokio::test]
async fn schema_1_is_no_image() {
    let raw = RawManifest::new(MediaType::DOCKER_SCHEMA1, r#"{"schemaVersion":1,"name":"a","tag":"b"}"#.into());
    let memory = Memory::new();
    memory.put_manifest(&repo(), &raw, &[tag()]).await.unwrap();
    assert_eq!(resolved(&Spy::new(memory), "linux/amd64").await.unwrap_err().kind(), ErrorKind::Unsupported);
}
