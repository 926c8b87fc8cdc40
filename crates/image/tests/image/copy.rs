//! Graphs from one registry into another: what arrives, in which order, and what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use gantri_core::{BlobBody, Discover, ErrorKind, Limits, Memory, Pull, Push, Registry};
use gantri_image::{Copied, CopyItem, CopyOptions, Extent, Foreign, Place, Platforms, Referrers, copy, plan};
use gantri_spec::{
    Descriptor, Digest, ImageManifest, Index, Manifest, MediaType, RawManifest, RepositoryName, Selector,
};

use crate::graph::{entry, put, put_blob, put_image, put_index, put_referrer};
use crate::spy::{Mounts, Served, Spy};
use crate::{repo, tag};

pub(crate) fn elsewhere() -> RepositoryName {
    "mirror/app".parse().unwrap()
}

pub(crate) fn place(registry: &(impl Registry + Clone), repo: RepositoryName) -> Place {
    Place::new(Arc::new(registry.clone()), repo)
}

/// Copies `team/app:v1` of the one to `mirror/app:v1` of the other.
async fn copy_v1(source: &Spy, target: &Spy, options: &CopyOptions) -> gantri_core::Result<Copied> {
    let item = CopyItem::new(place(source, repo()), tag(), place(target, elsewhere()), vec![tag()]);
    copy(vec![item], options).await.map(|mut copied| copied.remove(0))
}

async fn at_target(target: &Spy, at: impl Into<Selector>) -> RawManifest {
    target.manifest(&elsewhere(), &at.into()).await.unwrap()
}

fn target() -> Spy {
    Spy::new(Memory::new())
}

/// An index of two images, in an index of its own.
async fn nested(memory: &Memory) -> (RawManifest, Vec<RawManifest>) {
    let amd = put_image(memory, &["amd", "shared", "one"], &[]).await;
    let arm = put_image(memory, &["arm", "shared", "two"], &[]).await;
    let inner = put_index(memory, vec![entry(&arm, "linux/arm64")], &[]).await;
    let root = put_index(memory, vec![entry(&amd, "linux/amd64"), inner.descriptor().clone()], &["v1"]).await;
    (root.clone(), vec![amd, arm, inner, root])
}

#[tokio::test]
async fn a_nested_index_arrives_byte_for_byte_children_first() {
    let memory = Memory::new();
    let (_, manifests) = nested(&memory).await;
    let (source, target) = (Spy::new(memory), target());
    let copied = copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    for manifest in &manifests {
        assert_eq!(at_target(&target, manifest.digest().clone()).await, *manifest);
    }
    assert_eq!(at_target(&target, tag()).await, manifests[3]);
    let puts: Vec<_> = target.calls().into_iter().filter(|call| call.starts_with("put_manifest")).collect();
    assert_eq!(puts.last().unwrap(), &format!("put_manifest {}", manifests[3].digest()));
    let place_of = |at: usize| puts.iter().position(|put| put.ends_with(manifests[at].digest().as_str())).unwrap();
    assert!(place_of(1) < place_of(2), "the inner index comes after its image");
    assert_eq!((copied.sent.count, copied.manifests.count, copied.skipped.count), (5, 4, 0));
    assert_eq!(copied.sent.bytes, ["amd", "arm", "shared", "one", "two"].concat().len() as u64);
    // Each digest once, though two images share a layer.
    assert_eq!((source.count("blob"), target.count("put_blob"), source.count("manifest")), (5, 5, 4));
}

#[tokio::test]
async fn an_image_that_is_there_costs_two_requests() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "layer"], &["v1"]).await;
    let (source, target) = (Spy::new(memory), target());
    copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    source.forget();
    target.forget();
    let copied = copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    assert_eq!((source.calls(), target.calls()), (vec!["manifest v1".into()], vec!["resolve_manifest v1".into()]));
    assert_eq!((copied.skipped.count, copied.manifests.count), (1, 0));
    assert_eq!(copied.manifest, *image.descriptor());
}

#[tokio::test]
async fn of_an_index_that_is_there_only_images_that_are_missing_are_sent() {
    let memory = Memory::new();
    let (root, manifests) = nested(&memory).await;
    let (source, target) = (Spy::new(memory), target());
    copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    gantri_core::Manage::delete_manifest(&target, &elsewhere(), manifests[1].digest()).await.unwrap();
    target.forget();
    let copied = copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    assert_eq!((copied.manifests.count, copied.sent.count), (1, 0));
    assert_eq!(at_target(&target, manifests[1].digest().clone()).await, manifests[1]);
    assert_eq!(target.count("put_manifest"), 1);
    assert_eq!(at_target(&target, tag()).await, root);
}

