//! Holds an unpacked tree against the directories that it was packed from, file by file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantri::Digest;

/// Checks that `tree` holds exactly what the stack of `layers` holds, the upper ones in front of the lower; how many
/// files were compared, or what differs.
pub(super) fn stacked(layers: &[PathBuf], tree: &Path) -> Result<usize, String> {
    let mut expected = BTreeMap::new();
    for layer in layers {
        collect(layer, &mut expected)?;
    }
    let mut found = BTreeMap::new();
    collect(tree, &mut found)?;
    for (path, content) in &expected {
        match found.get(path) {
            Some(other) if other == content => {}
            Some(_) => return Err(format!("{} differs", path.display())),
            None => return Err(format!("{} is missing", path.display())),
        }
    }
    match found.keys().find(|path| !expected.contains_key(*path)) {
        Some(path) => Err(format!("{} was not packed", path.display())),
        None => Ok(expected.values().filter(|content| matches!(content, Content::File(_))).count()),
    }
}

/// What a name stands for.
#[derive(Debug, Eq, PartialEq)]
enum Content {
    Directory,
    File(Digest),
    Link(PathBuf),
}

fn collect(root: &Path, into: &mut BTreeMap<PathBuf, Content>) -> Result<(), String> {
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = fs::read_dir(&dir).map_err(|error| format!("list {}: {error}", dir.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("list {}: {error}", dir.display()))?.path();
            let content = content(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            if content == Content::Directory {
                open.push(path);
            }
            into.insert(name, content);
        }
    }
    Ok(())
}

fn content(path: &Path) -> io::Result<Content> {
    let kind = fs::symlink_metadata(path)?.file_type();
    Ok(match () {
        () if kind.is_dir() => Content::Directory,
        () if kind.is_symlink() => Content::Link(fs::read_link(path)?),
        () => Content::File(Digest::of(&fs::read(path)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_differs_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let [low, high, tree] = ["low", "high", "tree"].map(|name| dir.path().join(name));
        for (root, files) in
            [(&low, &[("a", "1"), ("b", "1")][..]), (&high, &[("b", "2")]), (&tree, &[("a", "1"), ("b", "2")])]
        {
            fs::create_dir(root).unwrap();
            for (name, text) in files {
                fs::write(root.join(name), text).unwrap();
            }
        }
        let layers = [low, high];
        assert_eq!(stacked(&layers, &tree), Ok(2));
        fs::write(tree.join("a"), "other").unwrap();
        assert_eq!(stacked(&layers, &tree), Err("a differs".into()));
        fs::remove_file(tree.join("a")).unwrap();
        assert_eq!(stacked(&layers, &tree), Err("a is missing".into()));
        fs::write(tree.join("a"), "1").unwrap();
        fs::write(tree.join("c"), "3").unwrap();
        assert_eq!(stacked(&layers, &tree), Err("c was not packed".into()));
    }
}
