//! `Fallback` beyond the suite: who is asked, in which order, and what a mirror's failure comes to.

use std::sync::Arc;

use gantri_core::filter::{Fallback, Serves};
use gantri_core::spec::{ByteRange, Digest, RepositoryName, Tag};
use gantri_core::testkit::{Content, Fault, Flaky};
use gantri_core::{BlobBody, ErrorKind, Manage, Memory, Pull, Push, Result};

use super::{at, images, kind, repo, tag, whole};

const LAYER: &str = "0123456789";

fn content() -> Content {
    Content::new("team/app").blob("layer", LAYER).image("one", ["layer"]).tag("v1", "one")
}

async fn holding(content: &Content) -> Memory {
    let registry = Memory::new();
    content.push_to(&registry).await.unwrap();
    registry
}

/// A mirror and an origin that hold the same; the mirror's reads go wrong by the script.
async fn mirrored(
    script: impl Fn(&str, usize) -> Option<Fault> + Send + Sync + 'static,
) -> (Fallback<Arc<Flaky<Memory>>>, Arc<Flaky<Memory>>, Arc<Flaky<Memory>>) {
    let mirror = Arc::new(Flaky::new(holding(&content()).await, script));
    let origin = Arc::new(Flaky::new(holding(&content()).await, |_, _| None));
    (Fallback::new(origin.clone()).with_mirror(mirror.clone()), mirror, origin)
}

async fn layer(registry: &impl Pull, range: ByteRange) -> Result<bytes::Bytes> {
    registry.blob(&repo("team/app"), &Digest::of(LAYER.as_bytes()), range).await?.bytes(100).await
}

#[tokio::test]
async fn what_the_mirror_has_the_origin_is_not_asked_for() {
    let (registry, mirror, origin) = mirrored(|_, _| None).await;
    let (content, here) = (content(), repo("team/app"));
    registry.resolve_manifest(&here, &content.at("one")).await.unwrap();
    registry.manifest(&here, &content.at("one")).await.unwrap();
    registry.resolve_blob(&here, &content.digest("layer")).await.unwrap();
    assert_eq!(layer(&registry, ByteRange::Full).await.unwrap(), LAYER);
    assert_eq!(mirror.calls(), ["resolve_manifest", "manifest", "resolve_blob", "blob"]);
    assert_eq!(origin.calls(), Vec::<&str>::new());
}

#[tokio::test]
async fn mirrors_are_asked_in_their_order() {
    let (empty, full) = (Arc::new(Flaky::new(Memory::new(), |_, _| None)), holding(&content()).await);
    let full = Arc::new(Flaky::new(full, |_, _| None));
    let origin = Arc::new(Flaky::new(Memory::new(), |_, _| None));
    let registry = Fallback::new(origin.clone()).with_mirror(empty.clone()).with_mirror(full.clone());
    assert_eq!(layer(&registry, ByteRange::Full).await.unwrap(), LAYER);
    assert_eq!((empty.calls().len(), full.calls().len(), origin.calls().len()), (1, 1, 0));
}

