//! Modes, owners, times and attributes, and their order.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use gantri_core::ErrorKind;

use super::sandbox::{RESOLVERS, Sandbox, may_chown};
use crate::unpack::tarball::{Header, Tarball};
use crate::unpack::tree::{Privilege, Resolver};

const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// `user::rw-`, `user:1:r--`, `group::r--`, `mask::r--`, `other::---`.
const ACL: &[u8] = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\
    \x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";
/// The same, as what a directory's children inherit, with all rights for the named user.
const DEFAULT_ACL: &[u8] = b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x02\0\x07\0\x01\0\0\0\
    \x04\0\x05\0\xff\xff\xff\xff\x10\0\x07\0\xff\xff\xff\xff\x20\0\x05\0\xff\xff\xff\xff";

fn xattr(sandbox: &Sandbox, path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(sandbox.at(path), name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn every_permission_bit_is_restored_whatever_the_umask() {
    let modes = [0o000, 0o200, 0o444, 0o644, 0o666, 0o777, 0o4755, 0o2755, 0o1777, 0o7777, 0o4000];
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let archive = modes.iter().fold(Tarball::new(), |archive, mode| {
            let name = |kind| format!("{kind}{mode:o}");
            archive
                .entry(&Header::new(b'0', name("f")).mode(*mode), "x")
                .entry(&Header::new(b'5', name("d")).mode(*mode), "")
                .file(format!("{}/in", name("d")), "x")
                .entry(&Header::new(b'6', name("p")).mode(*mode), "")
        });
        sandbox.unpack(&[archive.finish()]).unwrap();
        for mode in modes {
            for kind in ["f", "d", "p"] {
                let name = format!("{kind}{mode:o}");
                assert_eq!(sandbox.stat(&name).mode() & 0o7777, mode, "{name}");
            }
        }
    }
}

#[test]
fn times_of_files_links_fifos_and_directories_are_restored_to_the_nanosecond() {
    let records: [(&str, &[u8]); 2] = [("mtime", b"-1.25"), ("atime", b"1600000000.000000007")];
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let archive = Tarball::new()
            .pax(&records)
            .dir("d")
            .pax(&records)
            .file("d/f", "x")
            .pax(&records)
            .symlink("d/l", "f")
            .pax(&records)
            .entry(&Header::new(b'6', "d/p"), "")
            .pax(&records)
            .dir("./")
            .finish();
        // A later layer changes what is in the directory, which must not show in its times.
        sandbox.unpack(&[archive, Tarball::new().file("d/later", "").finish()]).unwrap();
        for path in ["d", "d/f", "d/l", "d/p", ""] {
            let stat = sandbox.stat(path);
            assert_eq!((stat.mtime(), stat.mtime_nsec()), (-2, 750_000_000), "{path}");
            if path == "d/l" || path == "d/p" {
                assert_eq!((stat.atime(), stat.atime_nsec()), (1_600_000_000, 7), "{path}");
            }
        }
    }
}

/// (T13) As an ordinary user: owners stay, and that is said once.
#[test]
fn owners_that_a_user_cannot_give_are_told_once() {
    let sandbox = Sandbox::new(Resolver::detect()).privilege(Privilege::User);
    let other = |flag, name: &str| Header::new(flag, name).owner(4242, 4243).link("x");
    let archive = Tarball::new()
        .file("mine", "")
        .entry(&other(b'0', "first"), "")
        .entry(&other(b'2', "l"), "")
        .entry(&other(b'5', "d"), "")
        .finish();
    let notices = sandbox.unpack(&[archive]).unwrap().notices;
    assert_eq!(notices, ["owners not restored, which takes root: 3 (first: \"first\")"]);
    let me = rustix::process::geteuid().as_raw();
    for path in ["mine", "first", "l", "d"] {
        assert_eq!(sandbox.stat(path).uid(), me);
    }
}

/// (T13) Whoever may give owners gives them, and setuid survives. Who is refused is told, and nothing runs as a root that
/// the image never named.
#[test]
fn owners_and_setuid_are_restored_or_both_are_told() {
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver).privilege(Privilege::Root);
        let other = |flag, name: &str| Header::new(flag, name).owner(4242, 4_000_000_000).mode(0o6755).link("f");
        let archive = Tarball::new()
            .entry(&other(b'0', "f"), "x")
            .entry(&other(b'2', "l"), "")
            .entry(&other(b'5', "d"), "")
            .entry(&other(b'6', "p"), "")
            .entry(&other(b'5', "."), "")
            .file("d/in", "")
            .finish();
        let notices = sandbox.unpack(&[archive]).unwrap().notices;
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let (owner, mode) = if may_chown() { ((4242, 4_000_000_000), 0o6755) } else { ((uid, gid), 0o755) };
        for path in ["f", "l", "d", "p", ""] {
            let stat = sandbox.stat(path);
            assert_eq!((stat.uid(), stat.gid()), owner, "{path}");
            assert!(path == "l" || stat.mode() & 0o7777 == mode, "{path}: {:o}", stat.mode());
        }
        // What lies in a directory with setgid has the group that its own entry says.
        assert_eq!(sandbox.stat("d/in").gid(), gid);
        let told = [
            "owners not restored, which takes root: 5 (first: \"f\")".to_owned(),
            format!("{SET_ID}: 4 (first: \"f\")"),
        ];
        assert_eq!(notices, if may_chown() { &told[..0] } else { &told });
    }
}

