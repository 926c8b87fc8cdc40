//! A whole image onto the disk, or nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gantri_core::{Error, ErrorKind, Event, Limits, Memory, Observer, Pull, Result};
use gantri_image::{Unpack, Unpacked};
use gantri_spec::{Digest, ImageConfig, MediaType, Platform};
use tempfile::TempDir;

use crate::fixture::{TestImage, TestLayer, gzip, tar};
use crate::spy::{Served, Spy};
use crate::{names, repo, tag};

/// Where a test unpacks to; only `root` may ever be seen in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Nothing at the target, and nothing beside it.
    fn is_untouched(&self) -> bool {
        names(self.0.path()).is_empty()
    }
}

fn job(source: impl Pull) -> Unpack {
    Unpack::new(Arc::new(source), repo(), tag())
}

async fn unpack(source: impl Pull, place: &Place) -> Result<Unpacked> {
    job(source).to(place.root()).await
}

/// Unpacks what must fail, and leave nothing.
async fn failure(source: impl Pull) -> Error {
    let place = Place::new();
    let unpacked = tokio::time::timeout(Duration::from_secs(60), unpack(source, &place)).await;
    let error = unpacked.unwrap().unwrap_err();
    assert!(place.is_untouched(), "{error}: {:?}", names(place.0.path()));
    error
}

fn read(dir: &Path, name: &str) -> String {
    String::from_utf8(fs::read(dir.join(name)).unwrap()).unwrap()
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn layers_of_every_compression_are_applied_in_order() {
    let archive = |text: &str| tar(&[("who", text.as_bytes()), (text, b"")]);
    let members = [gzip(&archive("members")[..700]), gzip(&archive("members")[700..])].concat();
    let image = TestImage::of(vec![
        TestLayer::plain(&archive("plain")),
        TestLayer::gzip(&archive("gzip")),
        TestLayer::new(MediaType::DOCKER_LAYER_GZIP, members, Digest::of(&archive("members"))),
        TestLayer::zstd(&archive("zstd")),
    ]);
    let place = Place::new();
    let unpacked = unpack(image.served().await, &place).await.unwrap();
    assert_eq!(names(&place.root()), ["gzip", "members", "plain", "who", "zstd"]);
    assert_eq!(read(&place.root(), "who"), "zstd");
    assert_eq!(names(place.0.path()), ["root"]);
    assert_eq!((&unpacked.manifest, unpacked.entries), (image.manifest.digest(), 8));
    assert_eq!(unpacked.config.to_bytes(), image.config_bytes);
}

#[tokio::test]
async fn more_layers_than_spools_and_blocks_get_through() {
    let layers = (0..40).map(|layer| TestLayer::gzip(&tar(&[(&format!("file-{layer}"), &noise(300_000))])));
    let image = TestImage::of(layers.collect());
    let place = Place::new();
    unpack(image.served().await, &place).await.unwrap();
    assert_eq!(names(&place.root()).len(), 40);
    assert_eq!(fs::read(place.root().join("file-39")).unwrap(), noise(300_000));
}

#[tokio::test]
async fn an_image_without_layers_is_an_empty_directory() {
    let place = Place::new();
    unpack(TestImage::of(Vec::new()).served().await, &place).await.unwrap();
    assert!(names(&place.root()).is_empty());
}

#[tokio::test]
async fn one_request_for_the_manifest_the_config_and_each_layer() {
    let layers: Vec<_> = (0..8).map(|layer| TestLayer::gzip(&tar(&[(&format!("{layer}"), b"x")]))).collect();
    let image = TestImage::of(layers);
    let source = Spy::new(image.served().await);
    unpack(source.clone(), &Place::new()).await.unwrap();
    assert_eq!((source.calls().len(), source.count("manifest v1"), source.count("blob")), (10, 1, 9));
    let mut once = source.calls();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 10);
}

/// M12. More often than there are spools, so that sharing one may not wait for another.
#[tokio::test]
async fn a_layer_that_is_named_many_times_is_fetched_once_and_applied_each_time() {
    let [low, high] = ["low", "high"].map(|text| TestLayer::gzip(&tar(&[("file", text.as_bytes())])));
    let mut layers = vec![low; 20];
    layers.insert(10, high);
    let source = Spy::new(TestImage::of(layers).served().await);
    let place = Place::new();
    unpack(source.clone(), &place).await.unwrap();
    assert_eq!(source.count("blob"), 3);
    assert_eq!(std::fs::read(place.root().join("file")).unwrap(), b"low");
}

