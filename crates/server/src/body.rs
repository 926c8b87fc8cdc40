//! A request's body: a stream of chunks, each of which must come in time.
//!
//! What a body is for is decided by the handler. This file decides how long it is waited for (R3), how much of it may be
//! gathered, and what becomes of the rest when the answer is ready before the body is at its end.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, unfold};
use gantri_core::{ByteStream, Error, ErrorKind, Result};
use gantri_spec::wire::ErrorCode;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A handle on the body of one request; clones read from the same stream.
#[derive(Clone)]
pub(crate) struct RequestBody {
    chunks: Arc<Mutex<Chunks>>,
    length: Option<u64>,
    idle: Duration,
    cap: Option<u64>,
}

struct Chunks {
    stream: BoxStream<'static, Result<Bytes>>,
    state: State,
    came: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Untouched,
    Reading,
    Ended,
}

impl RequestBody {
    /// Takes over a body; `idle` is the longest wait for its next chunk.
    pub(crate) fn new<B>(body: B, idle: Duration) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let length = body.size_hint().exact();
        let state = if body.is_end_stream() { State::Ended } else { State::Untouched };
        let stream = body.into_data_stream().map_err(broken).boxed();
        Self { chunks: Arc::new(Mutex::new(Chunks { stream, state, came: 0 })), length, idle, cap: None }
    }

    /// Bytes announced, if they were.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The same body, which breaks off with `SIZE_INVALID` after so many bytes.
    pub(crate) fn capped(mut self, most: u64) -> Self {
        self.cap = Some(most);
        self
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Cancel safety
    /// A chunk is taken or it is not.
    pub(crate) async fn next(&self) -> Result<Option<Bytes>> {
        let mut chunks = self.chunks.lock().await;
        if chunks.state == State::Ended {
            return Ok(None);
        }
        chunks.state = State::Reading;
        let chunk = match timeout(self.idle, chunks.stream.next()).await {
            Ok(chunk) => chunk.transpose(),
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("request body: nothing came for {:?}", self.idle))),
        };
        chunks.came += chunk.as_ref().ok().and_then(Option::as_ref).map_or(0, |chunk| chunk.len() as u64);
        let chunk = match self.cap {
            Some(cap) if chunks.came > cap => Err(too_long("request body", "body", cap)),
            _ => chunk,
        };
        if !matches!(chunk, Ok(Some(_))) {
            chunks.state = State::Ended;
        }
        chunk
    }

    /// The chunks as a stream of their own.
    pub(crate) fn stream(&self) -> ByteStream {
        unfold(self.clone(), |body| async move { body.next().await.transpose().map(|chunk| (chunk, body)) }).boxed()
    }

    /// The whole body in memory; memory grows with what has come, not with what was announced.
    ///
    /// # Errors
    /// `LimitExceeded` as soon as it is known that there are more than `limit` bytes.
    pub(crate) async fn gather(&self, limit: u64, name: &str) -> Result<Bytes> {
        if self.length.is_some_and(|length| length > limit) {
            return Err(too_long("request body", name, limit));
        }
        let mut gathered = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if gathered.len() as u64 + chunk.len() as u64 > limit {
                return Err(too_long("request body", name, limit));
            }
            gathered.extend_from_slice(&chunk);
        }
        Ok(gathered.freeze())
    }

    /// Reads on for a while after a refusal.
    ///
    /// An HTTP/1 client that is still sending when the connection closes may lose the answer that is on its way to it: the
    /// kernel throws it away with the connection. So a body that nobody wants is read, which saves the connection too, but
    /// only up to a bound and for a short time. A client that waits for `100 Continue` has sent nothing, and reading would invite it to.
    pub(crate) async fn linger(&self, waits_for_continue: bool) {
        if waits_for_continue && self.chunks.lock().await.state == State::Untouched {
            return;
        }
        let discard = async {
            let mut left = LINGER_BYTES;
            while let Ok(Ok(Some(chunk))) = timeout(LINGER_PAUSE, self.next()).await {
                left = left.saturating_sub(chunk.len());
                if left == 0 {
                    break;
                }
            }
        };
        if timeout(LINGER_TIME, discard).await.is_err() {
            tracing::debug!("gave up on the rest of a refused body");
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("length", &self.length).finish_non_exhaustive()
    }
}

/// More than a client may send. The code makes it a 413; a bound of the server's own without one is a 500.
pub(crate) fn too_long(what: &str, name: &str, limit: u64) -> Error {
    Error::limit(what, name, limit).with_codes(vec![ErrorCode::SizeInvalid])
}

fn broken(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::new(ErrorKind::UploadInvalid, "request body: it broke off").with_source(source)
}

/// Room for the rest of a chunk of the usual size.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);
const LINGER_PAUSE: Duration = Duration::from_millis(500);
