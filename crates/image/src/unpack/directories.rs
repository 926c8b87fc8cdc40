//! What directories get in the end.
//!
//! While the tree grows, every directory is open to its owner and free of setgid and ACLs, or a read-only one could not be
//! filled and its files would inherit. Modes, owners, attributes and times of directories therefore wait here for the
//! last pass, under their plain paths (T5). What was removed meanwhile may stay listed: made again, it is listed anew, and
//! otherwise the last pass finds no directory there.

use std::collections::BTreeMap;

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

    /// All of them, each before the directory it lies in, so that closing one does not bar the way to the next.
    pub(super) fn innermost_first(self) -> impl Iterator<Item = (Box<[u8]>, Finish)> {
        self.0.into_iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_after_all_that_lies_in_it() {
        let mut directories = Directories::default();
        for path in ["a", "", "a/b/c", "a-", "a/b", "a0", "b"] {
            directories.imply(path.as_bytes());
        }
        let order: Vec<Box<[u8]>> = directories.innermost_first().map(|(path, _)| path).collect();
        let order: Vec<&str> = order.iter().map(|path| std::str::from_utf8(path).unwrap()).collect();
        assert_eq!(order, ["b", "a0", "a/b/c", "a/b", "a-", "a", ""]);
    }
}
