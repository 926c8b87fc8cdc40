//! The directory beside an archive in which it is made: on the same file system, so that one rename makes it the archive.
//!
//! It is locked as long as its process lives; those of dead processes are swept away by whoever makes the next one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};

use crate::dir::{Dir, io_error, is_overtaken};
use crate::layout::scratch::{PREFIX, random_id};

/// Removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Workshop {
    home: Dir,
    inside: Dir,
    name: String,
    target: String,
}

impl Workshop {
    /// A new one in the directory that a file of this path lies in, or is to lie in.
    pub(super) fn beside(target: &Path) -> Result<Self> {
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(target) = target.file_name().and_then(|name| name.to_str()) else {
            return Err(io_error("create", target, io::ErrorKind::InvalidFilename.into()));
        };
        let missing = || {
            let what = format!("directory {}: it is not there", parent.display());
            Error::new(ErrorKind::Io, what).with_hint("make it, or choose another")
        };
        let home = Dir::open_root(parent)?.ok_or_else(missing)?;
        sweep(&home)?;
        for _ in 0..MAX_TRIES {
            let name = format!("{NAME}{}", random_id()?);
            let inside = match home.make_private_dir(&name) {
                Err(error) if is_overtaken(&error) => continue,
                outcome => outcome?,
            };
            let workshop = Self { home: home.clone(), inside, name, target: target.to_owned() };
            // A sweep between the two calls may have taken it for abandoned: then it is gone, or about to be.
            if workshop.inside.try_lock()? && home.is_at(&workshop.inside, &workshop.name)? {
                return Ok(workshop);
            }
        }
        Err(io_error("create a directory in", parent, io::ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.inside
    }

    pub(super) fn path(&self) -> &Path {
        self.inside.path()
    }

    /// A new, empty file, and its name in here. Who may read and write it is who may read and write the file at the target, if
    /// there is one: what its owner keeps to himself stays so.
    pub(super) fn file(&self) -> Result<(String, File)> {
        let name = format!("{PREFIX}{}", random_id()?);
        let taken = || io_error("create", &self.inside.path_of(&name), io::ErrorKind::AlreadyExists.into());
        let file = self.inside.create(&name)?.ok_or_else(taken)?;
        let wanted = self.home.permissions_of(&self.target)?;
        // Where modes can't be set, all files have the same one.
        if let Some(wanted) = wanted.filter(|wanted| self.inside.permissions_of(&name).ok().flatten() != Some(*wanted))
        {
            self.inside.permit(&name, &file, wanted)?;
        }
        Ok((name, file))
    }

    /// Gives a file in here the name of the target, if that is free or may be replaced; whether it has it now.
    pub(super) fn publish(&self, name: &str, may_replace: bool) -> Result<bool> {
        if may_replace {
            return self.inside.rename(name, &self.home, &self.target).map(|()| true);
        }
        self.inside.rename_new(name, &self.home, &self.target)
    }

    /// Whether this is the file that has the name of the target now.
    pub(super) fn is_target(&self, file: &File) -> Result<bool> {
        self.home.is_at(file, &self.target)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let path: PathBuf = self.home.path_of(&self.name);
        // A write that has begun may still add a name while the others are taken away.
        let gone = (0..REMOVALS).any(|_| fs::remove_dir_all(&path).is_ok() || !path.exists());
        if !gone {
            tracing::warn!(path = %path.display(), "an unfinished archive stays behind until the next one");
        }
    }
}

/// Removes what dead processes left: their locks are free. Nothing else can have such a name.
fn sweep(home: &Dir) -> Result<()> {
    let is_ours = |name: &&String| name.strip_prefix(NAME).is_some_and(|id| id.len() == 32);
    for name in home.dir_names()?.iter().filter(is_ours) {
        // One that can't be opened is not ours to judge.
        let Ok(Some(left)) = home.dir(name) else { continue };
        if left.try_lock()?
            && let Err(error) = fs::remove_dir_all(home.path_of(name))
        {
            tracing::debug!(%error, "what a dead process left stays behind");
        }
    }
    Ok(())
}

/// Begins the name of every such directory; 32 digits follow.
const NAME: &str = ".gantri-archive-";
/// How often somebody else may come first.
const MAX_TRIES: u32 = 100;
const REMOVALS: u32 = 100;
