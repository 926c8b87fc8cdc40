//! How a backend that lacks a feature has to say so, and what it does instead: a rule of its own for each, so that a
//! profile that says too little or too much is found out.

use futures_util::future::{join, join_all};
use futures_util::stream::TryStreamExt;
use gantri_spec::{
    Algorithm, ByteRange, Descriptor, Digest, Manifest, MediaType, RawManifest, RepositoryName, Selector,
};

use super::profile::in_sha512;
use super::suite::{assert_kind, at, repo, tag};
use super::{Content, Feature, Outcome, Subject};
use crate::{BlobBody, BlobUpload, ErrorKind, Mount, Result};

impl Feature {
    /// Tests that a backend which lacks the feature says so, and as what kind.
    pub(super) async fn is_lacked_by(self, registry: &Subject) -> Outcome {
        match self {
            Self::Mount => mounts_nothing(registry, Some(&repo("suite/from"))).await,
            Self::MountAnywhere => mounts_nothing(registry, None).await,
            Self::MoveTags => refuses_to_move_tags(registry).await,
            Self::CatalogOrder | Self::TagOrder => lists_all_in_any_order(registry).await,
            Self::Untagged => knows_no_repository_without_tags(registry).await,
            Self::UnknownRepositories => lists_no_tags_of_a_repository_that_is_not_there(registry).await,
            Self::EndpointNames => refuses_names_like_endpoints(registry).await,
            Self::Sha512Manifests => refuses_manifests_of_sha512(registry).await,
            Self::EarlierSessions => knows_the_latest_session_alone(registry).await,
            Self::CommitMismatch => refuses_a_wrong_commit_in_other_words(registry).await,
            Self::RefusedCommitEnds => goes_on_after_a_refused_commit(registry).await,
            Self::RacingCommits => one_commit_of_two_succeeds(registry).await,
            Self::LayersElsewhere => wants_layers_from_elsewhere(registry).await,
            Self::Ambiguity => takes_image_and_index_in_one(registry).await,
            Self::UntagAtOnce => shows_nothing_else_while_it_untags(registry).await,
            Self::OddManifests => breaks_down_over_odd_manifests(registry).await,
            Self::Push
            | Self::Repositories
            | Self::Catalog
            | Self::Referrers
            | Self::Uploads
            | Self::Sha512
            | Self::DeleteTag
            | Self::DeleteManifest
            | Self::DeleteBlob => {
                assert_kind(self.refusal(registry).await, &[ErrorKind::Unsupported]);
                Ok(())
            }
        }
    }

    /// What comes of using what it lacks whole.
    async fn refusal(self, registry: &Subject) -> Result<()> {
        let (repo, blob) = (repo("suite/refused"), Descriptor::of(MediaType::OCTET_STREAM, b"x"));
        match self {
            Self::Repositories | Self::Catalog => registry.repositories(None).try_for_each(async |_| Ok(())).await,
            Self::Referrers => registry.referrers(&repo, &blob.digest, None).try_for_each(async |_| Ok(())).await,
            Self::Uploads => registry.start_upload(&repo, Algorithm::Sha256).await.map(drop),
            Self::Sha512 => registry.put_blob(&repo, &in_sha512(b"x"), BlobBody::bytes("x")).await,
            Self::DeleteTag => {
                let content = image().tag("v1", "app");
                registry.hold(&content).await?;
                let outcome = registry.delete_tag(content.here(), &tag("v1")).await;
                assert_eq!(registry.resolve_manifest(content.here(), &at("v1")).await?.digest, content.digest("app"));
                outcome
            }
            Self::DeleteManifest => registry.delete_manifest(&repo, &blob.digest).await,
            Self::DeleteBlob => registry.delete_blob(&repo, &blob.digest).await,
            _ => registry.put_blob(&repo, &blob, BlobBody::bytes("x")).await,
        }
    }
}

fn here() -> RepositoryName {
    repo("suite/lack")
}

/// An image of one layer, without a tag.
fn image() -> Content {
    Content::new("suite/lack").blob("layer", "layer").image("app", ["layer"])
}

/// Not to mount is no error: the blob is uploaded instead.
async fn mounts_nothing(registry: &Subject, from: Option<&RepositoryName>) -> Outcome {
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"x");
    registry.seed().put_blob(&repo("suite/from"), &blob, BlobBody::bytes("x")).await?;
    let answer = registry.mount_blob(&here(), &blob.digest, from).await?;
    assert!(!matches!(answer, Mount::Mounted), "lacks such mounts, yet mounted");
    Ok(())
}

