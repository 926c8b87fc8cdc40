//! Image archives: what they promise beyond the contract of the traits.

mod adding;
mod hostile;
mod legacy;
mod made;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

use gantri_core::spec::{ByteRange, Digest, RawManifest, Selector};
use gantri_core::{Pull, Result};
use gantri_store::{Archive, ArchiveDraft, ArchiveKind, Existing};

use super::common::{here, put_image};

/// An archive of this kind that nobody has made yet, in a directory of its own.
fn place() -> (PathBuf, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (dir.path().join("x.tar"), dir)
}

async fn draft(path: &Path, kind: ArchiveKind, existing: Existing) -> ArchiveDraft {
    Archive::draft(path, kind, existing).await.unwrap()
}

/// Makes an archive of one image with this config under these tags.
async fn make(path: &Path, kind: ArchiveKind, existing: Existing, config: &str, tags: &[&str]) -> Result<RawManifest> {
    let mut draft = Archive::draft(path, kind, existing).await?;
    draft.name("example.com/app".parse().unwrap());
    let manifest = put_image(draft.layout(), &here(), config, tags).await?;
    draft.publish().await?;
    Ok(manifest)
}

async fn read(archive: &Archive, digest: &Digest) -> Result<Vec<u8>> {
    Ok(archive.blob(&here(), digest, ByteRange::Full).await?.bytes(1 << 30).await?.to_vec())
}

async fn manifest(archive: &Archive, name: &str) -> Result<RawManifest> {
    archive.manifest(&here(), &archive.select(Some(name))?).await
}

/// What an archive lists: its names, else its digests.
fn names(archive: &Archive) -> Vec<String> {
    let name = |image: &gantri_store::ArchiveImage| match (&image.reference, &image.tag) {
        (Some(reference), _) => reference.to_string(),
        (None, Some(tag)) => tag.to_string(),
        (None, None) => Selector::Digest(image.manifest.digest.clone()).to_string(),
    };
    archive.images().iter().map(name).collect()
}

/// The names in a directory, sorted.
fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const BOTH: [ArchiveKind; 2] = [ArchiveKind::Oci, ArchiveKind::Docker];
