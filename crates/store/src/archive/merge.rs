//! What the index of a new archive says: what was put into the draft, under full names where those were given, and what
//! an older archive brings along.

use std::path::Path;

use gantri_core::Result;
use gantri_spec::{Descriptor, Digest, Index, Reference};

use super::contents::Contents;
use super::names::Named;
use crate::dir::Dir;
use crate::reading::Shelf;
use crate::stored::Stored;

/// The content of a draft, and behind it that of the archive it is added to.
#[derive(Debug)]
pub(super) struct Both<'a> {
    pub(super) new: &'a Dir,
    pub(super) old: Option<&'a Contents>,
}

impl Shelf for Both<'_> {
    fn stored(&self, digest: &Digest) -> Result<Option<Stored>> {
        match (self.new.stored(digest)?, self.old) {
            (None, Some(old)) => old.stored(digest),
            (found, _) => Ok(found),
        }
    }

    fn place(&self) -> &Path {
        self.new.place()
    }
}

/// The index of both, always in the same order. A name that is given anew is taken from the image that had it, and an
/// image that thereby has no entry left is not in the new archive.
pub(super) fn merge(old: Option<&Index>, new: &Index, names: &[Reference]) -> Index {
    let mut merged = old.cloned().unwrap_or_else(|| Index::new(Vec::new()));
    let entries: Vec<Descriptor> = new.manifests.iter().map(|entry| called(entry, names)).collect();
    merged.manifests.retain(|entry| !entries.iter().any(|new| displaces(new, entry)));
    for entry in entries {
        let is_listed = |other: &Descriptor| other.digest == entry.digest;
        if Named::of(&entry).tag.is_some() || !merged.manifests.iter().any(is_listed) {
            merged.manifests.push(entry);
        }
    }
    merged.manifests.sort_by_cached_key(|entry| {
        let Named { tag, reference } = Named::of(entry);
        (tag.is_none(), reference, tag, entry.digest.clone())
    });
    merged
}

/// An entry of the draft under its full name, if it has one.
fn called(entry: &Descriptor, names: &[Reference]) -> Descriptor {
    let Named { tag: Some(tag), reference } = Named::of(entry) else { return entry.clone() };
    let own = names.iter().find(|name| name.tag() == Some(&tag));
    let common = names.iter().find(|name| name.tag().is_none());
    let given = own.or(common).map(|name| Reference::new(name.host().clone(), name.repository().clone()));
    let reference = given.map(|name| name.with_tag(tag.clone())).or(reference);
    let mut entry = entry.clone();
    Named { tag: Some(tag), reference }.mark(&mut entry);
    entry
}

/// Whether a new entry takes the name of an old one. An image without a full name has its tag against all others.
fn displaces(new: &Descriptor, old: &Descriptor) -> bool {
    let (new, old) = (Named::of(new), Named::of(old));
    match (&new.reference, &old.reference) {
        (Some(new), Some(old)) => new == old,
        _ => new.tag.is_some() && new.tag == old.tag,
    }
}

#[cfg(test)]
mod tests {
    use gantri_spec::{Annotations, MediaType};

    use super::super::names::IMAGE_NAME;
    use super::*;

    /// An index with one entry a word: `one` has no tag, `one=v1` has one, `one=x/y:v1` a full name too.
    fn index(entries: &str) -> Index {
        let manifest = |name: &str| Descriptor::of(MediaType::OCI_MANIFEST, name.as_bytes());
        let entry = |word: &str| match word.split_once('=') {
            Some((name, full)) if full.contains('/') => {
                let (_, tag) = full.rsplit_once(':').unwrap();
                let full = full.parse::<Reference>().unwrap().to_string();
                manifest(name).with_annotation(Annotations::REF_NAME, tag).with_annotation(IMAGE_NAME, full)
            }
            Some((name, tag)) => manifest(name).with_annotation(Annotations::REF_NAME, tag),
            None => manifest(word),
        };
        let mut index = Index::new(entries.split_whitespace().map(entry).collect());
        index.manifests.sort_by_key(|entry| entry.digest.clone());
        index
    }

    #[test]
    fn a_name_that_is_given_anew_is_taken_from_whoever_had_it() {
        let cases = [
            ("", "one=v1", "", "one=v1"),
            ("", "one=v1", "x/y", "one=x/y:v1"),
            ("", "one=v1 two=v2", "x/y a/b:v2", "one=x/y:v1 two=a/b:v2"),
            ("", "one=v1", "x/y:v2", "one=v1"),
            ("one=v1", "two=v2", "", "one=v1 two=v2"),
            ("one=v1", "two=v1", "", "two=v1"),
            ("one=x/y:v1", "two=v1", "", "two=v1"),
            ("one=x/y:v1", "two=v1", "a/b", "one=x/y:v1 two=a/b:v1"),
            ("one=x/y:v1", "two=v1", "x/y", "two=x/y:v1"),
            ("one=v1", "two=v1", "x/y", "two=x/y:v1"),
            ("one=v1 one=v2", "two=v1", "", "one=v2 two=v1"),
            ("one=v1", "one", "", "one=v1"),
            ("one", "one=v1", "", "one one=v1"),
        ];
        for (old, new, names, expected) in cases {
            let names: Vec<Reference> = names.split_whitespace().map(|name| name.parse().unwrap()).collect();
            let mut merged = merge(Some(&index(old)), &index(new), &names);
            merged.manifests.sort_by_key(|entry| entry.digest.clone());
            let mut expected_index = index(expected);
            let key = |entry: &Descriptor| (entry.digest.clone(), Named::of(entry).tag);
            merged.manifests.sort_by_key(key);
            expected_index.manifests.sort_by_key(key);
            assert_eq!(merged.manifests, expected_index.manifests, "{old} + {new} as {names:?}");
        }
    }
}
