use std::sync::Mutex;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use gantri_spec::MediaType;
use tokio::sync::Semaphore;

use super::*;

/// Runs plain layers of these bytes through a pipeline; gives what came of it, and the causes that were told.
async fn run(
    layers: &[&'static [u8]],
    diff_ids: &[Digest],
    apply: &mut (dyn FnMut(&mut dyn BufRead) -> Result<()> + Send),
) -> (bool, Vec<String>) {
    let (outlet, incoming) = channel();
    let permits = Arc::new(Semaphore::new(layers.len()));
    for (index, bytes) in layers.iter().copied().enumerate() {
        let layer = Descriptor::of(MediaType::OCI_LAYER, bytes);
        let (inlet, spool) = Spool::create(&std::env::temp_dir()).unwrap();
        inlet.receive(layer.clone(), stream::iter([Ok(Bytes::from_static(bytes))]).boxed()).await.unwrap();
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        let compression = Compression::None;
        outlet.send(Incoming { index, layer, compression, spool, _permit: permit }).unwrap();
    }
    drop(outlet);
    let causes = Mutex::new(Vec::new());
    let on_cause = |error: Error| causes.lock().unwrap().push(error.to_string());
    let (limits, stop) = (Limits::default(), Stop::default());
    let pipeline = Pipeline { diff_ids, limits: &limits, stop: &stop, on_cause: &on_cause };
    let ran = pipeline.run(incoming, apply).is_ok();
    assert_eq!(permits.available_permits(), layers.len(), "a layer that is done lets go of its permit");
    (ran, causes.into_inner().unwrap())
}

#[tokio::test]
async fn each_layer_is_passed_whole_and_in_order() {
    let mut applied = Vec::new();
    let mut apply = |archive: &mut dyn BufRead| {
        let mut text = String::new();
        archive.read_to_string(&mut text).unwrap();
        applied.push(text);
        Ok(())
    };
    let layers: [&[u8]; 3] = [b"one", b"", b"three"];
    let (ran, causes) = run(&layers, &layers.map(Digest::of), &mut apply).await;
    assert!(ran, "{causes:?}");
    assert_eq!(applied, ["one", "", "three"]);
}

#[tokio::test]
async fn a_layer_that_nobody_cares_to_read_is_verified_all_the_same() {
    let layers: [&[u8]; 2] = [b"one", b"two"];
    let (ran, causes) = run(&layers, &layers.map(Digest::of), &mut |_| Ok(())).await;
    assert!(ran, "{causes:?}");
    let (ran, causes) = run(&layers, &[Digest::of(b"one"), Digest::of(b"three")], &mut |_| Ok(())).await;
    assert!(!ran && causes.len() == 1 && causes[0].contains("layer 2"), "{causes:?}");
}

#[tokio::test]
async fn the_one_cause_is_told_and_what_follows_from_it_is_not() {
    let layers: [&[u8]; 2] = [b"one", b"two"];
    let mut apply = |_: &mut dyn BufRead| Err(Error::new(ErrorKind::LayerInvalid, "no such entry"));
    let (ran, causes) = run(&layers, &layers.map(Digest::of), &mut apply).await;
    let digest = Digest::of(b"one");
    assert_eq!((ran, causes), (false, vec![format!("layer 1 {digest}: no such entry")]));
}

#[tokio::test]
async fn fewer_layers_than_diff_ids_are_no_success() {
    let (ran, causes) = run(&[b"one"], &[Digest::of(b"one"), Digest::of(b"two")], &mut |_| Ok(())).await;
    assert_eq!((ran, causes), (false, Vec::new()));
}
