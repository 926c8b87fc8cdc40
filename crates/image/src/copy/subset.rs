//! Which manifest is copied: the one that was named, or what of an index is for some platforms.

use std::collections::HashSet;

use gantri_core::{Limits, Result};
use gantri_spec::{Descriptor, Digest, Index, Manifest, Platform, RawManifest, Selector};

use super::Platforms;
use crate::graph::parse;
use crate::place::Place;
use crate::resolve::{Search, is_attestation, resolve};

/// The manifest that an item begins with.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) manifest: RawManifest,
    /// Whether it was made here: the source does not have it then, only what is below it.
    pub(super) is_made: bool,
}

/// Asks the source for what `at` names, once, and picks from it.
pub(super) async fn root(source: &Place, at: &Selector, platforms: &Platforms, limits: &Limits) -> Result<Root> {
    let as_it_is = |manifest| Root { manifest, is_made: false };
    let Place { registry, repo, .. } = source;
    let wanted = match platforms {
        Platforms::Only(wanted) if !wanted.is_empty() => wanted,
        _ => return registry.manifest(repo, at).await.map(as_it_is),
    };
    if let [one] = &wanted[..] {
        return resolve(&**registry, repo, at, one, limits).await.map(|found| as_it_is(found.manifest));
    }
    let whole = registry.manifest(repo, at).await?;
    let Manifest::Index(mut index) = parse(&whole)? else { return Ok(as_it_is(whole)) };
    let mut found = Vec::new();
    for platform in wanted {
        found.push(find(source, &whole, &index, platform, limits).await?);
    }
    let kept = keep(&index, found);
    if kept == index.manifests {
        return Ok(as_it_is(whole));
    }
    index.manifests = kept;
    Ok(Root { manifest: index.to_raw(), is_made: true })
}

async fn find(
    source: &Place,
    whole: &RawManifest,
    index: &Index,
    platform: &Platform,
    limits: &Limits,
) -> Result<Descriptor> {
    let Place { registry, repo, .. } = source;
    let mut search = Search::new(&**registry, repo, platform, limits, whole.descriptor().clone(), index);
    search.next().await
}

/// The entries of the new index: those found, and what attests to them, in the order of the old one. What lay in an index
/// inside comes last.
fn keep(index: &Index, found: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut open: HashSet<Digest> = found.iter().map(|entry| entry.digest.clone()).collect();
    let wanted = open.clone();
    let attests = |entry: &Descriptor| {
        let subject = entry.annotations.get("vnd.docker.reference.digest").and_then(|digest| digest.parse().ok());
        is_attestation(entry) && subject.is_some_and(|subject: Digest| wanted.contains(&subject))
    };
    let mut kept = Vec::new();
    for entry in &index.manifests {
        let is_wanted = found.contains(entry) && open.remove(&entry.digest);
        if is_wanted || attests(entry) {
            kept.push(entry.clone());
        }
    }
    kept.extend(found.into_iter().filter(|entry| open.remove(&entry.digest)));
    kept
}
