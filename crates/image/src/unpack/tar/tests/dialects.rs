//! What honest writers write, in all their ways.

use super::{only, paths, read};
use crate::unpack::tar::Kind;
use crate::unpack::tarball::{GNU, Header, Tarball, seal};

#[test]
fn every_kind_is_told_apart() {
    use Kind::{BlockDevice, CharDevice, Directory, Fifo, File, HardLink, Symlink};
    let archive = Tarball::new()
        .dir("d/")
        .file("d/f", "hello")
        .entry(&Header::new(0, "old"), "x")
        .entry(&Header::new(b'7', "contiguous"), "y")
        .entry(&Header::new(b'0', "slash/"), "")
        .symlink("s", "d/f")
        .hard_link("h", "d/f")
        .entry(&Header::new(b'3', "c").device(1, 3), "")
        .entry(&Header::new(b'4', "b").device(8, 0), "")
        .entry(&Header::new(b'6', "p"), "")
        .finish();
    let kinds: Vec<Kind> = read(&archive).unwrap().into_iter().map(|seen| seen.kind).collect();
    assert_eq!(kinds, [Directory, File, File, File, Directory, Symlink, HardLink, CharDevice, BlockDevice, Fifo]);
}

#[test]
fn contents_end_where_the_size_says_and_the_next_header_is_found() {
    for size in [0, 1, 511, 512, 513, 70_000] {
        let contents: Vec<u8> = (0..size).map(|index: u32| index.to_le_bytes()[0]).collect();
        let archive = Tarball::new().file("a", &contents).file("b", "end").finish();
        let seen = read(&archive).unwrap();
        assert_eq!(seen[0].contents, contents);
        assert_eq!(seen[1].contents, b"end");
    }
}

#[test]
fn long_names_come_from_prefix_gnu_and_pax_headers() {
    let long = format!("{}/é {}", "d".repeat(120), "f".repeat(120));
    let link = "l".repeat(300);
    let mut block = Header::new(b'0', "name").block(0);
    block[345..351].copy_from_slice(b"prefix");
    seal(&mut block);
    assert_eq!(paths(&Tarball::new().raw(block).finish()), ["prefix/name"]);

    let gnu = Header::new(b'2', "cut").link("cut").magic(GNU);
    let seen = read(&Tarball::new().long(b'L', &long).long(b'K', &link).entry(&gnu, "").finish()).unwrap();
    assert_eq!((&seen[0].path, &seen[0].link), (&long, &link));

    let records: [(&str, &[u8]); 2] = [("path", long.as_bytes()), ("linkpath", link.as_bytes())];
    let seen = read(&Tarball::new().pax(&records).symlink("cut", "cut").finish()).unwrap();
    assert_eq!((&seen[0].path, &seen[0].link), (&long, &link));
}

#[test]
fn records_hold_for_the_next_entry_only() {
    let archive = Tarball::new().pax(&[("path", b"renamed")]).file("a", "").file("b", "").finish();
    assert_eq!(paths(&archive), ["renamed", "b"]);
}

#[test]
fn an_empty_record_leaves_the_header_in_force() {
    let archive = Tarball::new().pax(&[("path", b""), ("size", b""), ("mtime", b"")]).file("a", "x").finish();
    assert_eq!(read(&archive).unwrap()[0].contents, b"x");
}

#[test]
fn numbers_beyond_octal_are_read_in_base_256_and_pax() {
    let member =
        only(&Tarball::new().entry(&Header::new(b'0', "a").owner(4_000_000_000, 3_000_000).mtime(-5), "").finish());
    assert_eq!((member.metadata.uid, member.metadata.gid), (4_000_000_000, 3_000_000));
    assert_eq!(member.metadata.modified.tv_sec, -5);
    let records: [(&str, &[u8]); 4] =
        [("uid", b"4294967294"), ("gid", b"7"), ("mtime", b"-1.25"), ("atime", b"12.000000001")];
    let member = only(&Tarball::new().pax(&records).file("a", "").finish());
    assert_eq!((member.metadata.uid, member.metadata.gid), (4_294_967_294, 7));
    assert_eq!((member.metadata.modified.tv_sec, member.metadata.modified.tv_nsec), (-2, 750_000_000));
    assert_eq!((member.metadata.accessed.tv_sec, member.metadata.accessed.tv_nsec), (12, 1));
}

