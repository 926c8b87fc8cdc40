//! Single steps of writing and deleting: a blob, a manifest, a mount, a tag less.

use bytes::BytesMut;
use futures_util::TryStreamExt;
use gantri_core::{BlobBody, BlobUpload, ByteStream, Error, ErrorKind, Mount, PutManifest, Result, body_of};
use gantri_spec::{Descriptor, Digest, Hasher, RawManifest, Reference, Tag};

use super::Client;
use super::places::Opened;
use crate::location::Location;

/// How a blob came to be in another repository of its registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Mounted {
    /// The registry made it available there.
    Mounted,
    /// The registry would not, so its bytes were sent.
    Sent,
}

impl Client {
    /// Stores a blob whose digest and size are known. One that is there already is not sent.
    ///
    /// # Errors
    /// `DigestMismatch`, `SizeMismatch` if the body is another; those of [`Push::put_blob`](gantri_core::Push::put_blob).
    ///
    /// # Cancel safety
    /// Atomic: it happened or it did not.
    pub async fn put_blob(&self, target: &Location, blob: &Descriptor, body: BlobBody) -> Result<()> {
        let put = async {
            let store = self.store_single(target).await?;
            store.place.registry.put_blob(&store.place.repo, blob, body).await?;
            store.publish().await
        };
        put.await.map_err(|error: Error| error.during(format_args!("blob put {target}")))
    }

    /// Stores a blob that can be read once and of which nothing is known but, perhaps, the digest that it must have. At most
    /// [`Limits::chunk`](gantri_core::Limits::chunk) bytes of it are held in memory.
    ///
    /// # Errors
    /// `DigestMismatch` if it has another digest than `expected`: nothing is kept then; those of
    /// [`BlobUpload`] and of the stream.
    ///
    /// # Cancel safety
    /// Atomic; an upload that was begun is the registry's to forget.
    pub async fn put_stream(
        &self,
        target: &Location,
        expected: Option<&Digest>,
        chunks: ByteStream,
    ) -> Result<Descriptor> {
        let put = async {
            let filling = Filling::new(chunks, expected)?;
            let store = self.store_single(target).await?;
            let upload = store.place.registry.start_upload(&store.place.repo, filling.hasher.algorithm()).await?;
            let stored = self.upload(upload, filling).await?;
            store.publish().await?;
            Ok(stored)
        };
        put.await.map_err(|error: Error| error.during(format_args!("blob put {target}")))
    }

    /// Stores a manifest byte for byte, under the location's tag (`latest` if it names neither tag nor digest).
    ///
    /// # Errors
    /// `DigestMismatch` if the location names another digest; those of
    /// [`Push::put_manifest`](gantri_core::Push::put_manifest).
    ///
    /// # Cancel safety
    /// The manifest is there before the tag moves.
    pub async fn put_manifest(&self, target: &Location, manifest: &RawManifest) -> Result<PutManifest> {
        let put = async {
            let tags = tags_for(target, manifest.digest())?;
            let store = self.store_single(target).await?;
            let put = store.place.registry.put_manifest(&store.place.repo, manifest, &tags).await?;
            store.publish().await?;
            Ok(put)
        };
        put.await.map_err(|error: Error| error.during(format_args!("manifest put {target}")))
    }

    /// Makes a blob of one repository available in another of the same registry. If the registry does not do that, its bytes
    /// are sent, in the session that the registry opened for them.
    ///
    /// # Errors
    /// `Unsupported` if the two are in different registries; those of [`Push`](gantri_core::Push) and
    /// [`Pull`](gantri_core::Pull).
    ///
    /// # Cancel safety
    /// Atomic: it happened or it did not.
    pub async fn mount(&self, source: &Reference, blob: &Digest, target: &Reference) -> Result<Mounted> {
        let mounted = async {
            if source.host() != target.host() {
                let (from, to) = (source.host(), target.host());
                let what = format!("{from} and {to} are two registries, and blobs are mounted within one");
                return Err(Error::new(ErrorKind::Unsupported, what).with_hint("gantri copy goes from one to another"));
            }
            let (registry, repository) = self.registries.to_write(target)?;
            // Within one registry nothing is read from a mirror, nor called by the name that it has there.
            let (_, from) = self.registries.to_write(source)?;
            match registry.mount_blob(&repository, blob, Some(&from)).await? {
                Mount::Mounted => return Ok(Mounted::Mounted),
                // The session that is open now is used, not dropped.
                Mount::Started(upload) => {
                    let mut body = body_of(registry.clone(), from, blob.clone());
                    self.upload(upload, Filling::new(body.open(0)?, Some(blob))?).await?;
                }
                _ => {
                    let descriptor = registry.resolve_blob(&from, blob).await?;
                    let body = body_of(registry.clone(), from, blob.clone());
                    registry.put_blob(&repository, &descriptor, body).await?;
                }
            }
            Ok(Mounted::Sent)
        };
        let doing = format!("mount {} in {target}", Location::from(source.clone()).at_digest(blob.clone()));
        mounted.await.map_err(|error: Error| error.during(doing))
    }