/// A tag that is set stands against all that would take it from its manifest. On the wire a conflict is a denial.
const STANDS: &[ErrorKind] = &[ErrorKind::Conflict, ErrorKind::Denied];

async fn refuses_to_move_tags(registry: &Subject) -> Outcome {
    let content = Content::new("suite/refused").blob("layer", "layer").image("one", ["layer"]).image("two", ["layer"]);
    let content = content.tag("v1", "one");
    registry.hold(&content).await?;
    assert_kind(registry.put_manifest(content.here(), &content.raw("two"), &[tag("v1")]).await, STANDS);
    assert_kind(registry.delete_manifest(content.here(), &content.digest("one")).await, STANDS);
    let named = registry.manifest(content.here(), &tag("v1").into()).await?;
    assert_eq!(*named.digest(), content.digest("one"));
    Ok(())
}

async fn lists_all_in_any_order(registry: &Subject) -> Outcome {
    for name in ["b", "a", "a/b", "a-b"] {
        let content = Content::new(name).blob("layer", name.to_owned()).image("app", ["layer"]);
        registry.hold(&content.tags(["z", "b", "a"], "app")).await?;
    }
    let mut repositories: Vec<_> = registry.repositories(None).try_collect().await?;
    let mut tags: Vec<_> = registry.tags(&repo("a"), None).try_collect().await?;
    repositories.sort();
    tags.sort();
    assert_eq!(repositories, ["a", "a-b", "a/b", "b"].map(repo));
    assert_eq!(tags, ["a", "b", "z"].map(tag));
    Ok(())
}

async fn knows_no_repository_without_tags(registry: &Subject) -> Outcome {
    registry.hold(&image()).await?;
    let listed: Result<Vec<_>> = registry.tags(&here(), None).try_collect().await;
    assert_kind(listed, &[ErrorKind::RepositoryUnknown]);
    Ok(())
}

async fn lists_no_tags_of_a_repository_that_is_not_there(registry: &Subject) -> Outcome {
    let listed: Vec<_> = registry.tags(&repo("suite/nowhere"), None).try_collect().await?;
    assert_eq!(listed, []);
    Ok(())
}

async fn refuses_names_like_endpoints(registry: &Subject) -> Outcome {
    let content = Content::new("suite/blobs/uploads").blob("layer", "layer");
    assert_kind(registry.hold(&content).await, &[ErrorKind::NameInvalid]);
    Ok(())
}

async fn refuses_manifests_of_sha512(registry: &Subject) -> Outcome {
    let content = image();
    registry.hold(&content).await?;
    let digest = in_sha512(&content.bytes("app")).digest;
    let Ok(long) = RawManifest::expect_digest(&digest, MediaType::OCI_MANIFEST, content.bytes("app")) else {
        panic!("that is its digest")
    };
    let refusals = [ErrorKind::Unsupported, ErrorKind::DigestMismatch];
    assert_kind(registry.seed().put_manifest(&here(), &long, &[]).await, &refusals);
    Ok(())
}

async fn started(registry: &Subject, bytes: &'static str) -> Result<Box<dyn BlobUpload>> {
    let mut upload = registry.start_upload(&here(), Algorithm::Sha256).await?;
    upload.write(bytes.into()).await?;
    Ok(upload)
}

async fn assert_blob(registry: &Subject, bytes: &'static str) -> Outcome {
    let reader = registry.blob(&here(), &Digest::of(bytes.as_bytes()), ByteRange::Full).await?;
    assert_eq!(reader.bytes(100).await?, bytes);
    Ok(())
}

/// Goes on by the session after the write, and not by the one before it.
async fn knows_the_latest_session_alone(registry: &Subject) -> Outcome {
    let mut upload = registry.start_upload(&here(), Algorithm::Sha256).await?;
    let before = upload.session();
    upload.write("he".into()).await?;
    let after = upload.session();
    drop(upload);
    assert_kind(registry.resume_upload(&here(), before).await, &[ErrorKind::UploadInvalid, ErrorKind::UploadUnknown]);
    let mut upload = registry.resume_upload(&here(), after).await?;
    upload.write("llo".into()).await?;
    upload.commit(&Digest::of(b"hello")).await?;
    assert_blob(registry, "hello").await
}

