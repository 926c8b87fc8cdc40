//! What a manifest leads to, bounded: the decider of every walk over a graph of manifests.
//!
//! Takes manifests as they come and says what is below each: manifests, blobs, and what has to be asked for first. It holds
//! the whole graph to its bounds (M12) and to itself (one digest, one size); fetching and sending are left to
//! [`copy`](mod@crate::copy).

use std::collections::{HashMap, HashSet};

use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Digest, ImageManifest, Index, Manifest, MediaType, RawManifest};
use serde::Deserialize;

/// What lies directly below a manifest, each digest once, in the order of its first mention.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The config, which is small and never waits behind layers.
    pub(crate) config: Option<Descriptor>,
    pub(crate) layers: Vec<Descriptor>,
    /// Manifests that list no others.
    pub(crate) leaves: Vec<Descriptor>,
    pub(crate) indexes: Vec<Descriptor>,
    /// Entries of an index whose type says neither manifest nor layer.
    pub(crate) unclear: Vec<Descriptor>,
    /// Layers of schema 1, whose sizes nobody says.
    pub(crate) unsized_layers: Vec<Digest>,
    pub(crate) subject: Option<Digest>,
}

/// The bounds of one graph, and what was seen of it.
#[derive(Debug)]
pub(crate) struct Graph {
    depth: u32,
    nodes: u64,
    layers: usize,
    sizes: HashMap<Digest, u64>,
}

impl Graph {
    pub(crate) fn new(limits: &Limits) -> Self {
        let Limits { index_depth, graph_nodes, layers, .. } = *limits;
        Self { depth: index_depth, nodes: graph_nodes, layers, sizes: HashMap::new() }
    }

    /// Counts a digest in; whether it is new.
    ///
    /// # Errors
    /// `ManifestInvalid` if it was named with another size; `LimitExceeded` for `graph_nodes`.
    pub(crate) fn enter(&mut self, entry: &Descriptor) -> Result<bool> {
        let Descriptor { digest, size, .. } = entry;
        match self.sizes.get(digest) {
            Some(before) if before == size => return Ok(false),
            Some(before) => {
                let what = format!("digest {digest}: named with size {before} and with size {size}");
                return Err(Error::new(ErrorKind::ManifestInvalid, what));
            }
            None => {}
        }
        if self.sizes.len() as u64 >= self.nodes {
            return Err(Error::limit("manifests and blobs of one graph", "graph_nodes", self.nodes));
        }
        self.sizes.insert(digest.clone(), *size);
        Ok(true)
    }

    /// What is below a manifest that lies `depth` indexes deep.
    ///
    /// # Errors
    /// `ManifestInvalid` if it can't be read, or could be read as two things (M1), or contradicts what was seen;
    /// `LimitExceeded` for `index_depth`, `graph_nodes` and `layers` (M12).
    pub(crate) fn node(&mut self, raw: &RawManifest, depth: u32) -> Result<Node> {
        let mut node = match parse(raw)? {
            Manifest::Image(image) => self.image(raw, image)?,
            Manifest::Index(index) => self.index(index, depth)?,
            _ if is_schema1(raw.media_type()) => Node { unsized_layers: schema1_layers(raw)?, ..Node::default() },
            _ if *raw.media_type() == OCI_ARTIFACT => artifact(raw)?,
            _ => Node::default(),
        };
        let lists = [&mut node.layers, &mut node.leaves, &mut node.indexes, &mut node.unclear];
        for entry in node.config.iter().chain(lists.iter().flat_map(|list| list.iter())) {
            self.enter(entry)?;
        }
        let mut seen: HashSet<Digest> = node.config.iter().map(|config| config.digest.clone()).collect();
        for list in lists {
            list.retain(|entry| seen.insert(entry.digest.clone()));
        }
        Ok(node)
    }

    fn image(&self, raw: &RawManifest, image: ImageManifest) -> Result<Node> {
        if image.layers.len() > self.layers {
            let what = format!("manifest {} with {} layers", raw.digest(), image.layers.len());
            return Err(Error::limit(what, "layers", self.layers));
        }
        let subject = image.subject.map(|subject| subject.digest);
        Ok(Node { config: Some(image.config), layers: image.layers, subject, ..Node::default() })
    }

    fn index(&self, index: Index, depth: u32) -> Result<Node> {
        if depth >= self.depth && !index.manifests.is_empty() {
            return Err(Error::limit("indexes inside indexes", "index_depth", self.depth));
        }
        let mut node = Node { subject: index.subject.map(|subject| subject.digest), ..Node::default() };
        for entry in index.manifests {
            let kind = &entry.media_type;
            // BuildKit lists the layers of a cache as entries of an index.
            let list = if kind.is_index() {
                &mut node.indexes
            } else if kind.is_manifest() {
                &mut node.leaves
            } else if kind.compression().is_some() {
                &mut node.layers
            } else {
                &mut node.unclear
            };
            list.push(entry);
        }
        Ok(node)
    }
}

/// Reads a manifest by its media type.
///
/// # Errors
/// `ManifestInvalid` (M1, M10).
pub(crate) fn parse(raw: &RawManifest) -> Result<Manifest> {
    raw.parse().map_err(|invalid| {
        Error::new(ErrorKind::ManifestInvalid, format!("manifest {}: {invalid}", raw.digest())).with_source(invalid)
    })
}

fn is_schema1(kind: &MediaType) -> bool {
    [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED].contains(kind)
}

/// Schema 1 is forwarded as raw bytes; of its content only the names of the layers are read (M17).
fn schema1_layers(raw: &RawManifest) -> Result<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Schema1 {
        #[serde(rename = "fsLayers")]
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    struct Layer {
        #[serde(rename = "blobSum")]
        digest: Digest,
    }
    let Schema1 { layers } = serde_json::from_slice(raw.bytes()).map_err(|error| unreadable(raw, error))?;
    let mut once = HashSet::new();
    Ok(layers.into_iter().map(|layer| layer.digest).filter(|digest| once.insert(digest.clone())).collect())
}

/// The artifact manifest that was in image-spec 1.1 before its release: registries still hold some.
fn artifact(raw: &RawManifest) -> Result<Node> {
    #[derive(Deserialize)]
    struct Artifact {
        #[serde(default)]
        blobs: Vec<Descriptor>,
        subject: Option<Descriptor>,
    }
    let Artifact { blobs, subject } = serde_json::from_slice(raw.bytes()).map_err(|error| unreadable(raw, error))?;
    Ok(Node { layers: blobs, subject: subject.map(|subject| subject.digest), ..Node::default() })
}

fn unreadable(raw: &RawManifest, error: serde_json::Error) -> Error {
    let kind = display_untrusted(raw.media_type().as_str());
    Error::new(ErrorKind::ManifestInvalid, format!("manifest {}: no {kind}: {error}", raw.digest())).with_source(error)
}

const OCI_ARTIFACT: MediaType = MediaType::from_static("application/vnd.oci.artifact.manifest.v1+json");
