//! Two names for one file, on file systems that fold case or Unicode (T14).
//!
//! Where names fold, a layer's `A` would silently overwrite its own `a`. Only there every new name's inode is
//! remembered, and a second name that meets it is an error that tells both.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

use super::path::shown;

/// The names of the current layer by device and inode.
#[derive(Default)]
pub(super) struct Collisions {
    names: HashMap<(u64, u64), Vec<u8>>,
}

impl Collisions {
    /// A new layer may overwrite what lower ones named.
    pub(super) fn clear(&mut self) {
        self.names.clear();
    }

    /// Remembers a name just made.
    pub(super) fn remember(&mut self, directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<()> {
        if let Some(identity) = identity(directory, name)? {
            self.names.insert(identity, path.to_vec());
        }
        Ok(())
    }

    /// Refuses a name that is taken by another name of the same layer.
    pub(super) fn check(&self, directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<()> {
        let known = identity(directory, name)?.and_then(|identity| self.names.get(&identity));
        match known.filter(|known| *known != path) {
            None => Ok(()),
            Some(known) => {
                let rule = format!("{} and {} are one file on this file system", shown(known), shown(path));
                Err(Error::new(ErrorKind::LayerInvalid, rule))
            }
        }
    }
}

#[expect(clippy::unnecessary_cast, reason = "the width of these fields depends on the architecture")]
fn identity(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Option<(u64, u64)>> {
    let identify = |stat: Stat| (stat.st_dev as u64, stat.st_ino as u64);
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(identify(stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io("look at its name", errno.into())),
    }
}
