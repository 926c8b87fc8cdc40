//! Rules of blobs that are put at once: what is stored is what the descriptor says, or nothing is (M2, M6).

use bytes::Bytes;
use futures_util::future::{poll_immediate, try_join_all};
use futures_util::stream::{self, StreamExt};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, RepositoryName};

use super::super::{assert_kind, assert_no_blob, noise, repo, whole};
use crate::testkit::profile::in_sha512;
use crate::testkit::{Content, Outcome, Subject};
use crate::{BlobBody, ByteStream, Error, ErrorKind};

cases! { $ __push_blob_cases in blobs needs [Push];
    a_blob_put_is_there,
    an_empty_blob_can_be_put,
    a_large_blob_in_uneven_chunks_is_put_whole,
    a_body_that_reopens_is_put,
    a_body_read_from_a_registry_is_put,
    a_blob_with_a_wrong_digest_leaves_nothing,
    a_blob_that_is_too_short_leaves_nothing,
    a_blob_that_is_too_long_leaves_nothing,
    an_endless_blob_is_cut_off,
    a_body_that_breaks_off_leaves_nothing,
    a_put_that_is_dropped_leaves_nothing,
    a_body_that_vouches_for_another_blob_is_refused,
    a_blob_of_sha512_is_held_to_it [Sha512],
    an_algorithm_that_nobody_verifies_is_not_stored,
    a_blob_put_twice_is_there_once,
    a_wrong_body_does_no_harm_to_the_blob_there,
    concurrent_puts_of_one_blob_agree,
    concurrent_puts_of_many_blobs_do_not_mix,
}

fn here() -> RepositoryName {
    repo("suite/push")
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, bytes)
}

/// A body that comes in chunks of these sizes, over and over.
fn in_chunks(bytes: &Bytes, sizes: &'static [usize]) -> ByteStream {
    let mut rest = bytes.clone();
    let mut sizes = sizes.iter().cycle();
    stream::iter(std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(sizes.next().copied().unwrap_or(1)))))
    }))
    .boxed()
}

async fn a_blob_put_is_there(registry: Subject) -> Outcome {
    let blob = blob(b"hello");
    registry.put_blob(&here(), &blob, BlobBody::bytes("hello")).await?;
    assert_eq!(registry.resolve_blob(&here(), &blob.digest).await?.size, 5);
    assert_eq!(whole(&*registry, &here(), &blob.digest).await?, "hello");
    Ok(())
}

async fn an_empty_blob_can_be_put(registry: Subject) -> Outcome {
    let empty = blob(b"");
    registry.put_blob(&here(), &empty, BlobBody::bytes("")).await?;
    registry.put_blob(&here(), &empty, BlobBody::once(stream::empty().boxed())).await?;
    assert_eq!(whole(&*registry, &here(), &empty.digest).await?, "");
    Ok(())
}

async fn a_large_blob_in_uneven_chunks_is_put_whole(registry: Subject) -> Outcome {
    let bytes = noise(2_000_003);
    let blob = blob(&bytes);
    let body = BlobBody::once(in_chunks(&bytes, &[1, 70_001, 0, 4_096, 13, 262_144]));
    registry.put_blob(&here(), &blob, body).await?;
    assert!(whole(&*registry, &here(), &blob.digest).await? == bytes);
    Ok(())
}

async fn a_body_that_reopens_is_put(registry: Subject) -> Outcome {
    let bytes = noise(100_000);
    let blob = blob(&bytes);
    let again = bytes.clone();
    registry.put_blob(&here(), &blob, BlobBody::reopen(move |_| in_chunks(&again, &[9_999]))).await?;
    assert!(whole(&*registry, &here(), &blob.digest).await? == bytes);
    Ok(())
}

async fn a_body_read_from_a_registry_is_put(registry: Subject) -> Outcome {
    let content = Content::new("suite/source").blob("layer", noise(100_000));
    registry.hold(&content).await?;
    let digest = content.digest("layer");
    let reader = registry.blob(content.here(), &digest, ByteRange::Full).await?;
    registry.put_blob(&here(), &content.descriptor("layer"), BlobBody::once(reader.into_unverified())).await?;
    assert!(whole(&*registry, &here(), &digest).await? == content.bytes("layer"));
    Ok(())
}

/// Asserts that a body that is not what the descriptor says is refused as `kind`, and that nothing is there then.
async fn refuses(registry: Subject, blob: Descriptor, body: BlobBody, kind: ErrorKind) -> Outcome {
    assert_kind(registry.put_blob(&here(), &blob, body).await, &[kind]);
    assert_no_blob(&*registry, &here(), &blob.digest).await;
    Ok(())
}

async fn a_blob_with_a_wrong_digest_leaves_nothing(registry: Subject) -> Outcome {
    refuses(registry, blob(b"hello"), BlobBody::bytes("hullo"), ErrorKind::DigestMismatch).await
}

async fn a_blob_that_is_too_short_leaves_nothing(registry: Subject) -> Outcome {
    let mut long = blob(b"hello");
    long.size = 6;
    refuses(registry, long, BlobBody::bytes("hello"), ErrorKind::SizeMismatch).await
}

async fn a_blob_that_is_too_long_leaves_nothing(registry: Subject) -> Outcome {
    let mut short = blob(b"hello");
    short.size = 4;
    refuses(registry, short, BlobBody::bytes("hello"), ErrorKind::SizeMismatch).await
}

