//! A directory to let hostile archives loose in, with canaries around it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A private directory. Whoever wants it in memory says so by `TMPDIR`.
pub(crate) struct Sandbox {
    base: TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let base = tempfile::tempdir().expect("a directory");
        fs::create_dir(base.path().join("neighbour")).expect("a directory");
        for canary in ["canary", "neighbour/canary"] {
            fs::write(base.path().join(canary), canary).expect("a file");
        }
        let before = listing(base.path());
        Self { base, before }
    }

    /// A place below it at which nothing is yet.
    pub(crate) fn root(&self) -> PathBuf {
        self.base.path().join("root")
    }

    /// Nothing but the root has come, gone or changed; the root itself is removed.
    pub(crate) fn clear(&self) {
        remove(&self.root());
        assert_eq!(listing(self.base.path()), self.before);
    }
}

/// Everything below a directory, with what it is.
pub(crate) fn listing(dir: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut open) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a directory that can be read") {
            let path = entry.expect("a name").path();
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            let content = if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            let what = format!("{:o} {} {} {content:?}", metadata.mode(), metadata.uid(), metadata.nlink());
            if metadata.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, what);
        }
    }
    found
}

/// Removes a tree, whatever the modes in it.
fn remove(path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if !metadata.is_dir() {
        return fs::remove_file(path).expect("a file that can be removed");
    }
    if metadata.mode() & 0o700 != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("a directory of ours");
    }
    for entry in fs::read_dir(path).expect("a directory that can be read") {
        remove(&entry.expect("a name").path());
    }
    fs::remove_dir(path).expect("an empty directory");
}
