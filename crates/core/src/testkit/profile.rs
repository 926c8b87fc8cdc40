//! What a backend may lack. How it has to say so, or what it does instead, is tested by `lack.rs`.
//!
//! The first are what a backend may be without and still be one. The others are where registries that people use
//! depart from the contract; each names one that does.

use gantri_spec::{Algorithm, Descriptor, MediaType};

/// Something that a backend may lack.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Feature {
    /// Writes of any kind. A subject without it needs [`Subject::seeded_by`](super::Subject::seeded_by).
    Push = 1,
    /// More than one repository, each with content of its own.
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
    /// Mounts that name no source, so that the registry looks for the blob wherever it may. Distribution and olareg want
    /// to be told.
    MountAnywhere = 1 << 10,
    /// A listing of the repositories there are. olareg has none.
    Catalog = 1 << 11,
    /// Repositories listed in the order of their bytes. Distribution lists them level by level.
    CatalogOrder = 1 << 12,
    /// Tags listed in the order of their bytes. Distribution 2.8 lists them as its storage does.
    TagOrder = 1 << 13,
    /// A list of no tags for a repository that has content but no tag. Distribution does not know it then.
    Untagged = 1 << 14,
    /// A repository that is not there is unknown. olareg lists no tags of it.
    UnknownRepositories = 1 << 15,
    /// Repositories with names that look like endpoints. olareg takes none whose name has a part `blobs` or the like.
    EndpointNames = 1 << 16,
    /// Manifests under their SHA-512. Distribution has SHA-512 for blobs alone.
    Sha512Manifests = 1 << 17,
    /// An upload is found by any session it ever had. Distribution 2.8 wants the latest.
    EarlierSessions = 1 << 18,
    /// A commit under a wrong digest is refused as that. olareg says that the upload is invalid.
    CommitMismatch = 1 << 19,
    /// A commit that is refused ends the upload. Distribution keeps it.
    RefusedCommitEnds = 1 << 20,
    /// Of two who commit an upload at once the later learns that it is over. Distribution breaks down (500).
    RacingCommits = 1 << 21,
    /// Manifests with layers that lie elsewhere and are not there. Distribution wants them all the same.
    LayersElsewhere = 1 << 22,
    /// What is image and index at once is refused. olareg takes it.
    Ambiguity = 1 << 23,
    /// Asked for a manifest that is a blob, or by an algorithm that it does not know, it says that there is none.
    /// Distribution 2.8 breaks down (500).
    OddManifests = 1 << 24,
    /// A tag taken away in one step. Where distribution 2.8 takes none away, a manifest of nothing stands under it first.
    UntagAtOnce = 1 << 25,
}

/// The features that a backend has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profile(u32);

impl Profile {
    /// All there is.
    pub const FULL: Self = Self(u32::MAX);

    /// The same without one feature: its rules then test how the backend says so.
    pub const fn without(self, feature: Feature) -> Self {
        Self(self.0 & !(feature as u32))
    }

    /// Whether the backend has it.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & feature as u32 != 0
    }
}

/// A blob's descriptor by SHA-512.
pub(super) fn in_sha512(bytes: &[u8]) -> Descriptor {
    let Some(digest) = Algorithm::Sha512.digest(bytes) else { panic!("sha512 is known") };
    Descriptor::new(MediaType::OCTET_STREAM, digest, bytes.len() as u64)
}
