//! Errors: what a registry says is kept, whatever it says; what may pass is tried again.

use std::sync::atomic::{AtomicUsize, Ordering};

use gantri::spec::wire::ErrorCode;
use gantri::{ErrorKind, Result};
use test_support::image::manifest_reply;
use test_support::{Body, Reply, ScriptedServer};

use crate::world::{at, client, image};

async fn refusal(status: u16, body: &'static str) -> gantri::Error {
    let server = ScriptedServer::start(move |_| {
        Reply::new(status).header("content-type", "application/json").body(Body::Whole(body.into()))
    });
    let answer: Result<_> = client().manifest(&at(&server.host(), ":v1")).await;
    answer.unwrap_err()
}

/// O65: a code that nobody knows hides neither itself nor the others.
#[tokio::test]
async fn unknown_codes_survive_beside_known_ones() {
    let refused = refusal(
        404,
        r#"{"errors":[{"code":"VENDOR_QUOTA","message":"over quota"},
            {"code":"MANIFEST_UNKNOWN","message":"no such tag","detail":{"Tag":"v1"}}]}"#,
    )
    .await;
    assert_eq!(refused.codes(), [ErrorCode::Other("VENDOR_QUOTA".into()), ErrorCode::ManifestUnknown]);
    assert_eq!(refused.kind(), ErrorKind::ManifestUnknown);
    assert_eq!(refused.status().unwrap().as_u16(), 404);
    assert_eq!(refused.detail().unwrap().get(), r#"{"Tag":"v1"}"#);
    assert!(refused.to_string().contains("over quota"), "{refused}");
}

/// O64, I9: the words of a 401 are kept like those of any other refusal.
#[tokio::test]
async fn the_words_of_a_401_are_kept() {
    let refused = refusal(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in at the desk"}]}"#).await;
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    assert!(refused.to_string().contains("log in at the desk"), "{refused}");
}

/// M11: the status says whether it is an answer; a body that looks like one does not.
#[tokio::test]
async fn a_body_never_overrules_the_status() {
    let refused = refusal(404, r#"{"schemaVersion":2,"manifests":[]}"#).await;
    assert_eq!(refused.kind(), ErrorKind::ManifestUnknown);
}

/// M9, G33: what may pass is tried again, as the registry says when; what will not is not.
#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for (status, tries) in [(429, 3), (500, 3), (503, 3), (404, 1), (403, 1)] {
        let before = AtomicUsize::new(0);
        let manifest = image(1).manifest;
        let server = ScriptedServer::start(move |_| match before.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Reply::new(status).header("retry-after", "0"),
            _ => manifest_reply(&manifest),
        });
        let answer = client().manifest(&at(&server.host(), ":v1")).await;
        assert_eq!(answer.is_ok(), tries == 3, "{status}");
        assert_eq!(server.requests().len(), tries, "{status}");
    }
}
