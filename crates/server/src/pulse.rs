//! Whether a client is still there: it asked something, or took some of its answer, not long ago (R3).
//!
//! Time in which the client waits for us does not count against it; how long a registry may take, and how long the body of
//! a request may pause, is bounded elsewhere. A client that takes nothing is seen in both versions of HTTP by the same
//! sign: nobody asks for the next piece of a body.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gantri_core::{Error, Result};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep};

use crate::respond::ResponseBody;

/// The signs of life of one connection; clones see the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// How many things the client is waiting for.
    at_work: usize,
    last: Instant,
    was_asked: bool,
}

/// Something that the client is waiting for, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Work(Pulse);

impl Pulse {
    /// Of a connection that begins now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { at_work: 0, last: Instant::now(), was_asked: false })))
    }

    /// A request came.
    pub(crate) fn work(&self) -> Work {
        let mut state = self.lock();
        state.at_work += 1;
        state.was_asked = true;
        Work(self.clone())
    }

    /// Whether there was ever a request.
    pub(crate) fn was_asked(&self) -> bool {
        self.lock().was_asked
    }

    /// Ends when the client has given no sign for `idle` although it was its turn.
    pub(crate) async fn stops(&self, idle: Duration) {
        while let Some(left) = self.left(idle) {
            sleep(left).await;
        }
    }

    fn left(&self, idle: Duration) -> Option<Duration> {
        let state = self.lock();
        if state.at_work > 0 {
            return Some(idle);
        }
        idle.checked_sub(state.last.elapsed()).filter(|left| !left.is_zero())
    }

    fn beat(&self) {
        self.lock().last = Instant::now();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.at_work -= 1;
        state.last = Instant::now();
    }
}

/// A body that is handed out in pieces, each a sign of life of who takes it.
pub(crate) struct Watched {
    body: ResponseBody,
    pulse: Pulse,
    /// There while the next frame is the registry's to give.
    work: Option<Work>,
    /// What is left of a frame that is longer than a piece: memory gives a whole blob as one.
    rest: Bytes,
}

impl Watched {
    pub(crate) fn new(body: ResponseBody, pulse: Pulse) -> Self {
        Self { body, pulse, work: None, rest: Bytes::new() }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        self.pulse.beat();
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Frame::data(piece)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            if self.work.is_none() {
                self.work = Some(self.pulse.work());
            }
            return Poll::Pending;
        };
        self.work = None;
        Poll::Ready(frame.map(|frame| match frame?.into_data() {
            Ok(data) => {
                self.rest = data;
                Ok(self.piece())
            }
            Err(frame) => Ok(frame),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.body.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

/// Bytes that are a sign of life: small enough that slow clients give one in time.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;
    use futures_util::stream;
    use gantri_core::ByteStream;
    use http_body_util::BodyExt;
    use tokio::time::{advance, timeout};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_us_is_alive_however_long_it_takes() {
        let pulse = Pulse::new();
        assert!(!pulse.was_asked());
        let work = pulse.work();
        timeout(10 * IDLE, pulse.stops(IDLE)).await.unwrap_err();
        drop(work);
        let since = Instant::now();
        pulse.stops(IDLE).await;
        assert!((IDLE..=2 * IDLE).contains(&since.elapsed()) && pulse.was_asked());
    }

    #[tokio::test(start_paused = true)]
    async fn every_piece_that_is_taken_is_a_sign_of_life_and_none_is_lost() {
        let pulse = Pulse::new();
        let big = Bytes::from(vec![7; 3 * PIECE + 1]);
        let chunks: ByteStream = Box::pin(stream::iter([Ok(big.clone()), Ok(Bytes::from("end"))]));
        let mut body = Watched::new(ResponseBody::stream(chunks), pulse.clone());
        let mut taken = Vec::new();
        while let Some(frame) = body.frame().await {
            taken.extend_from_slice(&frame.unwrap().into_data().unwrap());
            advance(IDLE / 2).await;
            assert!(poll_immediate(pulse.stops(IDLE)).await.is_none());
        }
        assert_eq!(taken, [&big[..], b"end"].concat());
        advance(IDLE).await;
        assert!(poll_immediate(pulse.stops(IDLE)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_takes_is_no_sign_of_life_but_one_that_the_registry_holds_back_is() {
        let pulse = Pulse::new();
        let pending: ByteStream = Box::pin(stream::pending());
        let mut body = Watched::new(ResponseBody::stream(pending), pulse.clone());
        advance(IDLE).await;
        assert!(poll_immediate(pulse.stops(IDLE)).await.is_some());
        assert!(poll_immediate(body.frame()).await.is_none());
        assert!(poll_immediate(pulse.stops(IDLE)).await.is_none());
    }
}
