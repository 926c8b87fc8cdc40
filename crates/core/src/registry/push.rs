//! Adding to what a registry holds.

use std::fmt::Debug;

use async_trait::async_trait;
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};

use crate::blob::{BlobBody, BlobUpload, UploadSession};
use crate::error::Result;

/// Adding to what a registry holds. Spec: [Push](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push).
#[async_trait]
pub trait Push: Debug + Send + Sync + 'static {
    /// Stores a whole blob whose digest and size are known (end-4, end-6). Storing what is there already succeeds, and
    /// does not open the body: whoever wants to know whether it was needed looks whether it was opened.
    ///
    /// # Errors
    /// `SizeMismatch`, `DigestMismatch`: the body is not what the descriptor says; nothing is kept.
    ///
    /// # Cancel safety
    /// Atomic: it happened or it did not.
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()>;

    /// Makes a blob of another repository of this registry available in `repo` without sending it (end-11). Without
    /// `from` the registry looks wherever it may.
    ///
    /// # Cancel safety
    /// Atomic.
    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount>;

    /// Begins a blob that arrives in steps (end-4a, end-4c); its digest will be of `algorithm`.
    ///
    /// # Cancel safety
    /// Resumable: the registry may keep an empty session until it forgets it.
    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>>;

    /// Takes up an upload where the registry says it stands (end-13).
    ///
    /// # Errors
    /// `UploadUnknown` if the registry no longer knows it.
    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>>;

    /// Stores a manifest under its digest and moves all `tags` to it (end-7). Its bytes are kept as they are.
    ///
    /// # Errors
    /// `ManifestInvalid` if it cannot be read as what it says it is, or names what is not there.
    ///
    /// # Cancel safety
    /// Atomic for each tag; the manifest is there before any tag points at it.
    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest>;
}

/// How a registry answered a mount.
#[derive(Debug)]
#[non_exhaustive]
pub enum Mount {
    /// The blob is there now.
    Mounted,
    /// The registry would rather have it uploaded, and opened this session for it.
    Started(Box<dyn BlobUpload>),
    /// It can't be mounted, and no session was opened.
    Unavailable,
}

/// What becomes of a manifest that names what is not there (R5).
#[expect(clippy::exhaustive_enums, reason = "it is refused or it is not")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MissingChildren {
    /// It is refused, so that whatever can be named is whole.
    #[default]
    Refused,
    /// It is taken, as the spec lets a registry do: for mirrors that hold some platforms of an index, and for layers that
    /// are pushed later.
    Allowed,
}

/// What became of a manifest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PutManifest {
    /// The tags that now point at it.
    pub tags: Vec<Tag>,
    /// The subject that the registry will list it for (`OCI-Subject`); `None` if it has no subject or the registry keeps
    /// no referrers.
    pub subject: Option<Digest>,
}

impl PutManifest {
    /// The answer of a registry that took these tags and this subject.
    pub fn new(tags: Vec<Tag>, subject: Option<Digest>) -> Self {
        Self { tags, subject }
    }
}