#[tokio::test]
async fn a_manifest_that_is_there_under_another_tag_is_only_tagged() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "layer"], &["v1"]).await;
    let (source, target) = (Spy::new(memory), target());
    copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    target.forget();
    let tags = vec![tag(), "v2".parse().unwrap()];
    let item = CopyItem::new(place(&source, repo()), tag(), place(&target, elsewhere()), tags);
    copy(vec![item], &CopyOptions::default()).await.unwrap();
    let expected = ["resolve_manifest v1", "resolve_manifest v2", &format!("put_manifest {}", image.digest())];
    assert_eq!(target.calls(), expected);
    assert_eq!(at_target(&target, "v2".parse::<gantri_spec::Tag>().unwrap()).await, image);
}

/// A layout may have come to harm: whatever it says, it is given every blob to look at.
#[tokio::test]
async fn a_target_that_does_not_guard_its_content_is_asked_for_every_blob() {
    let memory = Memory::new();
    put_image(&memory, &["config", "layer"], &["v1"]).await;
    let (source, target) = (Spy::new(memory), Spy::new(Memory::new()).unguarded());
    for _ in 0..2 {
        target.forget();
        copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    }
    assert_eq!((target.count("has_blob"), target.count("put_manifest"), target.count("resolve")), (2, 1, 0));
}

#[tokio::test]
async fn within_one_registry_blobs_are_mounted_and_a_session_that_comes_instead_is_used() {
    for (mounts, mounted, sent) in [(Mounts::Done, 3, 0), (Mounts::Session, 0, 3), (Mounts::Refused, 0, 3)] {
        let memory = Memory::new();
        let image = put_image(&memory, &["config", "a", "b"], &["v1"]).await;
        let registry: Arc<dyn Registry> = Arc::new(Spy::new(memory.clone()).mounting(mounts));
        let [from, to] = [repo(), elsewhere()].map(|repo| Place::new(Arc::clone(&registry), repo));
        let copied = copy(vec![CopyItem::new(from, tag(), to, vec![tag()])], &CopyOptions::default()).await.unwrap();
        assert_eq!((copied[0].mounted.count, copied[0].sent.count), (mounted, sent), "{mounts:?}");
        assert_eq!(memory.manifest(&elsewhere(), &tag().into()).await.unwrap(), image, "{mounts:?}");
    }
}

#[tokio::test]
async fn within_one_repository_a_copy_is_a_tag() {
    let memory = Memory::new();
    let (root, _) = nested(&memory).await;
    let spy = Spy::new(memory);
    let here = place(&spy, repo());
    let item = CopyItem::new(here.clone(), tag(), here, vec!["v2".parse().unwrap()]);
    copy(vec![item], &CopyOptions::default()).await.unwrap();
    assert_eq!(spy.calls(), ["manifest v1".to_owned(), format!("put_manifest {}", root.digest())]);
}

/// M5: a tag that moves meanwhile changes nothing.
#[tokio::test]
async fn a_tag_is_asked_for_once_and_all_else_by_digest() {
    let memory = Memory::new();
    nested(&memory).await;
    let (source, target) = (Spy::new(memory), target());
    copy_v1(&source, &target, &CopyOptions::default()).await.unwrap();
    assert_eq!((source.count("manifest v1"), source.count("resolve")), (1, 0));
}

/// M12: as deep as allowed is copied, one deeper is refused before anything has a name.
#[tokio::test]
async fn indexes_in_indexes_end_at_the_limit() {
    let limits = Limits::default();
    for (depth, fits) in [(limits.index_depth, true), (limits.index_depth + 1, false)] {
        let memory = Memory::new();
        let mut top = put_image(&memory, &["config"], &[]).await;
        for _ in 0..depth {
            top = put_index(&memory, vec![top.descriptor().clone()], &["v1"]).await;
        }
        let (source, target) = (Spy::new(memory), target());
        let outcome = copy_v1(&source, &target, &CopyOptions::default()).await;
        assert_eq!(outcome.is_ok(), fits, "{depth}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            assert!(error.to_string().contains("index_depth"), "{error}");
            assert_eq!(target.count("put_manifest"), 0);
        }
    }
}

