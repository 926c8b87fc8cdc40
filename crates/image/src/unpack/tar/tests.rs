//! The reader against well-formed archives of every dialect, and against those that two readers would read differently.

use gantri_core::{ErrorKind, Limits};

use super::sparse::Chunk;
use super::{Archive, Kind, Member};
use crate::unpack::tarball::{GNU, Header, Tarball, record, seal};

/// What a test looks at of one member.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    path: String,
    kind: Kind,
    link: String,
    contents: Vec<u8>,
}

fn read_with(archive: &[u8], limits: &Limits, mut visit: impl FnMut(&Member, Vec<u8>)) -> gantri_core::Result<()> {
    let mut source = archive;
    let mut archive = Archive::new(&mut source, limits);
    let mut member = Member::default();
    while archive.next(&mut member)? {
        let mut contents = Vec::new();
        loop {
            let piece = archive.contents(u64::MAX)?;
            if piece.is_empty() {
                break;
            }
            contents.extend_from_slice(piece);
        }
        visit(&member, contents);
    }
    Ok(())
}

fn read(archive: &[u8]) -> gantri_core::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    read_with(archive, &Limits::default(), |member, contents| {
        let (path, link) = (text(&member.path), text(&member.link));
        seen.push(Seen { path, kind: member.kind, link, contents });
    })?;
    Ok(seen)
}

fn only(archive: &[u8]) -> Member {
    let mut members = Vec::new();
    read_with(archive, &Limits::default(), |member, _| {
        members.push(Member {
            offset: member.offset,
            kind: member.kind,
            path: member.path.clone(),
            link: member.link.clone(),
            metadata: member.metadata.clone(),
            device: member.device,
            size: member.size,
            sparse: None,
        });
    })
    .unwrap();
    assert_eq!(members.len(), 1);
    members.remove(0)
}

fn refused(archive: &[u8]) -> (ErrorKind, String) {
    match read(archive) {
        Ok(seen) => panic!("was read as {seen:?}"),
        Err(error) => (error.kind(), error.to_string()),
    }
}

fn paths(archive: &[u8]) -> Vec<String> {
    read(archive).unwrap().into_iter().map(|seen| seen.path).collect()
}

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

type SparseFile = (u64, Vec<(u64, u64)>, Vec<u8>);

fn sparse(archive: &[u8]) -> gantri_core::Result<SparseFile> {
    let mut found = None;
    read_with(archive, &Limits::default(), |member, contents| {
        if let Some(sparse) = &member.sparse {
            let chunks = sparse.chunks.iter().map(|Chunk { offset, length }| (*offset, *length)).collect();
            assert_eq!(member.path, b"real");
            found = Some((sparse.size, chunks, contents));
        } else {
            assert_eq!((member.path.as_slice(), contents.as_slice()), (&b"after"[..], &b"x"[..]));
        }
    })?;
    Ok(found.expect("a sparse member"))
}

/// An old GNU header with these pieces; what does not fit in it goes into blocks behind it.
fn old_sparse(size: u64, chunks: &[(u64, u64)], contents: &[u8]) -> Vec<u8> {
    let mut header = Header::new(b'S', "real").magic(GNU).block(contents.len() as u64);
    header[483..494].copy_from_slice(format!("{size:011o}").as_bytes());
    let put = |block: &mut [u8; 512], at: usize, chunks: &[(u64, u64)]| {
        for (index, (offset, length)) in chunks.iter().enumerate() {
            let at = at + index * 24;
            block[at..at + 11].copy_from_slice(format!("{offset:011o}").as_bytes());
            block[at + 12..at + 23].copy_from_slice(format!("{length:011o}").as_bytes());
        }
    };
    let (first, rest) = chunks.split_at(chunks.len().min(4));
    put(&mut header, 386, first);
    header[482] = u8::from(!rest.is_empty());
    seal(&mut header);
    let mut archive = header.to_vec();
    let blocks = rest.chunks(21).count();
    for (index, part) in rest.chunks(21).enumerate() {
        let mut block = [0; 512];
        put(&mut block, 0, part);
        block[504] = u8::from(index + 1 < blocks);
        archive.extend_from_slice(&block);
    }
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

fn pax_sparse_1(chunks: &str, size: &str, contents: &[u8]) -> Tarball {
    let mut data = chunks.as_bytes().to_vec();
    data.resize(data.len().next_multiple_of(512), 0);
    data.extend_from_slice(contents);
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ];
    Tarball::new().pax(&records).file("GNUSparseFile.0/real", data)
}

