//! Adding to a layout: content before names, and nothing under its name before it is checked and on disk.

use std::collections::HashSet;

use async_trait::async_trait;
use gantri_core::{
    BlobBody, BlobUpload, Error, ErrorKind, MissingChildren, Mount, Push, PutManifest, Result, UploadSession,
};
use gantri_spec::wire::ErrorCode;
use gantri_spec::{Algorithm, Descriptor, Digest, Index, Manifest, RawManifest, RepositoryName, Selector, Tag};

use super::files::Reach;
use super::incoming::receive;
use super::upload::{self, Upload};
use super::{Layout, Repository, Shape, files, index, lease, tree};
use crate::blocking::blocking;
use crate::{entries, graph};

#[async_trait]
impl Push for Layout {
    /// Every body is hashed here, those that verify themselves too: they vouch for the blob they were read from, not for
    /// the one they are put as. A blob that is there already, whole, is not asked for: the body is not opened then.
    /// Of one that is here in part, from a put that did not end, only the rest is asked for.
    async fn put_blob(&self, repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> Result<()> {
        let wanted = blob.clone();
        let reach = if body.replayable() { Reach::Anywhere } else { Reach::Start };
        let begun = self.on_made(repo, move |here| files::begin(&here.dir, &wanted, reach)).await?;
        let Some((_scratch, sink)) = begun else { return Ok(()) };
        receive(body, sink).await.inspect_err(|error| self.note(error))
    }

    async fn mount_blob(&self, repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Result<Mount> {
        let (wanted, from) = (digest.clone(), from.cloned());
        if self.on_made(repo, move |here| here.mount(&wanted, from.as_ref())).await? {
            return Ok(Mount::Mounted);
        }
        self.start_upload(repo, digest.algorithm()).await.map(Mount::Started)
    }

    async fn start_upload(&self, repo: &RepositoryName, algorithm: Algorithm) -> Result<Box<dyn BlobUpload>> {
        let upload = self.on_made(repo, move |here| Upload::start(&here.dir, algorithm)).await?;
        Ok(Box::new(upload))
    }

    async fn resume_upload(&self, repo: &RepositoryName, session: UploadSession) -> Result<Box<dyn BlobUpload>> {
        let (layout, repo) = (self.clone(), repo.clone());
        // A session may be older than its layout, which comes to be with the first blob.
        let upload = blocking(move || match layout.find(&repo)? {
            Some(dir) => Upload::resume(&dir, &session),
            None => Err(upload::unknown(&session.id)),
        });
        Ok(Box::new(upload.await?))
    }

    /// All tags move in one write of the index. What is begun is finished even if the future is dropped.
    async fn put_manifest(&self, repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> Result<PutManifest> {
        let parsed = manifest.parse().map_err(|source| {
            let what = format!("push manifest {repo}@{}: not a {}", manifest.digest(), manifest.media_type());
            Error::new(ErrorKind::ManifestInvalid, what).with_source(source)
        })?;
        let subject = parsed.subject().map(|subject| subject.digest.clone());
        let (manifest, moved) = (manifest.clone(), tags.to_vec());
        self.on_made(repo, move |here| here.put_manifest(&manifest, &parsed, &moved)).await?;
        Ok(PutManifest::new(tags.to_vec(), subject))
    }
}

impl Repository {
    fn put_manifest(&self, manifest: &RawManifest, parsed: &Manifest, tags: &[Tag]) -> Result<()> {
        let descriptor = manifest.descriptor();
        if !index::is_layout(&self.dir)? {
            // What is refused must not leave an empty repository.
            self.refuse_missing_children(&Index::new(Vec::new()), manifest, parsed)?;
            index::establish(&self.dir)?;
        }
        let mut is_new = false;
        let outcome = self.change_index(|index| {
            self.refuse_missing_children(index, manifest, parsed)?;
            is_new = files::put(&self.dir, descriptor, manifest.bytes())?;
            self.enter(index, descriptor, tags)
        });
        if outcome.is_err() && is_new {
            // Nobody was told of it; the error that counts is the first.
            let _ = files::remove(&self.dir, manifest.digest());
        }
        outcome
    }

    /// Lists the manifest under its tags, and takes away entries that this makes needless.
    pub(super) fn enter(&self, index: &mut Index, manifest: &Descriptor, tags: &[Tag]) -> Result<()> {
        entries::list(index, manifest);
        for tag in tags {
            if let Some(before) = entries::set_tag(index, tag, manifest) {
                self.tidy(index, &before)?;
            }
        }
        self.tidy(index, &manifest.digest)?;
        let is_listed = entries::find(index, &Selector::Digest(manifest.digest.clone())).is_some();
        for child in graph::children(&self.dir, self.limits(), manifest)? {
            // What a listed index names is reached; else the way may be longer than anybody looks.
            let entry = entries::find(index, &Selector::Digest(child.digest.clone()));
            let leads_there = is_listed && entry.is_some_and(|entry| entries::same(&child, entry));
            if leads_there { entries::remove_bare(index, &child.digest) } else { self.tidy(index, &child.digest)? }
        }
        Ok(())
    }

    /// Content before names (R5): a manifest is refused as long as a child of it is not there, or not whole.
    fn refuse_missing_children(&self, index: &Index, manifest: &RawManifest, parsed: &Manifest) -> Result<()> {
        let Layout(layout) = &self.layout;
        if layout.missing_children == MissingChildren::Allowed {
            return Ok(());
        }
        // Made when it is first needed, and once: an index may name many, and each way there may be long.
        let mut reached = None;
        for child in parsed.children() {
            if !child.media_type.is_nondistributable() && !self.holds(index, child, &mut reached)? {
                let (digest, kind) = (&child.digest, &child.media_type);
                let what = format!("push manifest {}: {kind} {digest} is not there", manifest.digest());
                return Err(
                    Error::new(ErrorKind::ManifestInvalid, what).with_codes(vec![ErrorCode::ManifestBlobUnknown])
                );
            }
        }
        Ok(())
    }

    fn holds(&self, index: &Index, child: &Descriptor, reached: &mut Option<HashSet<Digest>>) -> Result<bool> {
        if files::open(&self.dir, &child.digest)?.is_none_or(|file| file.size != child.size) {
            return Ok(false);
        }
        if !child.media_type.is_manifest() || entries::find(index, &Selector::Digest(child.digest.clone())).is_some() {
            return Ok(true);
        }
        if reached.is_none() {
            *reached = Some(graph::reached(&self.dir, self.limits(), index)?);
        }
        Ok(reached.as_ref().is_some_and(|reached| reached.contains(&child.digest)))
    }

    /// Makes the blob available here if `from` - or, unnamed, any repository - has it; whether it is here now.
    fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<bool> {
        if lease::keep(&self.dir, digest)?.is_some() {
            return Ok(true);
        }
        let Layout(layout) = &self.layout;
        let sources = match (layout.shape, from) {
            (Shape::Single, _) => return Ok(false),
            (Shape::Tree, Some(from)) => vec![from.clone()],
            (Shape::Tree, None) => tree::list(&layout.root, &layout.limits, None)?,
        };
        for source in sources {
            if let Some(source) = tree::find(&layout.root, &source)?
                && files::link(&source, &self.dir, digest)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
