//! A large blob over a link that is cut again and again, and with the process killed again and again: it arrives, and next
//! to nothing of it passes twice.
//!
//! The blob has so many MiB as `GANTRI_TEST_RESUME_MIB` says; `cargo xtask kill` says 1024.

use std::time::Duration;

use bytes::Bytes;
use gantri::spec::{Descriptor, ImageManifest, MediaType};
use gantri::{BlobBody, Layout, Memory, Registry};
use tokio::runtime::Runtime;

use crate::copies::Embedded;
use crate::kill::variable;
use crate::link::{Dice, Fault, Link, Way};
use crate::{noise, scene};
use test_support::Scene;

const MIB: u64 = 1 << 20;
/// One cut in so many bytes, on the average.
const CUT_EVERY: u64 = 64 * MIB;
/// One kill in so many bytes: twenty in a GiB.
const KILL_EVERY: u64 = 1024 * MIB / 20;
/// In a hundred bytes, how many may pass twice, with all that is said beside them.
const PERCENT: u64 = 1;
/// More kills than this mean that it gets nowhere.
const MOST_KILLS: u64 = 200;

/// A GiB takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3600);

fn size() -> u64 {
    variable("GANTRI_TEST_RESUME_MIB").map_or(256, |mib| mib.parse().unwrap()) * MIB
}

/// A blob without a repeated stretch.
fn large(size: u64) -> Bytes {
    let block = noise(usize::try_from(MIB).unwrap());
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap());
    for number in 0..size / MIB {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&block[8..]);
    }
    bytes.into()
}

/// Puts an image of one large layer under `app:v1`.
fn fill(registry: &impl Registry, size: u64) {
    Runtime::new().unwrap().block_on(async {
        let repo = "app".parse().unwrap();
        let put = async |media_type: MediaType, bytes: Bytes| {
            let blob = Descriptor::of(media_type, &bytes);
            registry.put_blob(&repo, &blob, BlobBody::bytes(bytes)).await.unwrap();
            blob
        };
        let config = put(MediaType::OCI_CONFIG, Bytes::from_static(b"{}")).await;
        let layer = put(MediaType::OCI_LAYER, large(size)).await;
        let manifest = ImageManifest::new(config, vec![layer]).to_raw();
        registry.put_manifest(&repo, &manifest, &["v1".parse().unwrap()]).await.unwrap();
    });
}

fn source(size: u64) -> Embedded {
    let registry = Memory::new();
    fill(&registry, size);
    Embedded::of(registry)
}

/// A registry on disk, and where its files are.
fn target() -> (Embedded, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Runtime::new().unwrap().block_on(Layout::tree(dir.path())).unwrap();
    (Embedded::of(layout), dir)
}

/// An image layout with the image, in the scene.
fn local(scene: &Scene, size: u64) -> String {
    let layout = Runtime::new().unwrap().block_on(Layout::create(scene.path("local"))).unwrap();
    fill(&layout, size);
    "oci:local:v1".to_owned()
}

