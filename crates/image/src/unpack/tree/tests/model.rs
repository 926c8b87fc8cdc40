//! Random layer stacks against the rules in memory (T11, T12).
//!
//! The model knows no disk: a map of nodes, each stamped with the layer that brought it. It says what the tree must hold
//! after each stack, and which stacks must be refused.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use gantri_core::ErrorKind;
use proptest::prelude::*;
use proptest::sample::select;

use super::sandbox::{RESOLVERS, Sandbox};
use crate::unpack::tarball::{Header, Tarball};

#[derive(Clone, Debug)]
enum Entry {
    File { path: &'static str, contents: u8, mode: u32 },
    Directory { path: &'static str, mode: u32 },
    Symlink { path: &'static str, target: &'static str },
    HardLink { path: &'static str, target: &'static str },
    Whiteout { parent: &'static str, name: &'static str },
    Opaque { parent: &'static str },
}

const PATHS: [&str; 13] = ["a", "b", "c", "a/a", "a/b", "a/c", "b/a", "b/b", "b/c", "a/b/c", "b/a/c", "a/b/a", "c/a/b"];
const PARENTS: [&str; 9] = ["", "a", "b", "c", "a/a", "a/b", "b/a", "b/c", "a/b/c"];
const TARGETS: [&str; 12] = ["a", "b", "../a", "../b", "/a", "/b/a", "../../../c", "c", ".", "/", "a/../b", "no/where"];
const NAMES: [&str; 3] = ["a", "b", "c"];
const MODES: [u32; 3] = [0o755, 0o700, 0o1775];

fn entry() -> impl Strategy<Value = Entry> {
    let (path, mode) = (|| select(&PATHS[..]), || select(&MODES[..]));
    prop_oneof![
        4 => (path(), any::<u8>(), mode()).prop_map(|(path, contents, mode)| Entry::File { path, contents, mode }),
        4 => (path(), mode()).prop_map(|(path, mode)| Entry::Directory { path, mode }),
        2 => (path(), select(&TARGETS[..])).prop_map(|(path, target)| Entry::Symlink { path, target }),
        2 => (path(), path()).prop_map(|(path, target)| Entry::HardLink { path, target }),
        2 => (select(&PARENTS[..]), select(&NAMES[..])).prop_map(|(parent, name)| Entry::Whiteout { parent, name }),
        2 => select(&PARENTS[..]).prop_map(|parent| Entry::Opaque { parent }),
    ]
}

fn archive(layer: &[Entry]) -> Vec<u8> {
    let within =
        |parent: &str, name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
    let add = |archive: Tarball, entry: &Entry| match entry {
        Entry::File { path, contents, mode } => {
            archive.entry(&Header::new(b'0', path).mode(*mode), contents.to_string())
        }
        Entry::Directory { path, mode } => archive.entry(&Header::new(b'5', path).mode(*mode), ""),
        Entry::Symlink { path, target } => archive.symlink(path, target),
        Entry::HardLink { path, target } => archive.hard_link(path, target),
        Entry::Whiteout { parent, name } => archive.file(within(parent, &format!(".wh.{name}")), ""),
        Entry::Opaque { parent } => archive.file(within(parent, ".wh..wh..opq"), ""),
    };
    layer.iter().fold(Tarball::new(), add).finish()
}

/// The layer must be refused.
#[derive(Debug)]
struct Refused;

type Path = Vec<String>;

struct Node {
    kind: Kind,
    /// The layer whose entry this is; `None` for a directory that only lies on the way.
    layer: Option<usize>,
}

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
    fn resolve(&mut self, path: &str, create: bool) -> Result<Option<Path>, Refused> {
        let mut at = Path::new();
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

    fn locate(&mut self, path: &str) -> Result<(Path, String), Refused> {
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

fn on_disk(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut firsts = BTreeMap::new();
    let mut listing = sandbox.listing();
    // In the model's order: names within a directory, depth first.
    let mut paths: Vec<String> = listing.keys().cloned().collect();
    paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    for path in paths {
        let stat = sandbox.stat(&path);
        if !stat.is_dir() {
            let first = firsts.entry(stat.ino()).or_insert_with(|| path.clone()).clone();
            listing.entry(path).and_modify(|what| *what = format!("{what} = {first}"));
        }
    }
    listing
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_end_as_the_rules_say(stack in prop::collection::vec(prop::collection::vec(entry(), 0..12), 1..4)) {
        let mut model = Model::new();
        let expected = stack.iter().enumerate().try_for_each(|(index, layer)| {
            model.current = index;
            layer.iter().try_for_each(|entry| model.apply(entry))
        });
        let layers: Vec<Vec<u8>> = stack.iter().map(|layer| archive(layer)).collect();
        for resolver in RESOLVERS {
            let sandbox = Sandbox::new(resolver);
            let before = sandbox.neighbours();
            match (&expected, sandbox.unpack(&layers)) {
                (Ok(()), Ok(_)) => prop_assert_eq!(on_disk(&sandbox), model.listing()),
                (Err(Refused), Err(error)) => prop_assert_eq!(error.kind(), ErrorKind::LayerInvalid, "{}", error),
                (Ok(()), Err(error)) => prop_assert!(false, "was refused: {}", error),
                (Err(Refused), Ok(_)) => prop_assert!(false, "was taken"),
            }
            prop_assert_eq!(sandbox.neighbours(), before);
        }
    }
}
