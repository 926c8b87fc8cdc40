//! H25: what repeats something never repeats what repeats something else. Each operation meets the registry that costs it
//! the most: one that fails as long as it is asked again, then answers in the least helpful way. The bounds are those of
//! `ARCHITECTURE.md`, "How often".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::TryStreamExt;
use gantri_core::{BlobBody, Discover, ErrorKind, Pull, Push};
use gantri_remote::SendErrorKind;
use gantri_spec::{ByteRange, Descriptor, Digest, Index, MediaType};

use crate::script::{Reply, Script, Seen, named, remote, repo, tag};

/// Fails each kind of request four times, and gives the reply every fifth time.
fn stubborn(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Arc<Script> {
    let counts: [AtomicUsize; 5] = Default::default();
    Script::new(move |seen, _| {
        let kind =
            ["GET", "HEAD", "POST", "PATCH", "PUT"].iter().position(|method| seen.name() == *method).unwrap_or(0);
        if counts[kind].fetch_add(1, Ordering::SeqCst) % 5 < 4 { Reply::status(503) } else { reply(seen) }
    })
}

fn count(script: &Script, method: &str) -> usize {
    script.seen().iter().filter(|seen| seen.name() == method).count()
}

/// Tries of the request and breaks of its body are counted together, as long as no new byte comes.
#[tokio::test(start_paused = true)]
async fn a_download_is_asked_for_no_more_often_than_tries_and_breaks_together() {
    let blob = Bytes::from_static(b"blob");
    let digest = Digest::of(&blob);
    let script = stubborn(move |_| Reply::status(200).cut(&blob, 0));
    let reader = remote(&script).blob(&repo(), &digest, ByteRange::Full).await.unwrap();
    assert!(reader.bytes(10).await.is_err());
    println!("download: {}", script.count());
    assert_eq!(script.count(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_whose_answers_are_lost_is_put_as_often_as_a_request_is_tried() {
    let script = stubborn(|seen| if seen.name() == "PUT" { Reply::status(503) } else { Reply::status(404) });
    assert!(remote(&script).put_manifest(&repo(), &Index::new(vec![]).to_raw(), &[]).await.is_err());
    println!("put manifest: {}", script.methods());
    assert!(count(&script, "PUT") <= 5, "{}", script.methods());
    assert!(script.count() <= 5 + 5 + 4, "{}", script.methods());
}

/// One blob, whatever goes wrong: a chunk is never taken, the session is lost, and every question is answered at the fifth
/// time.
#[tokio::test(start_paused = true)]
async fn an_upload_that_gets_nowhere_ends() {
    let cases: [fn(&Seen) -> Reply; 3] = [
        |seen| match seen.name() {
            "POST" => Reply::status(202).header("location", "/v2/u"),
            "GET" => Reply::status(204).header("range", "0-0").header("location", "/v2/u"),
            "HEAD" => Reply::status(404),
            _ => Reply::status(503),
        },
        |seen| match seen.name() {
            "POST" => Reply::status(202).header("location", "/v2/u"),
            _ => Reply::status(404),
        },
        |seen| match seen.name() {
            "POST" => Reply::status(202).header("location", "/v2/u"),
            "HEAD" => Reply::status(404),
            _ => Reply::status(416),
        },
    ];
    for (case, (reply, most)) in cases.into_iter().zip([36, 75, 75]).enumerate() {
        for size in [10, 65 << 20] {
            let bytes = Bytes::from(vec![b'x'; size]);
            let descriptor = Descriptor::of(MediaType::OCTET_STREAM, &bytes);
            let script = stubborn(reply);
            let put = remote(&script).put_blob(&repo(), &descriptor, BlobBody::bytes(bytes)).await;
            println!("upload, case {case}, {size} bytes: {} requests", script.count());
            assert!(put.is_err());
            assert!(script.count() <= most, "case {case}, {size} bytes: {}", script.methods());
        }
    }
}

/// A token server that is down is asked as often as a request is tried, not as often again for each of its own tries.
#[tokio::test(start_paused = true)]
async fn a_token_server_is_asked_as_often_as_a_request_is_tried() {
    let script = Script::new(|seen, _| {
        if seen.url.starts_with("https://auth.test/") {
            return Reply::status(503);
        }
        Reply::status(401).header("www-authenticate", r#"Bearer realm="https://auth.test/",service="s""#)
    });
    let error = named(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    println!("token: {}", script.count());
    assert!(script.count() <= 5 + 5, "{:?}", script.lines());
}

/// H22: a name without an address is looked up twice, whatever is asked for, and the message says so once.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_there_is_asked_twice() {
    let script = || Script::new(|_, _| Reply::Fault(SendErrorKind::Resolve));
    let (repo, digest) = (repo(), Digest::of(b"x"));
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"x");
    let manifest = Index::new(vec![]).to_raw();
    let mut errors = Vec::new();
    let scripts: [Arc<Script>; 7] = std::array::from_fn(|_| script());
    let remotes = scripts.each_ref().map(remote);
    errors.push(remotes[0].manifest(&repo, &tag("v1")).await.unwrap_err());
    errors.push(remotes[1].resolve_manifest(&repo, &tag("v1")).await.unwrap_err());
    errors.push(remotes[2].blob(&repo, &digest, ByteRange::Full).await.unwrap_err());
    errors.push(remotes[3].put_blob(&repo, &descriptor, BlobBody::bytes("x")).await.unwrap_err());
    errors.push(remotes[4].put_manifest(&repo, &manifest, &[]).await.unwrap_err());
    errors.push(remotes[5].tags(&repo, None).try_collect::<Vec<_>>().await.unwrap_err());
    errors.push(remotes[6].mount_blob(&repo, &digest, None).await.unwrap_err());
    for (at, (error, script)) in errors.iter().zip(&scripts).enumerate() {
        assert_eq!(error.kind(), ErrorKind::Connect, "{at}");
        assert_eq!(script.count(), 2, "{at}: {:?}", script.lines());
        assert_eq!(error.to_string().matches("host has no address").count(), 1, "{error}");
    }
}
