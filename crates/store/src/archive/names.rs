//! What the images of an archive are called: tags, and the full names that `docker load` and others give them.
//!
//! `org.opencontainers.image.ref.name` holds a tag, or, as podman writes it, a full name; `io.containerd.image.name` holds
//! a full name; Docker's `RepoTags` hold full names too. A full name is also found by its tag alone, as long as no other
//! image has that tag.

use gantri_spec::{Annotations, Descriptor, Index, Reference, Tag};

/// The annotation under which containerd, Docker and `BuildKit` keep the full name of an image.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";

/// What an entry of an index is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Named {
    pub(super) tag: Option<Tag>,
    pub(super) reference: Option<Reference>,
}

impl Named {
    /// What the annotations of an entry say.
    pub(super) fn of(entry: &Descriptor) -> Self {
        let annotation = |key: &str| entry.annotations.get(key).map(String::as_str);
        let name = annotation(Annotations::REF_NAME);
        let tag: Option<Tag> = name.and_then(|name| name.parse().ok());
        let full = |text: &str| text.parse().ok().filter(|reference: &Reference| reference.digest().is_none());
        let spelled = annotation(IMAGE_NAME).and_then(full);
        let reference = spelled.or_else(|| name.filter(|_| tag.is_none()).and_then(full));
        let tag = tag.or_else(|| reference.as_ref()?.tag().cloned());
        Self { tag, reference: reference.filter(|reference| reference.tag().is_some()) }
    }

    /// What a text of `RepoTags` says.
    pub(super) fn of_repo_tag(text: &str) -> Option<Self> {
        let reference: Reference = text.parse().ok()?;
        let tag = reference.tag()?.clone();
        Some(Self { tag: Some(tag), reference: Some(reference) })
    }

    /// Puts the annotations on an entry that say this, in place of others.
    pub(super) fn mark(&self, entry: &mut Descriptor) {
        entry.annotations.remove(Annotations::REF_NAME);
        entry.annotations.remove(IMAGE_NAME);
        if let Some(tag) = &self.tag {
            entry.annotations.insert(Annotations::REF_NAME.to_owned(), tag.to_string());
        }
        if let Some(reference) = &self.reference {
            entry.annotations.insert(IMAGE_NAME.to_owned(), reference.to_string());
        }
    }
}

/// The same index with a tag, and nothing else, as the name of each entry that has one.
pub(super) fn by_tags(mut index: Index) -> Index {
    for entry in &mut index.manifests {
        let named = Named::of(entry);
        Named { reference: None, ..named }.mark(entry);
    }
    index
}

#[cfg(test)]
mod tests {
    use gantri_spec::MediaType;

    use super::*;

    #[test]
    fn names_are_read_as_each_tool_writes_them() {
        let full = "docker.io/library/app:v1";
        let cases = [
            (None, None, None, None),
            (Some("v1"), None, Some("v1"), None),
            (Some("v1"), Some(full), Some("v1"), Some(full)),
            (Some(full), None, Some("v1"), Some(full)),
            (None, Some("example.com:5000/a/b:v2"), Some("v2"), Some("example.com:5000/a/b:v2")),
            (Some("v1"), Some("not a name"), Some("v1"), None),
            (Some("not a name"), None, None, None),
            (Some("v1"), Some("docker.io/library/app"), Some("v1"), None),
        ];
        for (ref_name, image_name, tag, reference) in cases {
            let mut entry = Descriptor::of(MediaType::OCI_MANIFEST, b"x");
            for (key, value) in [(Annotations::REF_NAME, ref_name), (IMAGE_NAME, image_name)] {
                if let Some(value) = value {
                    entry = entry.with_annotation(key, value);
                }
            }
            let named = Named::of(&entry);
            let found = (named.tag.map(|tag| tag.to_string()), named.reference.map(|full| full.to_string()));
            assert_eq!(found, (tag.map(str::to_owned), reference.map(str::to_owned)), "{ref_name:?} {image_name:?}");
        }
    }
}
