//! Whiteouts: what a layer hides of the layers below it.
//!
//! `.wh.NAME` hides `NAME`, `.wh..wh..opq` hides all that its directory had, and neither touches what the same layer
//! brings, whichever comes first in the archive (T11): the result is as if whiteouts were applied before entries. Every
//! directory is looked through once a layer at most (T9).

use std::os::fd::AsFd;

use gantri_core::{Error, ErrorKind, Result};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::discard;
use super::marks::Mark;
use super::path;
use super::root::Missing;
use super::tree::Tree;

/// What the last component of a path says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Name<'a> {
    /// An entry like any other.
    Plain,
    /// Hides this name in the same directory.
    Whiteout(&'a [u8]),
    /// Hides everything in the same directory.
    Opaque,
    /// Notes that AUFS kept for itself; older images carry them, everybody skips them.
    Bookkeeping,
}

const PREFIX: &[u8] = b".wh.";
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Reads a plain path. No name may begin with `.wh.` but a whiteout's own.
pub(super) fn read(plain: &[u8]) -> Result<Name<'_>> {
    let (parent, name) = path::split(plain);
    for component in parent.split(|byte| *byte == b'/') {
        if component.starts_with(META) {
            return Ok(Name::Bookkeeping);
        }
        if component.starts_with(PREFIX) {
            return Err(refused("a whiteout with something beneath it"));
        }
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Name::Plain),
        Some(_) if name == OPAQUE => Ok(Name::Opaque),
        Some(_) if name.starts_with(META) => Ok(Name::Bookkeeping),
        Some(b"" | b"." | b"..") => Err(refused("a whiteout that names no plain file")),
        Some(hidden) => Ok(Name::Whiteout(hidden)),
    }
}

impl Tree {
    /// Hides a name that lower layers brought. What is not there needs no hiding.
    pub(super) fn hide(&mut self, parent: &[u8], name: &[u8]) -> Result<()> {
        let Some(directory) = self.root.directory(parent, Missing::Report)? else { return Ok(()) };
        let mut plain = directory.path.clone();
        path::join(&mut plain, name);
        if self.marks.has(Mark::Brought, &plain) {
            return self.hide_beneath(plain);
        }
        if self.marks.has(Mark::Holds, &plain) {
            self.directories.imply(&plain);
            return self.hide_beneath(plain);
        }
        self.take_away(directory.as_fd(), name, &plain)
    }

    /// Hides all that lower layers brought into a directory.
    pub(super) fn hide_contents(&mut self, named: &[u8]) -> Result<()> {
        match self.root.directory(named, Missing::Report)? {
            Some(directory) => self.hide_beneath(directory.path.clone()),
            None => Ok(()),
        }
    }

    fn hide_beneath(&mut self, plain: Vec<u8>) -> Result<()> {
        let mut pending = vec![plain];
        while let Some(plain) = pending.pop() {
            if self.marks.set(Mark::Pure, &plain) {
                self.hide_within(&plain, &mut pending)?;
            }
        }
        Ok(())
    }

    /// Goes through one directory; those that the current layer had a part in are left to `pending`.
    fn hide_within(&mut self, plain: &[u8], pending: &mut Vec<Vec<u8>>) -> Result<()> {
        let directory = match self.root.open_plain(plain) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(Error::io(format!("open {}", path::shown(plain)), errno.into())),
        };
        let mut hidden = Vec::new();
        discard::list(directory.as_fd(), |name, kind| {
            self.visited += 1;
            let mut child = plain.to_vec();
            path::join(&mut child, name.to_bytes());
            let brought = self.marks.has(Mark::Brought, &child);
            let holds = self.marks.has(Mark::Holds, &child);
            match (brought || holds, kind) {
                (false, _) => hidden.push(name.to_owned()),
                (true, FileType::Directory | FileType::Unknown) => {
                    if !brought {
                        self.directories.imply(&child);
                    }
                    pending.push(child);
                }
                (true, _) => {}
            }
            Ok(())
        })
        .map_err(|errno| Error::io(format!("list {}", path::shown(plain)), errno.into()))?;
        for name in hidden {
            let mut child = plain.to_vec();
            path::join(&mut child, name.to_bytes());
            self.take_away(directory.as_fd(), name.to_bytes(), &child)?;
        }
        Ok(())
    }
}

fn refused(rule: &str) -> Error {
    Error::new(ErrorKind::LayerInvalid, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_can_be_whited_out() {
        let cases: [(&str, Option<Name<'_>>); 16] = [
            ("a", Some(Name::Plain)),
            ("a/b", Some(Name::Plain)),
            ("a/.wh", Some(Name::Plain)),
            ("a/x.wh.b", Some(Name::Plain)),
            (".wh.a", Some(Name::Whiteout(b"a"))),
            ("d/.wh.a", Some(Name::Whiteout(b"a"))),
            ("d/.wh.a b", Some(Name::Whiteout(b"a b"))),
            ("d/.wh....", Some(Name::Whiteout(b"..."))),
            ("d/.wh.", None),
            ("d/.wh..", None),
            ("d/.wh...", None),
            ("d/.wh..wh..opq", Some(Name::Opaque)),
            ("d/.wh..wh..opqx", Some(Name::Bookkeeping)),
            ("d/.wh..wh.foo", Some(Name::Bookkeeping)),
            (".wh..wh.plnk/27.1", Some(Name::Bookkeeping)),
            ("d/.wh.a/b", None),
        ];
        for (path, expected) in cases {
            assert_eq!(read(path.as_bytes()).ok(), expected, "{path}");
        }
    }
}
