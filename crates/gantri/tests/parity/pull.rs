//! Whole images: order, duplicates, what is there already, what must not be asked for.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantri::{Client, Digest, ErrorKind};
use test_support::image::Layer;
use test_support::{Body, Image, Reply, Request, ScriptedServer, Tar};

use crate::world::{Done, at, client, image, layout, limits};

/// Serves an image whose layers are answered last one first: each waits until the next is done.
fn serve_backwards(image: Image, done: &Done) -> ScriptedServer {
    let done = done.clone();
    image.serve(move |image, request| {
        let layers = &image.parsed.layers;
        let asked = layers.iter().position(|layer| request.target.ends_with(layer.digest.as_str()))?;
        if let Some(next) = layers.get(asked + 1) {
            done.wait_for(&next.digest);
        }
        None
    })
}

fn digests(image: &Image) -> Vec<Digest> {
    image.parsed.layers.iter().map(|layer| layer.digest.clone()).collect()
}

fn requests_for(server: &ScriptedServer, digest: &Digest) -> usize {
    let blob = format!("/blobs/{digest}");
    server.requests().iter().filter(|request| request.target.ends_with(&blob)).count()
}

/// O34: layers that finish in the opposite order are still layers in the manifest's.
#[tokio::test(flavor = "multi_thread")]
async fn layers_that_arrive_in_any_order_are_applied_in_the_manifests() {
    let image = image(3);
    let mut backwards = digests(&image);
    backwards.reverse();
    let done = Done::default();
    let server = serve_backwards(image, &done);
    let home = tempfile::tempdir().unwrap();
    let client = Client::builder().observer(Arc::new(done.clone())).build().unwrap();
    client.unpack(&at(&server.host(), ":v1"), &home.path().join("root")).await.unwrap();
    let arrived: Vec<Digest> = done.order().into_iter().filter(|digest| backwards.contains(digest)).collect();
    assert_eq!(arrived, backwards, "the test is about layers that arrive out of order");
    assert_eq!(fs::read_to_string(home.path().join("root/who")).unwrap(), "2");
}

/// O34: the same, into a layout: the manifest is the registry's, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn layers_that_arrive_in_any_order_leave_the_manifest_as_it_was() {
    let image = image(3);
    let (bytes, layers) = (image.manifest.bytes().clone(), digests(&image));
    let done = Done::default();
    let server = serve_backwards(image, &done);
    let home = tempfile::tempdir().unwrap();
    let client = Client::builder().observer(Arc::new(done)).build().unwrap();
    let pulled = client.pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    let found = client.image(&pulled.target).await.unwrap();
    assert_eq!(found.manifest.bytes(), &bytes);
    assert_eq!(found.image.layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>(), layers);
}

/// O34: a layer that the manifest names three times is one request.
#[tokio::test]
async fn a_layer_named_three_times_is_pulled_once() {
    let layer = Layer::gzip(&Tar::new().file("a", "a").finish());
    let image = Image::of_layers(&[layer.clone(), layer.clone(), layer]);
    let digest = image.first_layer().clone();
    let server = image.serve(|_, _| None);
    let home = tempfile::tempdir().unwrap();
    let pulled = client().pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    assert_eq!(requests_for(&server, &digest), 1);
    assert_eq!(client().image(&pulled.target).await.unwrap().image.layers.len(), 3);
}

/// M8: what the layout holds is not asked for again.
#[tokio::test]
async fn what_the_layout_holds_is_not_fetched_again() {
    let server = image(3).serve(|_, _| None);
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        client().pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    }
    let blobs = server.requests().iter().filter(|request| request.target.contains("/blobs/")).count();
    assert_eq!(blobs, 4, "a config and three layers, once");
}

/// M8: a file of the right name and size, but of other bytes, is never taken for the blob.
#[tokio::test]
async fn a_damaged_file_of_the_right_size_is_not_served_and_replaced_by_the_next_pull() {
    let image = image(2);
    let layer = image.first_layer().clone();
    let size = image.blobs[&layer].len();
    let server = image.serve(|_, _| None);
    let home = tempfile::tempdir().unwrap();
    let pulled = client().pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    let file = home.path().join("layout/blobs/sha256").join(layer.encoded());
    fs::remove_file(&file).unwrap();
    fs::write(&file, vec![b'x'; size]).unwrap();
    let refused = client().unpack(&pulled.target, &home.path().join("root")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch);
    assert!(!home.path().join("root").exists());
    client().pull(&at(&server.host(), ":v1"), &layout(&home)).await.unwrap();
    assert_eq!(requests_for(&server, &layer), 2, "fetched again, to take its place");
    client().unpack(&pulled.target, &home.path().join("root")).await.unwrap();
}

/// I4, I5: what an image is can be told without a byte of its layers.
#[tokio::test]
async fn an_images_config_costs_two_requests() {
    let image = image(3);
    let expected = image.blobs[image.config()].clone();
    let server = image.serve(|_, _| None);
    let source = at(&server.host(), ":v1");
    let client = client();
    let found = client.image(&source).await.unwrap();
    assert_eq!(client.config(&source, &found).await.unwrap(), expected);
    let lines: Vec<String> =
        server.requests().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect();
    let config = format!("GET /v2/team/app/blobs/{}", found.image.config.digest);
    assert_eq!(lines, ["GET /v2/team/app/manifests/v1".to_owned(), config]);
}

