//! What becomes of a list of referrers: pure, a table at the foot.

use gantri_spec::{Descriptor, Digest, Index};

use crate::untag::without_mark;

/// What is to become true of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// This one is on it.
    Add(Box<Descriptor>),
    /// This one is not.
    Remove(Digest),
}

/// The list as the changes, in their order, want it; `None` if it is so already. What others wrote on it stays, entry by
/// entry and field by field.
pub(super) fn merge(current: Option<&Index>, changes: &[Change]) -> Option<Index> {
    let mut index = current.cloned().map_or_else(|| Index::new(Vec::new()), without_mark);
    let before = index.manifests.clone();
    for change in changes {
        match change {
            Change::Add(wanted) if index.manifests.iter().any(|listed| listed.digest == wanted.digest) => {}
            Change::Add(wanted) => index.manifests.push((**wanted).clone()),
            Change::Remove(unwanted) => index.manifests.retain(|listed| listed.digest != *unwanted),
        }
    }
    (index.manifests != before).then_some(index)
}

/// The changes that bring back, for another round, what has been seen on the list, but for what is unwanted: whoever
/// writes over us may not have read it.
pub(super) fn keep(seen: &Index, changes: &[Change]) -> Vec<Change> {
    seen.manifests.iter().cloned().map(Box::new).map(Change::Add).chain(changes.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use gantri_spec::MediaType;

    use super::*;

    fn entry(name: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST, name.as_bytes())
    }

    fn index(names: &[&str]) -> Index {
        Index::new(names.iter().map(|name| entry(name)).collect())
    }

    fn add(name: &str) -> Change {
        Change::Add(Box::new(entry(name)))
    }

    fn remove(name: &str) -> Change {
        Change::Remove(entry(name).digest)
    }

    #[test]
    fn changes_are_made_once_and_nothing_else_is() {
        type Names<'a> = Option<&'a [&'a str]>;
        let cases: [(&str, Names<'_>, Vec<Change>, Names<'_>); 10] = [
            ("the first", None, vec![add("a")], Some(&["a"])),
            ("one more", Some(&["a"]), vec![add("b")], Some(&["a", "b"])),
            ("there already", Some(&["a", "b"]), vec![add("b")], None),
            ("many", Some(&["a"]), vec![add("b"), add("c"), add("b")], Some(&["a", "b", "c"])),
            ("gone", Some(&["a", "b"]), vec![remove("a")], Some(&["b"])),
            ("the last gone", Some(&["a"]), vec![remove("a")], Some(&[])),
            ("not there", Some(&["a"]), vec![remove("b")], None),
            ("no list", None, vec![remove("b")], None),
            ("in order: gone at last", Some(&["a"]), vec![add("b"), remove("b")], None),
            ("in order: there at last", Some(&["a"]), vec![remove("a"), add("a")], None),
        ];
        for (name, current, changes, expected) in cases {
            let current = current.map(index);
            let merged = merge(current.as_ref(), &changes);
            assert_eq!(merged.map(|merged| merged.manifests), expected.map(|names| index(names).manifests), "{name}");
        }
    }

    #[test]
    fn what_others_wrote_stays() {
        let mut current = index(&["a"]);
        current.manifests[0].annotations.insert("theirs".to_owned(), "1".to_owned());
        current.annotations.insert("theirs".to_owned(), "2".to_owned());
        let merged = merge(Some(&current), &[add("a"), add("b")]).unwrap();
        assert_eq!(merged.manifests[0], current.manifests[0]);
        assert_eq!(merged.annotations, current.annotations);
    }

    #[test]
    fn what_was_seen_comes_back_but_for_what_is_unwanted() {
        let changes = keep(&index(&["a", "b"]), &[remove("b"), add("c")]);
        assert_eq!(merge(Some(&index(&["d"])), &changes).unwrap().manifests, index(&["d", "a", "c"]).manifests);
    }

    #[test]
    fn a_list_that_was_emptied_is_a_list_again() {
        let empty = crate::untag::tombstone();
        let Ok(gantri_spec::Manifest::Index(empty)) = empty.parse() else { panic!("an index") };
        assert!(!empty.annotations.is_empty());
        assert_eq!(merge(Some(&empty), &[add("a")]), Some(index(&["a"])));
        assert_eq!(merge(Some(&empty), &[remove("a")]), None);
    }
}
