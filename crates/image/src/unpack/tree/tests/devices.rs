//! Devices and fifos, for those who may make them and for those who may not (T13).

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::sandbox::{RESOLVERS, Sandbox};
use crate::unpack::tarball::{Header, Tarball};
use crate::unpack::tree::{Privilege, Resolver};

fn devices() -> Tarball {
    Tarball::new()
        .entry(&Header::new(b'3', "null").device(1, 3).mode(0o666), "")
        .entry(&Header::new(b'4', "disk").device(259, 70000).mode(0o1640), "")
        .entry(&Header::new(b'6', "pipe").mode(0o622), "")
        .hard_link("null2", "null")
}

/// Whoever may make devices makes them; a root without the capability, as in many a container, is told.
#[test]
fn devices_are_made_or_are_told() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver).privilege(Privilege::Root);
        let notices = sandbox.unpack(&[devices().finish()]).unwrap().notices;
        let listing = sandbox.listing();
        assert_eq!(listing["pipe"], "fifo 622");
        if !may_make_devices() {
            assert_eq!(notices, LEFT_OUT);
            assert_eq!(sandbox.names(), ["pipe"]);
            continue;
        }
        assert_eq!(notices, [""; 0]);
        assert_eq!(listing["null"], format!("device 666 {}", rustix::fs::makedev(1, 3)));
        assert_eq!(listing["disk"], format!("device 1640 {}", rustix::fs::makedev(259, 70000)));
        assert_eq!(sandbox.stat("null").ino(), sandbox.stat("null2").ino());
        assert_eq!(sandbox.stat("null").mtime(), 1_000_000_000);
    }
}

#[test]
fn as_a_user_devices_are_left_out_and_told_once() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver).privilege(Privilege::User);
        // What was in a device's place is gone all the same.
        let lower = Tarball::new().file("null", "old").dir("disk").file("disk/x", "").file("null2", "old");
        let notices = sandbox.unpack(&[lower.finish(), devices().file("after", "").finish()]).unwrap().notices;
        assert_eq!(sandbox.names(), ["after", "pipe"]);
        assert_eq!(notices, LEFT_OUT);
    }
}

const LEFT_OUT: [&str; 2] = [
    "devices not made, which takes root: 2 (first: \"null\")",
    "hard links to such devices not made: 1 (first: \"null2\")",
];

/// Found out by another way than the one under test.
fn may_make_devices() -> bool {
    let dir = tempfile::tempdir().unwrap();
    Command::new("mknod").arg(dir.path().join("null")).args(["c", "1", "3"]).output().unwrap().status.success()
}

/// A fifo without a reader would hold up whoever opens it.
#[test]
fn fifos_in_the_way_are_never_opened() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let fifo = |name: &str| Header::new(b'6', name);
        let lower =
            ["f", "d", "l", "h", "o"].iter().fold(Tarball::new(), |archive, name| archive.entry(&fifo(name), ""));
        let upper = Tarball::new()
            .file("f", "x")
            .dir("d")
            .symlink("l", "f")
            .hard_link("h", "f")
            .file("o/.wh.x", "")
            .file("o/.wh..wh..opq", "")
            .file(".wh.o", "")
            .finish();
        sandbox.unpack(&[lower.finish(), upper]).unwrap();
        assert_eq!(sandbox.names(), ["d", "f", "h", "l"]);
    }
}

#[test]
fn names_in_a_fifo_are_refused() {
    let archive = Tarball::new().entry(&Header::new(b'6', "p"), "").file("p/x", "").finish();
    let (_, message) = Sandbox::new(Resolver::detect()).refuses(&[archive]);
    assert!(message.contains("no directory"), "{message}");
}
