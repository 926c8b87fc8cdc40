//! Two trees held side by side: contents, types, modes, owners, times, links and extended attributes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::layout::digest_of;
use crate::tool::Result;

/// Who unpacked, and so what can be compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum As {
    Root,
    /// Devices, owners and the attributes that only root may set are left out.
    User,
}

/// What differs, a line each.
pub(crate) fn trees(ours: &Path, theirs: &Path, unpacked_as: As) -> Result<Vec<String>> {
    let (ours, theirs) = (Tree::read(ours, unpacked_as)?, Tree::read(theirs, unpacked_as)?);
    let mut differences = Vec::new();
    for (path, entry) in &ours.entries {
        match theirs.entries.get(path) {
            Some(other) => entry.differences(other, |what| differences.push(format!("{}: {what}", path.display()))),
            None => differences.push(format!("{}: only ours", path.display())),
        }
    }
    let only_theirs = theirs.entries.keys().filter(|path| !ours.entries.contains_key(*path));
    differences.extend(only_theirs.map(|path| format!("{}: only theirs", path.display())));
    Ok(differences)
}

/// How many entries a tree has.
pub(crate) fn count(root: &Path) -> Result<usize> {
    Ok(Tree::read(root, As::User)?.entries.len())
}

struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
}

/// What is known of an entry, as name and value, so that what differs can be named.
#[derive(Debug)]
struct Entry(BTreeMap<&'static str, String>);

impl Entry {
    fn differences(&self, other: &Self, mut tell: impl FnMut(String)) {
        for (what, ours) in &self.0 {
            let theirs = other.0.get(what).map_or("nothing", String::as_str);
            if ours != theirs {
                tell(format!("{what}: ours {ours}, theirs {theirs}"));
            }
        }
        for (what, theirs) in other.0.iter().filter(|(what, _)| !self.0.contains_key(*what)) {
            tell(format!("{what}: ours nothing, theirs {theirs}"));
        }
    }
}

impl Tree {
    fn read(root: &Path, unpacked_as: As) -> Result<Self> {
        let mut tree = Self { entries: BTreeMap::new() };
        let mut first_names = BTreeMap::new();
        let mut todo = vec![root.to_owned()];
        while let Some(path) = todo.pop() {
            let metadata =
                fs::symlink_metadata(&path).map_err(|error| format!("look at {}: {error}", path.display()))?;
            if metadata.is_dir() {
                let mut below = children(&path)?;
                // Hard links are told by their first name, so names come in order.
                below.sort_unstable_by(|a, b| b.cmp(a));
                todo.append(&mut below);
            }
            let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
            if unpacked_as == As::User && is_device(&metadata, &path) {
                continue;
            }
            let first = first_names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| relative.clone());
            let entry = describe(&path, &metadata, first, unpacked_as)?;
            tree.entries.insert(relative, entry);
        }
        Ok(tree)
    }
}

fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    let io = |error: std::io::Error| format!("list {}: {error}", dir.display());
    fs::read_dir(dir).map_err(io)?.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// Devices, and what stands in for them where they can't be made: umoci leaves an empty file.
fn is_device(metadata: &Metadata, path: &Path) -> bool {
    let kind = metadata.file_type();
    let stands_in = path.ends_with("special/loop") || path.ends_with("special/null");
    kind.is_char_device() || kind.is_block_device() || (stands_in && kind.is_file())
}

fn describe(path: &Path, metadata: &Metadata, first_name: &Path, unpacked_as: As) -> Result<Entry> {
    let kind = metadata.file_type();
    let mut entry = BTreeMap::new();
    let name = match () {
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "symlink",
        () if kind.is_fifo() => "fifo",
        () if kind.is_char_device() => "character device",
        () if kind.is_block_device() => "block device",
        () => "other",
    };
    entry.insert("type", name.to_owned());
    entry.insert("mtime", format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()));
    if !kind.is_symlink() {
        entry.insert("mode", format!("{:o}", metadata.mode() & 0o7777));
    }
    if unpacked_as == As::Root {
        entry.insert("owner", format!("{}:{}", metadata.uid(), metadata.gid()));
        entry.insert("device", metadata.rdev().to_string());
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(|error| format!("read {}: {error}", path.display()))?;
        entry.insert("target", target.display().to_string());
    }
    if kind.is_file() {
        entry.insert("size", metadata.size().to_string());
        entry.insert("hard link of", first_name.display().to_string());
        entry.insert("content", content(path, unpacked_as)?);
    }
    entry.insert("xattrs", attributes(path, unpacked_as)?);
    Ok(Entry(entry))
}

/// An ordinary user cannot read back what it made unreadable.
fn content(path: &Path, unpacked_as: As) -> Result<String> {
    match digest_of(path) {
        Ok(digest) => Ok(digest.to_string()),
        Err(_) if unpacked_as == As::User => Ok("unreadable".to_owned()),
        Err(error) => Err(error),
    }
}

fn attributes(path: &Path, unpacked_as: As) -> Result<String> {
    let io = |error: rustix::io::Errno| format!("extended attributes of {}: {error}", path.display());
    let mut names = vec![0; 64 * 1024];
    let length = rustix::fs::llistxattr(path, &mut names[..]).map_err(io)?;
    names.truncate(length);
    let mut list = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = OsString::from_vec(name.to_vec());
        let text = name.to_string_lossy().into_owned();
        // umoci's own note of the owners that a user can't set.
        let only_root = text.starts_with("security.") || text == "user.rootlesscontainers";
        if unpacked_as == As::User && only_root {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, name.as_os_str(), &mut value[..]).map_err(io)?;
        value.truncate(length);
        list.push(format!("{text}={value:02x?}"));
    }
    list.sort_unstable();
    Ok(list.join(" "))
}
