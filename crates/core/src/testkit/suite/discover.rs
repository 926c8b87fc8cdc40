//! Rules of content discovery: listings are complete, in lexical order, each thing once, and `after` is exclusive.

use futures_util::StreamExt;
use gantri_spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};

use super::{all, assert_kind, repo, tag};
use crate::ErrorKind;
use crate::testkit::{Content, Outcome, Subject};

cases! { $ __discover_cases in discover needs [];
    tags_come_in_lexical_order [TagOrder],
    tags_after_one_leave_it_out,
    tags_after_one_that_is_not_there_go_on_behind_it,
    tags_after_the_last_are_none,
    a_long_list_of_tags_comes_complete,
    a_listing_may_be_dropped_half_read,
    a_repository_without_tags_lists_none [Untagged],
    a_tag_that_moved_is_listed_once [MoveTags],
    tags_of_an_unknown_repository_are_unknown [Repositories, UnknownRepositories],
    tags_of_repositories_do_not_mix [Repositories],
    repositories_come_in_lexical_order [Repositories, Catalog, CatalogOrder],
    repositories_after_one_leave_it_out [Repositories, Catalog],
    a_long_list_of_repositories_comes_complete [Repositories, Catalog],
    an_empty_registry_lists_no_repository [Repositories, Catalog],
    referrers_come_with_type_and_annotations [Referrers],
    referrers_are_filtered_by_artifact_type [Referrers],
    a_referrer_is_listed_for_its_own_subject_only [Referrers],
    a_referrer_put_twice_is_listed_once [Referrers],
    a_subject_without_referrers_lists_none [Referrers],
    a_subject_that_is_not_there_has_referrers [Referrers],
    an_image_without_artifact_type_goes_by_its_config [Referrers],
    an_index_can_be_a_referrer [Referrers],
    many_referrers_come_complete [Referrers],
}

fn app() -> Content {
    Content::new("suite/app").blob("layer", "layer").image("app", ["layer"])
}

