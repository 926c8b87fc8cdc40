//! What a backend may lack, and how it has to say so.

use futures_util::StreamExt;
use gantri_spec::{Algorithm, Descriptor, MediaType};

use super::suite::{assert_kind, repo, tag};
use super::{Content, Outcome, Subject};
use crate::{BlobBody, ErrorKind, Mount};

/// Something that a backend may lack.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum Feature {
    /// Writes of any kind. A subject without it needs [`Subject::seeded_by`].
    Push = 1,
    /// More than one repository, each with content of its own, and a listing of them.
    Repositories = 1 << 1,
    /// Referrers of a subject, and saying so when one is pushed.
    Referrers = 1 << 2,
    /// Uploads in chunks, resumable.
    Uploads = 1 << 3,
    /// Mounts of blobs that are there; who lacks it may answer with an upload session instead.
    Mount = 1 << 4,
    /// Content named by SHA-512.
    Sha512 = 1 << 5,
    /// Removal of tags.
    DeleteTag = 1 << 6,
    /// Removal of manifests.
    DeleteManifest = 1 << 7,
    /// Removal of blobs.
    DeleteBlob = 1 << 8,
    /// Tags that move to what is put later, and that go with their manifest when it is removed. Who lacks it refuses both
    /// as a `Conflict`.
    MoveTags = 1 << 9,
    /// Mounts that name no source, so that the registry looks for the blob wherever it may.
    MountAnywhere = 1 << 10,
}

/// The features that a backend has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profile(u16);

impl Profile {
    /// All there is.
    pub const FULL: Self = Self(u16::MAX);

    /// The same without one feature: its rules then test that it is refused with `Unsupported`.
    pub const fn without(self, feature: Feature) -> Self {
        Self(self.0 & !(feature as u16))
    }

    /// Whether the backend has it.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & feature as u16 != 0
    }
}

impl Feature {
    /// Tests that a backend which lacks the feature says so, and as what kind: `Unsupported`, if it does not say otherwise.
    pub(super) async fn is_refused_by(self, registry: &Subject) -> Outcome {
        let (repo, blob) = (repo("suite/refused"), Descriptor::of(MediaType::OCTET_STREAM, b"x"));
        let refusal = match self {
            Self::Push => registry.put_blob(&repo, &blob, BlobBody::bytes("x")).await,
            Self::Repositories => registry.repositories(None).next().await.map_or(Ok(()), |first| first.map(drop)),
            Self::Referrers => {
                registry.referrers(&repo, &blob.digest, None).next().await.map_or(Ok(()), |first| first.map(drop))
            }
            Self::Uploads => registry.start_upload(&repo, Algorithm::Sha256).await.map(drop),
            Self::Mount => return refuses_mount(registry, From::Named).await,
            Self::MountAnywhere => return refuses_mount(registry, From::Anywhere).await,
            Self::MoveTags => return refuses_to_move_tags(registry).await,
            Self::Sha512 => registry.put_blob(&repo, &in_sha512(b"x"), BlobBody::bytes("x")).await,
            Self::DeleteTag => registry.delete_tag(&repo, &tag("v1")).await,
            Self::DeleteManifest => registry.delete_manifest(&repo, &blob.digest).await,
            Self::DeleteBlob => registry.delete_blob(&repo, &blob.digest).await,
        };
        assert_kind(refusal, &[ErrorKind::Unsupported]);
        Ok(())
    }
}

/// Where a blob is to be mounted from.
enum From {
    Named,
    Anywhere,
}

/// Not to mount is no error: the blob is uploaded instead.
async fn refuses_mount(registry: &Subject, source: From) -> Outcome {
    let (from, to) = (repo("suite/from"), repo("suite/to"));
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"x");
    registry.seed().put_blob(&from, &blob, BlobBody::bytes("x")).await?;
    let named = matches!(source, From::Named).then_some(&from);
    let answer = registry.mount_blob(&to, &blob.digest, named).await?;
    assert!(!matches!(answer, Mount::Mounted), "lacks such mounts, yet mounted");
    Ok(())
}

/// A tag that is set stands against all that would take it from its manifest. On the wire a conflict is a denial.
async fn refuses_to_move_tags(registry: &Subject) -> Outcome {
    const STANDS: &[ErrorKind] = &[ErrorKind::Conflict, ErrorKind::Denied];
    let content = Content::new("suite/refused").blob("layer", "layer").image("one", ["layer"]).image("two", ["layer"]);
    let content = content.tag("v1", "one");
    registry.hold(&content).await?;
    assert_kind(registry.put_manifest(content.here(), &content.raw("two"), &[tag("v1")]).await, STANDS);
    assert_kind(registry.delete_manifest(content.here(), &content.digest("one")).await, STANDS);
    let named = registry.manifest(content.here(), &tag("v1").into()).await?;
    assert_eq!(*named.digest(), content.digest("one"));
    Ok(())
}

/// A blob's descriptor by SHA-512.
pub(super) fn in_sha512(bytes: &[u8]) -> Descriptor {
    let Some(digest) = Algorithm::Sha512.digest(bytes) else { panic!("sha512 is known") };
    Descriptor::new(MediaType::OCTET_STREAM, digest, bytes.len() as u64)
}
