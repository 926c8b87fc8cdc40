//! Rules of content management: what is deleted is gone by every name, nothing else is, and what was absent is unknown.

use futures_util::future::{join_all, try_join, try_join_all};
use futures_util::{StreamExt, TryStreamExt};
use gantri_spec::{ByteRange, Digest, MediaType, Selector};

use super::{
    NO_BLOB, NO_MANIFEST, all, assert_kind, assert_no_blob, assert_no_manifest, assert_same, at, noise, repo, tag,
    whole,
};
use crate::testkit::{Content, Outcome, Subject};
use crate::{ErrorKind, Result};

cases! { $ __manage_cases in manage needs [];
    a_deleted_tag_is_gone_and_its_manifest_is_not [DeleteTag],
    a_deleted_tag_is_not_listed [DeleteTag],
    deleting_an_absent_tag_is_manifest_unknown [DeleteTag],
    a_deleted_tag_can_be_put_again [DeleteTag],
    reads_of_a_tag_that_comes_and_goes_see_all_or_nothing [DeleteTag, UntagAtOnce],
    a_deleted_manifest_takes_its_tags_along [DeleteManifest, MoveTags],
    a_deleted_manifest_leaves_the_others [DeleteManifest],
    a_deleted_manifest_leaves_its_blobs [DeleteManifest],
    a_deleted_manifest_can_be_put_again [DeleteManifest],
    deleting_an_absent_manifest_is_manifest_unknown [DeleteManifest],
    a_deleted_referrer_is_not_listed [DeleteManifest, Referrers],
    a_deleted_subject_keeps_its_referrers [DeleteManifest, Referrers],
    a_deleted_blob_is_gone [DeleteBlob],
    a_deleted_blob_can_be_put_again [DeleteBlob],
    deleting_an_absent_blob_is_blob_unknown [DeleteBlob],
    a_blob_deleted_here_stays_elsewhere [DeleteBlob, Repositories],
    a_reader_outlives_what_it_reads [DeleteBlob],
    of_many_who_delete_a_blob_one_succeeds [DeleteBlob],
    nothing_of_an_unknown_repository_can_be_deleted [DeleteTag, DeleteManifest, DeleteBlob, Repositories],
}

fn app() -> Content {
    untagged().tags(["v1", "v2"], "app")
}

/// What can go where a tag would hold it.
fn untagged() -> Content {
    Content::new("suite/app").blob("layer", "layer").image("app", ["layer"])
}

async fn a_deleted_tag_is_gone_and_its_manifest_is_not(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    registry.delete_tag(content.here(), &tag("v1")).await?;
    assert_no_manifest(&*registry, content.here(), &at("v1")).await;
    assert_same(&registry.manifest(content.here(), &at("v2")).await?, &content.raw("app"));
    registry.delete_tag(content.here(), &tag("v2")).await?;
    assert_same(&registry.manifest(content.here(), &content.at("app")).await?, &content.raw("app"));
    Ok(())
}

async fn a_deleted_tag_is_not_listed(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    registry.delete_tag(content.here(), &tag("v1")).await?;
    assert_eq!(all(registry.tags(content.here(), None)).await?, [tag("v2")]);
    Ok(())
}

async fn deleting_an_absent_tag_is_manifest_unknown(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    assert_kind(registry.delete_tag(content.here(), &tag("v3")).await, &[ErrorKind::ManifestUnknown]);
    registry.delete_tag(content.here(), &tag("v1")).await?;
    assert_kind(registry.delete_tag(content.here(), &tag("v1")).await, &[ErrorKind::ManifestUnknown]);
    Ok(())
}

async fn a_deleted_tag_can_be_put_again(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    registry.delete_tag(content.here(), &tag("v1")).await?;
    registry.hold(&content).await?;
    assert_same(&registry.manifest(content.here(), &at("v1")).await?, &content.raw("app"));
    Ok(())
}

