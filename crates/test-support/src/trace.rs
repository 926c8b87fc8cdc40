//! What lies on disk, written down so that two moments can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use gantri_spec::Digest;

/// Everything below a directory, with mode and content. Two are equal if nothing has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace(BTreeMap<PathBuf, String>);

impl Trace {
    /// The names alone, sorted.
    pub fn into_names(self) -> Vec<String> {
        self.0.into_keys().map(|path| path.display().to_string()).collect()
    }
}

/// Writes down what lies below a directory now.
pub fn trace(dir: &Path) -> Trace {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(now) = open.pop() {
        for entry in fs::read_dir(&now).expect("a directory that can be listed") {
            let path = entry.expect("an entry that can be read").path();
            let metadata = fs::symlink_metadata(&path).expect("an entry that is still there");
            if metadata.is_dir() {
                open.push(path.clone());
            }
            let name = path.strip_prefix(dir).expect("below the directory").to_owned();
            found.insert(name, format!("{:o} {}", metadata.mode(), content(&path, metadata.file_type())));
        }
    }
    Trace(found)
}

fn content(path: &Path, kind: fs::FileType) -> String {
    if kind.is_symlink() {
        fs::read_link(path).expect("a link that can be read").display().to_string()
    } else if kind.is_file() {
        Digest::of(&fs::read(path).expect("a file that can be read")).to_string()
    } else if kind.is_fifo() || kind.is_block_device() || kind.is_char_device() || kind.is_socket() {
        "special".to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_shows_names_modes_and_content() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b"), "1").unwrap();
        let before = trace(dir.path());
        assert_eq!(before, trace(dir.path()));
        fs::write(dir.path().join("a/b"), "2").unwrap();
        assert_ne!(before, trace(dir.path()));
        assert_eq!(before.into_names(), ["a", "a/b"]);
    }
}
