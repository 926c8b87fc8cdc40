//! Blobs on disk: what is broken is never served (S1, S6), what fails leaves nothing (S2), and unfinished writes vanish
//! with whoever gave them up.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::{self, StreamExt};
use gantri_core::spec::{ByteRange, Selector};
use gantri_core::{BlobBody, Error, ErrorKind, Pull, Push};
use gantri_store::Layout;
use tokio::sync::Notify;

use super::common::{at, blob, entries, file_of, files, here, layout, leftovers, put, put_image, read, tag, variable};

type Damage = fn(&Path);

/// Ways in which a file goes bad.
const DAMAGES: [(&str, Damage); 5] = [
    ("emptied", |path| cut(path, 0)),
    ("cut", |path| cut(path, fs::metadata(path).unwrap().len() / 2)),
    ("longer", |path| cut(path, fs::metadata(path).unwrap().len() + 1)),
    ("first byte flipped", |path| flip(path, 0)),
    ("last byte flipped", |path| flip(path, fs::metadata(path).unwrap().len() - 1)),
];

fn cut(path: &Path, size: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(size).unwrap();
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn s1_s6_a_damaged_blob_is_never_served() {
    for (name, damage) in DAMAGES {
        let (layout, dir) = layout().await;
        let content = vec![7; 700_000];
        let blob = put(&layout, &content).await.unwrap();
        damage(&file_of(dir.path(), &blob.digest));
        assert_eq!(read(&layout, &blob.digest).await.unwrap_err().kind(), ErrorKind::DigestMismatch, "{name}");
    }
}

#[tokio::test]
async fn s1_s6_a_damaged_manifest_is_never_served() {
    for (name, damage) in DAMAGES {
        let (layout, dir) = layout().await;
        let manifest = put_image(&layout, &here(), "{}", &["v1"]).await.unwrap();
        damage(&file_of(dir.path(), manifest.digest()));
        for selector in [at("v1"), Selector::Digest(manifest.digest().clone())] {
            let kind = layout.manifest(&here(), &selector).await.unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::DigestMismatch | ErrorKind::SizeMismatch), "{name}: {kind:?}");
        }
        let resolved = layout.resolve_manifest(&here(), &at("v1")).await;
        let is_right_size = name.ends_with("flipped");
        assert_eq!(resolved.is_ok(), is_right_size, "{name}: a wrong size shows without reading");
    }
}

#[tokio::test]
async fn s1_s6_a_damaged_file_is_written_anew_by_the_next_put() {
    for (name, damage) in DAMAGES {
        let (layout, dir) = layout().await;
        let blob = put(&layout, b"some content").await.unwrap();
        let manifest = put_image(&layout, &here(), "{}", &["v1"]).await.unwrap();
        damage(&file_of(dir.path(), &blob.digest));
        damage(&file_of(dir.path(), manifest.digest()));
        put(&layout, b"some content").await.unwrap();
        put_image(&layout, &here(), "{}", &["v1"]).await.unwrap();
        assert_eq!(read(&layout, &blob.digest).await.unwrap(), b"some content", "{name}");
        assert_eq!(layout.manifest(&here(), &at("v1")).await.unwrap(), manifest, "{name}");
    }
}

#[tokio::test]
async fn s1_a_manifest_is_refused_if_a_child_is_not_whole() {
    let (layout, dir) = layout().await;
    let manifest = put_image(&layout, &here(), "a config", &[]).await.unwrap();
    cut(&file_of(dir.path(), &blob(b"a config").digest), 3);
    let refusal = layout.put_manifest(&here(), &manifest, &[tag("v1")]).await;
    assert_eq!(refusal.unwrap_err().kind(), ErrorKind::ManifestInvalid);
}

