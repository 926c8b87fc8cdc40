//! From a tag or digest, and a platform, to one image manifest.
//!
//! Decides which entry of an index is meant, in an order that is written down ([`resolve`]), and bounds the walk. What
//! ranks before what is [`Platform::rank`]'s business; bytes are checked by [`RawManifest::expect`].

use std::collections::{BTreeSet, HashSet};

use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Limits, Pull, Result};
use gantri_spec::{
    Descriptor, Digest, ImageManifest, Index, Manifest, ManifestMismatch, Platform, RawManifest, RepositoryName,
    Selector,
};

use crate::graph::parse;

/// One image manifest, and how it was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// The manifest as it came.
    pub manifest: RawManifest,
    /// What it says.
    pub image: ImageManifest,
    /// The index that the tag or digest named, if it named one.
    pub index: Option<Descriptor>,
}

/// Finds the image manifest that `at` means for the platform `want`.
///
/// The registry is asked once for `at`; whatever lies below is fetched by digest, so a tag that moves meanwhile changes
/// nothing (M5). A manifest that is no index is taken as it is: its platform stands only in its config. Of an index the
/// first of these is taken (M14):
/// 1. the entry whose platform ranks highest for `want`; of equals, the one listed first;
/// 2. what lies in indexes that say no platform, in their order;
/// 3. an image that says no platform, if it is the only such entry.
///
/// Attestations never match.
///
/// # Errors
/// `PlatformUnknown`, listing what there is; `Unsupported` for schema 1 and whatever else is no image (M17);
/// `ManifestInvalid`, `DigestMismatch`, `SizeMismatch` if the bytes are not what their parent says; `LimitExceeded` for
/// `index_depth`, `graph_nodes` or `layers` (M12); whatever the registry says.
///
/// # Cancel safety
/// Only reads.
pub async fn resolve(
    source: &dyn Pull,
    repo: &RepositoryName,
    at: &Selector,
    want: &Platform,
    limits: &Limits,
) -> Result<Resolved> {
    let root = source.manifest(repo, at).await?;
    let index = match parse(&root)? {
        Manifest::Image(image) => return accept(root, image, None, limits),
        Manifest::Index(index) => index,
        _ => return Err(no_image(&root)),
    };
    let root = root.descriptor().clone();
    let mut search = Search::new(source, repo, want, limits, root.clone(), &index);
    loop {
        let entry = search.next().await?;
        let found = search.fetch(&entry).await?;
        match parse(&found)? {
            Manifest::Image(image) => return accept(found, image, Some(root), limits),
            Manifest::Index(index) => search.descend(&index),
            _ => return Err(no_image(&found)),
        }
    }
}

/// The way through an index, from the best entry for a platform to the next best. What has to be fetched on it is indexes.
pub(crate) struct Search<'a> {
    source: &'a dyn Pull,
    repo: &'a RepositoryName,
    root: Descriptor,
    walk: Walk<'a>,
    /// The best stands last, to be popped first.
    open: Vec<(Descriptor, u32)>,
    /// How deep the last one lay.
    depth: u32,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        source: &'a dyn Pull,
        repo: &'a RepositoryName,
        want: &'a Platform,
        limits: &'a Limits,
        root: Descriptor,
        index: &Index,
    ) -> Self {
        let seen = HashSet::from([root.digest.clone()]);
        let mut walk = Walk { want, limits, seen, offered: BTreeSet::new() };
        let open = walk.candidates(index, 1);
        Self { source, repo, root, walk, open, depth: 0 }
    }

    /// The next best entry that calls itself no index.
    pub(crate) async fn next(&mut self) -> Result<Descriptor> {
        while let Some((entry, depth)) = self.open.pop() {
            if !self.walk.enter(&entry, depth)? {
                continue;
            }
            self.depth = depth;
            if !entry.media_type.is_index() {
                return Ok(entry);
            }
            let found = self.fetch(&entry).await?;
            match parse(&found)? {
                Manifest::Index(index) => self.descend(&index),
                _ => return Err(no_image(&found)),
            }
        }
        Err(self.walk.nothing_for(&self.root))
    }

    /// Looks into the index that the last entry was.
    fn descend(&mut self, index: &Index) {
        self.open.extend(self.walk.candidates(index, self.depth + 1));
    }

    async fn fetch(&self, entry: &Descriptor) -> Result<RawManifest> {
        let found = self.source.manifest(self.repo, &Selector::Digest(entry.digest.clone())).await?;
        RawManifest::expect(entry, found.bytes().clone()).map_err(|mismatch| mismatched(entry, mismatch))
    }
}

