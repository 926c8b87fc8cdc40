//! `Trace` beyond the suite: what is written down of each call, and what never is.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, TryStreamExt};
use gantri_core::filter::Trace;
use gantri_core::spec::{Algorithm, ByteRange, Digest};
use gantri_core::testkit::{Fault, Flaky};
use gantri_core::{BlobBody, Discover, ErrorKind, Manage, Memory, Pull, Push, UploadSession};
use tracing::subscriber::DefaultGuard;

use super::{at, images, kind, repo, tag};

/// What is written down on this thread, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Whether one line holds all of these.
    #[track_caller]
    fn assert_line(&self, parts: &[&str]) {
        let text = self.text();
        let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line with {parts:?}:\n{text}");
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_is_told_with_its_names_and_what_came_of_it() {
    let registry = Trace::new(Memory::new());
    let content = images("team/app");
    let (log, _guard) = Log::start();
    content.push_to(&registry).await.unwrap();
    let (here, one, layer) = (content.here(), content.digest("one"), content.digest("layer"));
    let (one_shown, layer_shown) = (format!("digest={one}"), format!("digest={layer}"));
    log.assert_line(&["put_blob{", "repository=team/app", &layer_shown, "size=5", "outcome=ok"]);
    log.assert_line(&["put_manifest{", "repository=team/app", &one_shown, "tags=\"v1\"", "outcome=ok"]);

    registry.resolve_manifest(here, &at("v1")).await.unwrap();
    log.assert_line(&["resolve_manifest{", "at=v1", "outcome=ok"]);
    assert_eq!(kind(registry.manifest(here, &at("v9")).await), ErrorKind::ManifestUnknown);
    log.assert_line(&[" manifest{", "at=v9", "outcome=ManifestUnknown"]);
    assert_eq!(kind(registry.resolve_blob(&repo("none"), &layer).await), ErrorKind::RepositoryUnknown);
    log.assert_line(&["resolve_blob{", "repository=none", "outcome=RepositoryUnknown"]);
    registry.mount_blob(&repo("new"), &layer, Some(here)).await.unwrap();
    log.assert_line(&["mount_blob{", "repository=new", &layer_shown, "from=team/app", "outcome=ok"]);
    registry.delete_tag(here, &tag("v1")).await.unwrap();
    log.assert_line(&["delete_tag{", "tag=v1", "outcome=ok"]);
    registry.delete_manifest(here, &one).await.unwrap();
    log.assert_line(&["delete_manifest{", &one_shown, "outcome=ok"]);
    registry.delete_blob(here, &layer).await.unwrap();
    log.assert_line(&["delete_blob{", &layer_shown, "outcome=ok"]);
}

#[tokio::test]
async fn a_stream_is_told_with_its_bytes_and_its_end() {
    let script = |_: &str, nth| (nth == 3).then_some(Fault::Breaks(2, ErrorKind::Timeout));
    let registry = Trace::new(Flaky::new(Memory::new(), script));
    let content = images("team/app");
    content.push_to(&registry).await.unwrap();
    let (here, layer) = (content.here(), content.digest("layer"));
    let (log, _guard) = Log::start();
    registry.blob(here, &layer, ByteRange::Full).await.unwrap().bytes(9).await.unwrap();
    log.assert_line(&["blob{", layer.as_str(), "range=Full", "bytes=5", "outcome=ok"]);
    drop(registry.blob(here, &layer, ByteRange::From(1)).await.unwrap().into_stream());
    log.assert_line(&["blob{", "range=From(1)", "bytes=0", "outcome=left"]);
    registry.blob(here, &layer, ByteRange::Full).await.unwrap().bytes(9).await.unwrap_err();
    log.assert_line(&["blob{", "bytes=2", "outcome=Timeout"]);
}

#[tokio::test]
async fn a_listing_is_told_with_its_items_and_its_end() {
    let registry = Trace::new(Memory::new());
    let content = images("team/app").tags(["v2", "v3"], "one");
    content.push_to(&registry).await.unwrap();
    let (log, _guard) = Log::start();
    let listed: Vec<_> = registry.tags(content.here(), Some(&tag("v1"))).try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
    log.assert_line(&["tags{", "repository=team/app", "after=v1", "items=2", "outcome=ok"]);
    registry.tags(content.here(), None).next().await.unwrap().unwrap();
    log.assert_line(&["tags{", "items=1", "outcome=left"]);
    registry.repositories(None).count().await;
    log.assert_line(&["repositories", "items=1", "outcome=ok"]);
    registry.referrers(content.here(), &content.digest("one"), None).count().await;
    log.assert_line(&["referrers{", &format!("subject={}", content.digest("one")), "items=0", "outcome=ok"]);
    registry.tags(&repo("none"), None).next().await.unwrap().unwrap_err();
    log.assert_line(&["tags{", "repository=none", "items=0", "outcome=RepositoryUnknown"]);
}

#[tokio::test]
async fn an_upload_is_told_step_by_step() {
    let registry = Trace::new(Memory::new());
    let (log, _guard) = Log::start();
    let mut upload = registry.start_upload(&repo("team/app"), Algorithm::Sha256).await.unwrap();
    log.assert_line(&["start_upload{", "algorithm=\"sha256\"", "outcome=ok"]);
    upload.write("hel".into()).await.unwrap();
    upload.write("lo".into()).await.unwrap();
    log.assert_line(&["write_upload{", "repository=team/app", "offset=3", "bytes=2", "outcome=ok"]);
    let mut again = registry.resume_upload(&repo("team/app"), upload.session()).await.unwrap();
    log.assert_line(&["resume_upload{", "offset=5", "outcome=ok"]);
    upload.commit(&Digest::of(b"hello")).await.unwrap();
    log.assert_line(&["commit_upload{", "bytes=5", "outcome=ok"]);
    again.write("!".into()).await.unwrap_err();
    log.assert_line(&["write_upload{", "outcome=UploadUnknown"]);
    again.cancel().await.unwrap_err();
    log.assert_line(&["cancel_upload{", "outcome=UploadUnknown"]);
}

/// (A16) Neither what is sent, nor the name of a session, nor the text of an error, which may quote either.
#[tokio::test]
async fn no_content_and_no_session_is_written_down() {
    let registry = Trace::new(Memory::new());
    let (log, _guard) = Log::start();
    let blob = images("x").blob("secret", "marked-secret").descriptor("secret");
    registry.put_blob(&repo("team/app"), &blob, BlobBody::bytes("marked-secret")).await.unwrap();
    let mut upload = registry.start_upload(&repo("team/app"), Algorithm::Sha256).await.unwrap();
    upload.write("marked-secret".into()).await.unwrap();
    upload.commit(&blob.digest).await.unwrap();
    let session = UploadSession::new("marked-secret", 0, Algorithm::Sha256);
    let error = registry.resume_upload(&repo("team/app"), session).await.unwrap_err();
    assert!(error.to_string().contains("marked-secret"));
    assert!(log.text().contains("resume_upload{"));
    assert!(!log.text().contains("marked-secret"), "{}", log.text());
}
