//! What a registry has shown of itself, so that nothing is tried in vain twice. It belongs to one
//! [`Remote`](crate::Remote), is shared by its clones, and is never written down: a registry may learn.
//!
//! Only what was seen is kept here; what follows from it is decided where it is asked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use gantri_spec::{Descriptor, Digest, RepositoryName};

/// What is known of one registry.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    /// It takes several tags in one put (end-7b).
    pub(crate) tags_at_once: Habit,
    /// It deletes a tag by its name.
    pub(crate) deletes_by_tag: Habit,
    /// It deletes a manifest by its digest.
    pub(crate) deletes_by_digest: Habit,
    /// The page size that it took after it had refused a longer one.
    pub(crate) page: Kept<(), Option<u32>>,
    /// Whether it lists referrers, by repository: Artifactory and its like put several registries behind one host.
    pub(crate) referrers: Kept<RepositoryName, Shown>,
    /// Referrers whose own word for their subject was read: content by digest does not change.
    pub(crate) verified: Kept<(RepositoryName, Digest, Digest), Descriptor>,
}

/// Whether a registry does a thing, as far as it has shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Shown {
    #[default]
    Nothing,
    Yes,
    No,
}

/// One thing that registries do or do not.
#[derive(Debug, Default)]
pub(crate) struct Habit(Mutex<Shown>);

impl Habit {
    pub(crate) fn shows(&self, shown: Shown) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    pub(crate) fn shown(&self) -> Shown {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A map that forgets everything rather than grow without end.
#[derive(Debug)]
pub(crate) struct Kept<K, V>(Mutex<HashMap<K, V>>);

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    const MANY: usize = 10_000;

    pub(crate) fn keep(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= Self::MANY && !kept.contains_key(&key) {
            kept.clear();
        }
        kept.insert(key, value);
    }

    pub(crate) fn find(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = Kept::<usize, usize>::default();
        for key in 0..3 * Kept::<usize, usize>::MANY {
            kept.keep(key, key);
            assert_eq!(kept.find(&key), Some(key));
        }
        assert!(kept.0.lock().unwrap().len() <= Kept::<usize, usize>::MANY);
    }
}
