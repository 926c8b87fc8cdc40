//! `Prefix` beyond the suite: what lies below the prefix is all there is, under its shorter name.

use futures_util::TryStreamExt;
use gantri_core::filter::Prefix;
use gantri_core::{Discover, ErrorKind, Memory, Mount, Pull, Push};

use super::{at, images, kind, repo, tag, whole};

#[tokio::test]
async fn names_gain_the_prefix_inwards_and_lose_it_outwards() {
    let behind = Memory::new();
    let registry = Prefix::new(behind.clone(), repo("team/part"));
    let content = images("app");
    content.push_to(&registry).await.unwrap();
    let one = content.digest("one");
    assert_eq!(behind.resolve_manifest(&repo("team/part/app"), &at("v1")).await.unwrap().digest, one);
    assert_eq!(registry.resolve_manifest(&repo("app"), &at("v1")).await.unwrap().digest, one);
    let listed: Vec<_> = registry.repositories(None).try_collect().await.unwrap();
    assert_eq!(listed, [repo("app")]);
}

/// Neighbours whose names begin alike, and the repository that is called like the prefix itself.
#[tokio::test]
async fn what_lies_beside_the_prefix_is_not_there() {
    let behind = Memory::new();
    for name in ["team", "team-a", "team/app", "team/sub/app", "team0", "teams/app"] {
        images(name).push_to(&behind).await.unwrap();
    }
    let registry = Prefix::new(behind, repo("team"));
    let listed: Vec<_> = registry.repositories(None).try_collect().await.unwrap();
    assert_eq!(listed, [repo("app"), repo("sub/app")]);
    let listed: Vec<_> = registry.repositories(Some(&repo("app"))).try_collect().await.unwrap();
    assert_eq!(listed, [repo("sub/app")]);
    for name in ["team", "team/app", "team-a"] {
        assert_eq!(kind(registry.manifest(&repo(name), &at("v1")).await), ErrorKind::RepositoryUnknown, "{name}");
    }
}

/// (R6) By its digest alone a blob outside can't be had.
#[tokio::test]
async fn a_mount_reaches_only_what_lies_below_the_prefix() {
    let behind = Memory::new();
    let content = images("other/app").blob("foreign", "foreign");
    content.push_to(&behind).await.unwrap();
    images("team/app").push_to(&behind).await.unwrap();
    let registry = Prefix::new(behind.clone(), repo("team"));
    let target = repo("new");
    let foreign = content.digest("foreign");
    for from in [None, Some(repo("other/app")), Some(repo("app"))] {
        let answer = registry.mount_blob(&target, &foreign, from.as_ref()).await.unwrap();
        assert!(!matches!(answer, Mount::Mounted), "{from:?}: {answer:?}");
    }
    let layer = content.digest("layer");
    let answer = registry.mount_blob(&target, &layer, Some(&repo("app"))).await.unwrap();
    assert!(matches!(answer, Mount::Mounted), "{answer:?}");
    assert_eq!(whole(&behind, &repo("team/new"), &layer).await.unwrap(), "layer");
}

#[tokio::test]
async fn a_name_that_is_too_long_with_its_prefix_is_invalid() {
    let registry = Prefix::new(Memory::new(), repo("team"));
    let long = repo(&"x".repeat(250));
    let fits = images(long.as_str());
    fits.push_to(&registry).await.unwrap();
    let longer = repo(&"x".repeat(251));
    assert_eq!(kind(registry.manifest(&longer, &at("v1")).await), ErrorKind::NameInvalid);
    assert_eq!(kind(registry.put_manifest(&longer, &fits.raw("one"), &[tag("v1")]).await), ErrorKind::NameInvalid);
    let tags: Result<Vec<_>, _> = registry.tags(&longer, None).try_collect().await;
    assert_eq!(kind(tags), ErrorKind::NameInvalid);
}
