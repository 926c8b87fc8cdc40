//! What is refused: smuggled, cut off, or beyond the limits.

use gantri_core::{ErrorKind, Limits};

use super::{read, read_with, refused};
use crate::unpack::tarball::{GNU, Header, Tarball, record, seal};

/// (T6) The smuggle corpus: what readers are known to disagree on is an error that tells the offset.
#[test]
fn what_readers_disagree_on_is_refused() {
    let file = Header::new(b'0', "f");
    let tampered = |at: usize, bytes: &[u8]| {
        let mut block = file.block(0);
        block[at..at + bytes.len()].copy_from_slice(bytes);
        seal(&mut block);
        Tarball::new().raw(block)
    };
    let unsealed = {
        let mut block = file.block(0);
        block[0] = b'g';
        Tarball::new().raw(block)
    };
    let cases: Vec<(&str, Tarball, &str)> = vec![
        ("bad checksum", unsealed, "byte 0: a header says its checksum"),
        ("bad octal mode", tampered(100, b"00006x4"), "byte 0: the field mode is not an octal number"),
        ("bad octal size", tampered(124, b"0000000000z"), "byte 0: the field size is not an octal number"),
        ("negative size", tampered(124, &[0xff; 12]), "byte 0: the field size is negative"),
        ("negative uid", tampered(108, &[0xff; 8]), "byte 0: the uid is out of range"),
        ("unknown type", Tarball::new().entry(&Header::new(b'Z', "f"), ""), "unknown type 'Z'"),
        ("multi-volume", Tarball::new().entry(&Header::new(b'M', "f").magic(GNU), ""), "unknown type 'M'"),
        ("device in V7", Tarball::new().entry(&Header::new(b'3', "f").magic([0; 8]), ""), "unknown type '3'"),
        ("extension in V7", Tarball::new().entry(&Header::new(b'x', "f").magic([0; 8]), ""), "too old to have any"),
        ("size on a directory", Tarball::new().entry(&Header::new(b'5', "d"), "x"), "a size of 1"),
        ("size on a slash", Tarball::new().entry(&Header::new(b'0', "d/"), "x"), "a size of 1"),
        ("size on a link", Tarball::new().entry(&Header::new(b'2', "l").link("x"), "x"), "a size of 1"),
        ("size on a hard link", Tarball::new().entry(&Header::new(b'1', "l").link("x"), "x"), "a size of 1"),
        ("size record on a link", Tarball::new().pax(&[("size", b"512")]).symlink("l", "x"), "a size of 512"),
        ("two sizes", Tarball::new().pax(&[("size", b"0"), ("size", b"512")]).file("f", ""), "\"size\" is there twice"),
        ("two paths", Tarball::new().pax(&[("path", b"a"), ("path", b"a")]).file("f", ""), "\"path\" is there twice"),
        ("size with a sign", Tarball::new().pax(&[("size", b"+5")]).file("f", ""), "\"size\" is not a decimal number"),
        ("size too large", Tarball::new().pax(&[("size", b"18446744073709551616")]).file("f", ""), "too large"),
        ("NUL in a path", Tarball::new().pax(&[("path", b"a\0b")]).file("f", ""), "\"path\" holds a NUL"),
        ("time with an exponent", Tarball::new().pax(&[("mtime", b"1e9")]).file("f", ""), "\"mtime\" is not a"),
        ("uid that means nobody", Tarball::new().pax(&[("uid", b"4294967295")]).file("f", ""), "uid is out of range"),
        ("bad base64", Tarball::new().pax(&[("LIBARCHIVE.xattr.user.a", b"?")]).file("f", ""), "is not base64"),
        ("nameless attribute", Tarball::new().pax(&[("SCHILY.xattr.", b"x")]).file("f", ""), "names no attribute"),
        ("record longer than its data", Tarball::new().raw_pax("30 path=a\n").file("f", ""), "malformed record"),
        ("record shorter than its line", Tarball::new().raw_pax("8 path=abc\n").file("f", ""), "malformed record"),
        ("record without a newline", Tarball::new().raw_pax("8 path=a").file("f", ""), "malformed record"),
        ("record without an equals sign", Tarball::new().raw_pax("7 path\n").file("f", ""), "malformed record"),
        ("record without a key", Tarball::new().raw_pax("5 =a\n").file("f", ""), "malformed record"),
        ("record with a signed length", Tarball::new().raw_pax("+9 path=a\n").file("f", ""), "malformed record"),
        ("NULs after the records", Tarball::new().raw_pax("9 path=a\n\0\0\0").file("f", ""), "byte 521: a malformed"),
        ("two extended headers", Tarball::new().pax(&[]).pax(&[]).file("f", ""), "two extended headers"),
        ("two long names", Tarball::new().long(b'L', "a").long(b'L', "a").file("f", ""), "two extended headers"),
        ("two names", Tarball::new().pax(&[("path", b"a")]).long(b'L', "b").file("f", ""), "two names"),
        ("NUL in a long name", Tarball::new().long(b'L', "a\0b").file("f", ""), "holds a NUL"),
        ("empty long name", Tarball::new().long(b'L', "").file("f", ""), "a long name that is empty"),
        ("records before the end", Tarball::new().pax(&[("path", b"a")]), "no entry follows the extended header"),
        ("long name before the end", Tarball::new().long(b'L', "a"), "no entry follows the extended header"),
        ("global path", Tarball::new().global(&[("path", b"a")]).file("f", ""), "a global header sets \"path\""),
        ("global size", Tarball::new().global(&[("size", b"9")]).file("f", ""), "a global header sets \"size\""),
        ("data after the end", Tarball::new().raw([0; 1024]).file("f", ""), "data after the end"),
        ("data after one block of zeros", Tarball::new().raw([0; 512]).file("f", ""), "data after the end"),
    ];
    for (name, archive, rule) in cases {
        let (kind, message) = refused(&archive.finish());
        assert_eq!(kind, ErrorKind::LayerInvalid, "{name}: {message}");
        assert!(message.contains(rule) && message.contains("byte "), "{name}: {message}");
    }
}

