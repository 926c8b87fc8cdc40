//! What the entries of `index.json` mean: which tag names which manifest, and how that changes.
//!
//! Pure functions on the parsed index. A tag is an entry with the annotation `org.opencontainers.image.ref.name`; a
//! manifest with several tags has several entries, one without tags has one without that annotation, as skopeo and umoci
//! read and write them. Entries, fields and annotations of others are kept as they are (S8).

use std::collections::BTreeSet;

use gantri_spec::{Annotations, Descriptor, Digest, Index, Selector, Tag};

/// The entry that a tag or digest names directly. Of two entries with one tag the first counts, as for skopeo.
pub(crate) fn find<'a>(index: &'a Index, at: &Selector) -> Option<&'a Descriptor> {
    match at {
        Selector::Tag(tag) => index.manifests.iter().find(|entry| name_of(entry) == Some(tag.as_str())),
        Selector::Digest(digest) => index.manifests.iter().find(|entry| entry.digest == *digest),
    }
}

/// All tags, in lexical order. Names that are no tags are left to the tools that wrote them.
pub(crate) fn tags(index: &Index) -> BTreeSet<Tag> {
    index.manifests.iter().filter_map(name_of).filter_map(|name| name.parse().ok()).collect()
}

/// Lists a manifest without a tag, unless it is listed.
pub(crate) fn list(index: &mut Index, manifest: &Descriptor) {
    if !index.manifests.iter().any(|entry| entry.digest == manifest.digest) {
        index.manifests.push(manifest.clone());
    }
}

/// Points a tag at a manifest; gives the digest that it pointed at before, if that was another.
pub(crate) fn set_tag(index: &mut Index, tag: &Tag, manifest: &Descriptor) -> Option<Digest> {
    let before = find(index, &Selector::Tag(tag.clone())).map(|entry| entry.digest.clone());
    if before.as_ref() == Some(&manifest.digest) {
        return None;
    }
    remove_tag(index, tag);
    let tagged = |entry: &mut Descriptor| {
        entry.annotations.insert(Annotations::REF_NAME.to_owned(), tag.as_str().to_owned());
    };
    let nameless = |entry: &&mut Descriptor| entry.digest == manifest.digest && name_of(entry).is_none();
    if let Some(entry) = index.manifests.iter_mut().find(nameless) {
        tagged(entry);
    } else {
        let mut entry = manifest.clone();
        tagged(&mut entry);
        index.manifests.push(entry);
    }
    before
}

/// Takes a tag off the manifest it names, which stays listed; gives that manifest's digest.
pub(crate) fn remove_tag(index: &mut Index, tag: &Tag) -> Option<Digest> {
    let digest = find(index, &Selector::Tag(tag.clone()))?.digest.clone();
    // All entries of that name, though there should be one: a second one, left by another tool, must not take its place.
    let (named, others): (Vec<_>, Vec<_>) =
        index.manifests.drain(..).partition(|entry| name_of(entry) == Some(tag.as_str()));
    index.manifests = others;
    for mut entry in named {
        entry.annotations.remove(Annotations::REF_NAME);
        list(index, &entry);
    }
    Some(digest)
}

/// Takes all entries of a manifest away; whether there were any.
pub(crate) fn remove(index: &mut Index, digest: &Digest) -> bool {
    let before = index.manifests.len();
    index.manifests.retain(|entry| entry.digest != *digest);
    index.manifests.len() < before
}

/// Takes away the entries that only say that a manifest is there: no tag, nothing else of interest.
pub(crate) fn remove_bare(index: &mut Index, digest: &Digest) {
    index.manifests.retain(|entry| entry.digest != *digest || !is_bare(entry));
}

/// Whether an entry only says that a manifest is there.
pub(crate) fn is_bare(entry: &Descriptor) -> bool {
    entry.annotations.is_empty() && entry.extra.is_empty()
}

/// Whether two descriptors lead to the same bytes and call them the same.
pub(super) fn same(one: &Descriptor, other: &Descriptor) -> bool {
    (&one.digest, one.size, &one.media_type) == (&other.digest, other.size, &other.media_type)
}

/// An entry as it says nothing but which manifest it is.
pub(crate) fn without_tag(entry: &Descriptor) -> Descriptor {
    let mut entry = entry.clone();
    entry.annotations.remove(Annotations::REF_NAME);
    entry
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(Annotations::REF_NAME).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use gantri_spec::MediaType;

    use super::*;

    fn manifest(name: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST, name.as_bytes())
    }

    /// An index with one entry a word: `one` is untagged, `one@v1` is tagged.
    fn index(entries: &str) -> Index {
        let entry = |word: &str| match word.split_once('@') {
            Some((name, tag)) => manifest(name).with_annotation(Annotations::REF_NAME, tag),
            None => manifest(word),
        };
        Index::new(entries.split_whitespace().map(entry).collect())
    }

    fn tag(name: &str) -> Tag {
        name.parse().unwrap()
    }

    #[test]
    fn setting_a_tag_moves_its_name_and_nothing_else() {
        let cases = [
            ("", "one", "one@v1", None),
            ("one", "one", "one@v1", None),
            ("one@v1", "one", "one@v1", None),
            ("one@v2", "one", "one@v2 one@v1", None),
            ("two@v1", "one", "two one@v1", Some("two")),
            ("two@v1 two@v2", "one", "two@v2 one@v1", Some("two")),
            ("two@v1 two", "one", "two one@v1", Some("two")),
            ("two@v1 six@v1", "one", "two six one@v1", Some("two")),
            ("two@v1 one", "one", "one@v1 two", Some("two")),
        ];
        for (before, name, after, moved_from) in cases {
            let mut index = index(before);
            let moved = set_tag(&mut index, &tag("v1"), &manifest(name));
            assert_eq!(moved, moved_from.map(|name| manifest(name).digest), "{before}");
            assert_eq!(index.manifests, self::index(after).manifests, "{before}");
        }
    }

    #[test]
    fn removing_a_tag_loses_no_manifest() {
        let cases = [
            ("one@v1", "one"),
            ("one@v1 one@v2", "one@v2"),
            ("one one@v1", "one"),
            ("one@v1 two@v1", "one two"),
            ("one@v1 one@v1", "one"),
        ];
        for (before, after) in cases {
            let mut index = index(before);
            assert_eq!(remove_tag(&mut index, &tag("v1")), Some(manifest("one").digest), "{before}");
            assert_eq!(index.manifests, self::index(after).manifests, "{before}");
        }
        assert_eq!(remove_tag(&mut index("one one@v2"), &tag("v1")), None);
    }

    #[test]
    fn tags_are_sorted_and_names_that_are_none_left_out() {
        let found = tags(&index("one@v2 one@v10 two two@docker.io/library/app:v1 one@v2"));
        assert_eq!(found, [tag("v10"), tag("v2")].into());
    }

    #[test]
    fn only_entries_that_say_nothing_else_are_bare() {
        let mut index = index("one one@v1 two");
        index.manifests.push(manifest("one").with_annotation("colour", "red"));
        remove_bare(&mut index, &manifest("one").digest);
        assert_eq!(index.manifests.len(), 3);
    }
}