/// M12
#[tokio::test]
async fn the_size_of_a_graph_is_bounded_and_its_sizes_agree() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "a", "b"], &["v1"]).await;
    let mut limits = Limits::default();
    limits.graph_nodes = 4;
    let within = CopyOptions::default().limits(limits.clone());
    copy_v1(&Spy::new(memory.clone()), &target(), &within).await.unwrap();
    limits.graph_nodes = 3;
    let error = copy_v1(&Spy::new(memory.clone()), &target(), &CopyOptions::default().limits(limits)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().ends_with("graph_nodes = 3"), "{error}");

    let mut liar = image.descriptor().clone();
    liar.size += 1;
    let index = put_index(&memory, vec![image.descriptor().clone(), liar], &["v1"]).await;
    let target = target();
    let error = copy_v1(&Spy::new(memory), &target, &CopyOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), target.count("put")), (ErrorKind::ManifestInvalid, 0), "{index:?} {error}");
}

/// M1
#[tokio::test]
async fn what_could_be_read_as_two_things_is_not_copied() {
    let both = format!(
        r#"{{"schemaVersion":2,"mediaType":"{0}","manifests":[],"layers":[],"config":{{}}}}"#,
        MediaType::OCI_INDEX.as_str()
    );
    let served = RawManifest::new(MediaType::OCI_INDEX, both.into());
    let target = target();
    let source = Spy::new(Memory::new()).saying(served);
    let error = copy_v1(&source, &target, &CopyOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), target.count("put")), (ErrorKind::ManifestInvalid, 0), "{error}");
    assert!(error.to_string().starts_with("copy team/app:v1 -> mirror/app:v1: source: manifest sha256:"), "{error}");
}

