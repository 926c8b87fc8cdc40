//! Somebody else at work in the tree while it grows (T15): directories and links change places all the time, and still
//! nothing beside the root is touched. The tree itself may come out wrong, or not at all.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};

use super::sandbox::{RESOLVERS, Sandbox};
use crate::unpack::tarball::{Header, Tarball};

fn attack() -> Vec<u8> {
    Tarball::new()
        .file("d/canary", "evil")
        .entry(&Header::new(b'5', "d/etc").mode(0o777).mtime(1), "")
        .file("d/etc/passwd", "evil")
        .file("d/etc/deep/er/f", "evil")
        .symlink("d/link", "evil")
        .hard_link("h", "d/canary")
        .hard_link("d/h", "d/etc/passwd")
        .entry(&Header::new(b'6', "d/pipe").mode(0o777), "")
        .entry(&Header::new(b'5', "d").mode(0o777).mtime(1), "")
        .file("d/.wh.canary", "")
        .file("d/etc/.wh..wh..opq", "")
        .file("d/.wh..wh..opq", "")
        .file(".wh.h", "")
        .finish()
}

/// One round of the swapper: directory and link change names. Where the attack removed one of them, it is put back.
fn swap(directory: &Path, link: &Path, outside: &Path) {
    let _ = rustix::fs::renameat_with(CWD, directory, CWD, link, RenameFlags::EXCHANGE);
    if !directory.is_symlink() && !link.is_symlink() {
        let _ = fs::remove_dir_all(link).or_else(|_| fs::remove_file(link));
        let _ = symlink(outside, link);
    }
    let _ = fs::create_dir(directory);
    let _ = fs::create_dir(directory.join("etc"));
}

#[test]
fn swapping_directories_for_links_gains_nothing() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        // Where the swapper itself must do no harm: what it makes in `outside` is there already.
        let before = sandbox.neighbours();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    swap(&sandbox.at("d"), &sandbox.at("l"), &sandbox.outside());
                }
            });
            let end = Instant::now() + Duration::from_millis(700);
            let mut rounds = 0;
            // For a while, and on a busy machine for long enough.
            while rounds < 8 || Instant::now() < end {
                let mut tree = sandbox.tree();
                let applied = (0..3).try_for_each(|_| tree.apply(&mut BufReader::new(attack().as_slice())));
                let _ = applied.and_then(|()| tree.finish());
                rounds += 1;
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(sandbox.neighbours(), before, "{resolver:?}");
    }
}