    /// Removes what the location names: a tag alone, or, named by its digest, a manifest with all its tags. `latest` is not
    /// meant unless it is said.
    ///
    /// # Errors
    /// `NameInvalid` if it names neither, or both; those of [`Manage`](gantri_core::Manage).
    ///
    /// # Cancel safety
    /// Atomic: it happened or it did not.
    pub async fn delete(&self, target: &Location) -> Result<()> {
        let deleted = async {
            match (target.tag(), target.digest()) {
                (Some(tag), None) => {
                    let Opened { place, .. } = self.open_to_change(target).await?;
                    place.registry.delete_tag(&place.repo, tag).await
                }
                (None, Some(digest)) => {
                    let Opened { place, .. } = self.open_to_change(target).await?;
                    place.registry.delete_manifest(&place.repo, digest).await
                }
                (None, None) => Err(Error::new(ErrorKind::NameInvalid, "neither a tag nor a digest is named")),
                (Some(_), Some(_)) => Err(Error::new(ErrorKind::NameInvalid, "both a tag and a digest are named")),
            }
        };
        deleted.await.map_err(|error: Error| error.during(format_args!("delete {target}")))
    }

    /// Removes a blob of the location's repository.
    ///
    /// # Errors
    /// Those of [`Manage::delete_blob`](gantri_core::Manage::delete_blob).
    ///
    /// # Cancel safety
    /// Atomic: it happened or it did not.
    pub async fn delete_blob(&self, repository: &Location, blob: &Digest) -> Result<()> {
        let doing = format!("blob delete {}", repository.at_digest(blob.clone()));
        let deleted = async {
            let Opened { place, .. } = self.open_to_change(repository).await?;
            place.registry.delete_blob(&place.repo, blob).await
        };
        deleted.await.map_err(|error: Error| error.during(doing))
    }
}

impl Client {
    /// Fills an upload and ends it; one that can't be filled is cancelled.
    async fn upload(&self, mut upload: Box<dyn BlobUpload>, filling: Filling<'_>) -> Result<Descriptor> {
        match self.fill(&mut *upload, filling).await {
            Ok(digest) => upload.commit(&digest).await,
            Err(error) => {
                // What is wrong with the bytes matters more than what becomes of the session.
                let _ = upload.cancel().await;
                Err(error)
            }
        }
    }

    async fn fill(&self, upload: &mut dyn BlobUpload, filling: Filling<'_>) -> Result<Digest> {
        let Filling { mut hasher, expected, mut chunks } = filling;
        let at_once = usize::try_from(self.limits.chunk).unwrap_or(usize::MAX);
        let mut pending = BytesMut::new();
        while let Some(chunk) = chunks.try_next().await? {
            hasher.update(&chunk);
            pending.extend_from_slice(&chunk);
            if pending.len() >= at_once {
                upload.write(pending.split().freeze()).await?;
            }
        }
        let digest = hasher.finish();
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(Error::new(ErrorKind::DigestMismatch, format!("its digest is {digest}, not {expected}")));
        }
        if !pending.is_empty() {
            upload.write(pending.freeze()).await?;
        }
        Ok(digest)
    }
}

/// What an upload is filled with.
struct Filling<'a> {
    chunks: ByteStream,
    hasher: Hasher,
    expected: Option<&'a Digest>,
}

impl<'a> Filling<'a> {
    fn new(chunks: ByteStream, expected: Option<&'a Digest>) -> Result<Self> {
        let unknown = |digest: &Digest| {
            let what = format!("{digest} can't be verified: unsupported algorithm");
            Error::new(ErrorKind::Unsupported, what)
        };
        let hasher = match expected {
            Some(digest) => digest.hasher().ok_or_else(|| unknown(digest))?,
            None => Hasher::sha256(),
        };
        Ok(Self { chunks, hasher, expected })
    }
}

/// A manifest's tags at a location: the one that it names, `latest` where it names nothing.
fn tags_for(target: &Location, manifest: &Digest) -> Result<Vec<Tag>> {
    match (target.tag(), target.digest()) {
        (_, Some(digest)) if digest != manifest => {
            Err(Error::new(ErrorKind::DigestMismatch, format!("its digest is {manifest}, not {digest}")))
        }
        (Some(tag), _) => Ok(vec![tag.clone()]),
        (None, Some(_)) => Ok(Vec::new()),
        (None, None) => Ok(vec![Tag::latest()]),
    }
}
