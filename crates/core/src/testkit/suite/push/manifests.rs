//! Rules of manifests: they are stored as they are under all the tags given, after their children and never before (R5),
//! and what can't be read as what it says it is, is refused (M1, M10).

use futures_util::future::{try_join, try_join_all};
use gantri_spec::{Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector};

use super::super::{all, assert_kind, assert_no_manifest, assert_same, at, raw, repo, tag};
use crate::testkit::{Content, Outcome, Subject};
use crate::{ErrorKind, Result};

cases! { $ __push_manifest_cases in manifests needs [Push];
    a_manifest_without_a_tag_is_found_by_digest [Untagged],
    a_manifest_is_found_by_each_of_its_tags,
    the_answer_names_the_tags,
    a_manifest_put_twice_is_there_once,
    a_tag_moves_to_the_newest [MoveTags],
    a_manifest_that_lost_its_tag_is_still_there [MoveTags],
    a_manifest_of_four_megabytes_is_taken,
    layers_from_elsewhere_need_not_be_there [LayersElsewhere],
    a_missing_layer_is_refused,
    a_missing_config_is_refused,
    a_missing_manifest_of_an_index_is_refused,
    a_child_in_another_repository_is_missing [Repositories],
    a_subject_need_not_be_there,
    the_answer_names_the_subject [Referrers],
    what_is_no_json_is_refused,
    what_goes_on_after_its_end_is_refused,
    manifest_and_index_in_one_is_refused [Ambiguity],
    a_media_type_that_contradicts_the_body_is_refused,
    a_refused_manifest_moves_no_tag [MoveTags],
    a_refused_manifest_leaves_no_repository [Repositories, Catalog],
    concurrent_moves_of_a_tag_show_whole_versions [MoveTags],
    concurrent_puts_of_many_tags_lose_none,
}

fn here() -> RepositoryName {
    repo("suite/push")
}

/// Two images and what they need, none of it tagged.
fn images() -> Content {
    Content::new("suite/push").blob("layer", "layer").image("one", ["layer"]).image("two", ["layer"])
}

/// An image of the declared blob `layer`, with something replaced in its JSON.
fn altered(content: &Content, from: &str, to: &str) -> RawManifest {
    let plain = String::from_utf8_lossy(&content.bytes("one")).into_owned();
    assert!(plain.contains(from), "{from} is not in {plain}");
    raw(MediaType::OCI_MANIFEST, plain.replace(from, to))
}

/// Asserts that the manifest is refused, and found afterwards neither by digest nor by tag.
async fn refuses(registry: Subject, manifest: RawManifest) -> Outcome {
    assert_kind(registry.put_manifest(&here(), &manifest, &[tag("v1")]).await, &[ErrorKind::ManifestInvalid]);
    assert_no_manifest(&*registry, &here(), &Selector::Digest(manifest.digest().clone())).await;
    assert_no_manifest(&*registry, &here(), &at("v1")).await;
    Ok(())
}

async fn a_manifest_without_a_tag_is_found_by_digest(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    assert_same(&registry.manifest(&here(), &content.at("one")).await?, &content.raw("one"));
    assert_eq!(all(registry.tags(&here(), None)).await?, []);
    Ok(())
}

async fn a_manifest_is_found_by_each_of_its_tags(registry: Subject) -> Outcome {
    let tags: Vec<String> = (0..12).map(|number| format!("v{number}")).collect();
    let content = images().tags(&tags, "one");
    registry.hold(&content).await?;
    for name in &tags {
        assert_same(&registry.manifest(&here(), &at(name)).await?, &content.raw("one"));
    }
    Ok(())
}

async fn the_answer_names_the_tags(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    let tags = [tag("v1"), tag("v1.2"), tag("latest")];
    let mut answer = registry.put_manifest(&here(), &content.raw("one"), &tags).await?;
    answer.tags.sort();
    assert_eq!(answer.tags, [tag("latest"), tag("v1"), tag("v1.2")]);
    assert_eq!(registry.put_manifest(&here(), &content.raw("one"), &[]).await?.tags, []);
    Ok(())
}

