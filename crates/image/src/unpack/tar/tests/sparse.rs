//! Files with holes, in their four spellings.

use gantri_core::{ErrorKind, Limits};

use super::{read_with, refused};
use crate::unpack::tar::sparse::Chunk;
use crate::unpack::tarball::{GNU, Header, Tarball, seal};

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
pub(super) fn old_sparse(size: u64, chunks: &[(u64, u64)], contents: &[u8]) -> Vec<u8> {
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
