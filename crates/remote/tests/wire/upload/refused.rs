//! Steps of an upload that are refused: what the registry said of it is in the error, whichever step it was (O64).

use bytes::Bytes;
use gantri_core::{BlobBody, Error, ErrorKind, Push, Result};
use gantri_spec::wire::ErrorCode;
use gantri_spec::{Algorithm, Descriptor, Digest, MediaType};

use crate::script::{Reply, Script, limits, named, remote, repo};

const DATA: &[u8] = b"0123456789";

/// A registry that takes everything but this step.
fn refusing(step: &'static str, refusal: fn() -> Reply) -> std::sync::Arc<Script> {
    Script::new(move |seen, _| match seen.name() {
        name if name == step => refusal(),
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", "/u"),
        "PATCH" => Reply::status(202).header("location", "/u").header("range", "0-9"),
        "GET" | "DELETE" => Reply::status(204).header("range", "0-0"),
        _ => Reply::status(201),
    })
}

/// In three steps, by hand.
async fn in_steps(remote: &gantri_remote::Remote) -> Result<()> {
    let mut upload = remote.start_upload(&repo(), Algorithm::Sha256).await?;
    upload.write(Bytes::from_static(DATA)).await?;
    upload.commit(&Digest::of(DATA)).await.map(drop)
}

/// As a whole, in one request or in a session.
async fn whole(script: &std::sync::Arc<Script>, monolithic_put: u64) -> Result<()> {
    let limits = limits(|limits| limits.monolithic_put = monolithic_put);
    let remote = crate::script::builder(script).limits(limits).build().unwrap();
    let blob = Descriptor::of(MediaType::OCTET_STREAM, DATA);
    remote.put_blob(&repo(), &blob, BlobBody::bytes(DATA)).await
}

fn over_quota() -> Reply {
    Reply::status(403)
        .header("content-type", "application/json")
        .body(r#"{"errors":[{"code":"DENIED","message":"over quota","detail":{"left":0}}]}"#)
}

fn is_over_quota(error: &Error) -> bool {
    error.kind() == ErrorKind::Denied
        && error.codes() == [ErrorCode::Denied]
        && error.status().is_some_and(|status| status.as_u16() == 403)
        && error.detail().is_some_and(|detail| detail.get() == r#"{"left":0}"#)
        && error.to_string().contains("over quota")
}

#[tokio::test(start_paused = true)]
async fn every_step_that_is_refused_says_why() {
    for step in ["POST", "PATCH", "PUT"] {
        let error = in_steps(&remote(&refusing(step, over_quota))).await.unwrap_err();
        assert!(is_over_quota(&error), "{step}: {error:?}");
        for (monolithic_put, passes) in [(1 << 20, step == "PATCH"), (0, false)] {
            let script = refusing(step, over_quota);
            let outcome = whole(&script, monolithic_put).await;
            assert_eq!(outcome.is_ok(), passes, "{step} {monolithic_put}: {outcome:?} {:?}", script.lines());
            if let Err(error) = outcome {
                assert!(is_over_quota(&error), "{step} {monolithic_put}: {error:?}");
            }
        }
    }
}

/// Who is let in to begin and not to end hears that, and in what words; the answer is no question.
#[tokio::test(start_paused = true)]
async fn the_last_step_may_be_refused_for_who_asks() {
    fn unknown() -> Reply {
        Reply::status(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"you were logged out"}]}"#)
    }
    for user in [remote, named] {
        let error = in_steps(&user(&refusing("PUT", unknown))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.codes()),
            (ErrorKind::Unauthorized, &[ErrorCode::Unauthorized][..]),
            "{error:?}"
        );
        assert!(error.to_string().contains("you were logged out"), "{error}");
    }
}
