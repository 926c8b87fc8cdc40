//! What the layer being applied has touched so far.
//!
//! A whiteout hides what lower layers put there and never what its own layer brings (T11), so the tree must know which is
//! which. The paths themselves are not kept, only keyed 64-bit hashes of them: 5 million entries, which is the limit,
//! fit in some 100 MB, and an image can't choose names that collide.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::path;

/// What is known of a path in the current layer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Mark {
    /// The layer has an entry for it.
    Brought,
    /// A directory beneath which the layer brought something.
    Holds,
    /// A directory with nothing of lower layers in it: new in this layer, or cleared already. It need not be looked
    /// through again, which keeps whiteouts linear (T9).
    Pure,
}

#[derive(Default)]
pub(super) struct Marks {
    keys: RandomState,
    marks: HashSet<u64>,
}

impl Marks {
    /// A new layer: all that is there is from lower ones.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
    }

    /// Marks a path; `true` if it was not yet.
    pub(super) fn set(&mut self, mark: Mark, path: &[u8]) -> bool {
        self.marks.insert(self.keys.hash_one((mark, path)))
    }

    pub(super) fn has(&self, mark: Mark, path: &[u8]) -> bool {
        self.marks.contains(&self.keys.hash_one((mark, path)))
    }

    /// Marks an entry and all directories above it. Stops at the first that is marked, for those above it are then, too.
    pub(super) fn bring(&mut self, path: &[u8]) {
        self.set(Mark::Brought, path);
        let mut at = path;
        while !at.is_empty() {
            at = path::split(at).0;
            if !self.set(Mark::Holds, at) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_marks_all_directories_above_it() {
        let mut marks = Marks::default();
        marks.bring(b"a/b/c");
        marks.bring(b"a/d");
        assert!(marks.has(Mark::Brought, b"a/b/c") && marks.has(Mark::Brought, b"a/d"));
        for directory in [&b""[..], b"a", b"a/b"] {
            assert!(marks.has(Mark::Holds, directory) && !marks.has(Mark::Brought, directory));
        }
        assert!(!marks.has(Mark::Holds, b"a/d") && !marks.has(Mark::Pure, b"a"));
        marks.clear();
        assert!(!marks.has(Mark::Holds, b""));
    }
}