const SET_ID: &str = "setuid and setgid bits left out where the owner could not be given";

/// (T13)
#[test]
fn capabilities_survive_owner_and_mode_or_are_told() {
    let sandbox = Sandbox::new(Resolver::detect()).privilege(Privilege::Root);
    let header = Header::new(b'0', "ping").owner(4242, 4242).mode(0o755);
    let records: [(&str, &[u8]); 2] =
        [("SCHILY.xattr.security.capability", CAPABILITY), ("SCHILY.xattr.trusted.a", b"t")];
    let link = Tarball::new().pax(&[("SCHILY.xattr.trusted.l", b"l")]).symlink("l", "ping").unfinished();
    let archive = Tarball::new().pax(&records).entry(&header, "x").raw(link).finish();
    let notices = sandbox.unpack(&[archive]).unwrap().notices;
    let wanted = |value: &'static [u8]| may_chown().then_some(value);
    assert_eq!(xattr(&sandbox, "ping", "security.capability").as_deref(), wanted(CAPABILITY));
    assert_eq!(xattr(&sandbox, "ping", "trusted.a").as_deref(), wanted(b"t"));
    assert_eq!(xattr(&sandbox, "l", "trusted.l").as_deref(), wanted(b"l"));
    let told = [
        "owners not restored, which takes root: 1 (first: \"ping\")",
        "entries with extended attributes that this user or file system does not take: 2 (first: \"ping\")",
    ];
    assert_eq!(notices, if may_chown() { &told[..0] } else { &told });
}

#[test]
fn user_attributes_are_restored_even_on_what_nobody_may_write() {
    let records: [(&str, &[u8]); 2] = [("SCHILY.xattr.user.a", b"one\0two"), ("SCHILY.xattr.user.empty", b"")];
    for resolver in RESOLVERS {
        let sandbox = Sandbox::new(resolver);
        let archive = Tarball::new()
            .pax(&records)
            .entry(&Header::new(b'0', "f").mode(0o444).mtime(99), "x")
            .pax(&records)
            .entry(&Header::new(b'5', "d").mode(0o555).mtime(99), "");
        assert_eq!(sandbox.unpack(&[archive.finish()]).unwrap().notices, [""; 0]);
        for (path, mode) in [("f", 0o444), ("d", 0o555)] {
            assert_eq!(xattr(&sandbox, path, "user.a").as_deref(), Some(&b"one\0two"[..]));
            assert_eq!(xattr(&sandbox, path, "user.empty").as_deref(), Some(&b""[..]));
            assert_eq!((sandbox.stat(path).mode() & 0o7777, sandbox.stat(path).mtime()), (mode, 99));
        }
    }
}

#[test]
fn acls_are_restored_and_not_inherited_while_unpacking() {
    let sandbox = Sandbox::new(Resolver::detect());
    let archive = Tarball::new()
        .pax(&[("SCHILY.xattr.system.posix_acl_access", ACL)])
        // Had the mode the last word, it would narrow the mask.
        .entry(&Header::new(b'0', "f").mode(0o400), "x")
        .pax(&[("SCHILY.xattr.system.posix_acl_default", DEFAULT_ACL)])
        .dir("d")
        .file("d/in", "x")
        .finish();
    sandbox.unpack(&[archive, Tarball::new().file("d/later", "x").finish()]).unwrap();
    assert_eq!(xattr(&sandbox, "f", "system.posix_acl_access").as_deref(), Some(ACL));
    assert_eq!(xattr(&sandbox, "d", "system.posix_acl_default").as_deref(), Some(DEFAULT_ACL));
    for path in ["d/in", "d/later"] {
        assert_eq!(xattr(&sandbox, path, "system.posix_acl_access"), None);
        assert_eq!(sandbox.stat(path).mode() & 0o7777, 0o644);
    }
}

