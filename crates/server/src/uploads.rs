//! What lives between the requests of an upload: a table of sessions under ids that only this file makes.
//!
//! It decides who may write to a session (one at a time, the last to ask), how long a session may rest, and how many
//! there may be. What is written where is for `push.rs`; what became of the bytes, for the registry behind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gantri_core::{BlobUpload, Error, ErrorKind, Push, Result};
use gantri_spec::RepositoryName;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::body::RequestBody;

/// The sessions under way.
#[derive(Debug)]
pub(crate) struct Uploads {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    room: Arc<Semaphore>,
    idle: Duration,
}

/// Leave to open one session more.
pub(crate) struct Room(OwnedSemaphorePermit);

/// An upload under way.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    repo: RepositoryName,
    /// Empty once the upload is committed or cancelled.
    upload: Arc<tokio::sync::Mutex<Option<Box<dyn BlobUpload>>>>,
    seen: Mutex<Seen>,
    /// Whether a write was cut short: the handle may stand elsewhere than the registry behind.
    doubt: AtomicBool,
    /// How many requests want to write and can't yet.
    asking: watch::Sender<usize>,
    _room: OwnedSemaphorePermit,
}

/// What can be told of a session while somebody writes to it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    offset: u64,
    used: Instant,
}

impl Uploads {
    /// An empty table for at most `most` sessions, each forgotten after resting for `idle`.
    pub(crate) fn new(most: usize, idle: Duration) -> Self {
        Self { sessions: Mutex::default(), room: Arc::new(Semaphore::new(most)), idle }
    }

    /// Asks for room before the registry behind is asked for a session (R3).
    ///
    /// # Errors
    /// `RateLimited` if there are as many as there may be.
    pub(crate) async fn admit(&self) -> Result<Room> {
        self.reap().await;
        let room = Arc::clone(&self.room).try_acquire_owned();
        room.map(Room).map_err(|_| Error::new(ErrorKind::RateLimited, "start upload: too many uploads are under way"))
    }

