//! One repository in memory: blobs, manifests, tags, and who refers to whom.
//!
//! Plain data behind plain methods, no locks and no async; what is put here has been verified by `push.rs`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;
use gantri_spec::{Descriptor, Digest, Manifest, RawManifest, Selector, Tag};

/// What one name of the registry holds.
#[derive(Debug, Default)]
pub(super) struct Repository {
    blobs: HashMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Stored>,
    tags: BTreeMap<Tag, Digest>,
}

/// A manifest, and what its own content says of its place among the others.
#[derive(Debug)]
struct Stored {
    raw: RawManifest,
    subject: Option<Digest>,
    /// How the manifest is listed among the referrers of its subject.
    referrer: Descriptor,
}

impl Repository {
    pub(super) fn put_blob(&mut self, digest: Digest, bytes: Bytes) {
        self.blobs.insert(digest, bytes);
    }

    /// Stores a manifest and points `tags` at it, in one step; gives the subject that is now indexed.
    pub(super) fn put_manifest(&mut self, raw: &RawManifest, parsed: &Manifest, tags: &[Tag]) -> Option<Digest> {
        let digest = raw.digest().clone();
        for tag in tags {
            self.tags.insert(tag.clone(), digest.clone());
        }
        let subject = parsed.subject().map(|subject| subject.digest.clone());
        let referrer = parsed.referrer(raw.descriptor());
        self.manifests.insert(digest, Stored { raw: raw.clone(), subject: subject.clone(), referrer });
        subject
    }

    /// Forgets a tag, not what it points at; whether it was there.
    pub(super) fn delete_tag(&mut self, tag: &Tag) -> bool {
        self.tags.remove(tag).is_some()
    }

    /// Forgets a manifest and every tag that points at it: no name outlives its content. Whether it was there.
    pub(super) fn delete_manifest(&mut self, digest: &Digest) -> bool {
        self.tags.retain(|_, tagged| tagged != digest);
        self.manifests.remove(digest).is_some()
    }

    /// Forgets a blob; whether it was there.
    pub(super) fn delete_blob(&mut self, digest: &Digest) -> bool {
        self.blobs.remove(digest).is_some()
    }

    pub(super) fn blob(&self, digest: &Digest) -> Option<&Bytes> {
        self.blobs.get(digest)
    }

    pub(super) fn manifest(&self, at: &Selector) -> Option<&RawManifest> {
        let digest = match at {
            Selector::Tag(tag) => self.tags.get(tag)?,
            Selector::Digest(digest) => digest,
        };
        self.manifests.get(digest).map(|stored| &stored.raw)
    }

    /// The first child that has to be here and is not.
    pub(super) fn missing_child<'a>(&self, manifest: &'a Manifest) -> Option<&'a Descriptor> {
        manifest.children().into_iter().find(|child| !child.media_type.is_nondistributable() && !self.holds(child))
    }

    /// Tags in lexical order, from behind `after` on.
    pub(super) fn tags(&self, after: Option<&Tag>) -> Vec<Tag> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.tags.range::<Tag, _>((from, Bound::Unbounded)).map(|(tag, _)| tag.clone()).collect()
    }

    /// The manifests whose subject is `subject`, ordered by digest.
    pub(super) fn referrers(&self, subject: &Digest) -> Vec<Descriptor> {
        self.manifests
            .values()
            .filter(|stored| stored.subject.as_ref() == Some(subject))
            .map(|stored| stored.referrer.clone())
            .collect()
    }

    fn holds(&self, child: &Descriptor) -> bool {
        if child.media_type.is_manifest() {
            return self.manifests.contains_key(&child.digest);
        }
        // An index may list what this registry knows only as a blob, or as a manifest of some new type.
        self.blobs.contains_key(&child.digest) || self.manifests.contains_key(&child.digest)
    }
}