/// (T7) Cut anywhere but between two members, an archive is an error.
#[test]
fn a_truncated_archive_is_refused_wherever_it_is_cut() {
    let whole = Tarball::new().pax(&[("path", b"p")]).file("f", [b'x'; 700]).unfinished();
    for length in 1..whole.len() {
        let (kind, message) = refused(&whole[..length]);
        assert_eq!(kind, ErrorKind::LayerInvalid, "{length}: {message}");
    }
    assert!(read(&whole).is_ok());
}

#[test]
fn extended_headers_and_attributes_hit_their_limits() {
    let limited = |archive: Tarball, limits: &Limits| {
        read_with(&archive.finish(), limits, |_, _| {}).map_err(|error| (error.kind(), error.to_string()))
    };
    let defaults = Limits::default();
    let large = Tarball::new().entry(&Header::new(b'x', "x").size(1 << 40), "");
    let both = Tarball::new().raw_pax(record("comment", &vec![b'x'; 600_000])).long(b'L', "n".repeat(600_000));
    let names: Vec<String> = (0..300).map(|index| format!("SCHILY.xattr.user.{index}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let many = Tarball::new().pax(&many).file("f", "");
    let heavy = Tarball::new().pax(&[("SCHILY.xattr.user.a", &vec![b'x'; 5000])]).file("f", "");
    let mut small = Limits::default();
    small.xattr_bytes = 1000;
    let cases = [
        ("declared size", large, &defaults, "unpack_record"),
        ("two headers together", both, &defaults, "unpack_record"),
        ("number of attributes", many, &defaults, "xattrs = 256"),
        ("bytes of attributes", heavy, &small, "xattr_bytes = 1000"),
    ];
    for (name, archive, limits, rule) in cases {
        let (kind, message) = limited(archive, limits).unwrap_err();
        assert_eq!(kind, ErrorKind::LimitExceeded, "{name}: {message}");
        assert!(message.contains(rule), "{name}: {message}");
    }
}

#[test]
fn headers_without_end_hit_the_limit_of_entries() {
    let mut limits = Limits::default();
    limits.unpack_entries = 3;
    let archive = (0..13).fold(Tarball::new(), |archive, _| archive.global(&[("comment", b"x")]));
    let error = read_with(&archive.finish(), &limits, |_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}
