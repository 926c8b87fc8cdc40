//! The reader against well-formed archives of every dialect, and against those that two readers would read differently.

mod dialects;
mod sparse;
mod strict;

use gantri_core::{ErrorKind, Limits};

use self::sparse::old_sparse;
use super::{Archive, Kind, Member};
use crate::unpack::tarball::{Tarball, seal};

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