/// Endless for whoever believes the descriptor; it does end, so that who does not notice fails and harms nobody else.
async fn an_endless_blob_is_cut_off(registry: Subject) -> Outcome {
    let chunk = noise(65_536);
    let mut endless = blob(&chunk);
    endless.size = 1 << 20;
    let body = BlobBody::once(stream::iter((0..512).map(move |_| Ok(chunk.clone()))).boxed());
    refuses(registry, endless, body, ErrorKind::SizeMismatch).await
}

async fn a_body_that_breaks_off_leaves_nothing(registry: Subject) -> Outcome {
    let bytes = noise(300_000);
    let blob = blob(&bytes);
    let broken = Error::new(ErrorKind::Io, "the source broke off");
    let body = in_chunks(&bytes, &[50_000]).take(3).chain(stream::iter([Err(broken)])).boxed();
    let outcome = registry.put_blob(&here(), &blob, BlobBody::once(body)).await;
    assert!(outcome.is_err(), "succeeded with half a blob");
    assert_no_blob(&*registry, &here(), &blob.digest).await;
    Ok(())
}

async fn a_put_that_is_dropped_leaves_nothing(registry: Subject) -> Outcome {
    let bytes = noise(300_000);
    let blob = blob(&bytes);
    let stalled = in_chunks(&bytes, &[100_000]).take(2).chain(stream::pending()).boxed();
    let here = here();
    assert!(poll_immediate(registry.put_blob(&here, &blob, BlobBody::once(stalled))).await.is_none());
    assert_no_blob(&*registry, &here, &blob.digest).await;
    registry.put_blob(&here, &blob, BlobBody::bytes(bytes.clone())).await?;
    assert!(whole(&*registry, &here, &blob.digest).await? == bytes);
    Ok(())
}

/// A whole blob from a reader verifies itself, but as what it was read as: not as any name it is put under.
async fn a_body_that_vouches_for_another_blob_is_refused(registry: Subject) -> Outcome {
    let content = Content::new("suite/source").blob("one", "hullo");
    registry.hold(&content).await?;
    let reader = registry.blob(content.here(), &content.digest("one"), ByteRange::Full).await?;
    refuses(registry, blob(b"hello"), BlobBody::once(reader.into_stream()), ErrorKind::DigestMismatch).await
}

async fn a_blob_of_sha512_is_held_to_it(registry: Subject) -> Outcome {
    refuses(registry, in_sha512(b"hello"), BlobBody::bytes("hullo"), ErrorKind::DigestMismatch).await
}

async fn an_algorithm_that_nobody_verifies_is_not_stored(registry: Subject) -> Outcome {
    let Ok(digest) = "blake3:00112233445566778899aabbccddeeff".parse::<Digest>() else {
        panic!("any algorithm is a valid name")
    };
    let blob = Descriptor::new(MediaType::OCTET_STREAM, digest, 5);
    let refusals = [ErrorKind::Unsupported, ErrorKind::DigestMismatch];
    assert_kind(registry.put_blob(&here(), &blob, BlobBody::bytes("hello")).await, &refusals);
    let fetched = whole(&*registry, &here(), &blob.digest).await;
    assert!(fetched.is_err(), "refused, yet stored: {fetched:?}");
    Ok(())
}

async fn a_blob_put_twice_is_there_once(registry: Subject) -> Outcome {
    let blob = blob(b"hello");
    for _ in 0..2 {
        registry.put_blob(&here(), &blob, BlobBody::bytes("hello")).await?;
        assert_eq!(whole(&*registry, &here(), &blob.digest).await?, "hello");
    }
    Ok(())
}

/// Whether the body is looked at at all, where the blob is there already, is the backend's choice.
async fn a_wrong_body_does_no_harm_to_the_blob_there(registry: Subject) -> Outcome {
    let blob = blob(b"hello");
    registry.put_blob(&here(), &blob, BlobBody::bytes("hello")).await?;
    if let Err(error) = registry.put_blob(&here(), &blob, BlobBody::bytes("hullo")).await {
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    }
    assert_eq!(whole(&*registry, &here(), &blob.digest).await?, "hello");
    Ok(())
}

async fn concurrent_puts_of_one_blob_agree(registry: Subject) -> Outcome {
    let bytes = noise(200_000);
    let (here, blob) = (here(), blob(&bytes));
    let puts = (0..16).map(|_| registry.put_blob(&here, &blob, BlobBody::once(in_chunks(&bytes, &[7_000]))));
    try_join_all(puts).await?;
    assert!(whole(&*registry, &here, &blob.digest).await? == bytes);
    Ok(())
}

async fn concurrent_puts_of_many_blobs_do_not_mix(registry: Subject) -> Outcome {
    let here = here();
    let all: Vec<Bytes> = (1..=16).map(|number| noise(number * 5_000)).collect();
    let blobs: Vec<Descriptor> = all.iter().map(|bytes| blob(bytes)).collect();
    let puts = blobs.iter().zip(&all).map(|(blob, bytes)| {
        let body = BlobBody::once(in_chunks(bytes, &[3_000]));
        registry.put_blob(&here, blob, body)
    });
    try_join_all(puts).await?;
    for (blob, bytes) in blobs.iter().zip(&all) {
        assert!(whole(&*registry, &here, &blob.digest).await? == *bytes);
    }
    Ok(())
}
