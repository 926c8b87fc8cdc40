//! How every file of configuration and credentials is opened and read: a regular file, and no more of it than its bound.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// At most `most` bytes of a file and one more, which tells that it is too long; `None` if there is no such file. A pipe or a
/// terminal, which might never say anything, is not waited for: it is no such file, as nothing is but `/dev/null`.
///
/// # Errors
/// `Config`, naming the file, if it is not a regular file or can't be read.
pub(super) fn read(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let unread = |error| Error::new(ErrorKind::Config, format!("read {}", path.display())).with_source(error);
    // A pipe is opened without waiting for whoever writes to it. What it is, is asked of what was opened, not of its name.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    if !is_read(&file).map_err(unread)? {
        let what = format!("read {}: not a regular file", path.display());
        return Err(Error::new(ErrorKind::Config, what));
    }
    // With room for all of it from the start: a buffer that grows leaves what it held behind, and nobody wipes that.
    let size = file.metadata().map_err(unread)?.len().min(most).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default()));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unread)?;
    Ok(Some(bytes))
}

/// A regular file, or the device by which users say "nothing".
fn is_read(file: &File) -> std::io::Result<bool> {
    let found = file.metadata()?;
    let is_null = || std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == found.rdev());
    Ok(found.is_file() || (found.file_type().is_char_device() && is_null()))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let [file, pipe, link] = ["file", "pipe", "link"].map(|name| dir.path().join(name));
        std::fs::write(&file, "text").unwrap();
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let said = |path: &Path| match read(path, 3) {
            Ok(Some(bytes)) => format!("{} bytes", bytes.len()),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said(&file), "4 bytes");
        assert_eq!(said(Path::new("/dev/null")), "0 bytes");
        assert_eq!(said(&dir.path().join("no")), "none");
        for other in [pipe.as_path(), link.as_path(), dir.path(), Path::new("/dev/zero")] {
            assert_eq!(said(other), format!("read {}: not a regular file", other.display()));
            assert_eq!(read(other, 3).unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
