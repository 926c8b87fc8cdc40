//! What a copy does, or would do, in numbers and step by step.

use gantri_spec::{Descriptor, RepositoryName, Tag};

/// What becomes of a blob or manifest.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Its bytes are sent.
    Send,
    /// Another repository of the target registry has it, and it is made available from there.
    Mount,
    /// It is there already.
    Skip,
}

/// So many things, and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their sizes together.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, what: &Descriptor) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(what.size);
    }
}

/// What became of one item. What two items share counts for the one that brought it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Copied {
    /// The manifest that the tags point at: the source's, or an index made of some of its entries.
    pub manifest: Descriptor,
    /// The tags that point at it now.
    pub tags: Vec<Tag>,
    /// Blobs that were sent.
    pub sent: Tally,
    /// Blobs that were mounted.
    pub mounted: Tally,
    /// Blobs and manifests that were there already. What lies below a manifest that is there is not looked at.
    pub skipped: Tally,
    /// Manifests that were put.
    pub manifests: Tally,
}

impl Copied {
    pub(crate) fn new(manifest: Descriptor, tags: Vec<Tag>) -> Self {
        let none = Tally::default();
        Self { manifest, tags, sent: none, mounted: none, skipped: none, manifests: none }
    }

    pub(crate) fn blob(&mut self, blob: &Descriptor, action: Action) {
        match action {
            Action::Send => self.sent.add(blob),
            Action::Mount => self.mounted.add(blob),
            Action::Skip => self.skipped.add(blob),
        }
    }

    pub(crate) fn manifest(&mut self, manifest: &Descriptor, action: Action) {
        match action {
            Action::Skip => self.skipped.add(manifest),
            Action::Send | Action::Mount => self.manifests.add(manifest),
        }
    }
}

/// What [`copy`](crate::copy()) would do now.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// What would become of each item.
    pub items: Vec<Copied>,
    /// Every blob and manifest that would be looked at, those of an item together.
    pub steps: Vec<Step>,
}

/// One blob or manifest of a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// Which one.
    pub what: Descriptor,
    /// The repository that it is for.
    pub repo: RepositoryName,
    /// What would become of it.
    pub action: Action,
}

impl Step {
    pub(crate) fn new(what: Descriptor, repo: RepositoryName, action: Action) -> Self {
        Self { what, repo, action }
    }
}
