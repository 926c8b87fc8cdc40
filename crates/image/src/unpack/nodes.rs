//! Devices and fifos (T13).
//!
//! An ordinary user can make no device; it is left out with a notice, and so are hard links to it. Nothing here opens what
//! it made.

use std::os::fd::AsFd;

use gantri_core::{Error, Result};
use rustix::fs::{FileType, Mode, makedev};
use rustix::io::Errno;

use super::entry::At;
use super::metadata::Privilege;
use super::notices::Loss;
use super::tar::{Kind, Member};
use super::tree::Tree;

impl Tree {
    pub(super) fn place_node(&mut self, at: &At<'_>, member: &Member) -> Result<()> {
        let kind = match member.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        if kind != FileType::Fifo && self.restorer.privilege() == Privilege::User {
            self.restorer.note(Loss::Device, &at.plain);
            return self.leave_unmade(at);
        }
        let (mode, device) = (Mode::from_raw_mode(member.metadata.mode), makedev(member.device.0, member.device.1));
        let outcome = self.attempt(at, |directory, name| rustix::fs::mknodat(directory, name, kind, mode, device))?;
        match outcome {
            Ok(()) => self.restorer.set_node(at.directory.as_fd(), at.name, &at.plain, &member.metadata),
            // Root in name only: a container without the capability.
            Err(Errno::PERM) if kind != FileType::Fifo => {
                self.restorer.note(Loss::Device, &at.plain);
                self.leave_unmade(at)
            }
            Err(errno) => Err(Error::io("make the device or fifo", errno.into())),
        }
    }

    /// What was there is gone all the same, for the layer put something else in its place.
    pub(super) fn leave_unmade(&mut self, at: &At<'_>) -> Result<()> {
        self.take_away(at.directory.as_fd(), at.name, &at.plain)?;
        self.unmade.insert(at.plain.clone());
        Ok(())
    }
}
