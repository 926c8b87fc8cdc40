//! What lives between the requests of an upload: a table of sessions under ids that only this file makes.
//!
//! It decides who may write to a session (one at a time; who goes on from where it stands takes over from a connection
//! that has fallen silent), how long a session may rest, and how many there may be. What is written where is for
//! `push.rs`; what became of the bytes, for the registry behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gantri_core::{BlobUpload, Error, ErrorKind, Push, Result};
use gantri_spec::RepositoryName;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::body::{RequestBody, too_long};
use crate::options::ServerOptions;

/// The sessions under way.
#[derive(Debug)]
pub(crate) struct Uploads {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    room: Arc<Semaphore>,
    idle: Duration,
    /// Bytes that one upload may come to.
    most_bytes: u64,
}

/// Leave to open one session more.
pub(crate) struct Room(OwnedSemaphorePermit);

/// An upload under way.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    repo: RepositoryName,
    /// Empty once the upload is committed or cancelled.
    handle: Arc<tokio::sync::Mutex<Option<Handle>>>,
    seen: Mutex<Seen>,
    /// How many requests want to take over from the one that writes.
    takeovers: watch::Sender<usize>,
    most_bytes: u64,
    _room: OwnedSemaphorePermit,
}

/// The registry's handle on the upload.
#[derive(Debug)]
struct Handle {
    upload: Box<dyn BlobUpload>,
    /// Whether a write was cut short: the handle may stand elsewhere than the registry behind.
    is_in_doubt: bool,
}

/// What can be told of a session while somebody writes to it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    offset: u64,
    used: Instant,
}

impl Uploads {
    /// An empty table for as many sessions, and as long and big ones, as the options allow.
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self {
            sessions: Mutex::default(),
            room: Arc::new(Semaphore::new(options.uploads)),
            idle: options.upload_idle,
            most_bytes: options.blob,
        }
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
        let seen = Seen { offset: upload.offset(), used: Instant::now() };
        let session = Arc::new(Session {
            id: random_id()?,
            repo: repo.clone(),
            handle: Arc::new(tokio::sync::Mutex::new(Some(Handle { upload, is_in_doubt: false }))),
            seen: Mutex::new(seen),
            takeovers: watch::Sender::new(0),
            most_bytes: self.most_bytes,
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
        turn.handle.take().map(|handle| handle.upload).ok_or_else(|| unknown(&turn.session.repo))
    }

    /// Forgets what has rested too long (R3), and has the registry behind forget it too.
    pub(crate) async fn reap(&self) {
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

    /// Bytes acknowledged so far, also while somebody writes.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.seen().offset
    }

    /// Bytes acknowledged.
    ///
    /// A client that broke off asks at once, and may be here before its last bytes are: those are given a moment. One
    /// that asks while another request goes on writing is told how far that is.
    ///
    /// # Errors
    /// Those of [`Push::resume_upload`], if the registry behind has to be asked.
    pub(crate) async fn offset(&self, registry: &dyn Push) -> Result<u64> {
        if let Ok(mut handle) = timeout(SETTLE, self.handle.lock()).await {
            self.resolve_doubt(&mut handle, registry).await?;
        }
        Ok(self.acknowledged())
    }

    /// Waits for the right to write, or to end it.
    ///
    /// Who goes on from where the session stands is the client itself, back from a connection that it lost: the request on
    /// that connection is made to stop when it next waits for bytes, for the client must not have to wait until the server
    /// notices. A chunk for another place stops nobody: it is out of order, now and later.
    ///
    /// # Errors
    /// `RangeInvalid` if somebody writes and the claim is to another place; `UploadUnknown` if the upload was ended
    /// meanwhile (R4); those of [`Push::resume_upload`], if the registry behind has to be asked where it stands.
    pub(crate) async fn turn(self: &Arc<Self>, registry: &dyn Push, claim: Claim) -> Result<Turn> {
        let mut handle = match Arc::clone(&self.handle).try_lock_owned() {
            Ok(handle) => handle,
            Err(_) => self.queue(claim).await?,
        };
        if handle.is_none() {
            return Err(unknown(&self.repo));
        }
        self.resolve_doubt(&mut handle, registry).await?;
        Ok(Turn { session: Arc::clone(self), handle })
    }

    async fn queue(&self, claim: Claim) -> Result<OwnedMutexGuard<Option<Handle>>> {
        let stands = self.acknowledged();
        let _takeover = match claim {
            Claim::At(start) if start != stands => {
                let what = format!("upload to {}: another request goes on with it at {stands}", self.repo);
                return Err(Error::new(ErrorKind::RangeInvalid, what));
            }
            Claim::At(_) | Claim::Cancel => Some(Takeover::new(&self.takeovers)),
            Claim::Next => None,
        };
        Ok(Arc::clone(&self.handle).lock_owned().await)
    }

    /// A handle whose write was dropped or failed does not know where it stands; a new one does.
    async fn resolve_doubt(&self, handle: &mut Option<Handle>, registry: &dyn Push) -> Result<()> {
        let Some(handle) = handle.as_mut().filter(|handle| handle.is_in_doubt) else { return Ok(()) };
        handle.upload = registry.resume_upload(&self.repo, handle.upload.session()).await?;
        handle.is_in_doubt = false;
        self.saw(handle.upload.offset());
        Ok(())
    }

    /// Takes the upload if nobody has used it for `idle`; one that is being written to is in use.
    fn rested(&self, idle: Duration) -> Option<Box<dyn BlobUpload>> {
        let mut handle = self.handle.try_lock().ok()?;
        if self.seen().used.elapsed() < idle {
            return None;
        }
        handle.take().map(|handle| handle.upload)
    }

    fn saw(&self, offset: u64) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { offset, used: Instant::now() };
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request wants of a session that somebody else may be writing to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    /// To write at this offset.
    At(u64),
    /// To write what comes next. It can't be told from one who comes too late, so it waits.
    Next,
    /// To give it up, whatever is still on its way.
    Cancel,
}

/// The right to write to a session, held by one request at a time.
pub(crate) struct Turn {
    session: Arc<Session>,
    handle: OwnedMutexGuard<Option<Handle>>,
}

impl Turn {
    /// Bytes acknowledged.
    pub(crate) fn offset(&self) -> u64 {
        self.handle.as_ref().map_or(0, |handle| handle.upload.offset())
    }

