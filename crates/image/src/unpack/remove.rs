//! Removes a tree of any depth without recursion and with two open directories (T10).
//!
//! Every directory that is found below another is first moved up to the top, where it waits for its turn: so no path is
//! ever longer than one name, and a tree a million levels deep costs no stack and no handles.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Removes the directory `top` and all that is in it. Links are removed, never followed.
pub(crate) fn remove_tree(top: &Path) -> io::Result<()> {
    let handle = open(CWD, top)?;
    let mut moved = 0;
    loop {
        let directories = clear(&handle)?;
        if directories.is_empty() {
            break;
        }
        for name in directories {
            let directory = open(&handle, name.as_c_str())?;
            for below in clear(&directory)? {
                move_up(&directory, &below, &handle, &mut moved)?;
            }
            rustix::fs::unlinkat(&handle, &name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(rustix::fs::unlinkat(CWD, top, AtFlags::REMOVEDIR)?)
}

/// Opens a directory so that it can be emptied, whatever mode it was given.
fn open(parent: impl AsFd + Copy, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(parent, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    rustix::fs::fchmod(&handle, Mode::RWXU)?;
    Ok(handle)
}

/// Removes all that is no directory; gives the names of the directories.
fn clear(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Unknown => {
                let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(status.st_mode) == FileType::Directory
            }
            known => known == FileType::Directory,
        };
        if is_directory {
            directories.push(name.to_owned());
        } else {
            rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
        }
    }
    Ok(directories)
}

fn move_up(from: &OwnedFd, name: &CString, top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    // Moving a directory elsewhere changes its `..`, which needs leave to write to it.
    rustix::fs::chmodat(from, name, Mode::RWXU, AtFlags::empty())?;
    loop {
        *moved += 1;
        match rustix::fs::renameat(from, name, top, format!("removed-{moved}")) {
            // A name of the tree's own: try the next.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            done => return Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_tree_goes_whatever_is_in_it_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, bait) = (dir.path().join("tree"), dir.path().join("bait"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(tree.join("removed-1/x")).unwrap();
        fs::write(tree.join("removed-2"), "").unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        fs::create_dir(&bait).unwrap();
        fs::write(bait.join("file"), "").unwrap();
        symlink(&bait, tree.join("link")).unwrap();
        symlink("../../bait", tree.join("a/link")).unwrap();
        for locked in ["a/b/c", "a/b", "removed-1"] {
            fs::set_permissions(tree.join(locked), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && bait.join("file").exists());
    }

    #[test]
    fn a_tree_deeper_than_any_stack_or_handle_table_goes() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("tree");
        fs::create_dir(&top).unwrap();
        let mut at = open(CWD, top.as_path()).unwrap();
        for _ in 0..20_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open(&at, "d").unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }
}
