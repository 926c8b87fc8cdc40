//! Uploads that are kept: whatever step a process ends at, the next one goes on with the session, and nothing that had
//! arrived is sent again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gantri_core::{Limits, Push, UploadSession};
use gantri_remote::{KeptSession, Remote, UploadSessions};
use gantri_spec::{Algorithm, Descriptor, Host, RepositoryName};
use tokio::time::timeout;

use super::broken::{AT_ONCE, IN_A_SESSION, at};
use super::model::Reaches::{All, Nothing};
use super::model::{Fault, Model, Then, blob, data, hang, replayable};
use crate::script::{Script, builder, repo};

/// Sessions kept in memory, as long as the test lives.
#[derive(Clone, Debug, Default)]
struct InMemory(Arc<Mutex<Option<UploadSession>>>);

#[async_trait]
impl UploadSessions for InMemory {
    async fn open(&self, _: &Host, _: &RepositoryName, _: &Descriptor) -> Option<Box<dyn KeptSession>> {
        Some(Box::new(self.clone()))
    }
}

#[async_trait]
impl KeptSession for InMemory {
    fn session(&self) -> Option<UploadSession> {
        self.0.lock().unwrap().clone()
    }

    async fn keep(&mut self, session: UploadSession) {
        *self.0.lock().unwrap() = Some(session);
    }

    async fn forget(&mut self) {
        *self.0.lock().unwrap() = None;
    }
}

/// A process that keeps its uploads.
fn keeping(script: &Arc<Script>, at_once: u64, sessions: &InMemory) -> Remote {
    let mut limits = Limits::default();
    limits.monolithic_put = at_once;
    builder(script).limits(limits).upload_sessions(Arc::new(sessions.clone())).build().unwrap()
}

/// What arrived before a process ended is not sent again by the next, in whatever state the upload was.
#[tokio::test(start_paused = true)]
async fn a_kept_put_whose_process_ends_anywhere_is_gone_on_with_by_the_next() {
    for (at_once, places) in [(0, &IN_A_SESSION[..]), (1 << 20, &AT_ONCE[..])] {
        for place in places {
            let sessions = InMemory::default();
            let (model, script) = Model::new(at(*place, hang)).script();
            let first = keeping(&script, at_once, &sessions);
            let ended = timeout(Duration::from_secs(5), first.put_blob(&repo(), &blob(), replayable())).await;
            assert!(ended.is_err(), "{place:?}");
            keeping(&script, at_once, &sessions).put_blob(&repo(), &blob(), replayable()).await.unwrap();
            assert_eq!(model.blob(&blob().digest), Some(data()), "{place:?}");
            assert_eq!(model.sent_again(), 0, "{place:?}");
            let lost = usize::from(*place == ("POST", 0, All));
            assert_eq!(model.open_sessions(), lost, "{place:?}: the same session: {:?}", model.steps());
            // Of one that was committed all the same, nobody asks again: it goes with time.
            let over = *place != ("PUT", 0, All);
            assert_eq!(sessions.session().is_none(), over, "{place:?}");
        }
    }
}

/// A registry that forgot the session, or never was asked for one, is begun with anew.
#[tokio::test(start_paused = true)]
async fn a_kept_session_that_is_gone_costs_one_question() {
    for id in ["/v2/a/b/blobs/uploads/17", "https://elsewhere.test/v2/a/b/blobs/uploads/1", "http://[no url"] {
        let sessions = InMemory::default();
        sessions.clone().keep(UploadSession::new(id, 0, Algorithm::Sha256)).await;
        let (model, script) = Model::new(|_, _| None).script();
        keeping(&script, 0, &sessions).put_blob(&repo(), &blob(), replayable()).await.unwrap();
        assert_eq!(model.blob(&blob().digest), Some(data()), "{id}");
        // What is no address can't be asked about.
        let asked = model.steps().iter().filter(|step| *step == "GET").count();
        assert_eq!(asked, usize::from(!id.ends_with("[no url")), "{id}: {:?}", model.steps());
        assert!(sessions.session().is_none(), "{id}");
    }
}

/// What the registry cannot be asked for now is there for the next try; what it refuses is not.
#[tokio::test(start_paused = true)]
async fn a_put_that_fails_keeps_its_session_only_if_that_may_pass() {
    for (status, is_kept) in [(503, true), (400, false)] {
        let sessions = InMemory::default();
        let fault = move |method: &str, _| {
            (method == "PATCH" || method == "GET").then_some(Fault { reaches: Nothing, then: Then::Status(status) })
        };
        let (model, script) = Model::new(fault).script();
        keeping(&script, 0, &sessions).put_blob(&repo(), &blob(), replayable()).await.unwrap_err();
        assert_eq!(sessions.session().is_some(), is_kept, "{status}: {:?}", model.steps());
        assert_eq!(model.open_sessions(), usize::from(is_kept), "{status}: {:?}", model.steps());
    }
}
