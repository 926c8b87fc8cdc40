//! Stacks of layers against the rules in memory (T11, T12).
//!
//! The model knows no disk: a map of nodes, each stamped with the layer that brought it. It says what the tree must hold
//! after each stack, and which stacks must be refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::tar::{Header, Tar};

/// An entry of a layer. Names are few, so that entries meet.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "tests make every one of them")]
#[expect(missing_docs, reason = "named for what they are in an archive")]
pub enum Entry {
    File { path: &'static str, contents: u8, mode: u32 },
    Directory { path: &'static str, mode: u32 },
    Symlink { path: &'static str, target: &'static str },
    HardLink { path: &'static str, target: &'static str },
    Whiteout { parent: &'static str, name: &'static str },
    Opaque { parent: &'static str },
}

/// Where entries are.
pub const PATHS: [&str; 13] =
    ["a", "b", "c", "a/a", "a/b", "a/c", "b/a", "b/b", "b/c", "a/b/c", "b/a/c", "a/b/a", "c/a/b"];
/// Where whiteouts are.
pub const PARENTS: [&str; 9] = ["", "a", "b", "c", "a/a", "a/b", "b/a", "b/c", "a/b/c"];
/// Where symbolic links lead.
pub const TARGETS: [&str; 12] =
    ["a", "b", "../a", "../b", "/a", "/b/a", "../../../c", "c", ".", "/", "a/../b", "no/where"];
/// What whiteouts hide.
pub const NAMES: [&str; 3] = ["a", "b", "c"];
/// Modes of files and directories.
pub const MODES: [u32; 3] = [0o755, 0o700, 0o1775];

/// The entries as an archive; they belong to whoever runs the tests, so that an ordinary user can restore them.
pub fn archive(layer: &[Entry]) -> Vec<u8> {
    let within =
        |parent: &str, name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let header = |kind: u8, path: &str| Header { uid, gid, ..Header::new(kind, path) };
    let add = |tar: Tar, entry: &Entry| match entry {
        Entry::File { path, contents, mode } => {
            tar.entry(Header { mode: *mode, ..header(b'0', path) }, contents.to_string().as_bytes())
        }
        Entry::Directory { path, mode } => tar.entry(Header { mode: *mode, ..header(b'5', path) }, b""),
        Entry::Symlink { path, target } => tar.entry(Header { link: (*target).into(), ..header(b'2', path) }, b""),
        Entry::HardLink { path, target } => tar.entry(Header { link: (*target).into(), ..header(b'1', path) }, b""),
        Entry::Whiteout { parent, name } => tar.entry(header(b'0', &within(parent, &format!(".wh.{name}"))), b""),
        Entry::Opaque { parent } => tar.entry(header(b'0', &within(parent, ".wh..wh..opq")), b""),
    };
    layer.iter().fold(Tar::new(), add).finish()
}

/// What these layers come to: path to what is there, the root's own path being empty. Names of one inode are told by the
/// first of them.
///
/// # Errors
/// [`Refused`] if one of them is no layer.
pub fn expected(stack: &[Vec<Entry>]) -> Result<BTreeMap<String, String>, Refused> {
    let mut model = Model::new();
    for (index, layer) in stack.iter().enumerate() {
        model.current = index;
        layer.iter().try_for_each(|entry| model.apply(entry))?;
    }
    Ok(model.listing())
}

/// What is in a directory, told as [`expected`] tells it.
pub fn on_disk(root: &Path) -> BTreeMap<String, String> {
    let mut listing = BTreeMap::new();
    look(root, "", &mut BTreeMap::new(), &mut listing);
    listing
}

/// In the model's order: names within a directory, depth first.
fn look(root: &Path, path: &str, firsts: &mut BTreeMap<u64, String>, listing: &mut BTreeMap<String, String>) {
    let at = root.join(path);
    let metadata = fs::symlink_metadata(&at).expect("what was listed");
    let mode = metadata.mode() & 0o7777;
    let mut first = || firsts.entry(metadata.ino()).or_insert_with(|| path.to_owned()).clone();
    let what = if metadata.is_dir() {
        format!("dir {mode:o}")
    } else if metadata.is_symlink() {
        format!("link {} = {}", fs::read_link(&at).expect("a link").display(), first())
    } else {
        format!("file {mode:o} {} = {}", fs::read_to_string(&at).expect("a file"), first())
    };
    listing.insert(path.to_owned(), what);
    if metadata.is_dir() {
        let entries = fs::read_dir(&at).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("a name").file_name()).collect();
        names.sort();
        for name in names {
            let name = name.to_string_lossy();
            look(root, &if path.is_empty() { name.to_string() } else { format!("{path}/{name}") }, firsts, listing);
        }
    }
}

/// The stack must be refused.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

type Place = Vec<String>;

#[derive(Debug)]
struct Node {
    kind: Kind,
    /// The layer whose entry this is; `None` for a directory that only lies on the way.
    layer: Option<usize>,
}

#[derive(Debug)]
enum Kind {
    Directory { children: BTreeMap<String, Node>, mode: u32 },
    Symlink(&'static str, u64),
    File { inode: u64, contents: u8, mode: u32 },
}

impl Node {
    fn directory(mode: u32, layer: Option<usize>) -> Self {
        Self { kind: Kind::Directory { children: BTreeMap::new(), mode }, layer }
    }

    fn children(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match &mut self.kind {
            Kind::Directory { children, .. } => Some(children),
            _ => None,
        }
    }

    /// Takes away what `layer` did not bring; `false` if nothing is left of this node.
    fn hide(&mut self, current: usize) -> bool {
        let brought = self.layer == Some(current);
        let Kind::Directory { children, mode } = &mut self.kind else { return brought };
        children.retain(|_, child| child.hide(current));
        if !brought && !children.is_empty() {
            (*mode, self.layer) = (0o755, None);
        }
        brought || !children.is_empty()
    }
}

/// A tree in memory, as the layers so far leave it.
#[derive(Debug)]
struct Model {
    root: Node,
    current: usize,
    inodes: u64,
}

impl Model {
    fn new() -> Self {
        Self { root: Node::directory(0o755, None), current: 0, inodes: 0 }
    }

    fn node(&mut self, path: &[String]) -> Option<&mut Node> {
        path.iter().try_fold(&mut self.root, |node, name| node.children()?.get_mut(name))
    }

    /// Where a directory's path leads when links are followed within the root.
    fn resolve(&mut self, path: &str, create: bool) -> Result<Option<Place>, Refused> {
        let mut at = Place::new();
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            let here = self.node(&at).and_then(Node::children).expect("a directory");
            match here.get(&name).map(|node| &node.kind) {
                Some(Kind::Directory { .. }) => at.push(name),
                Some(Kind::Symlink(target, _)) => {
                    links += 1;
                    if links > 40 {
                        return Err(Refused);
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(Kind::File { .. }) => return if create { Err(Refused) } else { Ok(None) },
                None if create => {
                    here.insert(name.clone(), Node::directory(0o755, None));
                    at.push(name);
                }
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn put(&mut self, path: &str, node: Node) -> Result<(), Refused> {
        let (mut at, name) = self.locate(path)?;
        let here = self.node(&at).and_then(Node::children).expect("a directory");
        match (here.get_mut(&name), &node.kind) {
            (Some(Node { kind: Kind::Directory { mode, .. }, layer }), Kind::Directory { mode: new, .. }) => {
                (*mode, *layer) = (*new, node.layer);
            }
            _ => {
                here.insert(name.clone(), node);
            }
        }
        at.push(name);
        Ok(())
    }

    fn locate(&mut self, path: &str) -> Result<(Place, String), Refused> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let at = self.resolve(parent, true)?.expect("was made");
        Ok((at, name.to_owned()))
    }

    fn inode(&mut self) -> u64 {
        self.inodes += 1;
        self.inodes
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), Refused> {
        let layer = Some(self.current);
        let inode = self.inode();
        match *entry {
            Entry::File { path, contents, mode } => {
                self.put(path, Node { kind: Kind::File { inode, contents, mode }, layer })
            }
            Entry::Directory { path, mode } => self.put(path, Node::directory(mode, layer)),
            Entry::Symlink { path, target } => self.put(path, Node { kind: Kind::Symlink(target, inode), layer }),
            Entry::HardLink { path, target } => self.hard_link(path, target),
            Entry::Whiteout { parent, name } => self.hide(parent, name),
            Entry::Opaque { parent } => {
                let current = self.current;
                if let Some(at) = self.resolve(parent, false)? {
                    let children = self.node(&at).and_then(Node::children).expect("a directory");
                    children.retain(|_, child| child.hide(current));
                }
                Ok(())
            }
        }
    }

    fn hide(&mut self, parent: &str, name: &str) -> Result<(), Refused> {
        let current = self.current;
        if let Some(at) = self.resolve(parent, false)? {
            let children = self.node(&at).and_then(Node::children).expect("a directory");
            if children.get_mut(name).is_some_and(|child| !child.hide(current)) {
                children.remove(name);
            }
        }
        Ok(())
    }

    fn hard_link(&mut self, path: &str, target: &str) -> Result<(), Refused> {
        let (at, name) = self.locate(path)?;
        let (parent, target_name) = target.rsplit_once('/').unwrap_or(("", target));
        let target_at = self.resolve(parent, false)?.ok_or(Refused)?;
        let kind = match self.node(&target_at).and_then(Node::children).and_then(|here| here.get(target_name)) {
            Some(Node { kind: Kind::File { inode, contents, mode }, .. }) => {
                Kind::File { inode: *inode, contents: *contents, mode: *mode }
            }
            Some(Node { kind: Kind::Symlink(target, inode), .. }) => Kind::Symlink(target, *inode),
            _ => return Err(Refused),
        };
        let target = [target_at, vec![target_name.to_owned()]].concat();
        let place = [at.clone(), vec![name.clone()]].concat();
        // The target lies in the directory that the link would replace.
        if target != place && target.starts_with(&place) {
            return Err(Refused);
        }
        let layer = Some(self.current);
        let here = self.node(&at).and_then(Node::children).expect("a directory");
        here.insert(name, Node { kind, layer });
        Ok(())
    }

    /// Path to what is there; names of one inode are told by the first of them.
    fn listing(&self) -> BTreeMap<String, String> {
        let mut listing = BTreeMap::new();
        list(&self.root, "", &mut BTreeMap::new(), &mut listing);
        listing
    }
}

fn list(node: &Node, path: &str, firsts: &mut BTreeMap<u64, String>, listing: &mut BTreeMap<String, String>) {
    let mut first = |inode: u64| firsts.entry(inode).or_insert_with(|| path.to_owned()).clone();
    let what = match &node.kind {
        Kind::Directory { mode, .. } => format!("dir {mode:o}"),
        Kind::Symlink(target, inode) => format!("link {target} = {}", first(*inode)),
        Kind::File { inode, contents, mode } => format!("file {mode:o} {contents} = {}", first(*inode)),
    };
    listing.insert(path.to_owned(), what);
    if let Kind::Directory { children, .. } = &node.kind {
        for (name, child) in children {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            list(child, &path, firsts, listing);
        }
    }
}
