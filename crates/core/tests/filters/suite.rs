//! The behaviour suite over every filter, within its profile.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use gantri_core::filter::{Fallback, Immutable, Prefix, ReadOnly, Select, Serves, Trace};
use gantri_core::spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};
use gantri_core::testkit::Content;
use gantri_core::testkit::{Feature, Profile, Subject};
use gantri_core::{
    BlobBody, BlobUpload, Memory, Mount, Push, PutManifest, Registry, Result, UploadSession, registry_suite,
};

use super::repo;

/// Nothing can be written, so nothing can be taken away either.
const READABLE: Profile = Profile::FULL
    .without(Feature::Push)
    .without(Feature::DeleteTag)
    .without(Feature::DeleteManifest)
    .without(Feature::DeleteBlob);

registry_suite! {
    read_only => async {
        let behind = Memory::new();
        Subject::new(ReadOnly::new(behind.clone())).seeded_by(behind)
    };
    profile: READABLE;
}

registry_suite! {
    immutable => async { Immutable::new(Memory::new()) };
    profile: Profile::FULL.without(Feature::DeleteTag).without(Feature::MoveTags);
}

registry_suite! {
    select_all => async { Select::new(Memory::new(), |_| true) };
    profile: Profile::FULL.without(Feature::MountAnywhere);
}

registry_suite! {
    select_some => async {
        let behind = holding(["secret", "secret/plans", "zecret"]).await;
        Select::new(behind, |repo| !repo.as_str().contains("ecret"))
    };
    profile: Profile::FULL.without(Feature::MountAnywhere);
}

registry_suite! {
    prefix => async {
        let behind = holding(["team", "team/other", "team/part", "team/part-time", "team/party", "zoo"]).await;
        Prefix::new(behind, repo("team/part"))
    };
    profile: Profile::FULL.without(Feature::MountAnywhere);
}

registry_suite! {
    fallback_with_an_empty_mirror => async { Fallback::new(Memory::new()).with_mirror(Arc::new(Memory::new())) };
    profile: Profile::FULL;
}

registry_suite! {
    fallback_without_a_mirror => async { Fallback::new(Memory::new()) };
    profile: Profile::FULL;
}

registry_suite! {
    fallback_with_all_in_the_mirror => async { mirrored(Serves::Digests) };
    profile: READABLE;
}

registry_suite! {
    fallback_with_tags_of_the_mirror => async { mirrored(Serves::All) };
    profile: READABLE;
}

registry_suite! {
    trace => async { Trace::new(Memory::new()) };
    profile: Profile::FULL;
}

registry_suite! {
    all_around_each_other => async {
        let behind: Arc<dyn Registry> = Arc::new(Memory::new());
        let select: Box<dyn Registry> = Box::new(Select::new(behind, |_| true));
        Trace::new(Immutable::new(Fallback::new(Prefix::new(select, repo("team")))))
    };
    profile: Profile::FULL
        .without(Feature::DeleteTag)
        .without(Feature::MoveTags)
        .without(Feature::MountAnywhere);
}

/// A registry that has a blob in each repository of these names already.
async fn holding<const N: usize>(names: [&str; N]) -> Memory {
    let registry = Memory::new();
    let content = names.iter().fold(Content::new("none"), |content, name| content.repo(name).blob(name, "blob"));
    content.push_to(&registry).await.unwrap();
    registry
}

/// What is put goes to origin and mirror alike. A mirror keeps what its origin has removed, so this is for reading.
fn mirrored(serves: Serves) -> Subject {
    let (origin, mirror) = (Memory::new(), Memory::new());
    let registry = Fallback::new(origin.clone()).with_mirror_for(Arc::new(mirror.clone()), serves);
    Subject::new(ReadOnly::new(registry)).seeded_by(Both(origin, mirror))
}

/// What is put to one is put to the other.
#[derive(Debug)]
struct Both(Memory, Memory);

#[async_trait]
impl Push for Both {
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, mut body: BlobBody) -> Result<()> {
        let bytes: Vec<_> = body.open(0)?.try_collect().await?;
        let bytes = bytes.concat();
        self.0.put_blob(repo, blob, BlobBody::bytes(bytes.clone())).await?;
        self.1.put_blob(repo, blob, BlobBody::bytes(bytes)).await
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        self.0.put_manifest(repo, manifest, tags).await?;
        self.1.put_manifest(repo, manifest, tags).await
    }

    async fn mount_blob(&self, _: &RepositoryName, _: &Digest, _: Option<&RepositoryName>) -> Result<Mount> {
        unreachable!("content is put")
    }

    async fn start_upload(&self, _: &RepositoryName, _: Algorithm) -> Result<Box<dyn BlobUpload>> {
        unreachable!("content is put")
    }

    async fn resume_upload(&self, _: &RepositoryName, _: UploadSession) -> Result<Box<dyn BlobUpload>> {
        unreachable!("content is put")
    }
}