/// Runs it to its end, which may be far.
fn done(scene: &Scene, arguments: [&str; 3]) {
    let ran = scene.start(arguments).end_within(PATIENCE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Runs it to its end, however often it is killed on the way; how often that was.
fn killed_on_the_way(scene: &Scene, arguments: [&str; 3], link: &Link, way: Way) -> u64 {
    let mut dice = Dice::new(7);
    let mut kills = 0;
    let mut next = 0;
    loop {
        next += KILL_EVERY / 2 + dice.below(KILL_EVERY);
        let mut running = scene.start(arguments);
        let ended = loop {
            if let Some(ran) = running.ended_within(Duration::from_millis(2)) {
                break Some(ran);
            }
            if link.passed(way) >= next {
                break None;
            }
        };
        if let Some(ran) = ended {
            assert_eq!(ran.code, Some(0), "{ran:?}");
            return kills;
        }
        running.stop();
        assert_eq!(link.around(way, || running.kill()).code, None);
        kills += 1;
        assert!(kills < MOST_KILLS, "nothing is gone on with");
    }
}

/// Prints what it came to, and holds it to its bound. What a client that was killed had not read is not held against it: how
/// much that is depends on how busy the machine is. What it had read and not written is.
#[expect(clippy::print_stdout, reason = "the long form is run for its figures")]
fn within_bounds(what: &str, size: u64, link: &Link, way: Way, interruptions: u64) {
    let (passed, unread) = (link.passed(way), link.unread());
    let twice = passed.saturating_sub(size + unread);
    let part = twice * 10_000 / size;
    println!(
        "{what}: {} MiB, {interruptions} interruptions, {twice} bytes twice ({}.{:02} %), {unread} lost unread",
        size / MIB,
        part / 100,
        part % 100
    );
    assert!(passed >= size, "{passed} of {size} bytes came this way");
    assert!(twice * 100 <= size * PERCENT, "{twice} of {size} bytes came twice");
    assert!(interruptions >= size / CUT_EVERY / 2, "{interruptions} interruptions");
}

/// The image, unharmed.
fn is_whole(scene: &Scene, place: &str, size: u64) {
    done(scene, ["copy", place, "oci:checked:v1"]);
    let layout = scene.path("checked/blobs/sha256");
    let digest = Descriptor::of(MediaType::OCI_LAYER, &large(size)).digest;
    assert_eq!(std::fs::metadata(layout.join(digest.encoded())).unwrap().len(), size);
    std::fs::remove_dir_all(scene.path("checked")).unwrap();
}

#[test]
fn a_pull_over_a_link_that_is_cut_again_and_again_fetches_next_to_nothing_twice() {
    let (scene, size) = (scene(), size());
    let source = source(size);
    let link = Link::to(&source.host, Fault::Cuts(Way::Down, CUT_EVERY), 1);
    done(&scene, ["pull", &format!("{}/app:v1", link.host), "oci:new:v1"]);
    is_whole(&scene, "oci:new:v1", size);
    within_bounds("pull, cut", size, &link, Way::Down, link.cuts());
}

#[test]
fn a_pull_that_is_killed_again_and_again_fetches_next_to_nothing_twice() {
    let (scene, size) = (scene(), size());
    let source = source(size);
    for (target, place) in [("oci:new:v1", "a new layout"), ("oci:there:v1", "a layout that is there")] {
        let link = Link::to(&source.host, Fault::None, 2);
        if place.ends_with("there") {
            Runtime::new().unwrap().block_on(Layout::create(scene.path("there"))).unwrap();
        }
        let arguments = ["pull", &format!("{}/app:v1", link.host), target];
        let kills = killed_on_the_way(&scene, arguments, &link, Way::Down);
        is_whole(&scene, target, size);
        within_bounds(&format!("pull into {place}, killed"), size, &link, Way::Down, kills);
        let names = scene.trace().into_names();
        assert!(!names.iter().any(|name| name.contains(".gantri")), "{names:#?}");
    }
}

#[test]
fn a_push_over_a_link_that_is_cut_again_and_again_sends_nothing_acknowledged_twice() {
    let (scene, size) = (scene(), size());
    let (image, (target, _dir)) = (local(&scene, size), target());
    let link = Link::to(&target.host, Fault::Cuts(Way::Up, CUT_EVERY), 3);
    done(&scene, ["push", &image, &format!("{}/to:v1", link.host)]);
    assert_eq!(link.sent_again(), 0);
    assert!(link.acknowledged() > 0, "the registry was heard");
    is_whole(&scene, &format!("{}/to:v1", target.host), size);
    within_bounds("push, cut", size, &link, Way::Up, link.cuts());
}

#[test]
fn a_push_that_is_killed_again_and_again_sends_nothing_acknowledged_twice() {
    let (scene, size) = (scene(), size());
    let (image, (target, _dir)) = (local(&scene, size), target());
    let link = Link::to(&target.host, Fault::None, 4);
    let kills = killed_on_the_way(&scene, ["push", &image, &format!("{}/to:v1", link.host)], &link, Way::Up);
    assert_eq!(link.sent_again(), 0);
    assert!(link.acknowledged() > 0, "the registry was heard");
    is_whole(&scene, &format!("{}/to:v1", target.host), size);
    within_bounds("push, killed", size, &link, Way::Up, kills);
}