    /// Enters an upload under a new id of 128 random bits (R2).
    pub(crate) fn open(&self, room: Room, repo: &RepositoryName, upload: Box<dyn BlobUpload>) -> Result<Arc<Session>> {
        let session = Arc::new(Session {
            id: random_id()?,
            repo: repo.clone(),
            seen: Mutex::new(Seen { offset: upload.offset(), used: Instant::now() }),
            upload: Arc::new(tokio::sync::Mutex::new(Some(upload))),
            doubt: AtomicBool::new(false),
            asking: watch::Sender::new(0),
            _room: room.0,
        });
        self.lock().insert(session.id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// The session of this id in this repository.
    ///
    /// # Errors
    /// `UploadUnknown`, the same for one that ended, rested too long, or belongs to another repository.
    pub(crate) async fn find(&self, repo: &RepositoryName, id: &str) -> Result<Arc<Session>> {
        self.reap().await;
        let found = self.lock().get(id).filter(|session| session.repo == *repo).cloned();
        found.ok_or_else(|| unknown(repo))
    }

    /// Takes the upload out to be ended: nobody else finds it from here on (R4).
    pub(crate) fn close(&self, mut turn: Turn) -> Result<Box<dyn BlobUpload>> {
        self.lock().remove(&turn.session.id);
        turn.upload.take().ok_or_else(|| unknown(&turn.session.repo))
    }

    /// Forgets what has rested too long (R3), and has the registry behind forget it too.
    async fn reap(&self) {
        let mut rested = Vec::new();
        self.lock().retain(|_, session| session.rested(self.idle).map(|upload| rested.push(upload)).is_none());
        for upload in rested {
            match upload.cancel().await {
                Ok(()) => tracing::debug!("forgot an upload that nobody went on with"),
                Err(error) => tracing::debug!(%error, "forgot an upload, but the registry behind did not"),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The server's name for it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The repository it belongs to.
    pub(crate) fn repository(&self) -> &RepositoryName {
        &self.repo
    }

    /// Bytes acknowledged.
    ///
    /// A client that broke off asks at once, and may be here before its last bytes are: those are given a moment. One
    /// that asks while another request goes on writing is told how far that is.
    ///
    /// # Errors
    /// Those of [`Push::resume_upload`], if the registry behind has to be asked.
    pub(crate) async fn offset(&self, registry: &dyn Push) -> Result<u64> {
        if let Ok(mut upload) = timeout(SETTLE, self.upload.lock()).await {
            self.resolve_doubt(&mut upload, registry).await?;
        }
        Ok(self.seen().offset)
    }

    /// Waits for the right to write. Whoever is writing is made to stop at the end of its chunk: a client that lost its
    /// connection must not have to wait until the server notices.
    ///
    /// # Errors
    /// `UploadUnknown` if the upload was ended meanwhile (R4); those of [`Push::resume_upload`], if the registry behind
    /// has to be asked where it stands.
    pub(crate) async fn turn(self: &Arc<Self>, registry: &dyn Push) -> Result<Turn> {
        let asking = Asking::new(&self.asking);
        let mut upload = Arc::clone(&self.upload).lock_owned().await;
        drop(asking);
        if upload.is_none() {
            return Err(unknown(&self.repo));
        }
        self.resolve_doubt(&mut upload, registry).await?;
        Ok(Turn { session: Arc::clone(self), upload })
    }

    /// A handle whose write was dropped or failed does not know where it stands; a new one does.
    async fn resolve_doubt(&self, upload: &mut Option<Box<dyn BlobUpload>>, registry: &dyn Push) -> Result<()> {
        let Some(handle) = upload.as_mut().filter(|_| self.doubt.load(Ordering::Relaxed)) else { return Ok(()) };
        *handle = registry.resume_upload(&self.repo, handle.session()).await?;
        self.saw(handle.offset());
        self.doubt.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the upload if nobody has used it for `idle`; one that is being written to is in use.
    fn rested(&self, idle: Duration) -> Option<Box<dyn BlobUpload>> {
        let mut upload = self.upload.try_lock().ok()?;
        if self.seen().used.elapsed() >= idle { upload.take() } else { None }
    }

    fn saw(&self, offset: u64) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { offset, used: Instant::now() };
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write to a session, held by one request at a time.
pub(crate) struct Turn {
    session: Arc<Session>,
    upload: OwnedMutexGuard<Option<Box<dyn BlobUpload>>>,
}

impl Turn {
    /// Bytes acknowledged.
    pub(crate) fn offset(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| upload.offset())
    }

    /// Appends a body, chunk by chunk, as it comes. `declared` is how many bytes there must be, if that was said.
    ///
    /// # Errors
    /// `SizeMismatch` if there are more or fewer; `RangeInvalid` if another request asked for the session. Whatever was
    /// acknowledged until then stays.
    ///
    /// # Cancel safety
    /// Resumable: what was acknowledged stays, and the session with it.
    pub(crate) async fn append(&mut self, body: &RequestBody, declared: Option<u64>) -> Result<()> {
        let mut asking = self.session.asking.subscribe();
        let mut came = 0;
        loop {
            let chunk = tokio::select! {
                biased;
                _ = asking.wait_for(|asking| *asking > 0) => return Err(self.interrupted()),
                chunk = body.next() => chunk?,
            };
            let Some(chunk) = chunk else { break };
            came += chunk.len() as u64;
            if declared.is_some_and(|declared| came > declared) {
                return Err(self.wrong_size(declared, came));
            }
            self.write(chunk).await?;
        }
        if declared.is_some_and(|declared| came < declared) {
            return Err(self.wrong_size(declared, came));
        }
        self.session.saw(self.offset());
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let Some(upload) = self.upload.as_mut() else { return Err(unknown(&self.session.repo)) };
        // Said before the write: if the client goes away, this future is dropped in the middle of it.
        self.session.doubt.store(true, Ordering::Relaxed);
        upload.write(chunk).await?;
        self.session.doubt.store(false, Ordering::Relaxed);
        self.session.saw(upload.offset());
        Ok(())
    }

    fn interrupted(&self) -> Error {
        let what = format!("upload to {}: another request went on with it at {}", self.session.repo, self.offset());
        Error::new(ErrorKind::RangeInvalid, what)
    }

    fn wrong_size(&self, declared: Option<u64>, came: u64) -> Error {
        let declared = declared.unwrap_or_default();
        let what = format!("upload to {}: a chunk of {declared} bytes announced, {came} received", self.session.repo);
        Error::new(ErrorKind::SizeMismatch, what)
    }
}

/// Counts a request among those that wait, for as long as it lives.
struct Asking<'a>(&'a watch::Sender<usize>);

impl<'a> Asking<'a> {
    fn new(asking: &'a watch::Sender<usize>) -> Self {
        asking.send_modify(|asking| *asking += 1);
        Self(asking)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|asking| *asking -= 1);
    }
}

fn unknown(repo: &RepositoryName) -> Error {
    Error::new(ErrorKind::UploadUnknown, format!("upload to {repo}: no such upload, or no longer"))
}

fn random_id() -> Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)
        .map_err(|source| Error::new(ErrorKind::Unavailable, "start upload: no random id").with_source(source))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bits)))
}