#[tokio::test]
async fn config_and_layers_are_asked_for_at_once() {
    let layers = (0..3).map(|layer| TestLayer::gzip(&tar(&[(&format!("{layer}"), b"x")])));
    let source = Spy::new(TestImage::of(layers.collect()).served().await).answering_blobs_together(4);
    let place = Place::new();
    let unpacked = tokio::time::timeout(Duration::from_secs(20), unpack(source, &place)).await;
    unpacked.expect("requests wait for one another").unwrap();
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_manifest_says_names_itself_and_both_digests() {
    let lower = TestLayer::gzip(&tar(&[("lower", b"x")]));
    let upper = TestLayer::gzip(&tar(&[("upper", b"x")]));
    let other = TestLayer::gzip(&tar(&[("other", b"x")]));
    let right = upper.descriptor().digest;
    let image = TestImage::of(vec![lower, upper.clone()]);
    let mut wrong = other.bytes.to_vec();
    wrong.resize(upper.bytes.len(), 0);
    let source = Spy::new(image.served().await).serving(&right, Served::As(wrong.clone().into()));
    let error = failure(source).await;
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    let text = error.to_string();
    assert!(text.contains("layer 2") && text.contains(right.as_str()), "{text}");
    assert!(text.contains(Digest::of(&wrong).as_str()), "{text}");
}

#[tokio::test]
async fn a_layer_with_any_bit_flipped_on_its_way_is_a_digest_mismatch() {
    let layer = TestLayer::gzip(&tar(&[("file", b"content")]));
    let digest = layer.descriptor().digest;
    let memory = TestImage::of(vec![layer.clone()]).served().await;
    for byte in 0..layer.bytes.len() {
        let mut flipped = layer.bytes.to_vec();
        flipped[byte] ^= 1 << (byte % 8);
        let error = failure(Spy::new(memory.clone()).serving(&digest, Served::As(flipped.into()))).await;
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "byte {byte}: {error}");
    }
}

#[tokio::test]
async fn a_layer_cut_or_continued_on_its_way_is_a_size_mismatch() {
    let layer = TestLayer::gzip(&tar(&[("file", b"content")]));
    let digest = layer.descriptor().digest;
    let memory = TestImage::of(vec![layer.clone()]).served().await;
    let all = layer.bytes.len();
    for bytes in [Bytes::new(), layer.bytes.slice(..all / 2), layer.bytes.slice(..all - 1)].into_iter().chain([[
        &layer.bytes[..],
        b"x",
    ]
    .concat()
    .into()])
    {
        let error = failure(Spy::new(memory.clone()).serving(&digest, Served::As(bytes.clone()))).await;
        assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{} of {all} bytes: {error}", bytes.len());
    }
}

#[tokio::test]
async fn a_layer_that_was_broken_when_it_was_pushed_is_no_layer() {
    let archive = tar(&[("file", b"content")]);
    let whole = gzip(&archive);
    let of = |media_type, bytes: Vec<u8>| TestLayer::new(media_type, bytes, Digest::of(&archive));
    let cases = [
        ("truncated gzip", of(MediaType::OCI_LAYER_GZIP, whole[..whole.len() - 9].to_vec())),
        ("truncated zstd", {
            let zstd = zstd::encode_all(&archive[..], 1).unwrap();
            of(MediaType::OCI_LAYER_ZSTD, zstd[..zstd.len() - 1].to_vec())
        }),
        ("junk behind gzip", of(MediaType::OCI_LAYER_GZIP, [&whole[..], b"junk behind it"].concat())),
        ("nothing", of(MediaType::OCI_LAYER_GZIP, Vec::new())),
        ("gzip called plain", of(MediaType::OCI_LAYER, whole.clone())),
        ("gzip called zstd", of(MediaType::OCI_LAYER_ZSTD, whole.clone())),
        ("plain called gzip", of(MediaType::OCI_LAYER_GZIP, archive.clone())),
        ("plain and cut off", TestLayer::plain(&archive[..600])),
        ("no archive at all", TestLayer::gzip(&noise(2048))),
    ];
    for (name, layer) in cases {
        let digest = layer.descriptor().digest;
        let error = failure(TestImage::of(vec![layer]).served().await).await;
        assert_eq!(error.kind(), ErrorKind::LayerInvalid, "{name}: {error}");
        assert!(
            error.to_string().contains("layer 1") && error.to_string().contains(digest.as_str()),
            "{name}: {error}"
        );
    }
}

