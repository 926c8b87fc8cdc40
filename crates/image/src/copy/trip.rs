//! One item on its way: from the manifest that the source names, down to blobs, and up again.
//!
//! Keeps the order: blobs before their manifest, manifests before their index, tags last. What need not be sent is found
//! out by asking the target for manifests, from the top down.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, try_join, try_join_all, try_join3};
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use gantri_core::{Error, ErrorKind, Event, Result};
use gantri_spec::{Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};
use tokio::sync::Semaphore;

use super::subset::{self, Root};
use super::{CopyItem, CopyOptions, Extent, Foreign, Platforms, Referrers, referrers};
use crate::flight::Flights;
use crate::graph::{Graph, Node};
use crate::lost::Lost;
use crate::place::{Place, RegistryId};
use crate::plan::{Action, Copied, Step};
use crate::resolve::mismatched;
use crate::transfer::{Mode, Supply, Transfers, Turn, at_side, is_absent};

/// A repository of a registry, to tell it from others.
type Spot = (RegistryId, RepositoryName);

/// What the items of one job share.
pub(super) struct Job<'a> {
    pub(super) options: &'a CopyOptions,
    transfers: Transfers,
    /// From where, to where, and which.
    manifests: Flights<(Spot, Spot, Digest), ()>,
    /// Manifests of images that are held in memory at once.
    leaves: Semaphore,
}

impl<'a> Job<'a> {
    /// The limits are those of a job that has checked them.
    pub(super) fn new(options: &'a CopyOptions, mode: Mode) -> Self {
        let transfers = Transfers::new(options.limits.clone(), options.observer.clone(), mode);
        let leaves = Semaphore::new(options.limits.concurrent_requests.min(Semaphore::MAX_PERMITS));
        Self { options, transfers, manifests: Flights::default(), leaves }
    }
}

pub(super) struct Trip<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) item: &'a CopyItem,
    seen: Mutex<Seen>,
}

/// What an item has come past.
pub(super) struct Seen {
    pub(super) graph: Graph,
    /// Every manifest, copied now or before; kept only to ask who refers to it.
    pub(super) manifests: Vec<Digest>,
    copied: Copied,
    steps: Vec<Step>,
}

/// Why a manifest below the first is copied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason<'a> {
    /// An index that lies so deep lists it.
    Listed(u32),
    /// It is said to refer to this one.
    RefersTo(&'a Digest),
}

impl<'a> Trip<'a> {
    pub(super) fn new(job: &'a Job<'a>, item: &'a CopyItem) -> Self {
        let nothing = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
        let seen = Seen {
            graph: Graph::new(&job.options.limits),
            manifests: Vec::new(),
            copied: Copied::new(nothing, item.tags.clone()),
            steps: Vec::new(),
        };
        Self { job, item, seen: Mutex::new(seen) }
    }

    pub(super) async fn run(self) -> Result<(Copied, Vec<Step>)> {
        let outcome = self.begin().await;
        let CopyItem { source, at, target, tags } = self.item;
        let named = |at: &Selector| match at {
            Selector::Tag(tag) => format!(":{tag}"),
            Selector::Digest(digest) => format!("@{digest}"),
        };
        let tag = if let [tag] = &tags[..] { format!(":{tag}") } else { String::new() };
        outcome.map_err(|error| error.during(format_args!("copy {source}{} -> {target}{tag}", named(at))))?;
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((seen.copied, seen.steps))
    }

    /// The same, of a manifest that was fetched before.
    pub(super) async fn with_root(self, manifest: RawManifest) -> Result<Copied> {
        let tagged = self.tagged().await?;
        self.travel(Root { manifest, is_made: false }, &tagged).await?;
        Ok(self.seen.into_inner().unwrap_or_else(PoisonError::into_inner).copied)
    }

