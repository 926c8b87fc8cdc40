//! Which manifests a layout holds: those that `index.json` lists, and those that a listed index leads to.
//!
//! A manifest lies among the blobs, so a file alone makes none: it has to be reached. This file reads manifests and
//! walks from one to the next, within the limits; who gets listed is decided in `push.rs` and `manage.rs`.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Descriptor, Digest, Index, Manifest, ManifestMismatch, RawManifest};

use crate::reading::Shelf;

/// A manifest's bytes, if its file is there, held to size and digest (S1, S6).
///
/// # Errors
/// `SizeMismatch`, `DigestMismatch`, `LimitExceeded`; `Unsupported` if the digest's algorithm can't be verified; `Io`.
pub(crate) fn read(shelf: &dyn Shelf, limits: &Limits, manifest: &Descriptor) -> Result<Option<RawManifest>> {
    let Some(file) = shelf.stored(&manifest.digest)? else { return Ok(None) };
    let path = file.path.clone();
    let bytes = file.read(limits.manifest, "manifest")?;
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
pub(crate) fn children(shelf: &dyn Shelf, limits: &Limits, manifest: &Descriptor) -> Result<Vec<Descriptor>> {
    if !manifest.media_type.is_index() {
        return Ok(Vec::new());
    }
    Ok(parsed(shelf, limits, manifest)?.as_ref().map(listed).unwrap_or_default())
}

/// The manifests that a parsed one lists.
pub(crate) fn listed(manifest: &Manifest) -> Vec<Descriptor> {
    match manifest {
        Manifest::Index(index) => {
            index.manifests.iter().filter(|child| child.media_type.is_manifest()).cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// A manifest, parsed; none if its file is not there or is not what it should be: one bad file must not make all others
/// unreadable.
pub(crate) fn parsed(shelf: &dyn Shelf, limits: &Limits, manifest: &Descriptor) -> Result<Option<Manifest>> {
    match read(shelf, limits, manifest) {
        Ok(raw) => Ok(raw.and_then(|raw| raw.parse().ok())),
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        Err(error) => {
            tracing::debug!(%error, "left out");
            Ok(None)
        }
    }
}

/// What becomes of manifests that lie deeper than [`Limits::index_depth`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deeper {
    /// They are not looked at, so nobody finds them.
    Ignore,
    /// They are an error: what leads to content must not be overlooked.
    Refuse,
}

/// Visits every manifest once, the listed ones first, until told to stop; each visit says where it leads on.
///
/// # Errors
/// `LimitExceeded` at [`Limits::graph_nodes`], and at [`Limits::index_depth`] where that is asked for; `Io`; those of `visit`.
pub(crate) fn walk(
    shelf: &dyn Shelf,
    limits: &Limits,
    index: &Index,
    deeper: Deeper,
    mut visit: impl FnMut(&Descriptor) -> Result<ControlFlow<(), Vec<Descriptor>>>,
) -> Result<()> {
    let mut seen = HashSet::new();
    let mut queue: VecDeque<(Descriptor, u32)> = index.manifests.iter().map(|entry| (entry.clone(), 0)).collect();
    while let Some((manifest, depth)) = queue.pop_front() {
        if !seen.insert(manifest.digest.clone()) {
            continue;
        }
        if seen.len() as u64 > limits.graph_nodes {
            return Err(Error::limit(
                format_args!("look through {}", shelf.place().display()),
                "graph_nodes",
                limits.graph_nodes,
            ));
        }
        match visit(&manifest)? {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(next) if depth < limits.index_depth => {
                queue.extend(next.into_iter().map(|child| (child, depth + 1)));
            }
            ControlFlow::Continue(next) if deeper == Deeper::Refuse && !next.is_empty() => {
                let what = format_args!("look below {}", manifest.digest);
                return Err(Error::limit(what, "index_depth", limits.index_depth));
            }
            ControlFlow::Continue(_) => {}
        }
    }
    Ok(())
}

/// All that is listed, or lies below a listed index: for whoever asks about many, in one walk.
pub(crate) fn reached(shelf: &dyn Shelf, limits: &Limits, index: &Index) -> Result<HashSet<Digest>> {
    let mut reached = HashSet::new();
    walk(shelf, limits, index, Deeper::Ignore, |manifest| {
        reached.insert(manifest.digest.clone());
        children(shelf, limits, manifest).map(ControlFlow::Continue)
    })?;
    Ok(reached)
}

/// The descriptor that leads to a manifest, whether listed or below a listed index.
pub(crate) fn find(shelf: &dyn Shelf, limits: &Limits, index: &Index, digest: &Digest) -> Result<Option<Descriptor>> {
    let mut found = None;
    walk(shelf, limits, index, Deeper::Ignore, |manifest| {
        if manifest.digest != *digest {
            return children(shelf, limits, manifest).map(ControlFlow::Continue);
        }
        found = Some(manifest.clone());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}