/// M17: schema 1 is forwarded as it stands, with its layers.
#[tokio::test]
async fn schema_1_is_copied_as_raw_bytes_with_its_layers() {
    let memory = Memory::new();
    let layer = put_blob(&memory, MediaType::OCTET_STREAM, "layer").await;
    let text = format!(r#"{{"schemaVersion":1,"fsLayers":[{{"blobSum":"{0}"}},{{"blobSum":"{0}"}}]}}"#, layer.digest);
    let raw = put(&memory, &RawManifest::new(MediaType::DOCKER_SCHEMA1, text.into()), &["v1"]).await;
    let target = target();
    let copied = copy_v1(&Spy::new(memory), &target, &CopyOptions::default()).await.unwrap();
    assert_eq!(at_target(&target, tag()).await, raw);
    assert_eq!(copied.sent.count, 1);
    assert_eq!(target.resolve_blob(&elsewhere(), &layer.digest).await.unwrap().size, 5);
}

/// A manifest of a type that nobody knows is bytes, and an index may list blobs, as a build cache does.
#[tokio::test]
async fn what_nobody_knows_is_copied_as_it_stands() {
    let memory = Memory::new();
    let future = MediaType::from_static("application/vnd.example.future+json");
    let unknown = put(&memory, &RawManifest::new(future, "anything".into()), &[]).await;
    let cache = put_blob(&memory, MediaType::from_static("application/vnd.buildkit.cacheconfig.v0"), "cache").await;
    let layer = put_blob(&memory, MediaType::OCI_LAYER_GZIP, "layer").await;
    let index = put_index(&memory, vec![unknown.descriptor().clone(), cache.clone(), layer.clone()], &["v1"]).await;
    let target = target();
    copy_v1(&Spy::new(memory), &target, &CopyOptions::default()).await.unwrap();
    assert_eq!(at_target(&target, tag()).await, index);
    assert_eq!(at_target(&target, unknown.digest().clone()).await, unknown);
    for blob in [cache, layer] {
        assert_eq!(target.resolve_blob(&elsewhere(), &blob.digest).await.unwrap().size, blob.size);
    }
}

#[tokio::test]
async fn a_subset_of_platforms_is_a_new_index_with_what_attests_to_them() {
    let memory = Memory::new();
    let mut entries = Vec::new();
    for platform in ["linux/amd64", "linux/arm64", "linux/s390x"] {
        let image = put_image(&memory, &[platform, "shared"], &[]).await;
        let attestation = put_image(&memory, &[platform, "attests"], &[]).await;
        entries.push(entry(&image, platform).with_annotation("kept", "yes"));
        let attestation = entry(&attestation, "unknown/unknown")
            .with_annotation("vnd.docker.reference.type", "attestation-manifest")
            .with_annotation("vnd.docker.reference.digest", image.digest().to_string());
        entries.push(attestation);
    }
    let mut index = Index::new(entries.clone());
    index.annotations.insert("whole".into(), "yes".into());
    let whole = put(&memory, &index.to_raw(), &["v1"]).await;
    let wanted = |platforms: &[&str]| {
        let platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        CopyOptions::default().extent(Extent::default().platforms(Platforms::Only(platforms)))
    };
    let source = Spy::new(memory);

    let two = target();
    let copied = copy_v1(&source, &two, &wanted(&["linux/s390x", "linux/amd64"])).await.unwrap();
    let subset = at_target(&two, tag()).await;
    assert_eq!(*subset.descriptor(), copied.manifest);
    let Manifest::Index(subset) = subset.parse().unwrap() else { panic!("an index") };
    let kept: Vec<_> = [0, 1, 4, 5].map(|at: usize| entries[at].clone()).to_vec();
    assert_eq!((subset.manifests, subset.annotations), (kept, index.annotations));
    for dropped in [2, 3] {
        let at = Selector::Digest(entries[dropped].digest.clone());
        assert_eq!(two.manifest(&elsewhere(), &at).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);
    }

    let one = target();
    let copied = copy_v1(&source, &one, &wanted(&["linux/arm64"])).await.unwrap();
    assert_eq!(copied.manifest.digest, entries[2].digest, "the image itself, as crane has it");

    let all = target();
    let copied = copy_v1(&source, &all, &wanted(&["linux/arm64", "linux/s390x", "linux/amd64"])).await.unwrap();
    assert_eq!(copied.manifest.digest, *whole.digest(), "nothing was left out");

    let none = target();
    let error = copy_v1(&source, &none, &wanted(&["linux/amd64", "plan9/386"])).await.unwrap_err();
    assert_eq!((error.kind(), none.calls()), (ErrorKind::PlatformUnknown, vec![]));
    assert!(error.to_string().contains("linux/s390x"), "{error}");
}

#[tokio::test]
async fn referrers_come_along_and_theirs_and_the_tag_moves_last() {
    let memory = Memory::new();
    let (root, manifests) = nested(&memory).await;
    let signature = put_referrer(&memory, "signature", &manifests[1]).await;
    let about_signature = put_referrer(&memory, "about the signature", &signature).await;
    let of_root = put_referrer(&memory, "of the index", &root).await;
    let source = Spy::new(memory);
    let (left, followed) = (target(), target());
    copy_v1(&source, &left, &CopyOptions::default()).await.unwrap();
    let at = Selector::Digest(signature.digest().clone());
    assert_eq!(left.manifest(&elsewhere(), &at).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);

    let follow = CopyOptions::default().extent(Extent::default().referrers(Referrers::Follow));
    copy_v1(&source, &followed, &follow).await.unwrap();
    assert_eq!(followed.calls().last().unwrap(), &format!("put_manifest {}", root.digest()));
    for manifest in [&signature, &about_signature, &of_root, &root] {
        assert_eq!(at_target(&followed, manifest.digest().clone()).await, *manifest);
    }
    let listed = followed.referrers(&elsewhere(), manifests[1].digest(), None);
    let listed: Vec<_> = listed.map_ok(|found| found.digest).try_collect().await.unwrap();
    assert_eq!(listed, [signature.digest().clone()]);
    // What came later is found though the image is there.
    copy_v1(&source, &left, &follow).await.unwrap();
    assert_eq!(at_target(&left, about_signature.digest().clone()).await, about_signature);
}

/// M13: a listing that names what does not refer to the subject.
#[tokio::test]
async fn a_false_referrer_is_left_out() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config"], &["v1"]).await;
    let other = put_image(&memory, &["other"], &[]).await;
    let source = Spy::new(memory).listing(image.digest(), vec![other.descriptor().clone(), image.descriptor().clone()]);
    let target = target();
    copy_v1(&source, &target, &CopyOptions::default().extent(Extent::default().referrers(Referrers::Follow)))
        .await
        .unwrap();
    let at = Selector::Digest(other.digest().clone());
    assert_eq!(target.manifest(&elsewhere(), &at).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);
}

/// A1: what `urls` name is nobody's business here; the source registry's own copy is taken if that is asked for.
#[tokio::test]
async fn foreign_layers_are_left_or_brought() {
    for (foreign, is_held, sent) in [(Foreign::Leave, true, 1), (Foreign::Bring, true, 2), (Foreign::Bring, false, 1)] {
        let memory = Memory::new();
        let mut layer = Descriptor::of(MediaType::DOCKER_LAYER_FOREIGN_GZIP, b"foreign");
        layer.urls = vec!["http://127.0.0.1:1/foreign".into()];
        if is_held {
            put_blob(&memory, MediaType::OCTET_STREAM, "foreign").await;
        }
        let config = put_blob(&memory, MediaType::OCI_CONFIG, "config").await;
        let image = put(&memory, &ImageManifest::new(config, vec![layer]).to_raw(), &["v1"]).await;
        let target = target();
        let copied =
            copy_v1(&Spy::new(memory), &target, &CopyOptions::default().extent(Extent::default().foreign(foreign)))
                .await
                .unwrap();
        assert_eq!((copied.sent.count, at_target(&target, tag()).await), (sent, image), "{foreign:?} {is_held}");
    }
}

