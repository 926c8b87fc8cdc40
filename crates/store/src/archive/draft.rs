//! An archive that grows where nobody sees it, and comes to its name in one step.
//!
//! Blobs arrive in any order and several at a time, an archive has them one after the other: so they are gathered in an
//! image layout in a directory beside the target, and written out at the end. A process that dies on the way leaves the
//! old file or the new one under the name, and a directory that the next draft beside it sweeps away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::Reference;

use super::workshop::Workshop;
use super::write::{Plan, write};
use super::{Archive, ArchiveKind};
use crate::blocking::blocking;
use crate::dir::{Dir, io_error};
use crate::layout::Layout;
use crate::layout::lock::{WAIT, patiently, try_lock};

/// What becomes of a file that has the name of a new archive.
#[expect(clippy::exhaustive_enums, reason = "there is no fourth thing to do with it")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// It stays, and making the archive fails.
    Refuse,
    /// The new archive takes its place, whatever it was.
    Replace,
    /// If it is an archive of the same kind, its images are in the new one too, but for those whose names were given
    /// away; what only those used is left out. Anything else stays, and making the archive fails.
    Add,
}

/// An archive to be filled.
///
/// Dropped before it is published, it leaves nothing behind.
#[derive(Debug)]
pub struct ArchiveDraft {
    layout: Layout,
    workshop: Workshop,
    target: PathBuf,
    kind: ArchiveKind,
    existing: Existing,
    names: Vec<Reference>,
}

impl Archive {
    /// Begins an archive that comes to be at `path` with [`ArchiveDraft::publish`]. The directory must be there, and its
    /// file system have room for the content twice.
    ///
    /// # Errors
    /// `Conflict` if there is something that `existing` does not allow for; `NotARegistry` and the like if it is to be
    /// added to and is no archive; `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished, and dropped.
    pub async fn draft(path: impl AsRef<Path>, kind: ArchiveKind, existing: Existing) -> Result<ArchiveDraft> {
        let path = path.as_ref().to_owned();
        blocking(move || ArchiveDraft::begin(&path, kind, existing)).await
    }
}

impl ArchiveDraft {
    /// The registry to fill: an image layout, a repository under every name.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where files may be written that are moved into it.
    pub fn scratch_dir(&self) -> &Path {
        self.workshop.path()
    }

    /// Says what images are called in full, which `docker load` needs: with a tag, the image that was put under that tag;
    /// without one, every image that has a tag and no name of its own. A digest is not looked at.
    pub fn name(&mut self, reference: Reference) {
        self.names.push(reference);
    }

    /// Writes the archive and gives it its name, in one step: whoever opens it sees the old file or the new one. The same
    /// content makes the same bytes, on every machine.
    ///
    /// # Errors
    /// `Conflict` if there is something that was not to be there; `Unsupported` if a docker-archive was to hold what
    /// Docker can't load from one: an index of several platforms, say; those of the archive that is added to; `Io`.
    /// Nothing is left behind then.
    ///
    /// # Cancel safety
    /// What was begun is finished.
    pub async fn publish(self) -> Result<()> {
        blocking(move || self.finish()).await
    }

    fn begin(path: &Path, kind: ArchiveKind, existing: Existing) -> Result<Self> {
        // A link is followed here, once: what it names is replaced, not the link.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let occupied = target.symlink_metadata().ok();
        if occupied.as_ref().is_some_and(|found| !found.is_file()) {
            return Err(taken(
                path,
                "it is not a file",
                "name a file that is an archive, or one that is not there yet",
            ));
        }
        match (existing, occupied) {
            (Existing::Refuse, Some(_)) => return Err(taken(path, "there is a file already", ELSEWHERE)),
            // An empty file holds no image: it is a name that somebody has set aside, as mktemp does.
            (Existing::Add, Some(found)) if found.len() > 0 => drop(readable(&target, kind)?),
            _ => {}
        }
        let workshop = Workshop::beside(&target)?;
        let layout = Layout::begin_in(workshop.dir().clone().shown_as(path))?;
        Ok(Self { layout, workshop, target, kind, existing, names: Vec::new() })
    }

    fn finish(self) -> Result<()> {
        for _ in 0..MAX_TRIES {
            let old = match self.existing {
                Existing::Add => self.lock_existing()?,
                Existing::Refuse | Existing::Replace => None,
            };
            let plan = Plan::new(
                &self.layout,
                old.as_ref().and_then(|(archive, _)| archive.as_ref()),
                &self.names,
                self.kind,
            )?;
            let (name, file) = self.workshop.file()?;
            write(&plan, &file, &self.target)?;
            file.sync_all().map_err(|error| io_error("write", &self.target, error))?;
            drop(file);
            let may_replace = self.existing == Existing::Replace || old.is_some();
            if self.workshop.publish(&name, may_replace)? {
                return Ok(());
            }
            if self.existing == Existing::Refuse {
                break;
            }
        }
        Err(taken(&self.target, "somebody else made a file there", ELSEWHERE))
    }

    /// The file to add to, if there is one, and the archive that it is, if it is not empty, for this process alone: whoever
    /// else adds to it waits.
    fn lock_existing(&self) -> Result<Option<(Option<Archive>, Arc<File>)>> {
        let locked = patiently(|| {
            if self.target.symlink_metadata().is_err() {
                return Ok(Some(None));
            }
            let opened = Dir::open_archive(&self.target)?;
            let file = Arc::clone(&opened.file);
            // Whoever had the lock before has put another file there.
            if !try_lock(&file, &self.target)? || !self.workshop.is_target(&file)? {
                return Ok(None);
            }
            if opened.size == 0 {
                return Ok(Some(Some((None, file))));
            }
            Archive::read(opened)
                .and_then(|archive| of_kind(archive, &self.target, self.kind))
                .map(|it| Some(Some((Some(it), file))))
        })?;
        locked.ok_or_else(|| {
            let what = format!("lock {}: somebody else has been adding to it for {WAIT:?}", self.target.display());
            Error::new(ErrorKind::Timeout, what)
        })
    }
}

fn readable(path: &Path, kind: ArchiveKind) -> Result<Archive> {
    of_kind(Archive::read(Dir::open_archive(path)?)?, path, kind)
}

fn of_kind(archive: Archive, path: &Path, kind: ArchiveKind) -> Result<Archive> {
    if archive.kind() == kind {
        return Ok(archive);
    }
    let (is, asked) = (archive.kind().name(), kind.name());
    Err(taken(path, &format!("it is of kind {is}, and {asked} was asked for"), "choose another name"))
}

fn taken(path: &Path, why: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("target {}: {why}", path.display())).with_hint(hint)
}

/// What to do about a file that is in the way.
const ELSEWHERE: &str = "choose another name, or have it replaced";

/// How often somebody else may come first.
const MAX_TRIES: u32 = 100;
