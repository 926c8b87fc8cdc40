//! A directory of an artifact: its archive unpacked as if it were the one layer of an image, and moved to its place.
//!
//! The archive holds the directory under the name of its title, as oras writes it; anything beside that is refused.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{StreamExt, once};
use gantri_core::{BlobReader, Error, ErrorKind, Pull, Result};
use gantri_spec::{
    ByteRange, Compression, Descriptor, Digest, ImageConfig, ImageManifest, MediaType, Platform, RawManifest,
    RepositoryName, Selector,
};

use super::unpack::{blocking, make_parents};
use crate::place::Place;
use crate::pull::PullOptions;
use crate::unpack::Unpack;

/// The archive as an image of one layer.
#[derive(Debug)]
pub(super) struct Directory {
    place: Place,
    manifest: RawManifest,
    config: Bytes,
}

impl Directory {
    pub(super) fn new(place: &Place, blob: &Descriptor, diff_id: Digest, compression: Compression) -> Self {
        let media_type = match compression {
            Compression::None => MediaType::OCI_LAYER,
            Compression::Zstd => MediaType::OCI_LAYER_ZSTD,
            _ => MediaType::OCI_LAYER_GZIP,
        };
        let layer = Descriptor::new(media_type, blob.digest.clone(), blob.size);
        let config = ImageConfig::new(Platform::host(), vec![diff_id]).to_bytes();
        let manifest = ImageManifest::new(Descriptor::of(MediaType::OCI_CONFIG, &config), vec![layer]).to_raw();
        Self { place: place.clone(), manifest, config }
    }

    /// Unpacks it to `work`, which goes away again, and moves what is under `title` there to `to`.
    pub(super) async fn bring(self, title: &Path, work: &Path, to: &Path, options: &PullOptions) -> Result<()> {
        let (repo, at) = (self.place.repo.clone(), Selector::Digest(self.manifest.digest().clone()));
        let unpack = Unpack::new(Arc::new(self), repo, at);
        let unpack = unpack.limits(options.limits.clone()).observer(Arc::clone(&options.observer));
        unpack.to(work).await?;
        let (title, work, to) = (title.to_owned(), work.to_owned(), to.to_owned());
        blocking(move || settle(&title, &work, &to)).await
    }
}

fn settle(title: &Path, work: &Path, to: &Path) -> Result<()> {
    let failed = |error| Error::io("move the unpacked directory", error);
    let mut above = vec![work.to_owned()];
    let mut inside = work.to_owned();
    for part in title.components() {
        inside.push(part);
        let names: Vec<_> = fs::read_dir(&above[above.len() - 1]).and_then(Iterator::collect).map_err(failed)?;
        let is_directory = fs::symlink_metadata(&inside).is_ok_and(|found| found.is_dir());
        if names.len() != 1 || !is_directory {
            let what = format!("the archive holds something else than the directory {:?}", title.display());
            return Err(Error::new(ErrorKind::LayerInvalid, what));
        }
        above.push(inside.clone());
    }
    above.pop();
    make_parents(to)?;
    // To move a directory is to write to it, which its own mode may forbid.
    let mode = fs::symlink_metadata(&inside).map(|found| Metadata::permissions(&found)).map_err(failed)?;
    fs::set_permissions(&inside, Permissions::from_mode(0o700)).map_err(failed)?;
    fs::rename(&inside, to).map_err(failed)?;
    fs::set_permissions(to, mode).map_err(failed)?;
    above.iter().rev().try_for_each(|dir| fs::remove_dir(dir).map_err(failed))
}

#[async_trait]
impl Pull for Directory {
    async fn resolve_manifest(&self, _: &RepositoryName, _: &Selector) -> Result<Descriptor> {
        Ok(self.manifest.descriptor().clone())
    }

    async fn manifest(&self, _: &RepositoryName, _: &Selector) -> Result<RawManifest> {
        Ok(self.manifest.clone())
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.place.registry.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        if *digest != Digest::of(&self.config) {
            return self.place.registry.blob(repo, digest, range).await;
        }
        let config = self.config.clone();
        let descriptor = Descriptor::of(MediaType::OCI_CONFIG, &config);
        Ok(BlobReader::new(descriptor, ByteRange::Full, once(async move { Ok(config) }).boxed()))
    }

    fn guards_content(&self) -> bool {
        false
    }
}