#[tokio::test]
async fn errors_say_which_side_and_which_object() {
    let memory = Memory::new();
    let image = put_image(&memory, &["config", "layer"], &["v1"]).await;
    let layer = Digest::of(b"layer");
    let source = Spy::new(memory.clone()).serving(&layer, Served::As("lAyer".into()));
    let wrong = target();
    let error = copy_v1(&source, &wrong, &CopyOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let start = "copy team/app:v1 -> mirror/app:v1: source: ";
    assert!(error.to_string().starts_with(start) && error.to_string().contains(layer.as_str()), "{error}");
    assert_eq!(wrong.count("put_manifest"), 0);

    gantri_core::Manage::delete_blob(&memory, &repo(), &layer).await.unwrap();
    let error = copy_v1(&Spy::new(memory), &target(), &CopyOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BlobUnknown);
    assert!(error.to_string().starts_with(start) && error.to_string().contains(layer.as_str()), "{error}");

    let memory = Memory::new();
    put_image(&memory, &["config", "layer"], &["v1"]).await;
    for refused in [image.digest(), &layer] {
        let target = target().refusing(refused);
        let error = copy_v1(&Spy::new(memory.clone()), &target, &CopyOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let start = "copy team/app:v1 -> mirror/app:v1: target: ";
        assert!(error.to_string().starts_with(start) && error.to_string().contains(refused.as_str()), "{error}");
    }
}

#[tokio::test]
async fn a_plan_says_what_a_copy_does_and_does_nothing() {
    let memory = Memory::new();
    nested(&memory).await;
    let (source, target) = (Spy::new(memory), target());
    let shared = Descriptor::of(MediaType::OCI_LAYER_GZIP, b"shared");
    target.put_blob(&elsewhere(), &shared, BlobBody::bytes("shared")).await.unwrap();
    target.forget();
    let item = CopyItem::new(place(&source, repo()), tag(), place(&target, elsewhere()), vec![tag()]);
    let items = [item];
    let planned = plan(&items, &CopyOptions::default()).await.unwrap();
    assert_eq!((target.count("put"), target.count("mount"), target.count("start"), source.count("blob")), (0, 0, 0, 0));
    let copied = copy(items.to_vec(), &CopyOptions::default()).await.unwrap();
    assert_eq!(planned.items, copied);
    assert_eq!(planned.steps.len() as u64, copied[0].sent.count + copied[0].manifests.count + copied[0].skipped.count);
    let again = plan(&items, &CopyOptions::default()).await.unwrap();
    assert_eq!((again.items[0].sent.count, again.items[0].manifests.count), (0, 0));
    let digests: BTreeSet<_> = planned.steps.iter().map(|step| step.what.digest.to_string()).collect();
    assert_eq!(digests.len(), planned.steps.len(), "each digest once");
}

/// A target that does not answer can't keep the word of the source back.
#[tokio::test(start_paused = true)]
async fn what_the_source_lacks_is_told_without_waiting_for_the_target() {
    let (source, target) = (Spy::new(Memory::new()), target().mute());
    let options = CopyOptions::default();
    let copied = copy_v1(&source, &target, &options);
    let error =
        tokio::time::timeout(Duration::from_secs(1), copied).await.expect("it waits for the target").unwrap_err();
    assert!(error.to_string().contains(": source: "), "{error}");
    assert_eq!(error.kind(), ErrorKind::RepositoryUnknown, "{error}");
}

/// A place that is read through mirrors is another registry than the one behind, and yet at home in that.
#[tokio::test]
async fn what_is_read_before_its_registry_is_mounted_in_it() {
    for (at_home, mounted) in [(false, 0), (true, 2)] {
        let memory = Memory::new();
        put_image(&memory, &["config", "layer"], &["v1"]).await;
        let (mirror, registry) = (Spy::new(memory.clone()), Spy::new(memory));
        let (source, target) = (place(&mirror, repo()), place(&registry, elsewhere()));
        let source = if at_home { source.at_home_in(Arc::clone(&target.registry)) } else { source };
        copy(vec![CopyItem::new(source, tag(), target, vec![tag()])], &CopyOptions::default()).await.unwrap();
        assert_eq!((registry.count("mount_blob"), mirror.count("blob ")), (mounted, 2 - mounted));
    }
}
