//! Archives made to deceive their reader, or cut off on the way.

use std::fs::{self, OpenOptions};

use futures_util::StreamExt;
use gantri_core::spec::{ByteRange, Digest};
use gantri_core::{ErrorKind, Pull};
use gantri_store::{Archive, ArchiveKind, Existing};
use serde_json::json;
use tar_core::EntryType;

use super::super::common::{blob, here, put_image};
use super::made::Tar;
use super::{draft, make, place, read};

const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

/// An archive with nothing in it.
fn empty() -> Tar {
    Tar::default().file("oci-layout", MARK).file("index.json", INDEX)
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).encoded())
}

/// (T19, T6) Each breaks one rule; the error says which, and where.
#[tokio::test]
async fn t19_t6_what_readers_could_understand_differently_is_refused() {
    let name = blob_name(b"hello");
    let cases: Vec<(Tar, &str)> = vec![
        (empty().file("../index.json", INDEX), "out of the archive"),
        (empty().file("blobs/../../x", ""), "out of the archive"),
        (empty().file("/index.json", INDEX), "begins at the root"),
        (empty().file("./index.json", INDEX), "a second index.json"),
        (empty().file("index.json", INDEX), "a second index.json"),
        (empty().file(&name, "hello").file(&name.replace("256/", "256//"), "hullo"), "a second blobs/sha256"),
        (empty().link("index.json", EntryType::Symlink, "other"), "a second index.json"),
        (empty().link("blobs", EntryType::Symlink, "/var/blobs").file(&name, "hello"), "blobs is not a directory"),
        (empty().file("blobs/sha256", "").file(&name, "hello"), "blobs/sha256 is not a directory"),
        (empty().link(&name, EntryType::Symlink, "/etc/passwd"), "is a link"),
        (empty().link(&name, EntryType::Link, "oci-layout"), "is a link"),
        (Tar::default().file("oci-layout", MARK).link("index.json", EntryType::Symlink, "x"), "index.json is a link"),
        (Tar::default().file("index.json", INDEX).link("oci-layout", EntryType::Symlink, "x"), "oci-layout is a link"),
        (Tar::default().file("oci-layout", MARK), "index.json is not there"),
        (Tar::default().file("index.json", INDEX), "no image in it"),
        (empty().link("fifo", EntryType::Fifo, ""), "neither a file"),
        (empty().link("null", EntryType::Char, ""), "neither a file"),
        (empty().entry("holes", EntryType::GnuSparse, "", 0), "holes"),
        (empty().pax("25 GNU.sparse.major=1\n").file("x", ""), "malformed"),
        (empty().pax("22 GNU.sparse.major=1\n").file("holes", ""), "holes"),
        (empty().pax("9 size=1\n").pax("9 size=2\n").file("x", "1"), "say the same"),
        (empty().pax("9 path=x\n9 path=y\n").file("x", ""), "say the same"),
        (empty().pax("11 size=+1\n").file("x", "1"), "no number"),
        (empty().pax("9 path=x"), "malformed"),
        (empty().pax("9 path=x\njunk").file("x", ""), "malformed"),
        (empty().pax("9 path=x\n"), "no entry follows"),
        (empty().entry("g", EntryType::XGlobalHeader, "", 9).contents(b"9 path=x\n").file("x", ""), "global"),
        (empty().entry("dir/", EntryType::Directory, "", 5).contents(b"hello"), "no contents"),
        (empty().entry("link", EntryType::Symlink, "x", 5).contents(b"hello"), "no contents"),
        (empty().entry("x", EntryType::Other(b'Z'), "", 0), "neither a file"),
    ];
    for (number, (tar, rule)) in cases.into_iter().enumerate() {
        let (path, _dir) = place();
        tar.save(&path);
        let refusal = Archive::open(&path).await.expect_err(rule);
        let is_kind = matches!(refusal.kind(), ErrorKind::NotARegistry | ErrorKind::Unsupported);
        assert!(is_kind, "{number}: {refusal}");
        assert!(refusal.to_string().contains(rule), "{number}, {rule:?}: {refusal}");
        assert!(refusal.to_string().contains("x.tar"), "{number}: {refusal}");
    }
    let (path, _dir) = place();
    empty().pax("14 mtime=1.25\n").file("other", "").save(&path);
    Archive::open(&path).await.unwrap();
}