    async fn begin(&self) -> Result<()> {
        let CopyOptions { extent: Extent { platforms, .. }, limits, .. } = self.job.options;
        let root = subset::root(&self.item.source, &self.item.at, platforms, limits);
        let root = root.map_err(|error| error.during("source"));
        let (root, tagged) = match platforms {
            // Each side is asked while the other answers: where all is there, that is the whole copy. What the source lacks
            // ends it at once; what is wrong with the target counts only after that.
            Platforms::All => try_join(root, self.tagged().map(Ok)).await?,
            Platforms::Only(_) => (root.await?, self.tagged().await),
        };
        // On the heap: it is most of what a copy holds while it waits, and many copies wait on one stack.
        self.travel(root, &tagged?).boxed().await
    }

    async fn travel(&self, Root { manifest: root, is_made }: Root, tagged: &[(Tag, Option<Digest>)]) -> Result<()> {
        let CopyItem { source, at, target, .. } = self.item;
        let descriptor = root.descriptor();
        self.seen().copied.manifest = descriptor.clone();
        self.seen().graph.enter(descriptor)?;
        let is_same = source.is_same(target);
        let (is_here, missing) = if is_same {
            let is_at = |tag: &Tag| matches!(at, Selector::Tag(at) if at == tag);
            let missing = self.item.tags.iter().filter(|tag| is_made || !is_at(tag)).cloned().collect();
            (!is_made, missing)
        } else {
            self.standing(descriptor, tagged).await?
        };
        if !is_same && (!is_here || descriptor.media_type.is_index()) {
            let node = self.look(&root, 0)?;
            self.below(node, 0, is_here).await?;
        }
        self.passed(descriptor);
        self.finish(&root, is_here, &missing).await
    }

    /// Puts the first manifest and its tags, when all that is below it is there.
    async fn finish(&self, root: &RawManifest, is_here: bool, missing: &[Tag]) -> Result<()> {
        if self.job.options.extent.referrers == Referrers::Follow {
            if !is_here {
                self.put(root, &[]).await?;
            }
            referrers::follow(self).await?;
            // A tag shows an image only when all that was said of it, its signature say, is there.
            return match missing {
                [] => Ok(()),
                missing => self.put(root, missing).await,
            };
        }
        if is_here && missing.is_empty() {
            self.skip(root.descriptor());
            return Ok(());
        }
        self.put(root, missing).await
    }

    /// What the target has under each tag, where its word for that is enough.
    async fn tagged(&self) -> Result<Vec<(Tag, Option<Digest>)>> {
        let mut tagged = Vec::new();
        if self.item.source.is_same(&self.item.target) || !self.may_trust() {
            return Ok(tagged);
        }
        for tag in &self.item.tags {
            let found = self.resolve(&tag.clone().into()).await?;
            tagged.push((tag.clone(), found.map(|found| found.digest)));
        }
        Ok(tagged)
    }

    /// Whether the first manifest is at the target, and which of the tags do not point at it.
    async fn standing(&self, root: &Descriptor, tagged: &[(Tag, Option<Digest>)]) -> Result<(bool, Vec<Tag>)> {
        if !self.may_trust() {
            return Ok((false, self.item.tags.clone()));
        }
        let is_root = |found: &Option<Digest>| found.as_ref() == Some(&root.digest);
        let mut is_here = tagged.iter().any(|(_, found)| is_root(found));
        let missing = tagged.iter().filter(|(_, found)| !is_root(found)).map(|(tag, _)| tag.clone()).collect();
        if !is_here {
            is_here = self.resolve(&root.digest.clone().into()).await?.is_some_and(|found| found.size == root.size);
        }
        Ok((is_here, missing))
    }