struct Walk<'a> {
    want: &'a Platform,
    limits: &'a Limits,
    seen: HashSet<Digest>,
    /// Platforms met so far, for the message that nothing matched.
    offered: BTreeSet<String>,
}

impl Walk<'_> {
    /// The entries worth looking at; the best stands last, to be popped first.
    fn candidates(&mut self, index: &Index, depth: u32) -> Vec<(Descriptor, u32)> {
        let mut ranked = Vec::new();
        let mut nested = Vec::new();
        let mut silent = Vec::new();
        for entry in index.manifests.iter().filter(|entry| !is_attestation(entry)) {
            match &entry.platform {
                Some(platform) => {
                    self.offered.insert(display_untrusted(&platform.to_string()));
                    ranked.extend(platform.rank(self.want).map(|rank| (rank, entry)));
                }
                None if entry.media_type.is_index() => nested.push(entry),
                None => silent.push(entry),
            }
        }
        // A stable sort: of equals, the one listed first stays first.
        ranked.sort_by(|(a, _), (b, _)| b.cmp(a));
        let silent = if silent.len() == 1 { silent } else { Vec::new() };
        let ordered = ranked.into_iter().map(|(_, entry)| entry).chain(nested).chain(silent);
        let mut open: Vec<_> = ordered.map(|entry| (entry.clone(), depth)).collect();
        open.reverse();
        open
    }

    /// Whether this entry is still to be looked at; bounds the walk (M12).
    fn enter(&mut self, entry: &Descriptor, depth: u32) -> Result<bool> {
        if depth > self.limits.index_depth {
            return Err(Error::limit("indexes inside indexes", "index_depth", self.limits.index_depth));
        }
        if self.seen.len() as u64 >= self.limits.graph_nodes {
            return Err(Error::limit("manifests below one index", "graph_nodes", self.limits.graph_nodes));
        }
        Ok(self.seen.insert(entry.digest.clone()))
    }

    fn nothing_for(&self, root: &Descriptor) -> Error {
        const SHOWN: usize = 32;
        let mut there: Vec<&str> = self.offered.iter().take(SHOWN).map(String::as_str).collect();
        if self.offered.len() > SHOWN {
            there.push("and more");
        }
        let there = if there.is_empty() { "none that says its platform".to_owned() } else { there.join(", ") };
        let want = display_untrusted(&self.want.to_string());
        let what = format!("index {}: no image for platform {want} (there are: {there})", root.digest);
        Error::new(ErrorKind::PlatformUnknown, what).with_hint("ask for one of the platforms that are there")
    }
}

fn accept(manifest: RawManifest, image: ImageManifest, index: Option<Descriptor>, limits: &Limits) -> Result<Resolved> {
    if image.layers.len() > limits.layers {
        let what = format!("manifest {} with {} layers", manifest.digest(), image.layers.len());
        return Err(Error::limit(what, "layers", limits.layers));
    }
    Ok(Resolved { manifest, image, index })
}

fn no_image(raw: &RawManifest) -> Error {
    let media_type = display_untrusted(raw.media_type().as_str());
    Error::new(ErrorKind::Unsupported, format!("manifest {}: {media_type} is no image", raw.digest()))
}

/// What bytes are that are not what their parent says.
pub(crate) fn mismatched(entry: &Descriptor, mismatch: ManifestMismatch) -> Error {
    let kind = match mismatch {
        ManifestMismatch::Size { .. } => ErrorKind::SizeMismatch,
        ManifestMismatch::Digest { .. } => ErrorKind::DigestMismatch,
        ManifestMismatch::Algorithm(_) => ErrorKind::Unsupported,
    };
    Error::new(kind, format!("manifest {}: {mismatch}", entry.digest)).with_source(mismatch)
}

/// `BuildKit` lists attestations beside images, as images of the platform `unknown/unknown`.
pub(crate) fn is_attestation(entry: &Descriptor) -> bool {
    let unknown = |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
    entry.annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
        || entry.platform.as_ref().is_some_and(unknown)
}
