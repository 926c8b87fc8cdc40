use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt};
use gantri_spec::{Digest, MediaType};
use tokio::task::JoinSet;

use super::*;

fn spool() -> (Inlet, Arc<Spool>) {
    Spool::create(&std::env::temp_dir()).unwrap()
}

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER, bytes)
}

fn chunks(chunks: &[&'static str]) -> ByteStream {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
    stream::iter(chunks).boxed()
}

fn read(spool: &Arc<Spool>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    SpoolReader::new(Arc::clone(spool)).read_to_end(&mut all).map(|_| all)
}

fn is_broken(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Broken>)
}

#[tokio::test]
async fn only_a_layer_of_the_right_size_and_digest_is_ever_whole() {
    let unknown: Digest = "blake3:0000000000000000000000000000000000000000000000000000000000000000".parse().unwrap();
    let of = |digest, size| Descriptor::new(MediaType::OCI_LAYER, digest, size);
    let cases = [
        ("right", layer(b"hello"), &["he", "", "llo"][..], Ok(())),
        ("empty", layer(b""), &[], Ok(())),
        ("other bytes", layer(b"hello"), &["hullo"], Err(ErrorKind::DigestMismatch)),
        ("one byte short", layer(b"hello"), &["hell"], Err(ErrorKind::SizeMismatch)),
        ("one byte long", layer(b"hello"), &["hello", "!"], Err(ErrorKind::SizeMismatch)),
        ("a size that lies", of(Digest::of(b"hello"), u64::MAX), &["hello"], Err(ErrorKind::SizeMismatch)),
        ("an unknown algorithm", of(unknown, 5), &["hello"], Err(ErrorKind::Unsupported)),
    ];
    for (name, layer, sent, expected) in cases {
        let (inlet, spool) = spool();
        let received = inlet.receive(layer, chunks(sent)).await;
        assert_eq!(received.map_err(|error| error.kind()), expected, "{name}");
        match read(&spool) {
            Ok(all) => assert!(expected.is_ok() && all == sent.concat().as_bytes(), "{name}"),
            Err(error) => assert!(expected.is_err() && is_broken(&error), "{name}"),
        }
        assert_eq!(spool.settle(), expected.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn an_endless_layer_is_read_no_further_than_its_size() {
    const ENOUGH: usize = 1000;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let endless = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from_static(&[0; 1024]))
    });
    // A stream that is really endless would hang the test instead of failing it.
    let endless = endless.take(ENOUGH).boxed();
    let (inlet, spool) = spool();
    let error = inlet.receive(layer(&[1; 4096]), endless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SizeMismatch);
    assert!(spool.received() <= 4096);
    assert!(asked.load(Ordering::Relaxed) < ENOUGH);
}

#[tokio::test]
async fn what_the_stream_says_is_the_reason() {
    let failing =
        stream::iter([Ok(Bytes::from_static(b"he")), Err(Error::new(ErrorKind::Timeout, "the other side went quiet"))]);
    let (inlet, spool) = spool();
    let error = inlet.receive(layer(b"hello"), failing.boxed()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!spool.settle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_follows_the_writer_and_sees_the_end_only_when_it_is_verified() {
    let (sender, receiver) = futures_channel();
    let (inlet, spool) = spool();
    let mut receiving = JoinSet::new();
    receiving.spawn(inlet.receive(layer(b"hello"), receiver));
    sender.send(Ok(Bytes::from_static(b"hel"))).await.unwrap();
    let mut reader = SpoolReader::new(Arc::clone(&spool));
    let (first, mut reader) = task::spawn_blocking(move || {
        let mut first = [0; 3];
        reader.read_exact(&mut first).map(|()| (first, reader))
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(&first, b"hel");
    sender.send(Ok(Bytes::from_static(b"lo"))).await.unwrap();
    drop(sender);
    let rest = task::spawn_blocking(move || {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).map(|_| rest)
    });
    assert_eq!(rest.await.unwrap().unwrap(), b"lo");
    receiving.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_wakes_up_when_the_download_is_dropped() {
    let (sender, receiver) = futures_channel();
    let (inlet, spool) = spool();
    let mut receiving = JoinSet::new();
    receiving.spawn(inlet.receive(layer(b"hello"), receiver));
    sender.send(Ok(Bytes::from_static(b"hel"))).await.unwrap();
    let reading = Arc::clone(&spool);
    let reading = task::spawn_blocking(move || read(&reading));
    drop(receiving);
    assert!(is_broken(&reading.await.unwrap().unwrap_err()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_wakes_up_when_the_download_never_began() {
    let (inlet, spool) = spool();
    let reading = task::spawn_blocking(move || read(&spool));
    drop(inlet.receive(layer(b"hello"), chunks(&["hello"])));
    assert!(is_broken(&reading.await.unwrap().unwrap_err()));
}

type Sender = mpsc::Sender<Result<Bytes>>;

fn futures_channel() -> (Sender, ByteStream) {
    let (sender, receiver) = mpsc::channel(1);
    let stream =
        stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async { Some((receiver.recv().await?, receiver)) });
    (sender, stream.boxed())
}
