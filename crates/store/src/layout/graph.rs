//! Which manifests a layout holds: those that `index.json` lists, and those that a listed index leads to.
//!
//! A manifest lies among the blobs, so a file alone makes none: it has to be reached. This file reads manifests and
//! walks from one to the next, within the limits; who gets listed is decided in `push.rs` and `manage.rs`.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Digest, Index, Manifest, ManifestMismatch, RawManifest};

use super::dir::Dir;
use super::files;

/// A manifest's bytes, if its file is there, held to size and digest (S1, S6).
///
/// # Errors
/// `SizeMismatch`, `DigestMismatch`, `LimitExceeded`; `Unsupported` if the digest's algorithm can't be verified; `Io`.
pub(super) fn read(root: &Dir, limits: &Limits, manifest: &Descriptor) -> Result<Option<RawManifest>> {
    let Some(file) = files::open(root, &manifest.digest)? else { return Ok(None) };
    let path = file.path.clone();
    let bytes = Bytes::from(file.read(limits.manifest, "manifest")?);
    // Annotations and the like belong to the entry, not to the manifest.
    let bare = Descriptor::new(manifest.media_type.clone(), manifest.digest.clone(), manifest.size);
    RawManifest::expect(&bare, bytes).map(Some).map_err(|mismatch| {
        let kind = match &mismatch {
            ManifestMismatch::Size { .. } => ErrorKind::SizeMismatch,
            ManifestMismatch::Digest { .. } => ErrorKind::DigestMismatch,
            ManifestMismatch::Algorithm(_) => ErrorKind::Unsupported,
        };
        Error::new(kind, format!("read manifest {}: {mismatch}", path.display()))
    })
}

/// The manifests that this one lists; none if it is no index, or can't be read.
pub(super) fn children(root: &Dir, limits: &Limits, manifest: &Descriptor) -> Result<Vec<Descriptor>> {
    if !manifest.media_type.is_index() {
        return Ok(Vec::new());
    }
    match parsed(root, limits, manifest)? {
        Some(Manifest::Index(index)) => {
            Ok(index.manifests.into_iter().filter(|child| child.media_type.is_manifest()).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// A manifest, parsed; none if its file is not there or is not what it should be: one bad file must not make all others
/// unreadable.
pub(super) fn parsed(root: &Dir, limits: &Limits, manifest: &Descriptor) -> Result<Option<Manifest>> {
    match read(root, limits, manifest) {
        Ok(raw) => Ok(raw.and_then(|raw| raw.parse().ok())),
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        Err(error) => {
            tracing::debug!(%error, "left out");
            Ok(None)
        }
    }
}

/// Visits every manifest once, the listed ones first, until told to stop. Indexes that lie deeper than
/// [`Limits::index_depth`] are not looked into.
///
/// # Errors
/// `LimitExceeded` at [`Limits::graph_nodes`]; `Io`; those of `visit`.
pub(super) fn walk(
    root: &Dir,
    limits: &Limits,
    index: &Index,
    mut visit: impl FnMut(&Descriptor) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut seen = HashSet::new();
    let mut queue: VecDeque<(Descriptor, u32)> = index.manifests.iter().map(|entry| (entry.clone(), 0)).collect();
    while let Some((manifest, depth)) = queue.pop_front() {
        if !seen.insert(manifest.digest.clone()) {
            continue;
        }
        if seen.len() as u64 > limits.graph_nodes {
            return Err(Error::limit(
                format_args!("look through {}", root.path().display()),
                "graph_nodes",
                limits.graph_nodes,
            ));
        }
        if visit(&manifest)?.is_break() {
            return Ok(());
        }
        if depth < limits.index_depth {
            queue.extend(children(root, limits, &manifest)?.into_iter().map(|child| (child, depth + 1)));
        }
    }
    Ok(())
}

/// The descriptor that leads to a manifest, whether listed or below a listed index.
pub(super) fn find(root: &Dir, limits: &Limits, index: &Index, digest: &Digest) -> Result<Option<Descriptor>> {
    let mut found = None;
    walk(root, limits, index, |manifest| {
        if manifest.digest != *digest {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some(manifest.clone());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}