    /// A manifest below the first, with all that is below it; once for all items.
    pub(super) fn node<'b>(&'b self, entry: &'b Descriptor, reason: Reason<'b>) -> BoxFuture<'b, Result<()>> {
        async move {
            let CopyItem { source, target, .. } = self.item;
            let [from, to] = [source, target].map(|place| (place.registry_id(), place.repo.clone()));
            let flight = self.job.manifests.at((from, to, entry.digest.clone()));
            let bring = self.bring(entry, reason).boxed();
            flight.get_or_try_init(|| bring).await.map(|&()| ())
        }
        .boxed()
    }

    async fn bring(&self, entry: &Descriptor, reason: Reason<'_>) -> Result<()> {
        // An index waits for what it lists, so it must not hold what those wait for.
        let _leaf = if entry.media_type.is_index() {
            None
        } else {
            let turn = self.job.leaves.acquire().await;
            Some(turn.map_err(|_| Error::new(ErrorKind::Io, "the job has ended"))?)
        };
        let found = if self.may_trust() { self.resolve(&entry.digest.clone().into()).await? } else { None };
        let is_here = found.as_ref().is_some_and(|found| found.size == entry.size);
        let is_index = entry.media_type.is_index() || found.is_some_and(|found| found.media_type.is_index());
        if is_here && !is_index {
            self.skip(entry);
            self.passed(entry);
            return Ok(());
        }
        let raw = self.fetch(entry).await?;
        let depth = if let Reason::Listed(depth) = reason { depth } else { 0 };
        let node = self.look(&raw, depth)?;
        if let Reason::RefersTo(subject) = reason
            && node.subject.as_ref() != Some(subject)
        {
            let what =
                format!("manifest {} is listed as a referrer of {subject}, which it is not: left out", raw.digest());
            self.job.transfers.observer().event(&Event::Notice(&what));
            return Ok(());
        }
        self.below(node, depth, is_here).await?;
        self.passed(entry);
        if is_here {
            self.skip(entry);
            return Ok(());
        }
        self.put(&raw, &[]).await
    }

    /// All that is directly below a manifest; of an index that is there already, only what may be missing all the same.
    async fn below(&self, node: Node, depth: u32, is_here: bool) -> Result<()> {
        let blobs = async {
            if is_here {
                return Ok(());
            }
            let config = node.config.iter().map(|blob| self.blob(blob, Turn::Passes));
            let layers = node.layers.iter().map(|blob| self.blob(blob, Turn::Waits));
            try_join_all(config.chain(layers)).await?;
            for digest in &node.unsized_layers {
                self.unsized_blob(digest).await?;
            }
            for entry in &node.unclear {
                self.unclear(entry, depth + 1).await?;
            }
            Ok(())
        };
        let at_once = self.job.options.limits.concurrent_requests;
        // In a vector first: the compiler can't see that a stream of references is `Send`.
        let leaves: Vec<_> = node.leaves.iter().map(|entry| self.node(entry, Reason::Listed(depth + 1))).collect();
        let leaves = stream::iter(leaves).buffer_unordered(at_once).try_collect::<()>();
        let indexes = async {
            for entry in &node.indexes {
                self.node(entry, Reason::Listed(depth + 1)).await?;
            }
            Ok(())
        };
        try_join3(blobs, leaves, indexes).await.map(|_| ())
    }

    async fn blob(&self, blob: &Descriptor, turn: Turn) -> Result<()> {
        let CopyItem { source, target, .. } = self.item;
        let is_foreign = blob.media_type.is_nondistributable();
        if is_foreign && self.job.options.extent.foreign == Foreign::Leave {
            return Ok(());
        }
        let action = match self.job.transfers.bring(blob, Supply::Place(source.clone()), target, turn).await {
            Err(error) if is_foreign && is_absent(error.kind()) => {
                let what = format!("foreign layer {} is not at the source: left out", blob.digest);
                self.job.transfers.observer().event(&Event::Notice(&what));
                return Ok(());
            }
            outcome => outcome?,
        };
        if let Some(action) = action {
            self.count(blob, action, Copied::blob);
        }
        Ok(())
    }

    /// A blob whose size its manifest does not say.
    async fn unsized_blob(&self, digest: &Digest) -> Result<()> {
        let Place { registry, repo, .. } = &self.item.source;
        let found = registry.resolve_blob(repo, digest).await;
        let found = found.map_err(|error| at_side("source", "blob", digest, error))?;
        let blob = Descriptor::new(MediaType::DOCKER_LAYER_GZIP, digest.clone(), found.size);
        self.blob(&blob, Turn::Waits).await
    }

    /// An entry that may be a manifest of some new type, or a blob: the source knows which.
    async fn unclear(&self, entry: &Descriptor, depth: u32) -> Result<()> {
        let Place { registry, repo, .. } = &self.item.source;
        match registry.resolve_manifest(repo, &entry.digest.clone().into()).await {
            Ok(_) => self.node(entry, Reason::Listed(depth)).await,
            Err(error) if is_absent(error.kind()) => self.blob(entry, Turn::Waits).await,
            Err(error) => Err(at_side("source", "manifest", &entry.digest, error)),
        }
    }

    /// A manifest of the source, held to the descriptor that led to it.
    async fn fetch(&self, entry: &Descriptor) -> Result<RawManifest> {
        let Place { registry, repo, .. } = &self.item.source;
        let fetched = registry.manifest(repo, &entry.digest.clone().into()).await;
        let fetched = fetched.and_then(|raw| {
            // Annotations and the like belong to the entry, not to the manifest.
            let bare = Descriptor::new(entry.media_type.clone(), entry.digest.clone(), entry.size);
            RawManifest::expect(&bare, raw.bytes().clone()).map_err(|mismatch| mismatched(entry, mismatch))
        });
        fetched.map_err(|error| at_side("source", "manifest", &entry.digest, error))
    }

    async fn put(&self, raw: &RawManifest, tags: &[Tag]) -> Result<()> {
        let descriptor = raw.descriptor();
        self.count(descriptor, Action::Send, Copied::manifest);
        if self.job.transfers.mode() == Mode::Plan {
            return Ok(());
        }
        let observer = self.job.transfers.observer();
        observer.event(&Event::Started(descriptor));
        let Place { registry, repo, .. } = &self.item.target;
        let mut lost = Lost::default();
        while let Err(error) = registry.put_manifest(repo, raw, tags).await {
            let error = at_side("target", "manifest", raw.digest(), error);
            let Some(child) = lost.child(&error, raw).filter(|_| !self.item.source.is_same(&self.item.target)) else {
                return Err(error);
            };
            self.bring_again(&child).boxed().await?;
        }
        observer.event(&Event::Finished(descriptor));
        Ok(())
    }

    /// What the target had a moment ago (H20).
    async fn bring_again(&self, child: &Descriptor) -> Result<()> {
        let CopyItem { source, target, .. } = self.item;
        if !child.media_type.is_manifest() {
            return self.job.transfers.bring_again(child, Supply::Place(source.clone()), target).await;
        }
        let raw = self.fetch(child).await?;
        let put = target.registry.put_manifest(&target.repo, &raw, &[]).await;
        put.map(drop).map_err(|error| at_side("target", "manifest", raw.digest(), error))
    }

    /// What the target has there, if anything.
    async fn resolve(&self, at: &Selector) -> Result<Option<Descriptor>> {
        let Place { registry, repo, .. } = &self.item.target;
        match registry.resolve_manifest(repo, at).await {
            Ok(found) => Ok(Some(found)),
            // Artifactory says 403 of what is not there; whoever may not write is told so when he does.
            Err(error) if is_absent(error.kind()) || error.kind() == ErrorKind::Denied => Ok(None),
            Err(error) => Err(error.during(format_args!("target: manifest {at}"))),
        }
    }

    /// Whether a manifest that the target has stands for its content. To plan is to take its word.
    fn may_trust(&self) -> bool {
        self.item.target.registry.guards_content() || self.job.transfers.mode() == Mode::Plan
    }

    fn look(&self, raw: &RawManifest, depth: u32) -> Result<Node> {
        self.seen().graph.node(raw, depth).map_err(|error| error.during("source"))
    }

    fn passed(&self, manifest: &Descriptor) {
        if self.job.options.extent.referrers == Referrers::Follow {
            self.seen().manifests.push(manifest.digest.clone());
        }
    }

    fn skip(&self, manifest: &Descriptor) {
        self.job.transfers.observer().event(&Event::Skipped(manifest));
        self.count(manifest, Action::Skip, Copied::manifest);
    }

    fn count(&self, what: &Descriptor, action: Action, to: fn(&mut Copied, &Descriptor, Action)) {
        let mut seen = self.seen();
        to(&mut seen.copied, what, action);
        if self.job.transfers.mode() == Mode::Plan {
            seen.steps.push(Step::new(what.clone(), self.item.target.repo.clone(), action));
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