/// O40, G49: an inline copy of the config saves the request if it is right, and is worth nothing if it is not.
#[tokio::test]
async fn an_inline_config_saves_the_request_only_if_it_is_right() {
    for (right, requests) in [(true, 0), (false, 1)] {
        let image = image(1);
        let expected = image.blobs[image.config()].clone();
        let mut inline = expected.to_vec();
        inline[0] ^= u8::from(!right);
        let image = image.saying(|manifest| manifest.config.data = Some(inline.into()));
        let config = image.config().clone();
        let server = image.serve(|_, _| None);
        let (client, source) = (client(), at(&server.host(), ":v1"));
        let found = client.image(&source).await.unwrap();
        assert_eq!(client.config(&source, &found).await.unwrap(), expected);
        assert_eq!(requests_for(&server, &config), requests, "right: {right}");
    }
}

/// O15, M3: layers come several at once, but never more than the limit, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_layers_are_in_flight_than_the_limit() {
    const LIMIT: usize = 2;
    let done = Done::default();
    let (finished, begun, most) = (done.clone(), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = image(6).serve(move |image, request| {
        let layers = &image.parsed.layers;
        layers.iter().find(|layer| request.target.ends_with(layer.digest.as_str()))?;
        let begun = begun.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(begun - finished.among(layers), Ordering::SeqCst);
        // Time for one too many to come, if it ever does.
        finished.pause();
        None
    });
    let home = tempfile::tempdir().unwrap();
    let limits = limits(|limits| limits.concurrent_layers = LIMIT);
    let client = Client::builder().limits(limits).observer(Arc::new(done)).build().unwrap();
    client.unpack(&at(&server.host(), ":v1"), &home.path().join("root")).await.unwrap();
    assert_eq!(most.load(Ordering::SeqCst), LIMIT);
}

/// M6: a config that is not what the manifest says is no config, and leaves nothing.
#[tokio::test]
async fn a_config_is_held_to_its_digest() {
    let image = image(1);
    let mut wrong = image.blobs[image.config()].to_vec();
    wrong[0] ^= 1;
    let config = image.config().clone();
    let server = image.serve_but(&config, Reply::ok(wrong));
    let source = at(&server.host(), ":v1");
    let home = tempfile::tempdir().unwrap();
    let client = client();
    let found = client.image(&source).await.unwrap();
    assert_eq!(client.config(&source, &found).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
    let pulled = client.pull(&source, &layout(&home)).await;
    assert_eq!(pulled.unwrap_err().kind(), ErrorKind::DigestMismatch);
    let unpacked = client.unpack(&source, &home.path().join("root")).await;
    assert_eq!(unpacked.unwrap_err().kind(), ErrorKind::DigestMismatch);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

/// M8: a resume that is answered with the whole blob is not appended to the part that is here.
#[tokio::test]
async fn a_broken_layer_goes_on_where_it_broke_off() {
    let image = image(1);
    let layer = image.first_layer().clone();
    let half = image.blobs[&layer].len() / 2;
    let blob = format!("/blobs/{layer}");
    let server = image.serve(move |image, request: &Request| {
        let bytes = image.blobs[&layer].clone();
        let whole = request.target.ends_with(&blob).then(|| Reply::ok(bytes.clone()));
        // The first answer breaks off; the second ignores the range.
        whole.filter(|_| request.header("range").is_none()).map(|reply| reply.body(Body::Cut(bytes, half)))
    });
    let home = tempfile::tempdir().unwrap();
    client().unpack(&at(&server.host(), ":v1"), &home.path().join("root")).await.unwrap();
    let ranges: Vec<String> =
        server.requests().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [format!("bytes={half}-")]);
    assert_eq!(fs::read_to_string(home.path().join("root/who")).unwrap(), "0");
}

/// A registry that gives half of the layer, then the other half of something else, and then all of it, right or wrong.
fn serve_changing(image: Image, is_right_at_last: bool) -> ScriptedServer {
    let layer = image.first_layer().clone();
    let bytes = image.blobs[&layer].clone();
    let (half, end) = (bytes.len() / 2, bytes.len());
    let mut other = bytes.to_vec();
    other[half..].fill(b'x');
    let asked = AtomicUsize::new(0);
    image.serve(move |_, request| {
        if !request.target.ends_with(layer.as_str()) {
            return None;
        }
        let range = format!("bytes {half}-{}/{end}", end - 1);
        Some(match (asked.fetch_add(1, Ordering::SeqCst), request.header("range")) {
            (0, _) => Reply::ok(bytes.clone()).body(Body::Cut(bytes.clone(), half)),
            (_, Some(_)) => {
                Reply::new(206).header("content-range", range).body(Body::Whole(other[half..].to_vec().into()))
            }
            (_, None) => Reply::ok(if is_right_at_last { bytes.clone() } else { other.clone().into() }),
        })
    })
}

/// H6: parts that turn out to be of different things cost one fetch from the start, and never a second.
#[tokio::test]
async fn a_layer_that_changed_between_two_parts_is_fetched_once_more() {
    for is_right_at_last in [true, false] {
        let image = image(1);
        let layer = image.first_layer().clone();
        let half = image.blobs[&layer].len() / 2;
        let server = serve_changing(image, is_right_at_last);
        let home = tempfile::tempdir().unwrap();
        let pulled = client().pull(&at(&server.host(), ":v1"), &layout(&home)).await;
        let kind = pulled.err().map(|error| error.kind());
        assert_eq!(kind, (!is_right_at_last).then_some(ErrorKind::DigestMismatch));
        let of_layer = server.requests().into_iter().filter(|request| request.target.ends_with(layer.as_str()));
        let ranges: Vec<_> = of_layer.map(|request| request.header("range").map(str::to_owned)).collect();
        assert_eq!(ranges, [None, Some(format!("bytes={half}-")), None], "right at last: {is_right_at_last}");
    }
}
