//! `index.json` and `oci-layout` on disk: read whole, replaced whole.
//!
//! A change reads the index anew, under the lock, so that no two writers undo each other's (S3), and replaces the file
//! by rename, so that a reader sees the one or the other (S8). What the entries mean is `entries.rs`.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::Index;
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::scratch::{BLOBS, Scratch};
use crate::dir::{Dir, io_error};

/// The file that lists what is in the layout.
pub(crate) const INDEX: &str = "index.json";
/// The file that makes a directory an image layout.
pub(crate) const MARK: &str = "oci-layout";

/// What the mark says. Spec: [oci-layout file].
///
/// [oci-layout file]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md#oci-layout-file
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    image_layout_version: String,
}

/// Makes a directory an image layout with nothing in it, or leaves the layout that it is as it is.
pub(super) fn establish(dir: &Dir) -> Result<()> {
    if is_layout(dir)? {
        return Ok(());
    }
    let _lock = Lock::acquire(dir)?;
    dir.make_dir(BLOBS)?;
    if dir.file(INDEX)?.is_none() {
        replace(dir, INDEX, &to_bytes(&Index::new(Vec::new()))?)?;
    }
    if dir.file(MARK)?.is_none() {
        replace(dir, MARK, &mark()?)?;
    }
    Ok(())
}

/// Whether the directory is an image layout.
///
/// # Errors
/// `Unsupported` if it is one of a later version; `NotARegistry` if its mark makes no sense.
pub(super) fn is_layout(dir: &Dir) -> Result<bool> {
    let Some(bytes) = dir.read(MARK, MARK_LIMIT, "mark")? else { return Ok(false) };
    check_mark(&bytes, &dir.path_of(MARK)).map(|()| true)
}

/// Refuses a mark that makes no sense, or is of a later version.
pub(crate) fn check_mark(bytes: &[u8], path: &Path) -> Result<()> {
    let mark: Mark = serde_json::from_slice(bytes).map_err(|source| {
        Error::new(ErrorKind::NotARegistry, format!("read {}: not the mark of an image layout", path.display()))
            .with_source(source)
    })?;
    if mark.image_layout_version != VERSION {
        let version = gantri_core::error::display_untrusted(&mark.image_layout_version);
        let what = format!("open {}: image layout version {version}, only {VERSION} is known", path.display());
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    Ok(())
}

/// The index as it is now.
pub(crate) fn read(dir: &Dir, limits: &Limits) -> Result<Index> {
    let path = dir.path_of(INDEX);
    let Some(bytes) = dir.read(INDEX, limits.manifest, "manifest")? else {
        return Err(Error::new(ErrorKind::NotARegistry, format!("read {}: there is no such file", path.display())));
    };
    parse(&bytes, &path)
}

/// An index from its bytes.
pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Index> {
    serde_json::from_slice(bytes).map_err(|source| {
        Error::new(ErrorKind::ManifestInvalid, format!("read {}: not an image index", path.display()))
            .with_source(source)
    })
}

/// Changes the index; written only if the change succeeds and is one. Blocks the thread while others write.
///
/// # Errors
/// Those of `change`; `Timeout`, `Io`, `LimitExceeded` of the lock and the file. The index is as it was then.
pub(super) fn change<T>(dir: &Dir, limits: &Limits, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
    change_then(dir, limits, change, Ok)
}

/// The same, and then what may be done once the change is on disk, and before anybody else makes one.
pub(super) fn change_then<T, U>(
    dir: &Dir,
    limits: &Limits,
    change: impl FnOnce(&mut Index) -> Result<T>,
    then: impl FnOnce(T) -> Result<U>,
) -> Result<U> {
    let _lock = Lock::acquire(dir)?;
    let before = read(dir, limits)?;
    let mut index = before.clone();
    let outcome = change(&mut index)?;
    if index != before {
        replace(dir, INDEX, &to_bytes(&index)?)?;
    }
    then(outcome)
}

/// The bytes of the mark.
pub(crate) fn mark() -> Result<Bytes> {
    to_bytes(&Mark { image_layout_version: VERSION.to_owned() })
}

/// The bytes of a document, always the same for the same.
pub(crate) fn to_bytes(document: &impl Serialize) -> Result<Bytes> {
    match serde_json::to_vec(document) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(Error::new(ErrorKind::ManifestInvalid, "write a document").with_source(error)),
    }
}

fn replace(dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.path_of(name);
    let scratch = Scratch::create(dir)?;
    let mut file = scratch.file();
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| io_error("write", &path, error))?;
    scratch.place().publish(dir, name)
}

const VERSION: &str = "1.0.0";
/// Bytes; the file has some thirty.
pub(crate) const MARK_LIMIT: u64 = 4_096;
