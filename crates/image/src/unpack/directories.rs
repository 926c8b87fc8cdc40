//! What directories get in the end.
//!
//! While the tree grows, every directory is open to its owner and free of setgid and ACLs, or a read-only one could not be
//! filled and its files would inherit. Modes, owners, attributes and times of directories therefore wait here for the
//! last pass, under their plain paths (T5).

use std::collections::BTreeMap;
use std::ops::Bound;

use super::tar::Metadata;

/// What a directory gets.
pub(super) enum Finish {
    /// What its entry said.
    As(Metadata),
    /// No entry spoke of it: it was made on the way to another, and is open to all for reading.
    Implied,
}

/// The mode of a directory that no entry described.
pub(super) const IMPLIED: u32 = 0o755;

#[derive(Default)]
pub(super) struct Directories(BTreeMap<Box<[u8]>, Finish>);

impl Directories {
    /// An entry describes the directory; the last one counts.
    pub(super) fn describe(&mut self, path: &[u8], metadata: Metadata) {
        self.0.insert(path.into(), Finish::As(metadata));
    }

    /// The directory is there for what is in it only.
    pub(super) fn imply(&mut self, path: &[u8]) {
        self.0.insert(path.into(), Finish::Implied);
    }

    /// The directory is there for what is in it, unless an entry described it.
    pub(super) fn imply_if_absent(&mut self, path: &[u8]) {
        self.0.entry(path.into()).or_insert(Finish::Implied);
    }

    /// The directory and all beneath it are gone.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.0.remove(path);
        // All that begins with `path/` sorts before `path0`.
        let (first, end) = ([path, b"/"].concat(), [path, b"0"].concat());
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        let gone: Vec<Box<[u8]>> = self.0.range::<[u8], _>(range).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.0.remove(&path);
        }
    }

    /// All of them, each before the directory it lies in, so that closing one does not bar the way to the next.
    pub(super) fn innermost_first(self) -> impl Iterator<Item = (Box<[u8]>, Finish)> {
        self.0.into_iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_takes_what_is_beneath_and_nothing_beside() {
        let mut directories = Directories::default();
        for path in ["", "a", "a/b", "a/b/c", "a/bc", "a-", "a0", "ab", "b"] {
            directories.imply(path.as_bytes());
        }
        directories.forget(b"a");
        let left: Vec<_> = directories.innermost_first().map(|(path, _)| path).collect();
        let left: Vec<&str> = left.iter().map(|path| std::str::from_utf8(path).unwrap()).collect();
        assert_eq!(left, ["b", "ab", "a0", "a-", ""]);
    }
}
