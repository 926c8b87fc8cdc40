//! `Immutable` beyond the suite: what a tag names stays what it names, also when two write at once.

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use gantri_core::filter::Immutable;
use gantri_core::spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};
use gantri_core::testkit::{Content, Fault, Flaky};
use gantri_core::{
    BlobBody, BlobUpload, ErrorKind, Limits, Manage, Memory, Mount, Pull, Push, PutManifest, Result, UploadSession,
};

use super::{at, images, kind, repo, tag};

async fn registry() -> (Immutable<Memory>, Content) {
    let registry = Immutable::new(Memory::new());
    let content = images("team/app").index("both", ["one", "two"]).tag("all", "both");
    content.push_to(&registry).await.unwrap();
    (registry, content)
}

#[tokio::test]
async fn a_tag_is_put_again_with_its_digest_and_no_other() {
    let (registry, content) = registry().await;
    let here = content.here();
    registry.put_manifest(here, &content.raw("one"), &[tag("v1")]).await.unwrap();
    assert_eq!(kind(registry.put_manifest(here, &content.raw("two"), &[tag("v1")]).await), ErrorKind::Conflict);
    assert_eq!(registry.resolve_manifest(here, &at("v1")).await.unwrap().digest, content.digest("one"));
}

#[tokio::test]
async fn one_tag_that_stands_against_it_stops_the_whole_put() {
    let (registry, content) = registry().await;
    let new = content.clone().image("new", ["layer"]);
    let config = new.descriptor("new.config");
    registry.put_blob(new.here(), &config, BlobBody::bytes(new.bytes("new.config"))).await.unwrap();
    let tags = [tag("v2"), tag("v1"), tag("v3")];
    assert_eq!(kind(registry.put_manifest(new.here(), &new.raw("new"), &tags).await), ErrorKind::Conflict);
    for unset in ["v2", "v3"] {
        assert_eq!(kind(registry.manifest(new.here(), &at(unset)).await), ErrorKind::ManifestUnknown);
    }
    assert_eq!(kind(registry.manifest(new.here(), &new.at("new")).await), ErrorKind::ManifestUnknown);
}

#[tokio::test]
async fn no_tag_is_deleted() {
    let (registry, content) = registry().await;
    assert_eq!(kind(registry.delete_tag(content.here(), &tag("v1")).await), ErrorKind::Unsupported);
    registry.manifest(content.here(), &at("v1")).await.unwrap();
}

/// Straight, through an index, and down to config and layer.
#[tokio::test]
async fn what_a_tag_leads_to_is_not_deleted() {
    let (registry, content) = registry().await;
    let here = content.here();
    for name in ["one", "both", "two"] {
        assert_eq!(kind(registry.delete_manifest(here, &content.digest(name)).await), ErrorKind::Conflict, "{name}");
    }
    for name in ["layer", "one.config", "two.config"] {
        assert_eq!(kind(registry.delete_blob(here, &content.digest(name)).await), ErrorKind::Conflict, "{name}");
    }
    for name in ["one", "two", "both"] {
        registry.manifest(here, &content.at(name)).await.unwrap();
    }
    registry.resolve_blob(here, &content.digest("layer")).await.unwrap();
}

#[tokio::test]
async fn what_no_tag_leads_to_is_deleted() {
    let (registry, content) = registry().await;
    let more = content.clone().blob("lone", "lone").image("untagged", ["layer"]);
    more.push_to(&registry).await.unwrap();
    registry.delete_manifest(more.here(), &more.digest("untagged")).await.unwrap();
    registry.delete_blob(more.here(), &more.digest("untagged.config")).await.unwrap();
    registry.delete_blob(more.here(), &more.digest("lone")).await.unwrap();
    assert_eq!(kind(registry.manifest(more.here(), &more.at("untagged")).await), ErrorKind::ManifestUnknown);
    let absent = repo("team/none");
    assert_eq!(kind(registry.delete_blob(&absent, &more.digest("layer")).await), ErrorKind::RepositoryUnknown);
}