/// (T18) The four spellings of a file with holes give the same file, and the reader stays in step.
#[test]
fn sparse_files_of_every_format_are_read() {
    let contents = [vec![1; 600], vec![2; 10]].concat();
    let expected: SparseFile = (10_000, vec![(1000, 600), (5000, 10), (10_000, 0)], contents.clone());
    let old = Tarball::new().raw(old_sparse(10_000, &expected.1, &contents));
    let pax_0_0: [(&str, &[u8]); 8] = [
        ("GNU.sparse.size", b"10000"),
        ("GNU.sparse.numblocks", b"3"),
        ("GNU.sparse.offset", b"1000"),
        ("GNU.sparse.numbytes", b"600"),
        ("GNU.sparse.offset", b"5000"),
        ("GNU.sparse.numbytes", b"10"),
        ("GNU.sparse.offset", b"10000"),
        ("GNU.sparse.numbytes", b"0"),
    ];
    let pax_0_1: [(&str, &[u8]); 4] = [
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.size", b"10000"),
        ("GNU.sparse.numblocks", b"3"),
        ("GNU.sparse.map", b"1000,600,5000,10,10000,0"),
    ];
    let cases = [
        ("old", old),
        ("0.0", Tarball::new().pax(&pax_0_0).file("real", &contents)),
        ("0.1", Tarball::new().pax(&pax_0_1).file("GNUSparseFile.0/real", &contents)),
        ("1.0", pax_sparse_1("3\n1000\n600\n5000\n10\n10000\n0\n", "10000", &contents)),
    ];
    for (name, archive) in cases {
        assert_eq!(sparse(&archive.file("after", "x").finish()).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_long_sparse_map_goes_on_in_blocks_of_its_own() {
    let chunks: Vec<(u64, u64)> = (0..100).map(|index| (index * 100, 10)).collect();
    let contents = vec![7; 1000];
    let old = Tarball::new().raw(old_sparse(10_000, &chunks, &contents)).file("after", "x").finish();
    assert_eq!(sparse(&old).unwrap(), (10_000, chunks.clone(), contents.clone()));
    let lines: Vec<String> = chunks.iter().map(|(offset, length)| format!("{offset}\n{length}\n")).collect();
    let map = lines.concat();
    let pax = pax_sparse_1(&format!("100\n{map}"), "10000", &contents).file("after", "x").finish();
    assert_eq!(sparse(&pax).unwrap(), (10_000, chunks, contents));
}

#[test]
fn a_sparse_map_that_does_not_fit_is_refused() {
    let old = |size, chunks: &[(u64, u64)], contents: &[u8]| Tarball::new().raw(old_sparse(size, chunks, contents));
    let pax = |records: &[(&str, &[u8])]| Tarball::new().pax(records).file("f", "0123456789");
    let after_its_end = {
        let mut archive = old_sparse(100, &[(0, 1)], b"x");
        archive[482] = 1;
        let mut header: [u8; 512] = archive[..512].try_into().unwrap();
        seal(&mut header);
        Tarball::new().raw(header).raw(&archive[512..])
    };
    let cases = [
        ("backwards", old(100, &[(50, 5), (10, 5)], &[0; 10])),
        ("overlapping", old(100, &[(0, 6), (5, 4)], &[0; 10])),
        ("beyond the size", old(100, &[(95, 10)], &[0; 10])),
        ("more than stored", old(100, &[(0, 20)], &[0; 10])),
        ("less than stored", old(100, &[(0, 5)], &[0; 10])),
        ("going on after its end", after_its_end),
        ("no map", pax(&[("GNU.sparse.size", b"100")])),
        ("no size", pax(&[("GNU.sparse.map", b"0,10")])),
        ("odd map", pax(&[("GNU.sparse.map", b"0,10,20"), ("GNU.sparse.size", b"100")])),
        ("overflow", pax(&[("GNU.sparse.map", b"18446744073709551615,10"), ("GNU.sparse.size", b"100")])),
        ("two offsets", pax(&[("GNU.sparse.offset", b"0"), ("GNU.sparse.offset", b"1")])),
        ("length first", pax(&[("GNU.sparse.numbytes", b"0")])),
        ("offset last", pax(&[("GNU.sparse.offset", b"0")])),
        (
            "wrong count",
            pax(&[("GNU.sparse.map", b"0,10"), ("GNU.sparse.size", b"10"), ("GNU.sparse.numblocks", b"2")]),
        ),
        ("unknown version", pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")])),
        ("unknown key", pax(&[("GNU.sparse.shape", b"2")])),
        ("map of letters", pax_sparse_1("one\n", "100", b"x")),
        ("map of one long line", pax_sparse_1(&"1".repeat(600), "100", b"x")),
        ("map longer than the contents", pax_sparse_1("1000000000\n", "100", b"")),
    ];
    for (name, archive) in cases {
        let (kind, message) = refused(&archive.finish());
        assert_eq!(kind, ErrorKind::LayerInvalid, "{name}: {message}");
    }
}

#[test]
fn errors_of_the_layers_own_reader_keep_their_kind() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other(gantri_core::Error::new(ErrorKind::DigestMismatch, "not what was asked for")))
        }
    }
    let mut source = std::io::BufReader::new(Broken);
    let limits = Limits::default();
    let error = Archive::new(&mut source, &limits).next(&mut Member::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

proptest::proptest! {
    /// (T6, T8) Whatever the bytes, reading ends with members or an error, and never in a panic.
    #[test]
    fn any_bytes_are_read_or_refused(
        seed in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
        damage in proptest::collection::vec((0_usize..8192, proptest::prelude::any::<u8>()), 0..6),
    ) {
        let _ = read(&seed);
        let mut archive = Tarball::new()
            .pax(&[("path", b"p"), ("SCHILY.xattr.user.a", b"b"), ("mtime", b"1.5")])
            .file("f", &seed)
            .long(b'L', "long")
            .symlink("l", "t")
            .raw(old_sparse(100, &[(0, 5), (50, 5)], &[0; 10]))
            .finish();
        for (at, byte) in damage {
            let at = at % archive.len();
            archive[at] = byte;
            // With a checksum that is right, so that the rest of the header is looked at.
            let start = at / 512 * 512;
            let mut block: [u8; 512] = archive[start..start + 512].try_into().unwrap();
            seal(&mut block);
            archive[start..start + 512].copy_from_slice(&block);
        }
        let _ = read(&archive);
    }
}