    /// Appends a body, chunk by chunk, as it comes. `declared` is how many bytes there must be, if that was said.
    ///
    /// # Errors
    /// `SizeMismatch` if there are more or fewer; `LimitExceeded` as soon as it is known that the upload comes to more than
    /// it may (R3), and nothing of what is too much is written; `RangeInvalid` if another request took over. Whatever was acknowledged
    /// until then stays.
    ///
    /// # Cancel safety
    /// Resumable: what was acknowledged stays, and the session with it.
    pub(crate) async fn append(&mut self, body: &RequestBody, declared: Option<u64>) -> Result<()> {
        let mut takeovers = self.session.takeovers.subscribe();
        let mut came = 0;
        self.has_room(declared.unwrap_or_default())?;
        loop {
            // Bytes first: only one whose bytes do not come can have lost its connection. A commit has none to wait for,
            // so of two that commit the first to come is the one that does (R4).
            let chunk = tokio::select! {
                biased;
                chunk = body.next() => chunk?,
                _ = takeovers.wait_for(|waiting| *waiting > 0) => return Err(self.interrupted()),
            };
            let Some(chunk) = chunk else { break };
            came += chunk.len() as u64;
            if declared.is_some_and(|declared| came > declared) {
                return Err(self.wrong_size(declared, came));
            }
            self.has_room(chunk.len() as u64)?;
            self.write(chunk).await?;
        }
        if declared.is_some_and(|declared| came < declared) {
            return Err(self.wrong_size(declared, came));
        }
        self.session.saw(self.offset());
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let Some(handle) = self.handle.as_mut() else { return Err(unknown(&self.session.repo)) };
        // Said before the write: if the client goes away, this future is dropped in the middle of it.
        handle.is_in_doubt = true;
        handle.upload.write(chunk).await?;
        handle.is_in_doubt = false;
        self.session.saw(handle.upload.offset());
        Ok(())
    }

    fn has_room(&self, more: u64) -> Result<()> {
        let most = self.session.most_bytes;
        if self.offset().saturating_add(more) <= most { Ok(()) } else { Err(too_long("upload", "blob", most)) }
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

/// Counts a request among those that want to take over, for as long as it lives.
struct Takeover<'a>(&'a watch::Sender<usize>);

impl<'a> Takeover<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Takeover<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
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
    use futures_util::future::poll_immediate;
    use futures_util::stream::pending;
    use gantri_core::Memory;
    use gantri_spec::Algorithm;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn options() -> ServerOptions {
        ServerOptions::default().with_uploads(1).with_upload_idle(Duration::from_secs(60))
    }

