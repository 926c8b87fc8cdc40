//! Which tag of a repository leads to a manifest or a blob, if any does.
//!
//! Tags are resolved first and only then manifests are read, each once; every read and every step down is counted. What is
//! not there leads nowhere; what is there and cannot be read cannot be ruled out, so it is an error and no "no".

use std::collections::HashSet;

use futures_util::TryStreamExt;
use gantri_spec::{Descriptor, Digest, RepositoryName, Selector, Tag};

use crate::{Error, ErrorKind, Limits, Registry, Result};

/// What is looked for: a blob may hang on any manifest, a manifest only on an index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sought {
    Manifest,
    Blob,
}

/// A tag that leads to `digest`; `None` if none does, or if the repository is not there.
///
/// # Errors
/// `LimitExceeded` beyond [`Limits::graph_nodes`] tags and manifests, or [`Limits::index_depth`] indexes in each other;
/// whatever the registry says.
pub(super) async fn tag_over(
    registry: &impl Registry,
    repo: &RepositoryName,
    digest: &Digest,
    sought: Sought,
    limits: &Limits,
) -> Result<Option<Tag>> {
    let mut walk = Walk { registry, repo, digest, sought, limits, looks: 0, seen: HashSet::new() };
    let roots = walk.roots().await?;
    if let Some((tag, _)) = roots.iter().find(|(_, root)| root.digest == *digest) {
        return Ok(Some(tag.clone()));
    }
    for (tag, root) in roots {
        if walk.leads_there(root).await? {
            return Ok(Some(tag));
        }
    }
    Ok(None)
}

struct Walk<'a, R> {
    registry: &'a R,
    repo: &'a RepositoryName,
    digest: &'a Digest,
    sought: Sought,
    limits: &'a Limits,
    /// Tags and manifests looked at so far.
    looks: u64,
    seen: HashSet<Digest>,
}

impl<R: Registry> Walk<'_, R> {
    /// All tags, and what they name.
    async fn roots(&mut self) -> Result<Vec<(Tag, Descriptor)>> {
        let mut tags = self.registry.tags(self.repo, None);
        let mut roots = Vec::new();
        loop {
            let tag = match tags.try_next().await {
                Ok(Some(tag)) => tag,
                Ok(None) => return Ok(roots),
                Err(error) if is_absent(&error) => return Ok(roots),
                Err(error) => return Err(error),
            };
            self.count()?;
            match self.registry.resolve_manifest(self.repo, &Selector::Tag(tag.clone())).await {
                Ok(root) => roots.push((tag, root)),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the content hangs on this manifest or below it.
    async fn leads_there(&mut self, root: Descriptor) -> Result<bool> {
        let mut open = vec![(root, 0)];
        while let Some((node, depth)) = open.pop() {
            if !self.is_worth_reading(&node) || !self.seen.insert(node.digest.clone()) {
                continue;
            }
            if node.media_type.is_index() && depth > self.limits.index_depth {
                return Err(Error::limit(self.what(), "index_depth", self.limits.index_depth));
            }
            let children = self.children(&node.digest).await?;
            if children.iter().any(|child| child.digest == *self.digest) {
                return Ok(true);
            }
            open.extend(children.into_iter().map(|child| (child, depth + 1)));
        }
        Ok(false)
    }

    async fn children(&mut self, digest: &Digest) -> Result<Vec<Descriptor>> {
        self.count()?;
        let raw = match self.registry.manifest(self.repo, &Selector::Digest(digest.clone())).await {
            Ok(raw) => raw,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let manifest = raw.parse().map_err(|source| {
            let what = format!("{}: manifest {digest} can't be read", self.what());
            Error::new(ErrorKind::ManifestInvalid, what).with_source(source)
        })?;
        Ok(manifest.children().into_iter().cloned().collect())
    }

    /// Whether what is sought could hang on it. Of what is called by no type of its own, only the document can say.
    fn is_worth_reading(&self, node: &Descriptor) -> bool {
        let media_type = &node.media_type;
        media_type.is_index() || media_type.is_generic() || (self.sought == Sought::Blob && media_type.is_manifest())
    }

    fn count(&mut self) -> Result<()> {
        self.looks += 1;
        if self.looks > self.limits.graph_nodes {
            return Err(Error::limit(self.what(), "graph_nodes", self.limits.graph_nodes));
        }
        Ok(())
    }

    fn what(&self) -> String {
        format!("look for tags of {} that lead to {}", self.repo, self.digest)
    }
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ManifestUnknown | ErrorKind::RepositoryUnknown)
}