#[tokio::test]
async fn s1_a_file_that_shrinks_while_it_is_read_is_an_error() {
    let (layout, dir) = layout().await;
    let blob = put(&layout, &vec![7; 2_000_000]).await.unwrap();
    let mut stream = layout.blob(&here(), &blob.digest, ByteRange::From(0)).await.unwrap().into_stream();
    stream.next().await.unwrap().unwrap();
    cut(&file_of(dir.path(), &blob.digest), 600_000);
    let rest: Result<Vec<Bytes>, Error> = stream.try_collect().await;
    assert_eq!(rest.unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_asked_for() {
    let (layout, dir) = layout().await;
    let blob = put(&layout, b"here already").await.unwrap();
    let written = fs::metadata(file_of(dir.path(), &blob.digest)).unwrap();
    let body = BlobBody::reopen(|_| panic!("the body was opened"));
    layout.put_blob(&here(), &blob, body).await.unwrap();
    let now = fs::metadata(file_of(dir.path(), &blob.digest)).unwrap();
    assert_eq!(now.ino(), written.ino());
}

#[tokio::test]
async fn what_is_stored_is_readable_for_others() {
    let (layout, dir) = layout().await;
    let blob = put(&layout, b"hello").await.unwrap();
    let umask = 0o777 & !fs::metadata(dir.path().join("blobs")).unwrap().mode();
    let mode = fs::metadata(file_of(dir.path(), &blob.digest)).unwrap().mode();
    assert_eq!(mode & 0o777, 0o666 & !umask);
}

#[tokio::test]
async fn a_dropped_put_leaves_nothing_at_once() {
    let (layout, dir) = layout().await;
    let before = files(dir.path());
    let content = Bytes::from(vec![7; 3_000_000]);
    let stalled = Arc::new(Notify::new());
    let chunks = {
        let (stalled, content) = (stalled.clone(), content.clone());
        let first = stream::iter((0..2).map(move |half| Ok(content.slice(half * 1_000_000..(half + 1) * 1_000_000))));
        let never = stream::once(async move {
            stalled.notify_one();
            std::future::pending().await
        });
        first.chain(never).boxed()
    };
    let (here, blob) = (here(), blob(&content));
    {
        let mut put = layout.put_blob(&here, &blob, BlobBody::once(chunks));
        tokio::select! {
            outcome = &mut put => panic!("ended before its body: {outcome:?}"),
            () = stalled.notified() => {}
        }
        assert_eq!(leftovers(dir.path()).len(), 1, "the write is under way");
    }
    assert_eq!(files(dir.path()), before);
}

#[tokio::test]
async fn a_failed_put_leaves_nothing_at_once() {
    let (layout, dir) = layout().await;
    let before = files(dir.path());
    let cases = [("short", 6), ("long message", 6), ("wrong!", 6)];
    for (body, size) in cases {
        let mut blob = blob(b"right!");
        blob.size = size;
        layout.put_blob(&here(), &blob, BlobBody::bytes(body)).await.unwrap_err();
        assert_eq!(files(dir.path()), before, "{body}");
    }
}

/// (M6) Half a gibibyte is offered for a blob of 1 MiB: it is refused long before that is written.
#[tokio::test]
async fn m6_a_body_is_cut_off_where_it_grows_too_long() {
    let (layout, dir) = layout().await;
    let before = files(dir.path());
    let mut blob = blob(b"short");
    blob.size = 1 << 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let chunk = Bytes::from(vec![7; 1 << 18]);
    let chunks = stream::iter((0..2_048).map(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(chunk.clone())
    }));
    let refusal = layout.put_blob(&here(), &blob, BlobBody::once(chunks.boxed())).await;
    assert_eq!(refusal.unwrap_err().kind(), ErrorKind::SizeMismatch);
    assert!(taken.load(Ordering::Relaxed) < 10, "{taken:?} chunks were taken");
    assert_eq!(files(dir.path()), before);
}

#[tokio::test]
async fn unfinished_files_of_the_dead_are_swept_and_those_of_the_living_stay() {
    let (layout, dir) = layout().await;
    let blobs = dir.path().join("blobs");
    fs::write(blobs.join(".gantri-dead"), "half a blob").unwrap();
    let living = File::create(blobs.join(".gantri-living")).unwrap();
    living.lock().unwrap();
    fs::write(blobs.join("something else"), "").unwrap();
    put(&layout, b"hello").await.unwrap();
    assert_eq!(leftovers(dir.path()), ["blobs/.gantri-living"]);
    assert!(blobs.join("something else").exists());
    drop(living);
    put(&layout, b"another").await.unwrap();
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn an_open_reader_keeps_its_bytes_when_the_blob_is_deleted() {
    use gantri_core::Manage;
    let (layout, _dir) = layout().await;
    let blob = put(&layout, &vec![7; 2_000_000]).await.unwrap();
    let reader = layout.blob(&here(), &blob.digest, ByteRange::Full).await.unwrap();
    layout.delete_blob(&here(), &blob.digest).await.unwrap();
    assert_eq!(reader.bytes(1 << 30).await.unwrap().len(), 2_000_000);
}

/// A limit on the size of files refuses writes halfway, as a full disk does.
#[tokio::test]
async fn s2_a_refused_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let crowded = dir.path().join(CROWDED);
    Layout::create(&crowded).await.unwrap();
    let padded = format!(r#"{{"schemaVersion":2,"manifests":[],"x":"{}"}}"#, "x".repeat(600_000));
    fs::write(crowded.join("index.json"), padded).unwrap();
    let script = format!(
        "trap '' XFSZ && ulimit -f 512 && {CHILD_DIR}={} exec {} --exact disk::child_fills_up --nocapture",
        dir.path().display(),
        std::env::current_exe().unwrap().display(),
    );
    let child = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(dir.path().join("layout/index.json").exists(), "the child did its work");
}

#[tokio::test]
async fn child_fills_up() {
    if let Some(dir) = variable(CHILD_DIR) {
        fills_up(Path::new(&dir)).await;
        has_no_room_for_an_entry(&Path::new(&dir).join(CROWDED)).await;
    }
}

/// A layout whose index can't be written any more: the manifest that has no entry then does not stay either.
async fn has_no_room_for_an_entry(dir: &Path) {
    let layout = Layout::open(dir).await.unwrap();
    put(&layout, b"{}").await.unwrap();
    let before = (files(dir), fs::read(dir.join("index.json")).unwrap());
    let error = put_image(&layout, &here(), "{}", &["v1"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("index.json"), "{error}");
    assert_eq!((files(dir), fs::read(dir.join("index.json")).unwrap()), before);
}

const CROWDED: &str = "crowded";
const CHILD_DIR: &str = "GANTRI_TEST_FULL_DISK";

/// Puts more than there is room for, by every way there is, and looks at what is left.
async fn fills_up(dir: &Path) {
    let dir = dir.join("layout");
    let layout = Layout::create(&dir).await.unwrap();
    let manifest = put_image(&layout, &here(), "{}", &["v1"]).await.unwrap();
    let before = (files(&dir), entries(&dir));

    let error = put(&layout, &vec![7; 4_000_000]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let told = error.to_string();
    assert!(told.starts_with("write ") && told.contains("/blobs/"), "what was done to which path: {told}");
    assert!(std::error::Error::source(&error).is_some(), "why");
    assert_eq!((files(&dir), entries(&dir)), before);

    let mut upload = layout.start_upload(&here(), gantri_core::spec::Algorithm::Sha256).await.unwrap();
    upload.write(Bytes::from_static(b"the first chunk")).await.unwrap();
    assert_eq!(upload.write(vec![7; 4_000_000].into()).await.unwrap_err().kind(), ErrorKind::Io);
    let session = upload.session();
    drop(upload);
    let upload = layout.resume_upload(&here(), session).await.unwrap();
    assert_eq!(upload.offset(), 15, "half a chunk is no chunk");
    upload.commit(&blob(b"the first chunk").digest).await.unwrap();

    assert_eq!(layout.manifest(&here(), &at("v1")).await.unwrap(), manifest);
    assert_eq!(read(&layout, &blob(b"the first chunk").digest).await.unwrap(), b"the first chunk");
    put_image(&layout, &here(), "{ }", &["v2"]).await.unwrap();
}