/// (T6) Bytes of headers that two readers take for different numbers.
#[tokio::test]
async fn t6_headers_are_strict() {
    let cases: [(&str, usize, &[u8]); 6] = [
        ("a wrong checksum", 0, b"X"),
        ("a size with a sign", 124, b"+0000000000\0"),
        ("a size that goes on behind its end", 124, b"00000000\x0010\0"),
        ("a size in hexadecimal", 124, b"0x000000000\0"),
        ("a size below zero", 124, &[0xff; 12]),
        ("a size beyond all", 124, b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (name, at, bytes) in cases {
        let (path, _dir) = place();
        // Read leniently, most of these say 0, and all would be well.
        let mut archive = Tar::default().file("x", "").0;
        archive.extend(empty().end());
        archive[at..at + bytes.len()].copy_from_slice(bytes);
        if at > 0 {
            archive[148..156].fill(b' ');
            let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
            archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        fs::write(&path, archive).unwrap();
        assert_eq!(Archive::open(&path).await.expect_err(name).kind(), ErrorKind::NotARegistry, "{name}");
    }
}

/// (T19) Cut off anywhere, an archive is an error, and never a smaller archive.
#[tokio::test]
async fn t19_a_truncated_archive_is_refused() {
    let (path, _dir) = place();
    make(&path, ArchiveKind::Docker, Existing::Refuse, "a config", &["v1"]).await.unwrap();
    let whole = fs::read(&path).unwrap();
    let mut in_the_middle = 0;
    for length in (0..whole.len() - 1024).step_by(128) {
        fs::write(&path, &whole[..length]).unwrap();
        let refusal = Archive::open(&path).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::NotARegistry, "{length}: {refusal}");
        assert!(refusal.to_string().contains("cut off"), "{length}: {refusal}");
        in_the_middle += usize::from(refusal.to_string().contains("in the middle of an entry"));
    }
    assert!(in_the_middle > 5, "{in_the_middle}");
}

#[tokio::test]
async fn data_behind_the_end_is_refused() {
    let (path, _dir) = place();
    let whole = empty().end();
    fs::write(&path, [&whole[..], &[0; 9000], &whole].concat()).unwrap();
    let refusal = Archive::open(&path).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::NotARegistry);
    assert!(refusal.to_string().contains("after the end"), "{refusal}");
    fs::write(&path, [&whole[..], &[0; 9000]].concat()).unwrap();
    Archive::open(&path).await.unwrap();
}

#[tokio::test]
async fn what_is_compressed_or_no_archive_says_so() {
    let (path, dir) = place();
    let cases: [(&[u8], ErrorKind, &str); 6] = [
        (b"\x1f\x8b\x08\0", ErrorKind::Unsupported, "gzip"),
        (b"\x28\xb5\x2f\xfd", ErrorKind::Unsupported, "zstd"),
        (b"\xfd7zXZ\0", ErrorKind::Unsupported, "xz"),
        (b"BZh9", ErrorKind::Unsupported, "bzip2"),
        (&[b'x'; 2048], ErrorKind::NotARegistry, "not a tar archive"),
        (b"", ErrorKind::NotARegistry, "cut off"),
    ];
    for (bytes, kind, text) in cases {
        fs::write(&path, bytes).unwrap();
        let refusal = Archive::open(&path).await.unwrap_err();
        assert_eq!(refusal.kind(), kind, "{refusal}");
        assert!(refusal.to_string().contains(text), "{refusal}");
    }
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        assert_eq!(Archive::open(path).await.unwrap_err().kind(), ErrorKind::Io);
    }
}

/// (T10) Entries, names and headers without end.
#[tokio::test]
async fn t10_archives_are_bounded() {
    let (path, _dir) = place();
    let long = format!("{}/x", "y".repeat(5000));
    let record = |key: &str, value: &str| {
        let body = key.len() + value.len() + 3;
        let length = (1..8).map(|digits| body + digits).find(|total| total.to_string().len() + body == *total).unwrap();
        format!("{length} {key}={value}\n")
    };
    empty().pax(&record("path", &long)).file("x", "").save(&path);
    let refusal = Archive::open(&path).await.unwrap_err();
    assert!(refusal.to_string().contains("unpack_path = 4096"), "{refusal}");
    empty().pax(&record("comment", &"y".repeat(1 << 20))).file("x", "").save(&path);
    let refusal = Archive::open(&path).await.unwrap_err();
    assert!(refusal.to_string().contains("unpack_record = 1048576"), "{refusal}");
    let many = (0..100_000).fold(empty(), |tar, _| tar.link("d/", EntryType::Directory, ""));
    many.save(&path);
    let refusal = Archive::open(&path).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::LimitExceeded);
    assert!(refusal.to_string().contains("archive_entries = 100000"), "{refusal}");
}

/// (S1, S6) What lies under a digest's name is held to it.
#[tokio::test]
async fn s6_a_blob_that_is_not_what_it_is_called_is_never_served() {
    let (path, _dir) = place();
    let manifest = br#"{"schemaVersion":2}"#.as_slice();
    let entry = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": manifest.len(),
        "digest": Digest::of(manifest), "annotations": {"org.opencontainers.image.ref.name": "v1"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    Tar::default()
        .file("oci-layout", MARK)
        .file("index.json", index)
        .file(&blob_name(b"hello"), "hullo")
        .file(&blob_name(manifest), r#"{"schemaVersion":1}"#)
        .save(&path);
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(read(&archive, &blob(b"hello").digest).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
    let refusal = archive.manifest(&here(), &archive.select(Some("v1")).unwrap()).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::DigestMismatch);
    assert!(refusal.to_string().contains(&blob_name(manifest)), "{refusal}");
}

#[tokio::test]
async fn s1_an_archive_that_shrinks_while_it_is_read_is_an_error() {
    let (path, _dir) = place();
    let draft = draft(&path, ArchiveKind::Oci, Existing::Refuse).await;
    let config = "x".repeat(2_000_000);
    put_image(draft.layout(), &here(), &config, &["v1"]).await.unwrap();
    draft.publish().await.unwrap();
    let archive = Archive::open(&path).await.unwrap();
    let digest = Digest::of(config.as_bytes());
    let mut stream = archive.blob(&here(), &digest, ByteRange::From(0)).await.unwrap().into_stream();
    stream.next().await.unwrap().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(700_000).unwrap();
    let rest: Vec<_> = stream.collect().await;
    assert_eq!(rest.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Io);
}