    async fn one() -> (Uploads, Arc<Session>) {
        let uploads = Uploads::new(&options());
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
        uploads.close(session.turn(&Memory::new(), Claim::Next).await.unwrap()).unwrap();
        assert_eq!(found.turn(&Memory::new(), Claim::Next).await.err().unwrap().kind(), ErrorKind::UploadUnknown);
    }

    /// R4: of two that commit, the first is not made to stop by the second; nor is a writer by one who comes too late.
    #[tokio::test]
    async fn who_has_all_its_bytes_is_not_stopped_by_who_waits() {
        let registry = Memory::new();
        let (_uploads, session) = one().await;
        let mut turn = session.turn(&registry, Claim::Next).await.unwrap();
        let mut waiting = [Claim::Next, Claim::At(0)].map(|claim| Box::pin(session.turn(&registry, claim)));
        for waiting in &mut waiting {
            assert!(poll_immediate(waiting).await.is_none());
        }
        turn.append(&body(""), None).await.unwrap();
        turn.append(&body("hello"), Some(5)).await.unwrap();
        let late = poll_immediate(Box::pin(session.turn(&registry, Claim::At(0)))).await;
        let told = late.expect("an answer at once").err().unwrap();
        assert_eq!((told.kind(), turn.offset()), (ErrorKind::RangeInvalid, 5));
        // One whose bytes do not come has lost its connection, for all that can be told.
        let silent = StreamBody::new(pending::<Result<Frame<Bytes>>>());
        let stopped = turn.append(&RequestBody::new(silent, Duration::from_secs(60)), None).await.unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::RangeInvalid);
    }

    /// A write that its client gave up may have arrived all the same.
    #[tokio::test]
    async fn after_a_write_cut_short_the_registry_behind_says_where_it_stands() {
        let (registry, repo) = (Memory::new(), "a".parse().unwrap());
        let upload = registry.start_upload(&repo, Algorithm::Sha256).await.unwrap();
        let mut arrived = registry.resume_upload(&repo, upload.session()).await.unwrap();
        let uploads = Uploads::new(&options());
        let session = uploads.open(uploads.admit().await.unwrap(), &repo, upload).unwrap();
        session.handle.lock().await.as_mut().unwrap().is_in_doubt = true;
        arrived.write("he".into()).await.unwrap();
        assert_eq!(session.offset(&registry).await.unwrap(), 2);
        session.turn(&registry, Claim::Next).await.unwrap().append(&body("llo"), None).await.unwrap();
        assert_eq!(session.offset(&registry).await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_for_the_bytes_that_are_on_their_way_but_not_for_ever() {
        let registry = Memory::new();
        let (_uploads, session) = one().await;
        let mut turn = session.turn(&registry, Claim::Next).await.unwrap();
        let writing = async {
            tokio::task::yield_now().await;
            turn.append(&body("hello"), None).await.unwrap();
            drop(turn);
        };
        let (offset, ()) = tokio::join!(session.offset(&registry), writing);
        assert_eq!(offset.unwrap(), 5);
        let _never_ends = session.turn(&Memory::new(), Claim::Next).await.unwrap();
        assert_eq!(session.offset(&Memory::new()).await.unwrap(), 5);
    }

    /// R3: also if nobody ever asks for anything again.
    #[tokio::test(start_paused = true)]
    async fn what_rests_is_forgotten_by_the_registry_behind_as_well() {
        let (registry, repo) = (Memory::new(), "a".parse().unwrap());
        let upload = registry.start_upload(&repo, Algorithm::Sha256).await.unwrap();
        let behind = upload.session();
        let uploads = Uploads::new(&options());
        uploads.open(uploads.admit().await.unwrap(), &repo, upload).unwrap();
        tokio::time::advance(Duration::from_secs(59)).await;
        uploads.reap().await;
        registry.resume_upload(&repo, behind.clone()).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        uploads.reap().await;
        assert_eq!(registry.resume_upload(&repo, behind).await.unwrap_err().kind(), ErrorKind::UploadUnknown);
    }

    /// R3: one that is being written to is in use, however slowly that goes.
    #[tokio::test(start_paused = true)]
    async fn an_upload_in_use_does_not_rest() {
        let (uploads, session) = one().await;
        let turn = session.turn(&Memory::new(), Claim::Next).await.unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(uploads.find(session.repository(), session.id()).await.is_ok());
        drop(turn);
        assert!(uploads.find(session.repository(), session.id()).await.is_err());
    }
}
