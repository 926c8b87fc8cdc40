//! Symbolic and hard links.
//!
//! A symbolic link may point anywhere, for nothing here ever follows it. A hard link only gives another name to what the
//! tree holds (T4).

use std::os::fd::AsFd;

use gantri_core::{Error, Result};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::entry::{At, invalid, is_directory, kind_of};
use super::notices::Loss;
use super::path::{self, shown};
use super::root::Missing;
use super::tar::Member;
use super::tree::{Tree, child};

impl Tree {
    pub(super) fn place_symlink(&mut self, at: &At<'_>, member: &Member) -> Result<()> {
        let target = member.link.as_slice();
        if target.is_empty() {
            return Err(invalid("a symbolic link to nothing"));
        }
        // The kernel counts the NUL at the end.
        if target.len() >= self.limits.unpack_path.min(4096) {
            return Err(Error::limit("a link's target", "unpack_path", self.limits.unpack_path));
        }
        self.make(at, |directory, name| rustix::fs::symlinkat(target, directory, name))?;
        self.restorer.set_link(at.directory.as_fd(), at.name, &at.plain, &member.metadata)
    }

    /// Another name for what this tree already holds. The target is found like every path, within the root and without
    /// following its last component (T4). Its metadata is the target's, whatever the entry says.
    pub(super) fn place_hard_link(&mut self, at: &At<'_>, member: &Member) -> Result<()> {
        let mut target = Vec::new();
        path::normalize(&member.link, &self.limits, &mut target)
            .map_err(|error| error.during(format_args!("hard link to {}", shown(&member.link))))?;
        let (parent, name) = path::split(&target);
        let absent = || invalid(format!("a hard link to {}, which is not there", shown(&member.link)));
        let directory = self.root.directory(parent, Missing::Report)?.ok_or_else(absent)?;
        let plain = child(&directory.path, name);
        if name.is_empty() {
            return Err(invalid("a hard link to the root"));
        }
        if plain == at.plain {
            return Self::check_link_to_itself(at);
        }
        match self.attempt(at, |to, to_name| rustix::fs::linkat(&*directory, name, to, to_name, AtFlags::empty()))? {
            Ok(()) => Ok(()),
            Err(Errno::PERM) if is_directory(&directory, name, &plain)? => {
                Err(invalid(format!("a hard link to {}, which is a directory", shown(&member.link))))
            }
            Err(Errno::NOENT) if self.unmade.contains(&plain) => {
                self.restorer.note(Loss::LinkToDevice, &at.plain);
                self.leave_unmade(at)
            }
            Err(Errno::NOENT) => Err(absent()),
            Err(errno) => Err(Error::io(format!("link it to {}", shown(&target)), errno.into())),
        }
    }

    /// Nothing is to be done, and what stands there must not be removed first; but it must be there.
    fn check_link_to_itself(at: &At<'_>) -> Result<()> {
        match kind_of(&at.directory, at.name, &at.plain)? {
            None => Err(invalid("a hard link to itself, which is not there")),
            Some(FileType::Directory) => Err(invalid("a hard link to itself, which is a directory")),
            Some(_) => Ok(()),
        }
    }
}
