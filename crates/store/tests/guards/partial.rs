//! Blobs that came in part: the next put goes on where the last one stopped, after a look at what is there, and nothing of
//! it is ever seen under a name (S1, S6, H5, H6).

use std::fs::{self, File, FileTimes, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use gantri_core::spec::{ByteRange, Descriptor};
use gantri_core::{BlobBody, BlobReader, ByteStream, Error, ErrorKind, MissingChildren, Pull, Push, Seams};
use gantri_store::{Layout, Untagged};

use super::common::{blob, files, here, layout, leftovers, put, put_image, read};

const SIZE: usize = 3_000_000;
const CUT: usize = 2_000_000;

fn content() -> Bytes {
    (0..SIZE).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// Where a body was opened, in order.
type Opened = Arc<Mutex<Vec<u64>>>;

fn chunks(bytes: &Bytes, from: u64) -> ByteStream {
    let rest = bytes.slice(usize::try_from(from).unwrap()..);
    let pieces: Vec<_> = rest.chunks(64 << 10).map(|piece| Ok(rest.slice_ref(piece))).collect();
    stream::iter(pieces).boxed()
}

/// A body of these bytes that can be opened anywhere, and where it was.
fn body(bytes: Bytes) -> (BlobBody, Opened) {
    let opened = Opened::default();
    let seen = Arc::clone(&opened);
    let body = BlobBody::reopen(move |from| {
        seen.lock().unwrap().push(from);
        chunks(&bytes, from)
    });
    (body, opened)
}

/// The same, but it breaks off after so many bytes.
fn broken(at: usize, kind: ErrorKind) -> BlobBody {
    BlobBody::reopen(move |from| {
        let lost = stream::once(async move { Err(Error::new(kind, "the way is lost")) });
        chunks(&content().slice(..at), from).chain(lost).boxed()
    })
}

/// A layout in which a put was given up after [`CUT`] bytes, and the file that it left.
async fn cut_off() -> (Layout, tempfile::TempDir, PathBuf) {
    let (layout, dir) = layout().await;
    let outcome = layout.put_blob(&here(), &blob(&content()), broken(CUT, ErrorKind::Unavailable)).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    let left = leftovers(dir.path());
    assert_eq!(left.len(), 1, "{left:?}");
    let part = dir.path().join(&left[0]);
    (layout, dir, part)
}

async fn put_whole(layout: &Layout) -> Vec<u64> {
    let (body, opened) = body(content());
    layout.put_blob(&here(), &blob(&content()), body).await.unwrap();
    assert_eq!(read(layout, &blob(&content()).digest).await.unwrap(), content());
    opened.lock().unwrap().clone()
}

#[tokio::test]
async fn the_next_put_goes_on_where_the_last_one_stopped() {
    let (layout, dir, part) = cut_off().await;
    let length = fs::metadata(&part).unwrap().len();
    assert!(length > u64::try_from(CUT - (300 << 10)).unwrap(), "{length} bytes are kept");
    let digest = blob(&content()).digest;
    assert_eq!(layout.resolve_blob(&here(), &digest).await.unwrap_err().kind(), ErrorKind::BlobUnknown);
    assert_eq!(put_whole(&layout).await, [length]);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[tokio::test]
async fn a_part_that_is_whole_is_looked_at_and_nothing_is_asked_for() {
    let (layout, _dir, part) = cut_off().await;
    fs::write(&part, content()).unwrap();
    assert_eq!(put_whole(&layout).await, [0; 0]);
}

/// H5: what can't be a part of it goes.
#[tokio::test]
async fn a_part_that_is_too_long_is_thrown_away() {
    let (layout, dir, part) = cut_off().await;
    OpenOptions::new().write(true).open(&part).unwrap().set_len(u64::try_from(SIZE + 1).unwrap()).unwrap();
    assert_eq!(put_whole(&layout).await, [0]);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

/// S6, and a power cut that kept the length and lost the bytes.
#[tokio::test]
async fn a_damaged_part_costs_one_more_fetch_and_nothing_else() {
    type Damage = fn(&mut [u8]);
    let damages: [(&str, Damage); 3] = [
        ("first byte flipped", |bytes| bytes[0] ^= 1),
        ("last byte flipped", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("zeros", |bytes| bytes.fill(0)),
    ];
    for (name, damage) in damages {
        let (layout, dir, part) = cut_off().await;
        let mut bytes = fs::read(&part).unwrap();
        damage(&mut bytes);
        fs::write(&part, &bytes).unwrap();
        assert_eq!(put_whole(&layout).await, [bytes.len() as u64, 0], "{name}");
        assert_eq!(leftovers(dir.path()), [""; 0], "{name}");
    }
}

/// H6: one clean start, then `DigestMismatch`, and nothing is left.
#[tokio::test]
async fn a_blob_that_is_wrong_from_the_start_as_well_leaves_no_part() {
    let (layout, dir, part) = cut_off().await;
    let length = fs::metadata(&part).unwrap().len();
    let mut wrong = content().to_vec();
    wrong[SIZE - 1] ^= 1;
    let (body, opened) = body(wrong.into());
    let outcome = layout.put_blob(&here(), &blob(&content()), body).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::DigestMismatch);
    assert_eq!(*opened.lock().unwrap(), [length, 0]);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

/// H6: a stream that was joined of several answers is read once more if it is wrong; one of one piece is not.
#[tokio::test]
async fn what_was_joined_on_the_way_and_is_wrong_is_fetched_once_more() {
    for (seams, good_at_last, expected) in [(true, true, 2), (true, false, 2), (false, true, 1)] {
        let (layout, dir) = layout().await;
        let opened = Opened::default();
        let seen = Arc::clone(&opened);
        let body = BlobBody::read(move |range| {
            let first = seen.lock().unwrap().is_empty();
            seen.lock().unwrap().push(range.start());
            let mut bytes = content().to_vec();
            if first || !good_at_last {
                bytes[SIZE / 2] ^= 1;
            }
            let told = Seams::default();
            let joint = told.clone();
            let bytes = chunks(&bytes.into(), 0)
                .inspect(move |_| {
                    if seams && first {
                        joint.add();
                    }
                })
                .boxed();
            async move { Ok(BlobReader::new(blob(&content()), ByteRange::Full, bytes).with_seams(told)) }.boxed()
        });
        let outcome = layout.put_blob(&here(), &blob(&content()), body).await;
        let kind = outcome.err().map(|error| error.kind());
        assert_eq!(kind, if seams && good_at_last { None } else { Some(ErrorKind::DigestMismatch) });
        assert_eq!(opened.lock().unwrap().len(), expected, "seams {seams}, good at last {good_at_last}");
        assert_eq!(leftovers(dir.path()), [""; 0]);
    }
}

/// A part has one writer: it is locked.
#[tokio::test]
async fn a_part_that_somebody_writes_to_is_left_alone() {
    let (layout, dir, part) = cut_off().await;
    let living = File::open(&part).unwrap();
    living.lock().unwrap();
    assert_eq!(put_whole(&layout).await, [0]);
    assert_eq!(leftovers(dir.path()).len(), 1);
    drop(living);
}

/// S7, T19: nothing is written through another name, or into what somebody else may write to afterwards.
#[tokio::test]
async fn a_part_that_has_another_name_too_or_is_a_link_is_not_gone_on_with() {
    let (layout, dir, part) = cut_off().await;
    let elsewhere = dir.path().join("elsewhere");
    fs::hard_link(&part, &elsewhere).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    assert_eq!(put_whole(&layout).await, [0]);
    assert_eq!(fs::read(&elsewhere).unwrap(), before);

    let (layout, dir, part) = cut_off().await;
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&part, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    assert_eq!(put_whole(&layout).await, [0]);
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

#[tokio::test]
async fn what_can_be_read_once_begins_at_its_beginning() {
    let (layout, _dir, _part) = cut_off().await;
    layout.put_blob(&here(), &blob(&content()), BlobBody::once(chunks(&content(), 0))).await.unwrap();
    assert_eq!(read(&layout, &blob(&content()).digest).await.unwrap(), content());
}

/// S5: parts are kept for a day, or until a collection, and other puts leave them alone.
#[tokio::test]
async fn a_part_goes_after_a_day_or_with_the_garbage() {
    let (layout, dir, part) = cut_off().await;
    put(&layout, b"another").await.unwrap();
    assert!(part.exists());
    let kept = layout.gc(Duration::from_secs(3600), Untagged::Keep).await.unwrap();
    assert!(part.exists() && kept.parts == 0, "{kept:?}");
    let length = fs::metadata(&part).unwrap().len();
    let collected = layout.gc(Duration::ZERO, Untagged::Keep).await.unwrap();
    assert_eq!((collected.parts, part.exists()), (1, false), "{collected:?}");
    assert_eq!(collected.bytes, length + 7, "the part, and the blob that nothing leads to");

    let (layout, _dir, part) = cut_off().await;
    let old = SystemTime::now() - Duration::from_secs(25 * 3600);
    OpenOptions::new().write(true).open(&part).unwrap().set_times(FileTimes::new().set_modified(old)).unwrap();
    put(&layout, b"another").await.unwrap();
    assert!(!part.exists());
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

/// What is fetched in a moment is not looked after.
#[tokio::test]
async fn a_small_part_is_not_kept() {
    let (layout, dir) = layout().await;
    let outcome = layout.put_blob(&here(), &blob(&content()), broken(500_000, ErrorKind::Unavailable)).await;
    outcome.unwrap_err();
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

/// Puts two blobs into a new layout at `dir`, of which the second breaks off, and gives up.
async fn draft_given_up(dir: &Path, kind: ErrorKind) -> Descriptor {
    let draft = Layout::draft(dir).await.unwrap();
    let first = put(draft.layout(), &vec![9; 1_500_000]).await.unwrap();
    put_image(draft.layout(), &here(), "{}", &["given-up"]).await.unwrap();
    draft.layout().put_blob(&here(), &blob(&content()), broken(CUT, kind)).await.unwrap_err();
    first
}

#[tokio::test]
async fn a_draft_goes_on_with_what_the_last_one_left() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("new");
    let first = draft_given_up(&dir, ErrorKind::Unavailable).await;
    assert!(Layout::open(&dir).await.is_err(), "it is no layout yet");
    let draft = Layout::draft(&dir).await.unwrap();
    assert!(draft.layout().resolve_blob(&here(), &first.digest).await.is_err(), "not before it is looked at");
    draft.layout().put_blob(&here(), &first, BlobBody::reopen(|_| panic!("the body was opened"))).await.unwrap();
    let opened = put_whole(draft.layout()).await;
    assert!(opened.len() == 1 && opened[0] > 1_700_000, "{opened:?}");
    put_image(draft.layout(), &here(), "{ }", &["v1"]).await.unwrap();
    draft.publish().await.unwrap();
    let tags = super::common::entries(&dir).into_iter().filter_map(|(tag, _)| tag).collect::<Vec<_>>();
    assert_eq!(tags, ["v1"], "names are not taken over");
    assert_eq!(leftovers(&dir), [""; 0]);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 3, "blobs, index.json and oci-layout");
    let config = blob(b"{}");
    assert!(
        Layout::open(&dir).await.unwrap().resolve_blob(&here(), &config.digest).await.is_err(),
        "nor is what nobody put"
    );
}

/// Of two that make a layout at once, one is killed and the other is done: what the first left is in the second's way to
/// nothing, and goes on with the next draft or goes with the garbage.
#[tokio::test]
async fn what_was_left_in_a_layout_that_somebody_else_finished_is_gone_on_with_or_collected() {
    for collected in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let other = Layout::draft(place.path()).await.unwrap();
        draft_given_up(place.path(), ErrorKind::Unavailable).await;
        put_image(other.layout(), &here(), "{}", &["v1"]).await.unwrap();
        other.publish().await.unwrap();
        assert_ne!(leftovers(place.path()), [""; 0]);
        if collected {
            Layout::open(place.path()).await.unwrap().gc(Duration::ZERO, Untagged::Keep).await.unwrap();
        } else {
            let draft = Layout::draft(place.path()).await.unwrap();
            let opened = put_whole(draft.layout()).await;
            assert!(opened.len() == 1 && opened[0] > 1_700_000, "{opened:?}");
            put(draft.layout(), &vec![9; 1_500_000]).await.unwrap();
        }
        assert_eq!(leftovers(place.path()), [""; 0], "collected: {collected}");
    }
}

/// Whoever was refused for good wants no directory.
#[tokio::test]
async fn a_draft_that_was_refused_leaves_nothing() {
    for kind in [ErrorKind::DigestMismatch, ErrorKind::BlobUnknown, ErrorKind::Io, ErrorKind::Denied] {
        let place = tempfile::tempdir().unwrap();
        draft_given_up(&place.path().join("a/new"), kind).await;
        assert_eq!(files(place.path()), [""; 0], "{kind:?}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{kind:?}");
    }
}

/// The same of one that was filled through a handle of another policy: it is the same draft.
#[tokio::test]
async fn a_draft_that_was_refused_by_another_of_its_handles_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let draft = Layout::draft(place.path().join("new")).await.unwrap();
    let lenient = draft.layout().clone().with_missing_children(MissingChildren::Allowed);
    put(&lenient, &vec![9; 1_500_000]).await.unwrap();
    lenient.put_blob(&here(), &blob(&content()), broken(CUT, ErrorKind::Denied)).await.unwrap_err();
    drop((draft, lenient));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