/// The directory that the staging directory lies in must not leave its mark on the tree.
#[test]
fn nothing_is_inherited_from_the_surroundings() {
    let sandbox = Sandbox::new(Resolver::detect());
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(sandbox.root(), "system.posix_acl_default", DEFAULT_ACL, flags).unwrap();
    rustix::fs::chmod(sandbox.root(), rustix::fs::Mode::from_raw_mode(0o2755)).unwrap();
    sandbox.unpack(&[Tarball::new().file("d/f", "x").finish()]).unwrap();
    for path in ["", "d", "d/f"] {
        assert_eq!(xattr(&sandbox, path, "system.posix_acl_access"), None, "{path:?}");
        assert_eq!(xattr(&sandbox, path, "system.posix_acl_default"), None, "{path:?}");
        assert_eq!(sandbox.stat(path).mode() & 0o7000, 0, "{path:?}");
    }
}

/// (T15)
#[test]
fn the_root_is_private_until_it_is_finished() {
    let sandbox = Sandbox::new(Resolver::detect());
    rustix::fs::chmod(sandbox.root(), rustix::fs::Mode::from_raw_mode(0o2777)).unwrap();
    let mut tree = sandbox.tree();
    tree.apply(&mut Tarball::new().dir("./").dir("d").finish().as_slice()).unwrap();
    for path in ["", "d"] {
        assert_eq!(sandbox.stat(path).mode() & 0o7777, 0o700, "{path:?}");
    }
    tree.finish().unwrap();
    assert_eq!(sandbox.stat("").mode() & 0o7777, 0o755);
}

#[test]
fn attributes_that_are_not_taken_are_told_once() {
    let sandbox = Sandbox::new(Resolver::detect());
    let strange: [(&str, &[u8]); 1] = [("SCHILY.xattr.strange.name", b"x")];
    let archive = Tarball::new().pax(&strange).file("a", "").pax(&strange).file("b", "").finish();
    let notices = sandbox.unpack(&[archive]).unwrap().notices;
    assert_eq!(
        notices,
        ["entries with extended attributes that this user or file system does not take: 2 (first: \"a\")"]
    );
}

/// (T13)
#[test]
fn attributes_of_overlayfs_never_reach_the_tree() {
    for name in ["trusted.overlay.redirect", "trusted.overlay.opaque"] {
        let key = format!("SCHILY.xattr.{name}");
        for archive in [Tarball::new().pax(&[(&key, b"y")]).dir("d"), Tarball::new().pax(&[(&key, b"y")]).file("f", "")]
        {
            let (kind, message) = Sandbox::new(Resolver::detect()).refuses(&[archive.finish()]);
            assert_eq!(kind, ErrorKind::LayerInvalid);
            assert!(message.contains(name), "{message}");
        }
    }
    let sandbox = Sandbox::new(Resolver::detect());
    let archive = Tarball::new().pax(&[("SCHILY.xattr.user.overlay.opaque", b"y")]).file("f", "").finish();
    let notices = sandbox.unpack(&[archive]).unwrap().notices;
    assert_eq!(notices, ["entries with `user.overlay.` attributes, which were left out: 1 (first: \"f\")"]);
    assert_eq!(xattr(&sandbox, "f", "user.overlay.opaque"), None);
}

/// The widest-spread writer is the measure: what GNU tar packs comes back as it was.
#[test]
fn an_archive_of_gnu_tar_comes_back_as_it_was() {
    let source = Sandbox::new(Resolver::detect());
    let archive = Tarball::new()
        .entry(&Header::new(b'0', "a file é").mode(0o4711).mtime(-7), "x")
        .hard_link("hard", "a file é")
        .symlink("soft", "a file é")
        .entry(&Header::new(b'5', "d").mode(0o1777), "")
        .long(b'L', format!("d/{}", "n".repeat(200)))
        .file("cut", "long")
        .entry(&Header::new(b'6', "pipe"), "");
    source.unpack(&[archive.finish()]).unwrap();
    let sparse = std::fs::File::create(source.at("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 5 << 20).unwrap();
    sparse.set_len(9 << 20).unwrap();
    for format in
        ["--format=gnu", "--format=posix", "--format=posix --sparse-version=0.0", "--format=posix --sparse-version=0.1"]
    {
        let mut tar = Command::new("tar");
        tar.args(format.split(' ')).args(["--sparse", "-C"]).arg(source.root()).args(["-cf", "-", "."]);
        let output = tar.output().unwrap();
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let back = Sandbox::new(Resolver::detect());
        back.unpack(&[output.stdout]).unwrap();
        assert_eq!(back.listing(), source.listing(), "{format}");
        for path in source.names() {
            let (found, expected) = (back.stat(&path), source.stat(&path));
            assert_eq!((found.mtime(), found.nlink()), (expected.mtime(), expected.nlink()), "{format} {path}");
        }
        assert!(back.stat("sparse").blocks() < 1000, "{format}");
    }
}
