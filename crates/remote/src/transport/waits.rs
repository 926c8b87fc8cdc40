//! Every wait for the body of an answer has an end: between two chunks, and for bodies that trickle (H11). The waits of a
//! request on its way out are `sending`'s.
//!
//! Only time spent waiting for the other side counts. A reader that takes its time between two chunks holds nothing
//! against the registry.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use gantri_core::{ByteStream, Error, ErrorKind, Limits, Result, Retry};
use tokio::time::{Instant, Sleep, sleep_until};

use super::throttle::Place;

/// The body of an answer, failing with `Timeout` when it stands still or trickles. The place that its request took is free
/// when it ends.
pub(super) fn bounded(body: ByteStream, limits: &Limits, place: Option<Place>) -> ByteStream {
    Bounded {
        body: Some((body, place)),
        idle: limits.idle,
        floor: limits.slow_bytes,
        window: limits.slow_window,
        timer: Box::pin(sleep_until(Instant::now())),
        waiting_since: None,
        waited: Duration::ZERO,
        received: 0,
    }
    .boxed()
}

struct Bounded {
    body: Option<(ByteStream, Option<Place>)>,
    idle: Duration,
    floor: u64,
    window: Duration,
    timer: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
    /// Waiting time and bytes since the last look at the floor.
    waited: Duration,
    received: u64,
}

impl Bounded {
    fn fail(&mut self, what: String) -> Poll<Option<Result<Bytes>>> {
        self.body = None;
        Poll::Ready(Some(Err(Error::new(ErrorKind::Timeout, what).with_retry(Retry::Backoff))))
    }

    fn arm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            self.timer.as_mut().reset(now + self.idle);
        }
        self.timer.as_mut().poll(context)
    }

    /// Whether so little came in so much waiting that it will never end.
    fn trickles(&mut self, count: usize) -> bool {
        self.received += count as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        if self.waited < self.window {
            return false;
        }
        let trickles = self.received < self.floor;
        (self.waited, self.received) = (Duration::ZERO, 0);
        trickles
    }
}

impl Stream for Bounded {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((body, _)) = &mut self.body else { return Poll::Ready(None) };
        match body.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(chunk))) => {
                if self.trickles(chunk.len()) {
                    let what = format!("body: less than {} bytes in {:?}", self.floor, self.window);
                    return self.fail(what);
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(end) => {
                self.body = None;
                Poll::Ready(end)
            }
            Poll::Pending => match self.arm(context) {
                Poll::Ready(()) => {
                    let what = format!("body: no byte in {:?}", self.idle);
                    self.fail(what)
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, pending};

    use super::*;

    fn paced(pause: Duration, chunk: usize) -> ByteStream {
        stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok(Bytes::from(vec![0; chunk])), ()))
        })
        .boxed()
    }

    async fn first_error(mut body: ByteStream, chunks: usize) -> Option<ErrorKind> {
        for _ in 0..chunks {
            if let Err(error) = body.next().await? {
                assert!(body.next().await.is_none(), "an error ends the stream");
                return Some(error.kind());
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_times_out() {
        let limits = Limits::default();
        let started = Instant::now();
        let error = bounded(pending().boxed(), &limits, None).next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(started.elapsed().as_secs(), limits.idle.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_times_out() {
        let limits = Limits::default();
        assert_eq!(
            first_error(bounded(paced(Duration::from_secs(1), 1), &limits, None), 1000).await,
            Some(ErrorKind::Timeout)
        );
        assert_eq!(first_error(bounded(paced(Duration::from_secs(1), 2048), &limits, None), 1000).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_the_registrys_fault() {
        let limits = Limits::default();
        let mut body = bounded(stream::repeat_with(|| Ok(Bytes::from_static(b"x"))).boxed(), &limits, None);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_mins(5)).await;
            assert!(body.next().await.unwrap().is_ok());
        }
    }
}