/// Not there, away, shut, broken: all the same to who asks.
#[tokio::test]
async fn a_mirror_that_fails_is_passed_over_in_every_method() {
    for failure in [
        ErrorKind::ManifestUnknown,
        ErrorKind::BlobUnknown,
        ErrorKind::Connect,
        ErrorKind::Timeout,
        ErrorKind::Unavailable,
        ErrorKind::RateLimited,
        ErrorKind::Unauthorized,
        ErrorKind::Denied,
        ErrorKind::NotARegistry,
        ErrorKind::DigestMismatch,
    ] {
        let (registry, mirror, origin) = mirrored(move |_, _| Some(Fault::Fails(failure))).await;
        let (content, here) = (content(), repo("team/app"));
        registry.resolve_manifest(&here, &content.at("one")).await.unwrap();
        registry.manifest(&here, &content.at("one")).await.unwrap();
        registry.resolve_blob(&here, &content.digest("layer")).await.unwrap();
        assert_eq!(layer(&registry, ByteRange::Full).await.unwrap(), LAYER);
        assert_eq!((mirror.calls().len(), origin.calls().len()), (4, 4), "{failure:?}");
    }
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_told() {
    let (registry, _, origin) = mirrored(|_, _| Some(Fault::Fails(ErrorKind::Config))).await;
    assert_eq!(kind(layer(&registry, ByteRange::Full).await), ErrorKind::Config);
    assert_eq!(kind(registry.manifest(&repo("team/app"), &content().at("one")).await), ErrorKind::Config);
    assert_eq!(origin.calls(), Vec::<&str>::new());
}

#[tokio::test]
async fn if_nobody_has_it_the_error_is_the_origins() {
    let script = |kind| move |_: &str, _: usize| Some(Fault::Fails(kind));
    let mirror = Flaky::new(Memory::new(), script(ErrorKind::Unavailable));
    let origin = Flaky::new(Memory::new(), script(ErrorKind::Denied));
    let registry = Fallback::new(origin).with_mirror(Arc::new(mirror));
    assert_eq!(kind(layer(&registry, ByteRange::Full).await), ErrorKind::Denied);
    assert_eq!(kind(registry.manifest(&repo("team/app"), &content().at("one")).await), ErrorKind::Denied);
}

#[tokio::test]
async fn a_blob_that_breaks_off_goes_on_at_the_next() {
    let span = |start, end| ByteRange::Span { start, end };
    let cases = [
        (ByteRange::Full, 4, LAYER),
        (ByteRange::Full, 0, LAYER),
        (ByteRange::From(3), 4, "3456789"),
        (span(3, 8), 2, "34567"),
        (span(3, 80), 2, "3456789"),
    ];
    for (range, after, expected) in cases {
        let (registry, mirror, origin) = mirrored(move |_, _| Some(Fault::Breaks(after, ErrorKind::Timeout))).await;
        assert_eq!(layer(&registry, range).await.unwrap(), expected, "{range:?} after {after}");
        assert_eq!((mirror.calls(), origin.calls()), (vec!["blob"], vec!["blob"]));
    }
}

/// H6: the parts came from two places, and whoever can begin anew is told.
#[tokio::test]
async fn a_blob_that_goes_on_at_the_next_says_that_it_was_joined() {
    for breaks in [false, true] {
        let fault = move |_: &str, _: usize| breaks.then_some(Fault::Breaks(4, ErrorKind::Timeout));
        let (registry, ..) = mirrored(fault).await;
        let digest = content().digest("layer");
        let reader = registry.blob(&repo("team/app"), &digest, ByteRange::Full).await.unwrap();
        let seams = reader.seams().clone();
        reader.bytes(1 << 20).await.unwrap();
        assert_eq!(seams.any(), breaks);
    }
}

/// Whoever breaks off once every byte is here has nothing left that somebody else could give.
#[tokio::test]
async fn a_break_behind_the_last_byte_is_the_error() {
    let (registry, _, origin) = mirrored(|_, _| Some(Fault::Breaks(LAYER.len(), ErrorKind::Protocol))).await;
    assert_eq!(kind(layer(&registry, ByteRange::Full).await), ErrorKind::Protocol);
    assert_eq!(origin.calls(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_blob_that_breaks_off_at_the_origin_ends_there() {
    let broken = |kind| move |_: &str, _: usize| Some(Fault::Breaks(4, kind));
    let mirror = Flaky::new(holding(&content()).await, broken(ErrorKind::Timeout));
    let origin = Arc::new(Flaky::new(holding(&content()).await, broken(ErrorKind::Connect)));
    let registry = Fallback::new(origin.clone()).with_mirror(Arc::new(mirror));
    assert_eq!(kind(layer(&registry, ByteRange::Full).await), ErrorKind::Connect);
    assert_eq!(origin.calls(), ["blob"]);
}

/// What was read cannot be unread, but it is never taken for right: also if the wrong part is followed by a right one.
#[tokio::test]
async fn wrong_bytes_of_a_mirror_are_a_mismatch_and_nothing_is_kept() {
    let (registry, _, origin) = mirrored(|_, _| Some(Fault::Flips(2))).await;
    assert_eq!(kind(layer(&registry, ByteRange::Full).await), ErrorKind::DigestMismatch);
    let target = Memory::new();
    let blob = content().descriptor("layer");
    let reader = registry.blob(&repo("team/app"), &blob.digest, ByteRange::Full).await.unwrap();
    let put = target.put_blob(&repo("team/app"), &blob, BlobBody::once(reader.into_unverified())).await;
    assert_eq!(kind(put), ErrorKind::DigestMismatch);
    assert_eq!(kind(target.resolve_blob(&repo("team/app"), &blob.digest).await), ErrorKind::RepositoryUnknown);
    assert_eq!(origin.calls(), Vec::<&str>::new());

    let wrong_then_gone = Flaky::new(Flaky::new(holding(&content()).await, |_, _| Some(Fault::Flips(2))), |_, _| {
        Some(Fault::Breaks(5, ErrorKind::Timeout))
    });
    let registry = Fallback::new(holding(&content()).await).with_mirror(Arc::new(wrong_then_gone));
    assert_eq!(kind(layer(&registry, ByteRange::Full).await), ErrorKind::DigestMismatch);
}

/// An origin whose tag has moved, and a mirror that has not heard of it.
async fn stale(serves: Serves) -> (Fallback<Arc<Flaky<Memory>>>, Arc<Flaky<Memory>>, Content) {
    let content = images("team/app");
    let mirror = holding(&content).await;
    let newer = holding(&content).await;
    newer.put_manifest(content.here(), &content.raw("two"), &[tag("v1")]).await.unwrap();
    let origin = Arc::new(Flaky::new(newer, |_, _| None));
    (Fallback::new(origin.clone()).with_mirror_for(Arc::new(mirror), serves), origin, content)
}

#[tokio::test]
async fn a_stale_mirror_does_not_say_what_a_tag_names() {
    let (registry, origin, content) = stale(Serves::Digests).await;
    let here = content.here();
    assert_eq!(registry.resolve_manifest(here, &at("v1")).await.unwrap().digest, content.digest("two"));
    assert_eq!(*registry.manifest(here, &at("v1")).await.unwrap().digest(), content.digest("two"));
    // What the tag names is content like any other, and the mirror has it.
    assert_eq!(origin.calls(), ["resolve_manifest", "resolve_manifest"]);
}

#[tokio::test]
async fn a_mirror_says_what_a_tag_names_if_it_is_told_to() {
    let (registry, origin, content) = stale(Serves::All).await;
    let here = content.here();
    assert_eq!(registry.resolve_manifest(here, &at("v1")).await.unwrap().digest, content.digest("one"));
    assert_eq!(*registry.manifest(here, &at("v1")).await.unwrap().digest(), content.digest("one"));
    assert_eq!(origin.calls(), Vec::<&str>::new());
    assert_eq!(kind(registry.manifest(here, &at("v9")).await), ErrorKind::ManifestUnknown);
    assert_eq!(origin.calls(), ["manifest"]);
}

#[tokio::test]
async fn a_mirror_of_tags_is_asked_for_no_content() {
    let (registry, origin, content) = stale(Serves::Tags).await;
    let here = content.here();
    assert_eq!(*registry.manifest(here, &at("v1")).await.unwrap().digest(), content.digest("one"));
    assert_eq!(origin.calls(), Vec::<&str>::new());
    registry.manifest(here, &content.at("one")).await.unwrap();
    registry.resolve_blob(here, &content.digest("layer")).await.unwrap();
    registry.blob(here, &content.digest("layer"), ByteRange::Full).await.unwrap();
    assert_eq!(origin.calls(), ["manifest", "resolve_blob", "blob"]);
}

/// Each is asked for what it serves: the first for content, the second for tags and content.
#[tokio::test]
async fn a_tag_that_no_mirror_knows_is_the_origins_and_its_content_a_mirrors() {
    let content = content();
    let near = Arc::new(Flaky::new(holding(&content).await, |_, _| None));
    let far = Arc::new(Flaky::new(Memory::new(), |_, _| None));
    let origin = Arc::new(Flaky::new(holding(&content).await, |_, _| None));
    let registry = Fallback::new(origin.clone()).with_mirror(near.clone()).with_mirror_for(far.clone(), Serves::All);
    registry.manifest(&repo("team/app"), &at("v1")).await.unwrap();
    assert_eq!((near.calls(), far.calls()), (vec!["manifest"], vec!["manifest"]));
    assert_eq!(origin.calls(), ["resolve_manifest"]);
}

#[tokio::test]
async fn writes_and_deletions_go_to_the_origin_alone() {
    let (mirror, origin) = (holding(&content()).await, holding(&content()).await);
    let registry = Fallback::new(origin.clone()).with_mirror(Arc::new(mirror.clone()));
    let here: RepositoryName = repo("team/app");
    let more = content().blob("more", "more");
    registry.put_blob(&here, &more.descriptor("more"), BlobBody::bytes("more")).await.unwrap();
    let v2: Tag = tag("v2");
    registry.put_manifest(&here, &more.raw("one"), &[v2]).await.unwrap();
    registry.delete_tag(&here, &tag("v1")).await.unwrap();
    assert_eq!(kind(mirror.resolve_blob(&here, &more.digest("more")).await), ErrorKind::BlobUnknown);
    assert_eq!(kind(mirror.manifest(&here, &at("v2")).await), ErrorKind::ManifestUnknown);
    mirror.manifest(&here, &at("v1")).await.unwrap();
    assert_eq!(kind(registry.manifest(&here, &at("v1")).await), ErrorKind::ManifestUnknown);
    assert_eq!(whole(&origin, &here, &more.digest("more")).await.unwrap(), "more");
}
