//! H17: what is too large for a registry is cut smaller, and that is remembered; `OCI-Chunk-Min-Length` is kept to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantri_core::{BlobBody, ErrorKind, Push};
use gantri_spec::{Algorithm, Descriptor, MediaType};

use super::model::{Model, blob, data, once, process, replayable};
use crate::script::{Reply, Script, repo};

/// 413 as nginx says it, at any size that is refused, for all kinds of bodies; the next blob goes in the right size at once.
#[tokio::test(start_paused = true)]
async fn a_refused_size_is_halved_and_remembered() {
    for (at_once, first) in [(0, "PATCH 0-102399"), (1 << 20, "PUT")] {
        let (model, script) = Model::new(|_, _| None).largest_body(40 << 10).script();
        let remote = process(&script, at_once);
        remote.put_blob(&repo(), &blob(), replayable()).await.unwrap();
        let chunks = ["PATCH 0-32767", "PATCH 32768-65535", "PATCH 65536-98303", "PATCH 98304-102399", "PUT"];
        assert_eq!(model.steps(), [&["HEAD", "POST", first, "GET"][..], &chunks].concat());
        assert_eq!(model.blob(&blob().digest), Some(data()));
        assert_eq!(model.sent_again(), 0);

        let reversed: Vec<u8> = data().into_iter().rev().collect();
        let other = Descriptor::of(MediaType::OCTET_STREAM, &reversed);
        remote.clone().put_blob(&repo(), &other, BlobBody::bytes(reversed)).await.unwrap();
        assert_eq!(model.steps()[9..], [&["HEAD", "POST"][..], &chunks].concat());
    }
}

/// GHCR says 416 to what is too large, and stands where it stood.
#[tokio::test(start_paused = true)]
async fn a_size_refused_as_a_range_is_halved_as_well() {
    let script = Script::new(|seen, _| match seen.name() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", "/v2/u/1"),
        "PATCH" if seen.body.len() > 40 << 10 => Reply::status(416),
        "PATCH" => Reply::status(202),
        "GET" => Reply::status(204).header("range", "0-0"),
        _ => Reply::status(201),
    });
    process(&script, 0).put_blob(&repo(), &blob(), replayable()).await.unwrap();
    assert_eq!(script.methods(), "HEAD POST PATCH GET PATCH PATCH PATCH PATCH PUT");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_every_size_is_the_last_word() {
    let (model, script) = Model::new(|_, _| None).largest_body(100).script();
    let error = process(&script, 0).put_blob(&repo(), &blob(), replayable()).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 413);
    assert_eq!(model.open_sessions(), 0);
    assert!(model.steps().len() < 10, "{:?}", model.steps());
}

/// A write of the caller's own is cut by what was learned, and learns.
#[tokio::test(start_paused = true)]
async fn a_step_that_is_too_large_goes_in_parts() {
    let (model, script) = Model::new(|_, _| None).largest_body(40 << 10).script();
    let mut upload = process(&script, 0).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
    upload.write(data().into()).await.unwrap();
    assert_eq!(upload.offset(), 100 << 10);
    upload.commit(&blob().digest).await.unwrap();
    assert_eq!(model.blob(&blob().digest), Some(data()));
    assert_eq!(script.methods(), "POST PATCH GET PATCH PATCH PATCH PATCH PUT");
}

/// Chunks are no smaller than the registry asks for; what is larger than memory holds is streamed.
#[tokio::test(start_paused = true)]
async fn the_least_chunk_that_is_asked_for_is_kept_to() {
    for (least, expected) in
        [(1_000, vec![32_768, 32_768, 32_768, 4_096]), (50_000, vec![102_400]), (u64::MAX, vec![102_400])]
    {
        let script = Script::new(move |seen, _| match seen.name() {
            "HEAD" => Reply::status(404),
            "POST" => Reply::status(202).header("location", "/v2/u/1").header("oci-chunk-min-length", least),
            "PATCH" => Reply::status(202),
            _ => Reply::status(201),
        });
        process(&script, 0).put_blob(&repo(), &blob(), once()).await.unwrap();
        let seen = script.seen();
        let sizes: Vec<_> = seen.iter().filter(|seen| seen.name() == "PATCH").map(|seen| seen.body.len()).collect();
        assert_eq!(sizes, expected, "{least}");
        let sent: Vec<u8> =
            seen.iter().filter(|seen| seen.name() == "PATCH").flat_map(|seen| seen.body.to_vec()).collect();
        assert!(sent == data());
    }
}

/// What is streamed from a body that can be read once is lost with the connection, and that is said.
#[tokio::test(start_paused = true)]
async fn what_can_be_read_once_and_is_not_held_is_not_sent_again() {
    let script = Script::new(move |seen, _| match seen.name() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", "/v2/u/1").header("oci-chunk-min-length", 50_000),
        "PATCH" => Reply::status(502),
        "GET" => Reply::status(204).header("range", "0-9999"),
        _ => Reply::status(204),
    });
    let error = process(&script, 0).put_blob(&repo(), &blob(), once()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UploadInvalid);
    assert_eq!(script.methods(), "HEAD POST PATCH GET DELETE");
}

/// A source is opened once for all the chunks, not once for each: it may be another registry.
#[tokio::test(start_paused = true)]
async fn a_source_that_goes_in_chunks_is_opened_once() {
    let (model, script) = Model::new(|_, _| None).largest_body(40 << 10).script();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let body = BlobBody::reopen(move |offset| {
        count.fetch_add(1, Ordering::SeqCst);
        replayable().open(offset).unwrap()
    });
    process(&script, 0).put_blob(&repo(), &blob(), body).await.unwrap();
    assert_eq!(model.blob(&blob().digest), Some(data()));
    assert_eq!(opened.load(Ordering::SeqCst), 2, "for the refused whole, and for the chunks");
}
