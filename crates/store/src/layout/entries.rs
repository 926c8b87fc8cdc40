//! What the entries of `index.json` mean: which tag names which manifest, and how that changes.
//!
//! Pure functions on the parsed index. A tag is an entry with the annotation `org.opencontainers.image.ref.name`; a
//! manifest with several tags has several entries, one without tags has one without that annotation, as skopeo and umoci
//! read and write them. Entries, fields and annotations of others are kept as they are (S8).

use std::collections::BTreeSet;

use gantri_spec::{Annotations, Descriptor, Digest, Index, Selector, Tag};

/// The entry that a tag or digest names directly. Of two entries with one tag the first counts, as for skopeo.
pub(super) fn find<'a>(index: &'a Index, at: &Selector) -> Option<&'a Descriptor> {
    match at {
        Selector::Tag(tag) => index.manifests.iter().find(|entry| name_of(entry) == Some(tag.as_str())),
        Selector::Digest(digest) => index.manifests.iter().find(|entry| entry.digest == *digest),
    }
}

/// All tags, in lexical order. Names that are no tags are left to the tools that wrote them.
pub(super) fn tags(index: &Index) -> BTreeSet<Tag> {
    index.manifests.iter().filter_map(name_of).filter_map(|name| name.parse().ok()).collect()
}

/// Lists a manifest without a tag, unless it is listed.
pub(super) fn list(index: &mut Index, manifest: &Descriptor) {
    if !index.manifests.iter().any(|entry| entry.digest == manifest.digest) {
        index.manifests.push(manifest.clone());
    }
}

/// Points a tag at a manifest; gives the digest that it pointed at before, if that was another.
pub(super) fn set_tag(index: &mut Index, tag: &Tag, manifest: &Descriptor) -> Option<Digest> {
    let before = find(index, &Selector::Tag(tag.clone())).map(|entry| entry.digest.clone());
    if before.as_ref() == Some(&manifest.digest) {
        return None;
    }
    remove_tag(index, tag);
    let tagged = |entry: &mut Descriptor| {
        entry.annotations.insert(Annotations::REF_NAME.to_owned(), tag.as_str().to_owned());
    };
    match index.manifests.iter_mut().find(|entry| entry.digest == manifest.digest && name_of(entry).is_none()) {
        Some(untagged) => tagged(untagged),
        None => {
            let mut entry = manifest.clone();
            tagged(&mut entry);
            index.manifests.push(entry);
        }
    }
    before
}

/// Takes a tag off the manifest it names, which stays listed; gives that manifest's digest.
pub(super) fn remove_tag(index: &mut Index, tag: &Tag) -> Option<Digest> {
    let digest = find(index, &Selector::Tag(tag.clone()))?.digest.clone();
    let named = |entry: &Descriptor| name_of(entry) == Some(tag.as_str());
    let has_another = index.manifests.iter().any(|entry| entry.digest == digest && !named(entry));
    // A name that stands there twice, as other tools leave it, must not come back with the second entry.
    let mut kept = has_another;
    index.manifests.retain_mut(|entry| {
        if !named(entry) {
            return true;
        }
        entry.annotations.remove(Annotations::REF_NAME);
        entry.digest == digest && !std::mem::replace(&mut kept, true)
    });
    Some(digest)
}

/// Takes all entries of a manifest away; whether there were any.
pub(super) fn remove(index: &mut Index, digest: &Digest) -> bool {
    let before = index.manifests.len();
    index.manifests.retain(|entry| entry.digest != *digest);
    index.manifests.len() < before
}

/// Takes away the entries that only say that a manifest is there: no tag, nothing else of interest.
pub(super) fn remove_bare(index: &mut Index, digest: &Digest) {
    index.manifests.retain(|entry| entry.digest != *digest || !entry.annotations.is_empty() || !entry.extra.is_empty());
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(Annotations::REF_NAME).map(String::as_str)
}
