//! Removing what no manifest leads to.
//!
//! It is done under the lock of the index, so that no manifest comes to be that leads to what is being removed, and it
//! removes nothing unless every manifest could be read: a damaged one may lead anywhere. What is young stays, as does all
//! that a job under way has put or found (`lease.rs`).

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Digest, Index};

use super::{Layout, Repository, Shape, draft, files, lease, partial, tree};
use crate::blocking::blocking;
use crate::dir::io_error;
use crate::entries;
use crate::graph::{self, Deeper};

/// What becomes of manifests that are listed without a tag.
#[expect(clippy::exhaustive_enums, reason = "they stay or they go")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Untagged {
    /// They stay, with all that they lead to.
    Keep,
    /// They go, but for those that an index leads to, and referrers of what stays. So do not those that another tool has
    /// said more about than that they are there.
    Remove,
}

/// What [`Layout::gc`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Collected {
    /// Blobs that were removed, manifests among them.
    pub blobs: u64,
    /// Bytes that this freed. A blob that another repository of a tree shares frees none.
    pub bytes: u64,
    /// Parts of blobs that were removed: somebody began to fetch them, and nobody went on.
    pub parts: u64,
    /// Blobs that nothing leads to and that stay, since they are young or somebody uses them.
    pub kept: u64,
}

impl Layout {
    /// Removes blobs that no manifest leads to, in all repositories, if they are older than `min_age` and were there
    /// before every job that is now filling a [`Draft`](super::Draft). Whoever pushes through another handle has `min_age`
    /// for the time between a blob and the manifest that leads to it: an hour is plenty, and zero is right if nobody does.
    ///
    /// Puts and deletes wait meanwhile; reads do not.
    ///
    /// # Errors
    /// Nothing is removed from a repository of which a manifest is damaged, or lies too deep to be looked at:
    /// `DigestMismatch`, `SizeMismatch`, `ManifestInvalid`, `LimitExceeded`, naming it. `Timeout` if somebody else has the
    /// lock; `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished.
    pub async fn gc(&self, min_age: Duration, untagged: Untagged) -> Result<Collected> {
        let layout = self.clone();
        blocking(move || {
            let mut collected = Collected::default();
            for here in layout.every()? {
                here.collect(min_age, untagged, &mut collected)
                    .map_err(|error| error.during(format_args!("collect garbage in {}", here.dir.path().display())))?;
            }
            Ok(collected)
        })
        .await
    }

    /// All repositories.
    fn every(&self) -> Result<Vec<Repository>> {
        let here = |dir| Repository { dir, layout: self.clone() };
        match self.0.shape {
            Shape::Single => Ok(vec![here(self.0.root.clone())]),
            Shape::Tree => {
                let names = tree::list(&self.0.root, self.limits(), None)?;
                let dirs = names.iter().map(|name| tree::find(&self.0.root, name).transpose());
                dirs.flatten().map(|dir| dir.map(here)).collect()
            }
        }
    }
}

impl Repository {
    fn collect(&self, min_age: Duration, untagged: Untagged, collected: &mut Collected) -> Result<()> {
        let plan = |index: &mut Index| {
            let age = SystemTime::now().checked_sub(min_age).unwrap_or(SystemTime::UNIX_EPOCH);
            let cutoff = lease::oldest(&self.dir)?.map_or(age, |oldest| oldest.min(age));
            if untagged == Untagged::Remove {
                self.drop_untagged(index, cutoff)?;
            }
            let mut reached = HashSet::new();
            self.reach(index, &mut reached)?;
            Ok((reached, cutoff))
        };
        self.change_index_then(plan, |(reached, cutoff)| {
            for digest in files::all(&self.dir)?.into_iter().filter(|digest| !reached.contains(digest)) {
                match self.discard(&digest, cutoff)? {
                    Some(bytes) => (collected.blobs, collected.bytes) = (collected.blobs + 1, collected.bytes + bytes),
                    None => collected.kept += 1,
                }
            }
            draft::sweep(&self.dir, &self.dir)?;
            let (parts, bytes) = partial::collect(&self.dir, cutoff)?;
            (collected.parts, collected.bytes) = (collected.parts + parts, collected.bytes + bytes);
            Ok(())
        })
    }

    /// Adds what an index leads to: manifests, and what they consist of. What is not there leads nowhere.
    fn reach(&self, index: &Index, reached: &mut HashSet<Digest>) -> Result<()> {
        graph::walk(&self.dir, self.limits(), index, Deeper::Refuse, |manifest| {
            reached.insert(manifest.digest.clone());
            let Some(raw) = graph::read(&self.dir, self.limits(), manifest)? else {
                return Ok(ControlFlow::Continue(Vec::new()));
            };
            let parsed = raw.parse().map_err(|source| {
                let what = format!("read manifest {}: not a {}", manifest.digest, manifest.media_type);
                Error::new(ErrorKind::ManifestInvalid, what).with_source(source)
            })?;
            reached.extend(parsed.children().into_iter().map(|child| child.digest.clone()));
            Ok(ControlFlow::Continue(graph::listed(&parsed)))
        })
    }

    /// Takes the entries away that only say that a manifest is there, but for young ones and those that refer to what
    /// stays.
    fn drop_untagged(&self, index: &mut Index, cutoff: SystemTime) -> Result<()> {
        let bare = |entry: &Descriptor| Ok(entries::is_bare(entry) && self.is_older(&entry.digest, cutoff)?);
        let mut kept = Index::new(Vec::new());
        let mut dropped = Vec::new();
        for entry in &index.manifests {
            if bare(entry)? { dropped.push(entry.clone()) } else { kept.manifests.push(entry.clone()) }
        }
        let mut reached = HashSet::new();
        self.reach(&kept, &mut reached)?;
        loop {
            let mut saved = Vec::new();
            for entry in &dropped {
                let subject = graph::parsed(&self.dir, self.limits(), entry)?
                    .and_then(|parsed| parsed.subject().map(|subject| subject.digest.clone()));
                if reached.contains(&entry.digest) || subject.is_some_and(|subject| reached.contains(&subject)) {
                    saved.push(entry.clone());
                }
            }
            if saved.is_empty() {
                break;
            }
            dropped.retain(|entry| !saved.contains(entry));
            self.reach(&Index::new(saved), &mut reached)?;
        }
        index.manifests.retain(|entry| !dropped.contains(entry));
        Ok(())
    }

    fn is_older(&self, digest: &Digest, cutoff: SystemTime) -> Result<bool> {
        let Some(home) = files::home(&self.dir, digest)? else { return Ok(true) };
        match home.file(digest.encoded())? {
            Some(found) => Ok(lease::modified(&found)? < cutoff),
            None => Ok(true),
        }
    }

    /// Removes a blob and gives the bytes that this frees; none if it is young, or somebody has it in hand.
    fn discard(&self, digest: &Digest, cutoff: SystemTime) -> Result<Option<u64>> {
        let Some(home) = files::home(&self.dir, digest)? else { return Ok(None) };
        // What is no file of ours is left to whoever put it there.
        let Ok(Some(found)) = home.file(digest.encoded()) else { return Ok(None) };
        // Until the file is closed: whoever wants to keep it waits, and finds it gone.
        if found.file.try_lock().is_err() || lease::modified(&found)? >= cutoff {
            return Ok(None);
        }
        let links = found.file.metadata().map_err(|error| io_error("look at", &found.path, error))?.nlink();
        home.remove(digest.encoded())?;
        Ok(Some(if links > 1 { 0 } else { found.size }))
    }
}