/// How long a question about a session waits for the request that is writing to it.
const SETTLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use gantri_core::Memory;
    use gantri_spec::Algorithm;
    use http_body_util::Full;

    use super::*;

    async fn one() -> (Uploads, Arc<Session>) {
        let uploads = Uploads::new(1, Duration::from_secs(60));
        let repo = "a".parse().unwrap();
        let upload = Memory::new().start_upload(&repo, Algorithm::Sha256).await.unwrap();
        let session = uploads.open(uploads.admit().await.unwrap(), &repo, upload).unwrap();
        (uploads, session)
    }

    fn body(bytes: &'static str) -> RequestBody {
        RequestBody::new(Full::new(Bytes::from(bytes)), Duration::from_secs(60))
    }

    /// R4.
    #[tokio::test]
    async fn who_found_an_upload_before_it_ended_gets_no_turn_after_it() {
        let (uploads, session) = one().await;
        let found = uploads.find(session.repository(), session.id()).await.unwrap();
        uploads.close(session.turn(&Memory::new()).await.unwrap()).unwrap();
        assert_eq!(found.turn(&Memory::new()).await.err().unwrap().kind(), ErrorKind::UploadUnknown);
    }

    /// A write that its client gave up may have arrived all the same.
    #[tokio::test]
    async fn after_a_write_cut_short_the_registry_behind_says_where_it_stands() {
        let (registry, repo) = (Memory::new(), "a".parse().unwrap());
        let upload = registry.start_upload(&repo, Algorithm::Sha256).await.unwrap();
        let mut arrived = registry.resume_upload(&repo, upload.session()).await.unwrap();
        let uploads = Uploads::new(1, Duration::from_secs(60));
        let session = uploads.open(uploads.admit().await.unwrap(), &repo, upload).unwrap();
        session.doubt.store(true, Ordering::Relaxed);
        arrived.write("he".into()).await.unwrap();
        assert_eq!(session.offset(&registry).await.unwrap(), 2);
        session.turn(&registry).await.unwrap().append(&body("llo"), None).await.unwrap();
        assert_eq!(session.offset(&registry).await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_for_the_bytes_that_are_on_their_way_but_not_for_ever() {
        let registry = Memory::new();
        let (_uploads, session) = one().await;
        let mut turn = session.turn(&registry).await.unwrap();
        let writing = async {
            tokio::task::yield_now().await;
            turn.append(&body("hello"), None).await.unwrap();
            drop(turn);
        };
        let (offset, ()) = tokio::join!(session.offset(&registry), writing);
        assert_eq!(offset.unwrap(), 5);
        let _never_ends = session.turn(&Memory::new()).await.unwrap();
        assert_eq!(session.offset(&Memory::new()).await.unwrap(), 5);
    }

    /// R3: one that is being written to is in use, however slowly that goes.
    #[tokio::test(start_paused = true)]
    async fn an_upload_in_use_does_not_rest() {
        let (uploads, session) = one().await;
        let turn = session.turn(&Memory::new()).await.unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(uploads.find(session.repository(), session.id()).await.is_ok());
        drop(turn);
        assert!(uploads.find(session.repository(), session.id()).await.is_err());
    }
}