#[tokio::test]
async fn a_layer_that_does_not_unfold_to_its_diff_id_is_rolled_back_with_all_the_others() {
    let archive = tar(&[("file", b"content")]);
    let expected = Digest::of(b"something else");
    let liar = TestLayer::new(MediaType::OCI_LAYER_GZIP, gzip(&archive), expected.clone());
    let image = TestImage::of(vec![TestLayer::gzip(&archive), liar, TestLayer::gzip(&archive)]);
    let error = failure(image.served().await).await;
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
    let text = error.to_string();
    for part in ["layer 2", "diff_id", expected.as_str(), Digest::of(&archive).as_str()] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn bytes_behind_the_archive_belong_to_the_diff_id() {
    let archive = tar(&[("file", b"content")]);
    let mut padded = archive.clone();
    padded.resize(archive.len() + 100_000, 0);
    let layer = TestLayer::new(MediaType::OCI_LAYER_GZIP, gzip(&padded), Digest::of(&archive));
    assert_eq!(failure(TestImage::of(vec![layer]).served().await).await.kind(), ErrorKind::DigestMismatch);
    let place = Place::new();
    unpack(TestImage::of(vec![TestLayer::gzip(&padded)]).served().await, &place).await.unwrap();
    assert_eq!(names(&place.root()), ["file"]);
}

#[tokio::test]
async fn a_config_must_fit_the_layers() {
    let layer = TestLayer::gzip(&tar(&[("file", b"x")]));
    let configs = [
        ImageConfig::new(Platform::host(), Vec::new()).to_bytes(),
        ImageConfig::new(Platform::host(), vec![layer.diff_id.clone(); 2]).to_bytes(),
        Bytes::from_static(b"{}"),
        Bytes::from_static(b"not json"),
    ];
    for config in configs {
        let error = failure(TestImage::with_config(config.clone(), vec![layer.clone()]).served().await).await;
        assert_eq!(error.kind(), ErrorKind::ManifestInvalid, "{config:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_layer_is_refused_before_anything_is_fetched() {
    let archive = tar(&[("file", b"x")]);
    let strange =
        TestLayer::new(MediaType::from_static("application/x-strange"), archive.clone(), Digest::of(&archive));
    let source = Spy::new(TestImage::of(vec![strange]).served().await);
    let error = failure(source.clone()).await;
    assert_eq!((error.kind(), source.count("blob")), (ErrorKind::Unsupported, 0), "{error}");
}

#[tokio::test]
async fn a_bomb_stops_at_its_bound_wherever_its_bytes_are() {
    let content = tar(&[("zeros", &vec![0; 4 << 20])]);
    let mut padding = tar(&[("file", b"x")]);
    padding.resize(4 << 20, 0);
    for bomb in [content, padding] {
        let memory = TestImage::of(vec![TestLayer::gzip(&bomb), TestLayer::zstd(&bomb)]).served().await;
        let mut small_layer = Limits::default();
        small_layer.unpack_layer_bytes = 1 << 20;
        let mut small_image = Limits::default();
        small_image.unpack_bytes = 6 << 20;
        for (name, limits) in [("unpack_layer_bytes", small_layer), ("unpack_bytes", small_image)] {
            let place = Place::new();
            let error = job(memory.clone()).limits(limits).to(place.root()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
            assert!(error.to_string().contains(name), "{error}");
            assert!(place.is_untouched());
        }
    }
}

#[tokio::test]
async fn a_config_larger_than_its_bound_is_not_read() {
    let image = TestImage::of(Vec::new());
    let mut limits = Limits::default();
    limits.config = image.config_bytes.len() as u64 - 1;
    let place = Place::new();
    let error = job(image.served().await).limits(limits).to(place.root()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert!(place.is_untouched());
}

#[tokio::test]
async fn a_target_that_is_in_the_way_is_found_out_before_anything_is_asked_for() {
    let place = Place::new();
    fs::create_dir(place.root()).unwrap();
    fs::write(place.root().join("mine"), "x").unwrap();
    let source = Spy::new(TestImage::of(Vec::new()).served().await);
    let error = unpack(source.clone(), &place).await.unwrap_err();
    assert_eq!((error.kind(), source.calls().len()), (ErrorKind::Conflict, 0), "{error}");
    assert_eq!(names(&place.root()), ["mine"]);
}

#[tokio::test]
async fn an_empty_target_is_replaced() {
    let place = Place::new();
    fs::create_dir(place.root()).unwrap();
    let image = TestImage::of(vec![TestLayer::gzip(&tar(&[("file", b"x")]))]);
    unpack(image.served().await, &place).await.unwrap();
    assert_eq!(names(&place.root()), ["file"]);
    assert_eq!(names(place.0.path()), ["root"]);
}

/// Waits until a layer stalls half way, then drops the job.
async fn drop_half_way(stalling: usize) {
    let layers: Vec<_> =
        (0..12).map(|layer| TestLayer::gzip(&tar(&[(&format!("file-{layer}"), &noise(600_000))]))).collect();
    let image = TestImage::of(layers);
    let digest = image.layers[stalling].descriptor().digest;
    let source = Spy::new(image.served().await).serving(&digest, Served::Half);
    let stalled = Arc::clone(&source.stalled);
    let place = Place::new();
    tokio::select! {
        done = unpack(source, &place) => panic!("{done:?}"),
        () = stalled.notified() => {}
    }
    assert!(place.is_untouched(), "layer {stalling}: {:?}", names(place.0.path()));
}

#[tokio::test]
async fn a_dropped_unpack_leaves_nothing_on_one_thread() {
    for stalling in [0, 1, 5, 11] {
        drop_half_way(stalling).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_unpack_leaves_nothing_on_several_threads() {
    for stalling in [0, 1, 5, 11] {
        drop_half_way(stalling).await;
    }
}

#[tokio::test]
async fn an_unpack_dropped_at_any_step_is_there_as_a_whole_or_not_at_all() {
    let layers = (0..4).map(|layer| TestLayer::gzip(&tar(&[(&format!("file-{layer}"), &noise(1000))])));
    let memory = TestImage::of(layers.collect()).served().await;
    let mut finished = 0;
    for steps in 0..200 {
        let place = Place::new();
        {
            let mut job = pin!(unpack(memory.clone(), &place));
            for _ in 0..steps {
                if futures_util::poll!(job.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        if !place.is_untouched() {
            finished += 1;
            assert_eq!((names(place.0.path()), names(&place.root()).len()), (vec!["root".to_owned()], 4), "{steps}");
        }
    }
    assert!(finished < 200, "nothing was ever dropped half way");
}

#[tokio::test]
async fn a_broken_layer_is_told_while_another_is_stalled() {
    let fine = TestLayer::gzip(&tar(&[("fine", &noise(600_000))]));
    let broken = TestLayer::gzip(&noise(600_000));
    let image = TestImage::of(vec![broken, fine.clone()]);
    let source = Spy::new(image.served().await).serving(&fine.descriptor().digest, Served::Half);
    assert_eq!(failure(source).await.kind(), ErrorKind::LayerInvalid);
}

#[tokio::test]
async fn an_image_for_another_platform_is_unpacked_and_told() {
    let image = TestImage::of(vec![TestLayer::gzip(&tar(&[("file", b"x")]))]);
    let place = Place::new();
    let job = job(image.served().await).platform("plan9/mips".parse().unwrap());
    let unpacked = job.to(place.root()).await.unwrap();
    assert_eq!(unpacked.notices, [format!("the image is for {}, not for plan9/mips", unpacked.config.platform())]);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Started(of) => format!("started {}", of.digest),
            Event::Bytes { of, count } => format!("{count} of {}", of.digest),
            Event::Finished(of) => format!("finished {}", of.digest),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn an_observer_hears_of_every_layer_and_all_its_bytes() {
    let layer = TestLayer::gzip(&tar(&[("file", b"x")]));
    let heard = Arc::new(Heard::default());
    let image = TestImage::of(vec![layer.clone()]);
    let place = Place::new();
    let observer: Arc<dyn Observer> = heard.clone();
    job(image.served().await).observer(observer).to(place.root()).await.unwrap();
    let digest = layer.descriptor().digest;
    let expected =
        [format!("started {digest}"), format!("{} of {digest}", layer.bytes.len()), format!("finished {digest}")];
    assert_eq!(*heard.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_the_registry_says_comes_out_with_its_own_kind() {
    let kind = failure(Memory::new()).await.kind();
    assert!(matches!(kind, ErrorKind::RepositoryUnknown | ErrorKind::ManifestUnknown), "{kind:?}");
}
