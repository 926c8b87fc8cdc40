//! Adding to memory: nothing is visible before it is verified (M2, M6), and each put is one step under the lock.
//!
//! Uploads in pieces are `upload.rs`.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use gantri_spec::wire::ErrorCode;
use gantri_spec::{Algorithm, Descriptor, Digest, RawManifest, RepositoryName, Tag};

use super::Memory;
use super::repository::Repository;
use crate::{
    BlobBody, BlobUpload, Error, ErrorKind, MissingChildren, Mount, Push, PutManifest, Result, UploadSession, verify,
};

#[async_trait]
impl Push for Memory {
    /// Atomic: dropping the future leaves nothing.
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, mut body: BlobBody) -> Result<()> {
        if self
            .lock()
            .repositories
            .get(repo)
            .and_then(|here| here.blob(&blob.digest))
            .is_some_and(|bytes| bytes.len() as u64 == blob.size)
        {
            return Ok(());
        }
        let pieces: Vec<Bytes> = verify(blob, body.open(0)?).try_collect().await?;
        let bytes = joined(pieces);
        self.lock().repository(repo).put_blob(blob.digest.clone(), bytes);
        Ok(())
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        if self.mount(repo, digest, from) {
            return Ok(Mount::Mounted);
        }
        self.start_upload(repo, digest.algorithm()).await.map(Mount::Started)
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        self.open_upload(repo, algorithm)
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        self.find_upload(repo, &session)
    }

    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        let parsed = manifest.parse().map_err(|source| {
            let what = format!("push manifest {repo}@{}: not a {}", manifest.digest(), manifest.media_type());
            Error::new(ErrorKind::ManifestInvalid, what).with_source(source)
        })?;
        let mut state = self.lock();
        // Asked of what is there: a repository comes into being with its first content, not with a refusal.
        let missing = match state.repositories.get(repo) {
            Some(repository) => repository.missing_child(&parsed),
            None => Repository::default().missing_child(&parsed),
        };
        if let (Some(child), MissingChildren::Refused) = (missing, self.missing_children) {
            return Err(missing_child(repo, manifest, child));
        }
        let subject = state.repository(repo).put_manifest(manifest, &parsed, tags);
        Ok(PutManifest { tags: tags.to_vec(), subject })
    }
}

impl Memory {
    /// Gives `repo` a blob that `from` - or, unnamed, any repository - has; whether there was one.
    fn mount(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> bool {
        let mut state = self.lock();
        let found = match from {
            Some(from) => state.repositories.get(from).and_then(|source| source.blob(digest)),
            None => state.repositories.values().find_map(|source| source.blob(digest)),
        };
        let Some(bytes) = found.cloned() else { return false };
        state.repository(repo).put_blob(digest.clone(), bytes);
        true
    }
}

/// The pieces as one run of bytes; copied only if there is more than one.
pub(super) fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.swap_remove(0),
        _ => {
            let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            for piece in &pieces {
                all.extend_from_slice(piece);
            }
            all.freeze()
        }
    }
}

/// Content before names (R5): a manifest is refused as long as a child of it is not there.
fn missing_child(repo: &RepositoryName, manifest: &RawManifest, child: &Descriptor) -> Error {
    let what =
        format!("push manifest {repo}@{}: {} {} is not there", manifest.digest(), child.media_type, child.digest);
    Error::new(ErrorKind::ManifestInvalid, what).with_codes(vec![ErrorCode::ManifestBlobUnknown])
}
