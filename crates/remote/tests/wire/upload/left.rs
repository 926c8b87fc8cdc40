//! H24: a session that dropped work has left open is cancelled by whoever stops, unless somebody wrote it down.

use std::time::Duration;

use bytes::Bytes;
use gantri_core::{BlobBody, Push};
use gantri_spec::{Algorithm, Descriptor, MediaType};
use tokio::time::timeout;

use crate::script::{HOST, Reply, Script, remote, repo};

/// Opens sessions, and never says that it took something.
fn silent() -> std::sync::Arc<Script> {
    Script::new(|seen, before| match seen.name() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", format!("/v2/u/{before}?state=x")),
        "DELETE" => Reply::status(204),
        _ => Reply::Hang,
    })
}

fn deleted(script: &Script) -> Vec<String> {
    script.lines().into_iter().filter(|line| line.starts_with("DELETE")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_put_that_was_dropped_leaves_a_session_that_can_be_cancelled() {
    let script = silent();
    let remote = remote(&script);
    let bytes = Bytes::from(vec![0; 1 << 20]);
    let blob = Descriptor::of(MediaType::OCTET_STREAM, &bytes);
    let (repo, body) = (repo(), BlobBody::bytes(bytes));
    let moment = Duration::from_secs(1);
    assert!(timeout(moment, remote.put_blob(&repo, &blob, body)).await.is_err());
    assert_eq!(deleted(&script), Vec::<String>::new(), "a drop sends nothing");
    remote.cancel_left_uploads().await;
    assert_eq!(deleted(&script), [format!("DELETE https://{HOST}/v2/u/1?state=x")]);
    remote.cancel_left_uploads().await;
    assert_eq!(deleted(&script).len(), 1, "once");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_written_down_or_ended_stays() {
    let script = silent();
    let remote = remote(&script);
    let start = || async { remote.start_upload(&repo(), Algorithm::Sha256).await.unwrap() };
    let written_down = start().await.session();
    assert!(written_down.id.contains("/v2/u/0"));
    start().await.cancel().await.unwrap();
    assert_eq!(deleted(&script).len(), 1);
    drop(start().await);
    remote.cancel_left_uploads().await;
    assert_eq!(deleted(&script).len(), 2, "only the one that nobody knows of: {:?}", script.lines());
}

/// Who is at work still may leave something: he is waited for.
#[tokio::test(start_paused = true)]
async fn who_is_at_work_is_waited_for() {
    let script = silent();
    let remote = remote(&script);
    let upload = remote.start_upload(&repo(), Algorithm::Sha256).await.unwrap();
    let cancelling = remote.cancel_left_uploads();
    let dropping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(deleted(&script).len(), 0);
        drop(upload);
    };
    tokio::join!(cancelling, dropping);
    assert_eq!(deleted(&script).len(), 1);
}
