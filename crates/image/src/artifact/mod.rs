//! Plain files as an artifact, and back: what `oras` pushes and pulls.
//!
//! Decides what the manifest of an artifact looks like (image-spec 1.1: an artifact type, an empty config, a titled layer a
//! file); how files are read is `file.rs`, how they come back is `unpack.rs`.

mod directory;
mod file;
mod unpack;

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use gantri_core::{BlobBody, Error, ErrorKind, Result};
use gantri_spec::{Annotations, Descriptor, ImageManifest, MediaType};

use self::file::Packed;
pub use self::unpack::{UnpackedArtifact, unpack_artifact};
use crate::build::{Layer, PackOptions};
use crate::push::{Blob, Image};

/// An artifact in the making: a type, and files.
#[derive(Clone, Debug)]
pub struct Artifact {
    kind: MediaType,
    parts: Vec<Part>,
    annotations: Annotations,
    subject: Option<Descriptor>,
}

/// One layer to be.
#[derive(Clone, Debug)]
struct Part {
    path: PathBuf,
    media_type: Option<MediaType>,
    /// For a directory: where its archive is written.
    scratch: Option<PathBuf>,
}

impl Artifact {
    /// An artifact of this type without files.
    pub fn new(artifact_type: MediaType) -> Self {
        Self { kind: artifact_type, parts: Vec::new(), annotations: Annotations::default(), subject: None }
    }

    /// Adds a file. Its title is the path if that is relative and leads nowhere else, else its last component. Without a
    /// media type it gets the one that oras gives.
    pub fn with_file(mut self, path: impl Into<PathBuf>, media_type: Option<MediaType>) -> Self {
        self.parts.push(Part { path: path.into(), media_type, scratch: None });
        self
    }

    /// Adds a directory, as an archive that is written to a temporary file without a name on the file system of `scratch`.
    /// The same tree gives the same archive on every machine.
    pub fn with_directory(
        mut self,
        path: impl Into<PathBuf>,
        media_type: Option<MediaType>,
        scratch: impl Into<PathBuf>,
    ) -> Self {
        self.parts.push(Part { path: path.into(), media_type, scratch: Some(scratch.into()) });
        self
    }

    /// Annotates the manifest.
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Says which manifest it refers to.
    pub fn with_subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Reads the files, and gives the artifact ready to be pushed. Files are read again when they are sent.
    ///
    /// # Errors
    /// `Conflict` if a file changes while it is read, now or later, or two have one title; `Unsupported` for what is
    /// neither file nor directory; `Io`; each names the path.
    ///
    /// # Cancel safety
    /// Leaves nothing.
    pub async fn pack(self) -> Result<Image> {
        let empty = Descriptor::of(MediaType::OCI_EMPTY, EMPTY).with_data(EMPTY.into());
        let mut blobs = vec![Blob::new(empty.clone(), BlobBody::bytes(EMPTY))];
        let mut titles = HashSet::new();
        for part in self.parts {
            let title = title(&part.path)?;
            if !titles.insert(title.clone()) {
                let what = format!("pack {}: another file has the title {title:?}", part.path.display());
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            blobs.push(part.pack(title).await?);
        }
        let layers: Vec<Descriptor> = blobs.iter().skip(1).map(|blob| blob.descriptor.clone()).collect();
        // The spec wants at least one layer; the empty one stands for none.
        let layers = if layers.is_empty() { vec![empty.clone()] } else { layers };
        let mut manifest = ImageManifest::new(empty, layers);
        manifest.artifact_type = Some(self.kind);
        manifest.annotations = self.annotations;
        manifest.subject = self.subject;
        Ok(Image::new(manifest.to_raw(), blobs))
    }
}

impl Part {
    async fn pack(self, title: String) -> Result<Blob> {
        let Some(scratch) = self.scratch else {
            let packed = Packed::read(self.path, self.media_type.unwrap_or(MediaType::OCI_LAYER)).await?;
            let descriptor = packed.descriptor().clone().with_annotation(Annotations::TITLE, title);
            return Ok(Blob::new(descriptor, packed.body()));
        };
        let layer = Layer::pack_below(self.path, title.clone(), scratch, PackOptions::default()).await?;
        let mut descriptor = layer.descriptor().clone().with_annotation(Annotations::TITLE, title);
        descriptor = descriptor.with_annotation(CONTENT_DIGEST, layer.diff_id().to_string());
        descriptor = descriptor.with_annotation(CONTENT_UNPACK, "true");
        descriptor.media_type = self.media_type.unwrap_or(MediaType::OCI_LAYER_GZIP);
        Ok(Blob::new(descriptor, layer.body()))
    }
}

/// What a file is called when it comes back.
fn title(path: &Path) -> Result<String> {
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let name = if is_plain && path.components().next().is_some() { Some(path.as_os_str()) } else { path.file_name() };
    let name = name.and_then(|name| name.to_str()).filter(|name| !name.is_empty());
    let name = name.map(|name| name.trim_end_matches('/').to_owned());
    name.ok_or_else(|| {
        let what = format!("pack {}: it has no name that can be written down", path.display());
        Error::new(ErrorKind::NameInvalid, what)
    })
}

/// The bytes of the empty descriptor.
const EMPTY: &[u8] = b"{}";
/// What oras says of a directory: the digest of its archive before compression, and that it is to be unpacked.
const CONTENT_DIGEST: &str = "io.deis.oras.content.digest";
const CONTENT_UNPACK: &str = "io.deis.oras.content.unpack";