fn tags(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Tag> {
    names.into_iter().map(|name| tag(name.as_ref())).collect()
}

fn repos(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<RepositoryName> {
    names.into_iter().map(|name| repo(name.as_ref())).collect()
}

/// In which order a listing comes is a rule of its own.
fn sorted<T: Ord>(mut listed: Vec<T>) -> Vec<T> {
    listed.sort();
    listed
}

async fn tags_come_in_lexical_order(registry: Subject) -> Outcome {
    let content = app().tags(["v2", "v10", "latest", "_x", "V1", "v1", "v1.0", "v1-rc", "0"], "app");
    registry.hold(&content).await?;
    let listed = all(registry.tags(content.here(), None)).await?;
    assert_eq!(listed, tags(["0", "V1", "_x", "latest", "v1", "v1-rc", "v1.0", "v10", "v2"]));
    Ok(())
}

async fn tags_after_one_leave_it_out(registry: Subject) -> Outcome {
    let content = app().tags(["a", "b", "c"], "app");
    registry.hold(&content).await?;
    assert_eq!(sorted(all(registry.tags(content.here(), Some(&tag("a")))).await?), tags(["b", "c"]));
    Ok(())
}

async fn tags_after_one_that_is_not_there_go_on_behind_it(registry: Subject) -> Outcome {
    let content = app().tags(["a", "b", "c"], "app");
    registry.hold(&content).await?;
    assert_eq!(all(registry.tags(content.here(), Some(&tag("bb")))).await?, tags(["c"]));
    Ok(())
}

async fn tags_after_the_last_are_none(registry: Subject) -> Outcome {
    let content = app().tags(["a", "b"], "app");
    registry.hold(&content).await?;
    assert_eq!(all(registry.tags(content.here(), Some(&tag("b")))).await?, []);
    Ok(())
}

async fn a_long_list_of_tags_comes_complete(registry: Subject) -> Outcome {
    let names: Vec<String> = (0..120).map(|number| format!("v{number:03}")).collect();
    let content = app().tags(&names, "app");
    registry.hold(&content).await?;
    assert_eq!(sorted(all(registry.tags(content.here(), None)).await?), tags(&names));
    assert_eq!(sorted(all(registry.tags(content.here(), Some(&tag("v099")))).await?), tags(&names[100..]));
    Ok(())
}

async fn a_listing_may_be_dropped_half_read(registry: Subject) -> Outcome {
    let content = app().tags(["a", "b", "c"], "app");
    registry.hold(&content).await?;
    let mut listing = registry.tags(content.here(), None);
    assert!(listing.next().await.transpose()?.is_some());
    drop(listing);
    assert_eq!(sorted(all(registry.tags(content.here(), None)).await?), tags(["a", "b", "c"]));
    Ok(())
}

async fn a_repository_without_tags_lists_none(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    assert_eq!(all(registry.tags(content.here(), None)).await?, []);
    Ok(())
}

async fn a_tag_that_moved_is_listed_once(registry: Subject) -> Outcome {
    let content = app().tag("v1", "app").image("newer", ["layer"]).tag("v1", "newer");
    registry.hold(&content).await?;
    assert_eq!(all(registry.tags(content.here(), None)).await?, tags(["v1"]));
    Ok(())
}

async fn tags_of_an_unknown_repository_are_unknown(registry: Subject) -> Outcome {
    registry.hold(&app()).await?;
    assert_kind(all(registry.tags(&repo("suite/nowhere"), None)).await, &[ErrorKind::RepositoryUnknown]);
    Ok(())
}

async fn tags_of_repositories_do_not_mix(registry: Subject) -> Outcome {
    let content = app().tag("v1", "app").repo("suite/app/sub").blob("b", "b").image("sub", ["b"]).tag("v2", "sub");
    registry.hold(&content).await?;
    assert_eq!(all(registry.tags(&repo("suite/app"), None)).await?, tags(["v1"]));
    assert_eq!(all(registry.tags(&repo("suite/app/sub"), None)).await?, tags(["v2"]));
    Ok(())
}

/// An image in each repository of these names: distribution v3 lists no repository without a manifest.
fn spread(names: &[impl AsRef<str>]) -> Content {
    let nothing = Content::new("suite/none");
    names.iter().map(AsRef::as_ref).fold(nothing, |content, name| {
        let layer = format!("{name} layer");
        content.repo(name).blob(&layer, "layer").image(name, [layer.as_str()])
    })
}

async fn repositories_come_in_lexical_order(registry: Subject) -> Outcome {
    registry.hold(&spread(&["b", "a/b", "a-b", "a", "a/b/c", "a0"])).await?;
    assert_eq!(all(registry.repositories(None)).await?, repos(["a", "a-b", "a/b", "a/b/c", "a0", "b"]));
    Ok(())
}

async fn repositories_after_one_leave_it_out(registry: Subject) -> Outcome {
    registry.hold(&spread(&["a", "a/b", "b", "c"])).await?;
    assert_eq!(sorted(all(registry.repositories(Some(&repo("a")))).await?), repos(["a/b", "b", "c"]));
    assert_eq!(all(registry.repositories(Some(&repo("bb")))).await?, repos(["c"]));
    assert_eq!(all(registry.repositories(Some(&repo("c")))).await?, []);
    Ok(())
}

async fn a_long_list_of_repositories_comes_complete(registry: Subject) -> Outcome {
    let names: Vec<String> = (0..60).map(|number| format!("suite/r{number:02}")).collect();
    registry.hold(&spread(&names)).await?;
    assert_eq!(sorted(all(registry.repositories(None)).await?), repos(&names));
    Ok(())
}

async fn an_empty_registry_lists_no_repository(registry: Subject) -> Outcome {
    assert_eq!(all(registry.repositories(None)).await?, []);
    Ok(())
}

const SIGNATURE: MediaType = MediaType::from_static("application/vnd.example.signature");
const INVENTORY: MediaType = MediaType::from_static("application/vnd.example.inventory");

/// An app with two signatures and an inventory.
fn signed() -> Content {
    let content = app();
    let subject = content.descriptor("app");
    content.referrer("first", &subject, &SIGNATURE).referrer("second", &subject, &SIGNATURE).referrer(
        "inventory",
        &subject,
        &INVENTORY,
    )
}

/// Digests in an order of their own: referrers come in none that is promised.
fn digests(descriptors: &[Descriptor]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = descriptors.iter().map(|descriptor| descriptor.digest.clone()).collect();
    digests.sort();
    digests
}

/// Asserts that the subject's referrers are just those of these names.
async fn assert_referrers(
    registry: &Subject,
    content: &Content,
    subject: &Digest,
    artifact_type: Option<&MediaType>,
    names: &[&str],
) -> Outcome {
    let listed = all(registry.referrers(content.here(), subject, artifact_type)).await?;
    let expected: Vec<Descriptor> = names.iter().map(|name| content.descriptor(name)).collect();
    assert_eq!(digests(&listed), digests(&expected));
    Ok(())
}

async fn referrers_come_with_type_and_annotations(registry: Subject) -> Outcome {
    let content = signed();
    registry.hold(&content).await?;
    let listed = all(registry.referrers(content.here(), &content.digest("app"), Some(&INVENTORY))).await?;
    let [inventory] = listed.as_slice() else { panic!("one expected: {listed:?}") };
    let expected = content.descriptor("inventory");
    assert_eq!(
        (&inventory.digest, inventory.size, &inventory.media_type),
        (&expected.digest, expected.size, &expected.media_type)
    );
    assert_eq!(inventory.artifact_type, Some(INVENTORY));
    assert_eq!(inventory.annotations.get("org.example.name").map(String::as_str), Some("inventory"));
    Ok(())
}

async fn referrers_are_filtered_by_artifact_type(registry: Subject) -> Outcome {
    let content = signed();
    registry.hold(&content).await?;
    let app = content.digest("app");
    assert_referrers(&registry, &content, &app, None, &["first", "second", "inventory"]).await?;
    assert_referrers(&registry, &content, &app, Some(&SIGNATURE), &["first", "second"]).await?;
    assert_referrers(&registry, &content, &app, Some(&INVENTORY), &["inventory"]).await?;
    assert_referrers(&registry, &content, &app, Some(&MediaType::OCI_EMPTY), &[]).await
}

async fn a_referrer_is_listed_for_its_own_subject_only(registry: Subject) -> Outcome {
    let content = signed();
    let content = content.clone().referrer("counter", &content.descriptor("first"), &SIGNATURE);
    registry.hold(&content).await?;
    let (app, first) = (content.digest("app"), content.digest("first"));
    assert_referrers(&registry, &content, &app, None, &["first", "second", "inventory"]).await?;
    assert_referrers(&registry, &content, &first, None, &["counter"]).await
}

async fn a_referrer_put_twice_is_listed_once(registry: Subject) -> Outcome {
    let content = signed();
    registry.hold(&content).await?;
    registry.hold(&content).await?;
    assert_referrers(&registry, &content, &content.digest("app"), Some(&SIGNATURE), &["first", "second"]).await
}

async fn a_subject_without_referrers_lists_none(registry: Subject) -> Outcome {
    let content = signed();
    registry.hold(&content).await?;
    assert_referrers(&registry, &content, &content.digest("inventory"), None, &[]).await?;
    assert_referrers(&registry, &content, &Digest::of(b"absent"), None, &[]).await
}

async fn a_subject_that_is_not_there_has_referrers(registry: Subject) -> Outcome {
    let absent = Descriptor::of(MediaType::OCI_MANIFEST, b"absent");
    let content = app().referrer("early", &absent, &SIGNATURE);
    registry.hold(&content).await?;
    assert_referrers(&registry, &content, &absent.digest, None, &["early"]).await
}

async fn an_image_without_artifact_type_goes_by_its_config(registry: Subject) -> Outcome {
    let content = app();
    let mut image = gantri_spec::ImageManifest::new(config(&content), Vec::new());
    image.subject = Some(content.descriptor("app"));
    let content = content.manifest("plain", image.to_raw());
    registry.hold(&content).await?;
    let app = content.digest("app");
    assert_referrers(&registry, &content, &app, Some(&MediaType::OCI_CONFIG), &["plain"]).await?;
    let listed = all(registry.referrers(content.here(), &app, None)).await?;
    assert_eq!(listed.first().and_then(|plain| plain.artifact_type.clone()), Some(MediaType::OCI_CONFIG));
    Ok(())
}

fn config(content: &Content) -> Descriptor {
    let blob = content.descriptor("app.config");
    Descriptor::new(MediaType::OCI_CONFIG, blob.digest, blob.size)
}

async fn an_index_can_be_a_referrer(registry: Subject) -> Outcome {
    let content = app();
    let mut index = gantri_spec::Index::new(Vec::new());
    index.subject = Some(content.descriptor("app"));
    index.artifact_type = Some(INVENTORY);
    let content = content.manifest("bundle", index.to_raw());
    registry.hold(&content).await?;
    let app = content.digest("app");
    assert_referrers(&registry, &content, &app, Some(&INVENTORY), &["bundle"]).await
}

async fn many_referrers_come_complete(registry: Subject) -> Outcome {
    let names: Vec<String> = (0..60).map(|number| format!("s{number}")).collect();
    let subject = app().descriptor("app");
    let content = names.iter().fold(app(), |content, name| content.referrer(name, &subject, &SIGNATURE));
    registry.hold(&content).await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_referrers(&registry, &content, &subject.digest, None, &names).await
}