/// (R8) A read while others put and delete the tag gives the whole manifest, or says that there is none.
async fn reads_of_a_tag_that_comes_and_goes_see_all_or_nothing(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let comes_and_goes = async {
        for _ in 0..20 {
            registry.delete_tag(content.here(), &tag("v1")).await?;
            registry.seed().put_manifest(content.here(), &content.raw("app"), &[tag("v1")]).await?;
        }
        Ok(())
    };
    let reads = try_join_all((0..4).map(|_| reads_all_or_nothing(&registry, &content)));
    try_join(comes_and_goes, reads).await?;
    Ok(())
}

async fn reads_all_or_nothing(registry: &Subject, content: &Content) -> Result<()> {
    for _ in 0..20 {
        match registry.manifest(content.here(), &at("v1")).await {
            Ok(fetched) => assert_same(&fetched, &content.raw("app")),
            Err(error) if NO_MANIFEST.contains(&error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn a_deleted_manifest_takes_its_tags_along(registry: Subject) -> Outcome {
    let content = app().image("other", ["layer"]).tag("v3", "other");
    registry.hold(&content).await?;
    registry.delete_manifest(content.here(), &content.digest("app")).await?;
    assert_no_manifest(&*registry, content.here(), &content.at("app")).await;
    assert_no_manifest(&*registry, content.here(), &at("v1")).await;
    assert_no_manifest(&*registry, content.here(), &at("v2")).await;
    assert_eq!(all(registry.tags(content.here(), None)).await?, [tag("v3")]);
    Ok(())
}

async fn a_deleted_manifest_leaves_the_others(registry: Subject) -> Outcome {
    let content = untagged().image("other", ["layer"]).tag("v3", "other");
    registry.hold(&content).await?;
    registry.delete_manifest(content.here(), &content.digest("app")).await?;
    assert_same(&registry.manifest(content.here(), &at("v3")).await?, &content.raw("other"));
    Ok(())
}

async fn a_deleted_manifest_leaves_its_blobs(registry: Subject) -> Outcome {
    let content = untagged();
    registry.hold(&content).await?;
    registry.delete_manifest(content.here(), &content.digest("app")).await?;
    assert_eq!(whole(&*registry, content.here(), &content.digest("layer")).await?, "layer");
    Ok(())
}

async fn a_deleted_manifest_can_be_put_again(registry: Subject) -> Outcome {
    let content = untagged();
    registry.hold(&content).await?;
    registry.delete_manifest(content.here(), &content.digest("app")).await?;
    registry.hold(&content).await?;
    assert_same(&registry.manifest(content.here(), &content.at("app")).await?, &content.raw("app"));
    Ok(())
}

async fn deleting_an_absent_manifest_is_manifest_unknown(registry: Subject) -> Outcome {
    let content = untagged();
    registry.hold(&content).await?;
    let absent = Digest::of(b"absent");
    assert_kind(registry.delete_manifest(content.here(), &absent).await, &[ErrorKind::ManifestUnknown]);
    registry.delete_manifest(content.here(), &content.digest("app")).await?;
    let again = registry.delete_manifest(content.here(), &content.digest("app")).await;
    assert_kind(again, &[ErrorKind::ManifestUnknown]);
    Ok(())
}

const SIGNATURE: MediaType = MediaType::from_static("application/vnd.example.signature");

fn signed() -> Content {
    let content = untagged();
    let subject = content.descriptor("app");
    content.referrer("signature", &subject, &SIGNATURE)
}

async fn a_deleted_referrer_is_not_listed(registry: Subject) -> Outcome {
    let content = signed();
    registry.hold(&content).await?;
    registry.delete_manifest(content.here(), &content.digest("signature")).await?;
    assert_eq!(all(registry.referrers(content.here(), &content.digest("app"), None)).await?, []);
    Ok(())
}

async fn a_deleted_subject_keeps_its_referrers(registry: Subject) -> Outcome {
    let content = signed();
    registry.hold(&content).await?;
    registry.delete_manifest(content.here(), &content.digest("app")).await?;
    let listed = all(registry.referrers(content.here(), &content.digest("app"), None)).await?;
    assert_eq!(listed.len(), 1);
    assert_same(&registry.manifest(content.here(), &content.at("signature")).await?, &content.raw("signature"));
    Ok(())
}

async fn a_deleted_blob_is_gone(registry: Subject) -> Outcome {
    let content = app().blob("other", "other");
    registry.hold(&content).await?;
    registry.delete_blob(content.here(), &content.digest("other")).await?;
    assert_no_blob(&*registry, content.here(), &content.digest("other")).await;
    assert_eq!(whole(&*registry, content.here(), &content.digest("layer")).await?, "layer");
    Ok(())
}

async fn a_deleted_blob_can_be_put_again(registry: Subject) -> Outcome {
    let content = app().blob("other", "other");
    registry.hold(&content).await?;
    registry.delete_blob(content.here(), &content.digest("other")).await?;
    registry.hold(&content).await?;
    assert_eq!(whole(&*registry, content.here(), &content.digest("other")).await?, "other");
    Ok(())
}

async fn deleting_an_absent_blob_is_blob_unknown(registry: Subject) -> Outcome {
    let content = app().blob("other", "other");
    registry.hold(&content).await?;
    let absent = Digest::of(b"absent");
    assert_kind(registry.delete_blob(content.here(), &absent).await, &[ErrorKind::BlobUnknown]);
    registry.delete_blob(content.here(), &content.digest("other")).await?;
    let again = registry.delete_blob(content.here(), &content.digest("other")).await;
    assert_kind(again, &[ErrorKind::BlobUnknown]);
    Ok(())
}

async fn a_blob_deleted_here_stays_elsewhere(registry: Subject) -> Outcome {
    let content = Content::new("suite/here").blob("here", "same").repo("suite/there").blob("there", "same");
    registry.hold(&content).await?;
    registry.delete_blob(&repo("suite/here"), &content.digest("here")).await?;
    assert_no_blob(&*registry, &repo("suite/here"), &content.digest("here")).await;
    assert_eq!(whole(&*registry, &repo("suite/there"), &content.digest("there")).await?, "same");
    Ok(())
}

async fn a_reader_outlives_what_it_reads(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("large", noise(1 << 20));
    registry.hold(&content).await?;
    let reader = registry.blob(content.here(), &content.digest("large"), ByteRange::Full).await?;
    let mut chunks = reader.into_stream();
    let mut read = chunks.next().await.transpose()?.unwrap_or_default().to_vec();
    registry.delete_blob(content.here(), &content.digest("large")).await?;
    while let Some(chunk) = chunks.try_next().await? {
        read.extend_from_slice(&chunk);
    }
    assert!(content.bytes("large") == read, "{} bytes, not those that were there", read.len());
    Ok(())
}

async fn of_many_who_delete_a_blob_one_succeeds(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("layer", "layer");
    registry.hold(&content).await?;
    let digest = content.digest("layer");
    let outcomes = join_all((0..8).map(|_| registry.delete_blob(content.here(), &digest))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        assert_kind(outcome, NO_BLOB);
    }
    Ok(())
}

async fn nothing_of_an_unknown_repository_can_be_deleted(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let nowhere = repo("suite/nowhere");
    assert_kind(registry.delete_tag(&nowhere, &tag("v1")).await, NO_MANIFEST);
    assert_kind(registry.delete_manifest(&nowhere, &content.digest("app")).await, NO_MANIFEST);
    assert_kind(registry.delete_blob(&nowhere, &content.digest("layer")).await, NO_BLOB);
    assert_same(&registry.manifest(content.here(), &Selector::Tag(tag("v1"))).await?, &content.raw("app"));
    Ok(())
}