/// Whatever it says of the upload, nothing is there under either name.
async fn refuses_a_wrong_commit_in_other_words(registry: &Subject) -> Outcome {
    let refusal = started(registry, "hullo").await?.commit(&Digest::of(b"hello")).await;
    assert_kind(refusal, &[ErrorKind::UploadInvalid, ErrorKind::UploadUnknown]);
    for digest in [Digest::of(b"hello"), Digest::of(b"hullo")] {
        let fetched = registry.blob(&here(), &digest, ByteRange::Full).await;
        assert_kind(fetched, &[ErrorKind::BlobUnknown, ErrorKind::RepositoryUnknown]);
    }
    Ok(())
}

async fn goes_on_after_a_refused_commit(registry: &Subject) -> Outcome {
    let upload = started(registry, "hullo").await?;
    let session = upload.session();
    assert_kind(upload.commit(&Digest::of(b"hello")).await, &[ErrorKind::DigestMismatch]);
    let upload = registry.resume_upload(&here(), session).await?;
    upload.commit(&Digest::of(b"hullo")).await?;
    assert_blob(registry, "hullo").await
}

/// The other fails in one way or another, and the blob is whole.
async fn one_commit_of_two_succeeds(registry: &Subject) -> Outcome {
    let first = started(registry, "hello").await?;
    let second = registry.resume_upload(&here(), first.session()).await?;
    let digest = Digest::of(b"hello");
    let (first, second) = join(first.commit(&digest), second.commit(&digest)).await;
    assert!(first.is_ok() || second.is_ok(), "{first:?}, {second:?}");
    assert_blob(registry, "hello").await
}

async fn wants_layers_from_elsewhere(registry: &Subject) -> Outcome {
    let content = image();
    registry.hold(&content).await?;
    let elsewhere = String::from_utf8_lossy(&content.bytes("app"))
        .replace(MediaType::OCI_LAYER.as_str(), MediaType::OCI_LAYER_NONDISTRIBUTABLE_GZIP.as_str())
        .replace(content.digest("layer").as_str(), Digest::of(b"absent").as_str());
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, elsewhere.into());
    assert_kind(registry.put_manifest(&here(), &manifest, &[]).await, &[ErrorKind::ManifestInvalid]);
    Ok(())
}

/// And gives it back as it was.
async fn takes_image_and_index_in_one(registry: &Subject) -> Outcome {
    let content = image();
    registry.hold(&content).await?;
    let both = String::from_utf8_lossy(&content.bytes("app")).replace("\"layers\"", "\"manifests\":[],\"layers\"");
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, both.into());
    registry.put_manifest(&here(), &manifest, &[]).await?;
    let fetched = registry.manifest(&here(), &Selector::Digest(manifest.digest().clone())).await?;
    assert_eq!(fetched.bytes(), manifest.bytes());
    Ok(())
}

/// That there is none it can't say, but it gives none either.
async fn breaks_down_over_odd_manifests(registry: &Subject) -> Outcome {
    let content = image();
    registry.hold(&content).await?;
    let unknown = "blake3:00112233445566778899aabbccddeeff".parse::<Digest>();
    let Ok(unknown) = unknown else { panic!("any algorithm is a valid name") };
    for digest in [content.digest("layer"), unknown] {
        assert_kind(registry.manifest(&here(), &Selector::Digest(digest)).await, &[ErrorKind::Unavailable]);
    }
    Ok(())
}

/// Who reads meanwhile sees the manifest, or an index of nothing, or that there is none; in the end the tag alone is gone.
async fn shows_nothing_else_while_it_untags(registry: &Subject) -> Outcome {
    let content = image().tag("v1", "app");
    let app = content.raw("app");
    for _ in 0..10 {
        registry.hold(&content).await?;
        let (v1, at) = (tag("v1"), Selector::Tag(tag("v1")));
        let reads = join_all((0..4).map(|_| registry.manifest(content.here(), &at)));
        let (untagged, reads) = join(registry.delete_tag(content.here(), &v1), reads).await;
        untagged?;
        for read in reads {
            match read {
                Ok(shown) if shown.digest() == app.digest() => {}
                Ok(shown) => assert!(is_nothing(&shown), "{shown:?}"),
                Err(error) => assert_kind(Err::<(), _>(error), NO_MANIFEST),
            }
        }
        assert_kind(registry.manifest(content.here(), &at).await, NO_MANIFEST);
        assert_eq!(registry.manifest(content.here(), &content.at("app")).await?.bytes(), app.bytes());
    }
    Ok(())
}

const NO_MANIFEST: &[ErrorKind] = &[ErrorKind::ManifestUnknown, ErrorKind::RepositoryUnknown];

fn is_nothing(manifest: &RawManifest) -> bool {
    matches!(manifest.parse(), Ok(Manifest::Index(index)) if index.manifests.is_empty())
}