async fn a_manifest_put_twice_is_there_once(registry: Subject) -> Outcome {
    let content = images().tag("v1", "one");
    registry.hold(&content).await?;
    registry.hold(&content).await?;
    assert_same(&registry.manifest(&here(), &at("v1")).await?, &content.raw("one"));
    assert_eq!(all(registry.tags(&here(), None)).await?, [tag("v1")]);
    Ok(())
}

async fn a_tag_moves_to_the_newest(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    for name in ["one", "two", "one"] {
        registry.put_manifest(&here(), &content.raw(name), &[tag("v1")]).await?;
        assert_eq!(registry.resolve_manifest(&here(), &at("v1")).await?.digest, content.digest(name));
        assert_same(&registry.manifest(&here(), &at("v1")).await?, &content.raw(name));
    }
    Ok(())
}

async fn a_manifest_that_lost_its_tag_is_still_there(registry: Subject) -> Outcome {
    let content = images().tag("v1", "one");
    registry.hold(&content).await?;
    registry.put_manifest(&here(), &content.raw("two"), &[tag("v1")]).await?;
    assert_same(&registry.manifest(&here(), &content.at("one")).await?, &content.raw("one"));
    Ok(())
}

/// The spec wants at least four megabytes supported.
async fn a_manifest_of_four_megabytes_is_taken(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    let one = String::from_utf8_lossy(&content.bytes("one")).into_owned();
    let fill = |length| one.replacen('{', &format!("{{\"x-filler\":\"{}\",", "x".repeat(length)), 1);
    let large = raw(MediaType::OCI_MANIFEST, fill((4 << 20) - fill(0).len()));
    assert_eq!(large.bytes().len(), 4 << 20);
    registry.put_manifest(&here(), &large, &[tag("large")]).await?;
    assert!(registry.manifest(&here(), &at("large")).await?.bytes() == large.bytes());
    Ok(())
}

async fn layers_from_elsewhere_need_not_be_there(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    let layer = format!("\"{}\"", MediaType::OCI_LAYER);
    let elsewhere = [MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP, MediaType::DOCKER_LAYER_FOREIGN_GZIP];
    for (elsewhere, name) in elsewhere.into_iter().zip(["v1", "v2"]) {
        let plain = altered(&content, &layer, &format!("\"{elsewhere}\""));
        let absent = content.digest("layer").to_string();
        let manifest = String::from_utf8_lossy(plain.bytes()).replace(&absent, Digest::of(b"absent").as_str());
        let manifest = raw(MediaType::OCI_MANIFEST, manifest);
        registry.put_manifest(&here(), &manifest, &[tag(name)]).await?;
        assert_same(&registry.manifest(&here(), &at(name)).await?, &manifest);
    }
    Ok(())
}

/// Puts an image there but for one thing that it needs.
async fn refuses_image_without(registry: Subject, absent: &str) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    let needed = content.digest(absent).to_string();
    refuses(registry, altered(&content, &needed, Digest::of(b"absent").as_str())).await
}

async fn a_missing_layer_is_refused(registry: Subject) -> Outcome {
    refuses_image_without(registry, "layer").await
}

async fn a_missing_config_is_refused(registry: Subject) -> Outcome {
    refuses_image_without(registry, "one.config").await
}

async fn a_missing_manifest_of_an_index_is_refused(registry: Subject) -> Outcome {
    let content = images();
    let complete = images().index("index", ["one", "two"]);
    registry.hold(&content).await?;
    let needed = content.digest("two").to_string();
    let plain = String::from_utf8_lossy(&complete.bytes("index")).replace(&needed, Digest::of(b"absent").as_str());
    refuses(registry, raw(MediaType::OCI_INDEX, plain)).await
}

async fn a_child_in_another_repository_is_missing(registry: Subject) -> Outcome {
    let content = Content::new("suite/source").blob("layer", "layer").image("one", ["layer"]);
    registry.hold(&content).await?;
    refuses(registry, content.raw("one")).await
}

async fn a_subject_need_not_be_there(registry: Subject) -> Outcome {
    let absent = Descriptor::of(MediaType::OCI_MANIFEST, b"absent");
    let content = images().referrer("signature", &absent, &signature()).tag("sig", "signature");
    registry.hold(&content).await?;
    assert_same(&registry.manifest(&here(), &at("sig")).await?, &content.raw("signature"));
    Ok(())
}

