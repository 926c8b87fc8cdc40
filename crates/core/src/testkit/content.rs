//! Declares what a registry holds before a test: repositories, and in them blobs, manifests and tags by symbolic names.
//!
//! Everything is computed when it is declared, so descriptors and bytes can be asked for before and after the push.
//! Misuse - an unknown name, a bad literal - is a mistake in the test and panics.

use std::collections::BTreeMap;

use bytes::Bytes;
use gantri_spec::{Descriptor, Digest, ImageManifest, Index, MediaType, RawManifest, RepositoryName, Selector, Tag};

use super::suite::{repo, tag};
use crate::{BlobBody, Push, Result};

/// Content by symbolic names.
///
/// ```
/// use gantri_core::Memory;
/// use gantri_core::testkit::Content;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let content = Content::new("a/b").blob("layer", "bytes").image("app", ["layer"]).tag("v1", "app");
/// content.push_to(&Memory::new()).await.unwrap();
/// assert!(content.descriptor("app").size > 0);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Content {
    /// Where the next declaration goes.
    here: RepositoryName,
    /// In the order of declaration, so that children come before their parents.
    things: Vec<(String, Thing)>,
    tags: BTreeMap<String, Vec<Tag>>,
}

#[derive(Clone, Debug)]
struct Thing {
    repo: RepositoryName,
    bytes: Bytes,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Blob(Descriptor),
    Manifest(RawManifest),
}

impl Content {
    /// Nothing yet; what follows goes into the repository `repo`.
    pub fn new(repo_name: &str) -> Self {
        Self { here: repo(repo_name), things: Vec::new(), tags: BTreeMap::new() }
    }

    /// What follows goes into the repository `repo`.
    pub fn repo(mut self, repo_name: &str) -> Self {
        self.here = repo(repo_name);
        self
    }

    /// A blob of these bytes.
    pub fn blob(self, name: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let descriptor = Descriptor::of(MediaType::OCTET_STREAM, &bytes);
        self.with(name, bytes, Kind::Blob(descriptor))
    }

    /// An image of these blobs as plain layers. Its config is the blob `<name>.config`, unlike that of any other name.
    pub fn image<'a>(self, name: &str, layers: impl IntoIterator<Item = &'a str>) -> Self {
        let config = format!("{name}.config");
        let bytes = format!(
            r#"{{"architecture":"amd64","os":"linux","author":"{name}","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        let content = self.blob(&config, bytes);
        let layers = layers.into_iter().map(|layer| content.typed(layer, MediaType::OCI_LAYER)).collect();
        let image = ImageManifest::new(content.typed(&config, MediaType::OCI_CONFIG), layers);
        content.manifest(name, image.to_raw())
    }

    /// An artifact that refers to `subject`. Its config is the blob `<name>.config`, empty JSON.
    pub fn referrer(self, name: &str, subject: &Descriptor, artifact_type: &MediaType) -> Self {
        let config = format!("{name}.config");
        let content = self.blob(&config, "{}");
        let mut image = ImageManifest::new(content.typed(&config, MediaType::OCI_EMPTY), Vec::new());
        image.subject = Some(subject.clone());
        image.artifact_type = Some(artifact_type.clone());
        image.annotations = [("org.example.name".to_owned(), name.to_owned())].into_iter().collect();
        content.manifest(name, image.to_raw())
    }

    /// An index of these manifests.
    pub fn index<'a>(self, name: &str, manifests: impl IntoIterator<Item = &'a str>) -> Self {
        let manifests = manifests.into_iter().map(|child| self.descriptor(child)).collect();
        self.manifest(name, Index::new(manifests).to_raw())
    }

    /// A manifest as it is.
    pub fn manifest(self, name: &str, raw: RawManifest) -> Self {
        self.with(name, raw.bytes().clone(), Kind::Manifest(raw))
    }

    /// A tag on a manifest declared before.
    ///
    /// # Panics
    /// If the tag is not one.
    pub fn tag(self, tag_name: &str, manifest: &str) -> Self {
        self.tags([tag_name], manifest)
    }

    /// Several tags on a manifest declared before.
    ///
    /// # Panics
    /// If one of them is not a tag.
    pub fn tags(mut self, names: impl IntoIterator<Item = impl AsRef<str>>, manifest: &str) -> Self {
        let names = names.into_iter().map(|name| tag(name.as_ref()));
        self.tags.entry(manifest.to_owned()).or_default().extend(names);
        self
    }

    /// Puts everything there, in the order of declaration.
    ///
    /// # Errors
    /// The first that the registry answers with.
    pub async fn push_to(&self, registry: &dyn Push) -> Result<()> {
        for (name, thing) in &self.things {
            match &thing.kind {
                Kind::Blob(blob) => {
                    registry.put_blob(&thing.repo, blob, BlobBody::bytes(thing.bytes.clone())).await?;
                }
                Kind::Manifest(raw) => {
                    let tags = self.tags.get(name).map(Vec::as_slice).unwrap_or_default();
                    registry.put_manifest(&thing.repo, raw, tags).await?;
                }
            }
        }
        Ok(())
    }

    /// The repository that was named last.
    pub fn here(&self) -> &RepositoryName {
        &self.here
    }

    /// What the blob or manifest of that name is.
    ///
    /// # Panics
    /// If there is none.
    pub fn descriptor(&self, name: &str) -> Descriptor {
        match &self.thing(name).kind {
            Kind::Blob(descriptor) => descriptor.clone(),
            Kind::Manifest(raw) => raw.descriptor().clone(),
        }
    }

    /// Its digest.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn digest(&self, name: &str) -> Digest {
        self.descriptor(name).digest
    }

    /// Its digest, to ask for a manifest by.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn at(&self, name: &str) -> Selector {
        Selector::Digest(self.digest(name))
    }

    /// Its bytes.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn bytes(&self, name: &str) -> Bytes {
        self.thing(name).bytes.clone()
    }

    /// The manifest of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn raw(&self, name: &str) -> RawManifest {
        match &self.thing(name).kind {
            Kind::Manifest(raw) => raw.clone(),
            Kind::Blob(_) => panic!("{name} is a blob"),
        }
    }

    /// The descriptor of a blob as a manifest would give it, with the type that a registry does not know.
    fn typed(&self, name: &str, media_type: MediaType) -> Descriptor {
        let blob = self.descriptor(name);
        Descriptor::new(media_type, blob.digest, blob.size)
    }

    fn thing(&self, name: &str) -> &Thing {
        match self.things.iter().find(|(declared, _)| declared == name) {
            Some((_, thing)) => thing,
            None => panic!("{name} is not declared"),
        }
    }

    fn with(mut self, name: &str, bytes: Bytes, kind: Kind) -> Self {
        self.things.push((name.to_owned(), Thing { repo: self.here.clone(), bytes, kind }));
        self
    }
}
