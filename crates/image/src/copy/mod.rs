//! Images, indexes and artifacts from any registry into any other.
//!
//! This file is what callers see: items, options, and the two ways to go through them. One item's way is
//! `trip.rs`, how its blobs arrive is `transfer.rs`, what a manifest leads to is `graph.rs`,
//! and which entries of an index are meant is `subset.rs`.

mod referrers;
mod subset;
mod trip;

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::{Limits, NoObserver, Observer, Result};
use gantri_spec::{Platform, RawManifest, Selector, Tag};

use self::trip::{Job, Trip};
use crate::place::Place;
use crate::plan::{Copied, Plan};
use crate::transfer::Mode;

/// One thing to be copied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyItem {
    /// Where it is.
    pub source: Place,
    /// The tag or digest that names it there. It is asked for once.
    pub at: Selector,
    /// Where it goes.
    pub target: Place,
    /// The tags that point at it there. Without any it is there under its digest.
    pub tags: Vec<Tag>,
}

impl CopyItem {
    /// Copies `at` from `source` to `target`, under these tags.
    pub fn new(source: Place, at: impl Into<Selector>, target: Place, tags: Vec<Tag>) -> Self {
        Self { source, at: at.into(), target, tags }
    }
}

/// Which images of an index are copied.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Platforms {
    /// All of them: the index as it is.
    #[default]
    All,
    /// The best for each of these platforms. One yields that image itself; several yield a new index of their entries as
    /// they stand, with what attests to them; none says nothing. An image that is in no index is taken as it is.
    Only(Vec<Platform>),
}

/// Whether what refers to a manifest is copied with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Referrers {
    /// It is left where it is.
    #[default]
    Leave,
    /// It is copied: the referrers of every manifest that is copied, and theirs. The tags move when all are there.
    Follow,
}

/// What becomes of layers whose media type says that they are not to be handed on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Foreign {
    /// They are not copied; their descriptors stay as they are.
    #[default]
    Leave,
    /// They are copied if the source registry has them. What their `urls` name is never asked (A1).
    Bring,
}

/// What of an image is copied. By default the whole of it, and nothing that refers to it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Extent {
    /// Which images of an index.
    pub platforms: Platforms,
    /// Whether what refers to it comes along.
    pub referrers: Referrers,
    /// Whether layers come along that are not to be handed on.
    pub foreign: Foreign,
}

impl Extent {
    /// Says which images of an index are meant.
    pub fn platforms(self, platforms: Platforms) -> Self {
        Self { platforms, ..self }
    }

    /// Says whether what refers to the image comes along.
    pub fn referrers(self, referrers: Referrers) -> Self {
        Self { referrers, ..self }
    }

    /// Says whether layers come along that are not to be handed on.
    pub fn foreign(self, foreign: Foreign) -> Self {
        Self { foreign, ..self }
    }
}

/// How things are copied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Bounds; `concurrent_layers`, `concurrent_requests`, `layers`, `index_depth` and `graph_nodes` are read here.
    pub limits: Limits,
    /// Hears of each blob and manifest.
    pub observer: Arc<dyn Observer>,
    /// What of each item is meant.
    pub extent: Extent,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), observer: Arc::new(NoObserver), extent: Extent::default() }
    }
}

impl CopyOptions {
    /// Sets the bounds.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets how many layers travel at once.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.limits.concurrent_layers = jobs;
        self
    }

    /// Sets who hears of the progress.
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Sets what of each item is meant.
    pub fn extent(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }
}

/// Copies each item, and says what became of it; many at once, and what they share once.
///
/// Manifests are copied byte for byte. Each is asked for once, the first by `at`, the others by digest (M5); blobs stream
/// from one registry to the other, so many at once as [`Limits::concurrent_layers`] says, each digest once for a target
/// registry and from there mounted into its other repositories. Where source and target are the same registry, blobs are
/// mounted. A manifest that a registry has is not looked below, if it [guards its
/// content](gantri_core::Pull::guards_content); an index is, since its images may be missing.
///
/// # Errors
/// `copy A -> B: source: ...` or `target: ...`, with the object. `PlatformUnknown`; `ManifestInvalid` (M1, M12);
/// `LimitExceeded` for `index_depth`, `graph_nodes` or `layers`; `DigestMismatch`, `SizeMismatch` if the source's bytes are
/// not what they are called; `Config` for a bound that [can't be kept](Limits::check); whatever the registries say.
///
/// # Cancel safety
/// Blobs that arrived stay; a manifest is there with all its content, or not at all; tags move last.
pub async fn copy(items: Vec<CopyItem>, options: &CopyOptions) -> Result<Vec<Copied>> {
    let trips = run(&items, options, Mode::Write).await?;
    Ok(trips.into_iter().map(|(copied, _)| copied).collect())
}

/// Says what [`copy`](copy()) would do, and writes nothing. Asks the source for the same manifests, and the target about each
/// manifest and blob.
///
/// # Errors
/// As [`copy`](copy()).
///
/// # Cancel safety
/// Only reads.
pub async fn plan(items: &[CopyItem], options: &CopyOptions) -> Result<Plan> {
    let mut plan = Plan::default();
    for (copied, steps) in run(items, options, Mode::Plan).await? {
        plan.items.push(copied);
        plan.steps.extend(steps);
    }
    Ok(plan)
}

async fn run(items: &[CopyItem], options: &CopyOptions, mode: Mode) -> Result<Vec<(Copied, Vec<crate::plan::Step>)>> {
    options.limits.check()?;
    let job = Job::new(options, mode);
    let trips = items.iter().map(|item| Trip::new(&job, item).run());
    stream::iter(trips).buffered(options.limits.concurrent_requests).try_collect().await
}

/// One image whose manifest is at hand; the limits have been checked.
pub(crate) async fn bring(item: &CopyItem, manifest: RawManifest, options: &CopyOptions) -> Result<Copied> {
    let job = Job::new(options, Mode::Write);
    Box::pin(Trip::new(&job, item).with_root(manifest)).await
}