/// A look that fails is no proof that the tag is free, or that nothing leads there.
#[tokio::test]
async fn nothing_is_changed_if_it_cannot_be_looked_at() {
    let behind = Memory::new();
    let content = images("team/app").index("both", ["one", "two"]).tag("all", "both");
    content.push_to(&behind).await.unwrap();
    let here = content.here();
    let away = |method: &'static str| {
        let unavailable = Fault::Fails(ErrorKind::Unavailable);
        Immutable::new(Flaky::new(behind.clone(), move |called, _| (called == method).then_some(unavailable)))
    };
    let put = away("resolve_manifest").put_manifest(here, &content.raw("two"), &[tag("v1")]).await;
    assert_eq!(kind(put), ErrorKind::Unavailable);
    let deleted = away("resolve_manifest").delete_manifest(here, &content.digest("two")).await;
    assert_eq!(kind(deleted), ErrorKind::Unavailable);
    assert_eq!(kind(away("manifest").delete_blob(here, &content.digest("layer")).await), ErrorKind::Unavailable);
    assert_eq!(behind.resolve_manifest(here, &at("v1")).await.unwrap().digest, content.digest("one"));
    behind.manifest(here, &content.at("two")).await.unwrap();
    behind.resolve_blob(here, &content.digest("layer")).await.unwrap();
}

#[tokio::test]
async fn the_search_for_tags_is_bounded() {
    let content = images("team/app").index("both", ["one", "two"]).index("outer", ["both"]).tag("all", "outer");
    let behind = Memory::new();
    content.push_to(&behind).await.unwrap();
    let delete = async |limits: Limits| {
        let registry = Immutable::with_limits(behind.clone(), limits);
        kind(registry.delete_manifest(content.here(), &content.digest("two")).await)
    };
    let bounds = |graph_nodes, index_depth| {
        let mut limits = Limits::default();
        (limits.graph_nodes, limits.index_depth) = (graph_nodes, index_depth);
        limits
    };
    assert_eq!(delete(bounds(100, 4)).await, ErrorKind::Conflict);
    assert_eq!(delete(bounds(2, 4)).await, ErrorKind::LimitExceeded);
    assert_eq!(delete(bounds(100, 0)).await, ErrorKind::LimitExceeded);
}

/// Lets the others go first between a look and the put that follows it.
#[derive(Debug)]
struct Slow {
    inner: Memory,
}

gantri_core::forward!(Slow, inner: Pull, Discover);

#[async_trait]
impl Push for Slow {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        self.inner.put_blob(repo, blob, body).await
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        self.inner.mount_blob(repo, digest, from).await
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.inner.start_upload(repo, algorithm).await
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.inner.resume_upload(repo, session).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        tokio::task::yield_now().await;
        self.inner.put_manifest(repo, manifest, tags).await
    }
}

#[async_trait]
impl Manage for Slow {
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        self.inner.delete_tag(repo, tag).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        // Longer than a put, so that one begun later could be done before.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        self.inner.delete_manifest(repo, digest).await
    }

    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        self.inner.delete_blob(repo, digest).await
    }
}

#[tokio::test]
async fn of_many_who_set_one_tag_the_first_stays() {
    let behind = Memory::new();
    let names: Vec<String> = (0..8).map(|number| format!("image{number}")).collect();
    let layered = Content::new("team/app").blob("layer", "layer");
    let content = names.iter().fold(layered, |content, name| content.image(name, ["layer"]));
    content.push_to(&behind).await.unwrap();
    let registry = Immutable::new(Slow { inner: behind });
    let here = content.here();
    let put = async |name: &String| registry.put_manifest(here, &content.raw(name), &[tag("v1")]).await;
    let outcomes = join_all(names.iter().map(put)).await;
    let (set, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((set.len(), refused.len()), (1, 7));
    assert!(refused.into_iter().all(|outcome| kind(outcome) == ErrorKind::Conflict));
}

#[tokio::test]
async fn a_tag_does_not_come_to_what_is_just_being_deleted() {
    let behind = Memory::new();
    let content = images("team/app");
    content.push_to(&behind).await.unwrap();
    let registry = Immutable::new(Slow { inner: behind.clone() });
    let (here, two) = (content.here(), content.raw("two"));
    let tags = [tag("v2")];
    let deleting = registry.delete_manifest(here, two.digest());
    let (deleted, put) = join(deleting, registry.put_manifest(here, &two, &tags)).await;
    deleted.unwrap();
    put.unwrap();
    assert_eq!(behind.resolve_manifest(here, &at("v2")).await.unwrap().digest, *two.digest());
}

/// A writer who gives up does not lock the others out.
#[tokio::test]
async fn a_put_that_is_dropped_lets_the_next_in() {
    let behind = Memory::new();
    let content = images("team/app");
    content.push_to(&behind).await.unwrap();
    let registry = Immutable::new(Slow { inner: behind });
    let (here, two, tags) = (content.here(), content.raw("two"), [tag("v2")]);
    let dropped = futures_util::future::poll_immediate(registry.put_manifest(here, &two, &tags)).await;
    assert!(dropped.is_none());
    registry.put_manifest(here, &two, &tags).await.unwrap();
}
