//! Every state of an upload, cut off there and restarted there: the right bytes arrive, and none is sent twice that the
//! registry had acknowledged.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gantri_core::{BlobBody, BlobUpload, ErrorKind, Limits, Push, Result, UploadSession};
use gantri_remote::{Remote, SendErrorKind};
use gantri_spec::Algorithm;
use tokio::time::{sleep, timeout};

use super::model::Reaches::{All, Half, Nothing};
use super::model::{Fault, Model, Reaches, Then, blob, cut, data, hang, once, process, replayable};
use crate::script::{Reply, Script, builder, repo};

/// Where a step breaks off: its method, how many of that method went before, and how much of it arrives.
pub(super) type Place = (&'static str, usize, Reaches);

/// The states of the machine, by the steps that leave them: `Unstarted` by POST, `Ready` and `InDoubt` by PATCH and GET,
/// `Committing` by PUT and HEAD. The first HEAD is before any of them.
pub(super) const IN_A_SESSION: [Place; 10] = [
    ("HEAD", 0, Nothing),
    ("POST", 0, Nothing),
    ("POST", 0, All),
    ("PATCH", 0, Nothing),
    ("PATCH", 0, Half),
    ("PATCH", 0, All),
    ("PUT", 0, Nothing),
    ("PUT", 0, All),
    // These are there only if something broke before.
    ("GET", 0, Nothing),
    ("HEAD", 1, Nothing),
];

pub(super) const AT_ONCE: [Place; 4] = [("PUT", 0, Nothing), ("PUT", 0, Half), ("PUT", 0, All), ("POST", 0, All)];

/// The place, and whatever has to break before it is reached.
pub(super) fn at(place: Place, then: fn(Reaches) -> Fault) -> impl Fn(&str, usize) -> Option<Fault> {
    move |method, before| match (place, method, before) {
        ((name, nth, reaches), _, _) if name == method && nth == before => Some(then(reaches)),
        (("GET", 0, _), "PATCH", 0) => Some(cut(Half)),
        (("HEAD", 1, _), "PUT", 0) => Some(cut(Nothing)),
        _ => None,
    }
}

type MakeBody = fn() -> BlobBody;

fn bodies() -> [(&'static str, MakeBody); 3] {
    [("replayable", replayable), ("once", once), ("bytes", || BlobBody::bytes(data()))]
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_cut_off_anywhere_goes_on() {
    for (at_once, places) in [(0, &IN_A_SESSION[..]), (1 << 20, &AT_ONCE[..])] {
        for (place, (name, body)) in places.iter().flat_map(|place| bodies().map(|body| (*place, body))) {
            let what = format!("{place:?} of a {name} body, {at_once} at once");
            let (model, script) = Model::new(at(place, cut)).script();
            process(&script, at_once)
                .put_blob(&repo(), &blob(), body())
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(model.blob(&blob().digest), Some(data()), "{what}");
            assert_eq!(model.sent_again(), 0, "{what}: {:?}", model.steps());
            // An answer that is lost takes the name of the session with it.
            let lost = usize::from(place == ("POST", 0, All));
            assert_eq!(model.open_sessions(), lost, "{what}: {:?}", model.steps());
        }
    }
}

/// What was never written down is begun anew by the next process, and what is there by then is not sent again.
#[tokio::test(start_paused = true)]
async fn a_put_whose_process_ends_anywhere_is_whole_after_the_next() {
    for (at_once, places) in [(0, &IN_A_SESSION[..]), (1 << 20, &AT_ONCE[..])] {
        for place in places {
            let (model, script) = Model::new(at(*place, hang)).script();
            let first = process(&script, at_once);
            let ended = timeout(Duration::from_secs(5), first.put_blob(&repo(), &blob(), replayable())).await;
            assert!(ended.is_err(), "{place:?}");
            process(&script, at_once).put_blob(&repo(), &blob(), replayable()).await.unwrap();
            assert_eq!(model.blob(&blob().digest), Some(data()), "{place:?}");
            assert_eq!(model.sent_again(), 0, "{place:?}");
        }
    }
}

/// Chunks of 40 KiB until all is there, written down before each.
async fn send(mut upload: Box<dyn BlobUpload>, saved: &mut Option<String>) -> Result<()> {
    loop {
        *saved = Some(serde_json::to_string(&upload.session()).unwrap());
        let offset = usize::try_from(upload.offset()).unwrap();
        if offset == data().len() {
            return upload.commit(&blob().digest).await.map(drop);
        }
        let end = (offset + (40 << 10)).min(data().len());
        match upload.write(Bytes::from(data()).slice(offset..end)).await {
            Err(error) if error.kind() != ErrorKind::RangeInvalid => return Err(error),
            _ => {}
        }
    }
}

/// A process: takes up what was written down, or begins.
async fn live(remote: &Remote, saved: &mut Option<String>) -> Result<()> {
    let started = match saved {
        None => remote.start_upload(&repo(), Algorithm::Sha256).await?,
        Some(session) => {
            let session: UploadSession = serde_json::from_str(session).unwrap();
            match remote.resume_upload(&repo(), session).await {
                // Over: either it was committed, or it has to begin anew.
                Err(error) if error.kind() == ErrorKind::UploadUnknown => {
                    return remote.put_blob(&repo(), &blob(), replayable()).await;
                }
                resumed => resumed?,
            }
        }
    };
    send(started, saved).await
}

const STEPS: [Place; 13] = [
    ("POST", 0, Nothing),
    ("POST", 0, All),
    ("PATCH", 0, Nothing),
    ("PATCH", 0, Half),
    ("PATCH", 0, All),
    ("PATCH", 1, Nothing),
    ("PATCH", 1, Half),
    ("PATCH", 1, All),
    ("PATCH", 2, Half),
    ("PUT", 0, Nothing),
    ("PUT", 0, All),
    ("GET", 0, Nothing),
    ("HEAD", 0, Nothing),
];

#[tokio::test(start_paused = true)]
async fn an_upload_in_steps_that_is_cut_off_anywhere_goes_on() {
    for place in STEPS {
        let faults = move |method: &str, before: usize| match (place, method, before) {
            (("HEAD", ..), "PUT", 0) => Some(cut(Nothing)),
            _ => at(place, cut)(method, before),
        };
        let (model, script) = Model::new(faults).script();
        live(&process(&script, 0), &mut None).await.unwrap_or_else(|error| panic!("{place:?}: {error}"));
        assert_eq!(model.blob(&blob().digest), Some(data()), "{place:?}");
        assert_eq!(model.sent_again(), 0, "{place:?}: {:?}", model.steps());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_in_steps_whose_process_ends_anywhere_is_taken_up_by_the_next() {
    for place in STEPS {
        let faults = move |method: &str, before: usize| match (place, method, before) {
            (("HEAD", ..), "PUT", 0) => Some(cut(Nothing)),
            _ => at(place, hang)(method, before),
        };
        let (model, script) = Model::new(faults).script();
        let mut saved = None;
        let ended = timeout(Duration::from_secs(20), live(&process(&script, 0), &mut saved)).await;
        assert!(ended.is_err(), "{place:?}");
        let sessions = model.open_sessions();
        live(&process(&script, 0), &mut saved).await.unwrap_or_else(|error| panic!("{place:?}: {error}"));
        assert_eq!(model.blob(&blob().digest), Some(data()), "{place:?}");
        assert_eq!(model.sent_again(), 0, "{place:?}: {:?}", model.steps());
        // Nothing is sent in two sessions what one of them held.
        if sessions == 1 && place.0 != "POST" {
            assert_eq!(model.steps().iter().filter(|step| *step == "POST").count(), 1, "{place:?}");
        }
    }
}

/// The body in uneven chunks, each a quarter of a minute after the one before.
fn slow() -> BlobBody {
    BlobBody::reopen(|offset| {
        let rest = data().split_off(usize::try_from(offset).unwrap());
        let chunks: Vec<_> = rest.chunks(5000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let slowly = futures_util::stream::iter(chunks).then(async |chunk| {
            sleep(Duration::from_secs(15)).await;
            chunk
        });
        Box::pin(slowly)
    })
}

/// H25: neither the time that the sending takes, nor the tries of the questions before, count where the upload gets on.
#[tokio::test(start_paused = true)]
async fn what_gets_on_between_two_questions_is_not_held_against_them() {
    // A line that cuts every request, and a registry that is out of order at the first questions of every break.
    for (body, cuts, faults) in [(slow as MakeBody, 2, 1), (replayable, 4, 3)] {
        let (model, script) = Model::new(move |method, before| match method {
            "PATCH" if before < cuts => Some(cut(Half)),
            "GET" if before % (faults + 1) < faults => Some(Fault { reaches: Nothing, then: Then::Status(503) }),
            _ => None,
        })
        .script();
        // All of it in one step: none ever succeeds.
        let mut limits = Limits::default();
        limits.monolithic_put = 1;
        let remote = builder(&script).limits(limits).build().unwrap();
        remote.put_blob(&repo(), &blob(), body()).await.unwrap_or_else(|error| panic!("{error}: {:?}", model.steps()));
        assert_eq!(model.blob(&blob().digest), Some(data()));
        assert_eq!(model.steps().iter().filter(|step| step.starts_with("PATCH")).count(), cuts + 1);
        assert_eq!(model.sent_again(), 0);
    }
}

/// H25: a byte a step is no progress: the tries do not multiply.
#[tokio::test(start_paused = true)]
async fn next_to_nothing_between_two_questions_is_no_progress() {
    let script = Script::new(|seen, before| match seen.name() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", "/u"),
        "GET" if !before.is_multiple_of(3) => Reply::status(204).header("range", format!("0-{before}")),
        "GET" => Reply::status(503),
        _ => Reply::Fault(SendErrorKind::Closed),
    });
    let mut limits = Limits::default();
    (limits.monolithic_put, limits.resume_tries) = (1, 50);
    let remote = builder(&script).limits(limits).build().unwrap();
    remote.put_blob(&repo(), &blob(), replayable()).await.unwrap_err();
    let refused = script.seen().iter().enumerate().filter(|(at, seen)| seen.name() == "GET" && at % 3 == 0).count();
    assert_eq!(refused, 5, "{}", script.methods());
}