#[test]
fn the_mode_is_cut_to_permissions() {
    let member = only(&Tarball::new().entry(&Header::new(b'0', "a").mode(0o10_4755), "").finish());
    assert_eq!(member.metadata.mode, 0o4755);
}

#[test]
fn attributes_come_in_both_spellings_and_stars_wins() {
    let records: [(&str, &[u8]); 5] = [
        ("LIBARCHIVE.xattr.user.both", b"b2xk"),
        ("SCHILY.xattr.user.both", b"new"),
        ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\n="),
        ("LIBARCHIVE.xattr.user.a%3Db", b"AP8"),
        ("SCHILY.xattr.user.empty", b""),
    ];
    let member = only(&Tarball::new().pax(&records).file("a", "").finish());
    let found: Vec<(&[u8], &[u8])> =
        member.metadata.xattrs.iter().map(|xattr| (xattr.name.as_slice(), xattr.value.as_slice())).collect();
    let expected: [(&[u8], &[u8]); 4] = [
        (b"user.both", b"new"),
        (b"security.capability", b"\x01\0\0\x02\n="),
        (b"user.empty", b""),
        (b"user.a=b", b"\0\xff"),
    ];
    assert_eq!(found, expected);
}

/// (T6) The PAX size decides where the next header is; a reader that believes the header sees the smuggled file.
#[test]
fn the_size_of_a_record_wins_over_the_headers() {
    let inner = Tarball::new().file("smuggled", "evil").unfinished();
    let size = inner.len().to_string();
    for stated in [0, 1, 512, 4096] {
        let archive = Tarball::new()
            .pax(&[("size", size.as_bytes())])
            .entry(&Header::new(b'0', "outer").size(stated), &inner)
            .file("after", "")
            .finish();
        assert_eq!(paths(&archive), ["outer", "after"], "{stated}");
    }
    let archive = Tarball::new().pax(&[("size", b"0")]).entry(&Header::new(b'0', "outer"), "").raw(&inner).finish();
    assert_eq!(paths(&archive), ["outer", "smuggled"]);
}

/// (T6) The size of a record is the member's, never that of another extended header on the way to it.
#[test]
fn the_size_of_a_record_does_not_reach_a_long_name() {
    let archive = Tarball::new()
        .pax(&[("size", b"5")])
        .long(b'L', "n".repeat(600))
        .entry(&Header::new(b'0', "n").magic(GNU).size(0), "hello")
        .finish();
    let seen = read(&archive).unwrap();
    assert_eq!((seen.len(), seen[0].path.len(), seen[0].contents.as_slice()), (1, 600, &b"hello"[..]));
}

#[test]
fn harmless_global_headers_are_passed_over() {
    let archive = Tarball::new().global(&[("comment", b"0123abcd"), ("mtime", b"1")]).file("f", "x").finish();
    assert_eq!(paths(&archive), ["f"]);
}

#[test]
fn agreeing_names_of_two_headers_are_taken() {
    let archive = Tarball::new().pax(&[("path", b"same")]).long(b'L', "same").file("f", "").finish();
    assert_eq!(paths(&archive), ["same"]);
}

/// (T7) Writers end archives with two blocks of zeros, with a record of twenty, with one, or not at all.
#[test]
fn an_archive_may_end_with_any_number_of_zeros() {
    for zeros in [0, 512, 1024, 1025, 10_240, 300_000] {
        let archive = Tarball::new().file("f", "x").raw(vec![0; zeros]).unfinished();
        assert_eq!(paths(&archive), ["f"], "{zeros}");
    }
    assert_eq!(paths(&[]), [""; 0]);
}
