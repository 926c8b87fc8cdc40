//! A file changed in one step: whoever reads it sees what was or what is, and of two who change it at once neither loses
//! what the other wrote. It is readable by its owner alone.
//!
//! The lock is `flock` on the directory: it leaves nothing behind, and the kernel frees it when its process dies. Tools that
//! do not lock are kept from seeing half a file all the same.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantri_core::{Error, ErrorKind, Limits, Result};
use tokio::time::Instant;

use super::edit::Text;

/// Between two tries to get the lock.
const PAUSE: Duration = Duration::from_millis(20);

/// Changes a file as `edit` says, which is given what it holds, or nothing if it is not there, and gives what it should hold,
/// or nothing if it is right as it is. Whether it was changed.
///
/// # Errors
/// Those of `edit`; `Timeout` if somebody else has the lock too long; `Config` if it can't be read; `Io`.
///
/// # Cancel safety
/// Atomic.
pub(super) async fn replace(
    path: &Path,
    limits: &Limits,
    edit: impl FnOnce(Option<&[u8]>) -> Result<Option<Text>>,
) -> Result<bool> {
    // Who keeps the file elsewhere and links to it keeps the link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = directory(&path)?;
    let locked = lock(&dir, limits.credential_lock).await?;
    let text = super::read(&path, limits)?;
    let Some(text) = edit(text.as_ref().map(|text| text.as_slice()))? else { return Ok(false) };
    write(&path, &dir, &locked, &text).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
    Ok(true)
}

/// The directory of a file, which is made if it is not there.
fn directory(path: &Path) -> Result<PathBuf> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Error::io(format!("make {}", dir.display()), error))?;
    Ok(dir.to_owned())
}

async fn lock(dir: &Path, patience: Duration) -> Result<File> {
    let locking = |error| Error::io(format!("lock {}", dir.display()), error);
    let file = File::open(dir).map_err(locking)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(locking(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                let what = format!("lock {}: somebody else has it for {patience:?}", dir.display());
                return Err(Error::new(ErrorKind::Timeout, format!("{what} (limit credential_lock)")));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn write(path: &Path, dir: &Path, locked: &File, text: &[u8]) -> std::io::Result<()> {
    // Made for its owner alone (0600).
    let mut file = tempfile::Builder::new().prefix(".gantri-").tempfile_in(dir)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    locked.sync_all()
}

#[cfg(test)]
mod tests;