async fn the_answer_names_the_subject(registry: Subject) -> Outcome {
    let content = images();
    let content = content.clone().referrer("signature", &content.descriptor("one"), &signature());
    registry.hold(&content).await?;
    let answer = registry.put_manifest(&here(), &content.raw("signature"), &[]).await?;
    assert_eq!(answer.subject, Some(content.digest("one")));
    assert_eq!(registry.put_manifest(&here(), &content.raw("one"), &[]).await?.subject, None);
    Ok(())
}

fn signature() -> MediaType {
    MediaType::from_static("application/vnd.example.signature")
}

async fn what_is_no_json_is_refused(registry: Subject) -> Outcome {
    refuses(registry, raw(MediaType::OCI_MANIFEST, "<html>Sign in</html>")).await
}

async fn what_goes_on_after_its_end_is_refused(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    let plain = String::from_utf8_lossy(&content.bytes("one")).into_owned();
    refuses(registry, raw(MediaType::OCI_MANIFEST, plain + "{}")).await
}

async fn manifest_and_index_in_one_is_refused(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    refuses(registry, altered(&content, "\"layers\"", "\"manifests\":[],\"layers\"")).await
}

async fn a_media_type_that_contradicts_the_body_is_refused(registry: Subject) -> Outcome {
    registry.hold(&images()).await?;
    let index = images().index("index", ["one"]).bytes("index");
    refuses(registry, raw(MediaType::OCI_MANIFEST, index)).await
}

async fn a_refused_manifest_moves_no_tag(registry: Subject) -> Outcome {
    let content = images().tag("v1", "one");
    registry.hold(&content).await?;
    let broken = altered(&content, content.digest("layer").as_str(), Digest::of(b"absent").as_str());
    let refusal = registry.put_manifest(&here(), &broken, &[tag("v1"), tag("v2")]).await;
    assert_kind(refusal, &[ErrorKind::ManifestInvalid]);
    assert_same(&registry.manifest(&here(), &at("v1")).await?, &content.raw("one"));
    assert_no_manifest(&*registry, &here(), &at("v2")).await;
    Ok(())
}

async fn a_refused_manifest_leaves_no_repository(registry: Subject) -> Outcome {
    let refusal = registry.put_manifest(&here(), &images().raw("one"), &[tag("v1")]).await;
    assert_kind(refusal, &[ErrorKind::ManifestInvalid]);
    assert_eq!(all(registry.repositories(None)).await?, []);
    Ok(())
}

/// (R8) Who reads while a tag moves sees one version or the other, and never a name without its content.
async fn concurrent_moves_of_a_tag_show_whole_versions(registry: Subject) -> Outcome {
    let content = images().tag("v1", "one");
    registry.hold(&content).await?;
    let moves = async {
        for round in 0..20 {
            let name = if round % 2 == 0 { "two" } else { "one" };
            registry.put_manifest(&here(), &content.raw(name), &[tag("v1")]).await?;
        }
        Ok(())
    };
    let reads = try_join_all((0..4).map(|_| reads_whole_versions(&registry, &content)));
    try_join(moves, reads).await?;
    Ok(())
}

async fn reads_whole_versions(registry: &Subject, content: &Content) -> Result<()> {
    for _ in 0..20 {
        let fetched = registry.manifest(&here(), &at("v1")).await?;
        let name = if *fetched.digest() == content.digest("one") { "one" } else { "two" };
        assert_same(&fetched, &content.raw(name));
    }
    Ok(())
}

async fn concurrent_puts_of_many_tags_lose_none(registry: Subject) -> Outcome {
    let content = images();
    registry.hold(&content).await?;
    let tags: Vec<_> = (10..40).map(|number| tag(&format!("v{number}"))).collect();
    let one = content.raw("one");
    let here = here();
    try_join_all(tags.chunks(1).map(|tags| registry.put_manifest(&here, &one, tags))).await?;
    let mut listed = all(registry.tags(&here, None)).await?;
    listed.sort();
    assert_eq!(listed, tags);
    Ok(())
}
