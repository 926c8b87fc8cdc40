//! Every wait of a request on its way out has an end: for the other side to take what is sent, for the body's source to give
//! more, and for the head of the answer (H11).
//!
//! What the client below takes lies in its buffers for a while, so a body is handed on in small pieces, and to take nothing
//! for a whole `slow_window` is what counts as standing still. A connection on which nothing arrives any more is found out
//! earlier by the kernel (`TCP_USER_TIMEOUT`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{StreamExt, once, unfold};
use gantri_core::{ByteStream, Error, ErrorKind, Limits, Result, Retry};
use tokio::time::{Instant, sleep_until};

/// Bytes of a body that are handed on at once: the buffers of hyper hold sixteen of them at the most.
const PIECE: usize = 16 << 10;

/// How far a request has got, and why its body failed, if it did.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Sent>>);

#[derive(Debug)]
struct Sent {
    phase: Phase,
    since: Instant,
    /// Time in which the other side could have taken more, and what it took, since the last look at the floor.
    waited: Duration,
    taken: u64,
    failure: Option<Error>,
}

/// Who is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nobody has asked for the body yet, or it is sent: the answer.
    Answer,
    /// The body's source.
    Source,
    /// The other side, to take a piece.
    Taker,
}

impl Progress {
    pub(super) fn start() -> Self {
        let (since, waited) = (Instant::now(), Duration::ZERO);
        Self(Arc::new(Mutex::new(Sent { phase: Phase::Answer, since, waited, taken: 0, failure: None })))
    }

    /// The same bytes in small pieces, noting when each is asked for and taken. An error is kept for
    /// [`failure`](Self::failure), because the layers below would wrap it beyond recognition.
    pub(super) fn watch(&self, chunks: ByteStream, length: Option<u64>) -> ByteStream {
        let state = (self.clone(), chunks, Bytes::new(), length);
        unfold(state, |(progress, mut chunks, mut rest, mut left)| async move {
            progress.enter(Phase::Source);
            while rest.is_empty() {
                match chunks.next().await {
                    Some(Ok(chunk)) => rest = chunk,
                    Some(Err(error)) => {
                        let stand_in = Error::new(error.kind(), "the body of the request failed");
                        progress.lock().failure = Some(error);
                        return Some((Err(stand_in), (progress, chunks, rest, left)));
                    }
                    None => {
                        progress.enter(Phase::Answer);
                        return None;
                    }
                }
            }
            let piece = rest.split_to(rest.len().min(PIECE));
            left = left.map(|left| left.saturating_sub(piece.len() as u64));
            progress.gave(piece.len(), left);
            Some((Ok(piece), (progress, chunks, rest, left)))
        })
        .boxed()
    }

    /// The same of bytes in memory, if there are more than one piece of them.
    pub(super) fn watch_bytes(&self, bytes: Bytes) -> Result<ByteStream, Bytes> {
        let length = bytes.len();
        if length <= PIECE {
            return Err(bytes);
        }
        Ok(self.watch(once(async move { Ok(bytes) }).boxed(), Some(length as u64)))
    }

    /// Waits until the request has stood still for too long.
    pub(super) async fn stalled(&self, limits: &Limits) -> Error {
        loop {
            let (phase, limit, deadline) = {
                let sent = self.lock();
                let limit = match sent.phase {
                    Phase::Answer | Phase::Source => limits.first_byte,
                    Phase::Taker => limits.slow_window,
                };
                if sent.waited >= limits.slow_window && sent.taken < limits.slow_bytes {
                    let what = format!("less than {} bytes taken in {:?}", limits.slow_bytes, limits.slow_window);
                    return timed_out(what);
                }
                (sent.phase, limit, sent.since + limit)
            };
            self.look_at_the_floor(limits);
            if deadline <= Instant::now() {
                return timed_out(match phase {
                    Phase::Answer => format!("no answer in {limit:?}"),
                    Phase::Source => format!("nothing to send in {limit:?}"),
                    Phase::Taker => format!("nothing taken in {limit:?}"),
                });
            }
            // A body that trickles moves the deadline: it is looked at now and then.
            sleep_until(deadline.min(Instant::now() + limits.slow_window / 4)).await;
        }
    }

    /// Why the body of the request failed.
    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failure.take()
    }

    fn look_at_the_floor(&self, limits: &Limits) {
        let mut sent = self.lock();
        if sent.waited >= limits.slow_window {
            (sent.waited, sent.taken) = (Duration::ZERO, 0);
        }
    }

    fn gave(&self, count: usize, left: Option<u64>) {
        self.lock().taken += count as u64;
        // Nobody comes back for more than was announced.
        self.enter(if left == Some(0) { Phase::Answer } else { Phase::Taker });
    }

    fn enter(&self, phase: Phase) {
        let now = Instant::now();
        let mut sent = self.lock();
        if sent.phase == Phase::Taker {
            let waited = now - sent.since;
            sent.waited += waited;
        }
        (sent.phase, sent.since) = (phase, now);
    }

    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed_out(what: String) -> Error {
    Error::new(ErrorKind::Timeout, what).with_retry(Retry::Backoff)
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, pending};

    use super::*;

    /// Takes a piece of an endless body every so often, and says what was said of it after how many seconds.
    async fn taken_every(pause: Duration, piece: usize) -> (String, u64) {
        let progress = Progress::start();
        let chunk = Bytes::from(vec![0; piece]);
        let mut sent = progress.watch(futures_util::stream::repeat_with(move || Ok(chunk.clone())).boxed(), None);
        let started = Instant::now();
        let take = async {
            loop {
                sent.next().await;
                tokio::time::sleep(pause).await;
            }
        };
        let limits = Limits::default();
        tokio::select! {
            error = progress.stalled(&limits) => (error.to_string(), started.elapsed().as_secs()),
            () = take => unreachable!(),
            () = tokio::time::sleep(Duration::from_hours(1)) => ("goes on".to_owned(), 0),
        }
    }

    /// H11: who takes nothing, and who takes next to nothing, of what is sent.
    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_next_to_nothing_is_given_up() {
        assert_eq!(taken_every(Duration::from_hours(2), 100).await, ("nothing taken in 60s".to_owned(), 60));
        let (what, after) = taken_every(Duration::from_secs(30), PIECE).await;
        assert_eq!(what, "less than 61440 bytes taken in 60s");
        assert!((60..=90).contains(&after), "{after}");
        assert_eq!(taken_every(Duration::from_secs(10), PIECE).await.0, "goes on");
    }

    /// A large chunk is no reason to lose sight of its bytes.
    #[tokio::test]
    async fn a_body_goes_out_in_small_pieces() {
        let progress = Progress::start();
        let chunk = Bytes::from(vec![7; 3 * PIECE + 1]);
        let pieces: Vec<_> = progress.watch(iter([Ok(chunk.clone())]).boxed(), None).collect().await;
        let pieces: Vec<Bytes> = pieces.into_iter().map(Result::unwrap).collect();
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, PIECE, 1]);
        assert_eq!(pieces.concat(), chunk);
    }

    /// A source that takes its time is not the other side's fault, but it has an end as well.
    #[tokio::test(start_paused = true)]
    async fn a_source_has_its_own_time() {
        let progress = Progress::start();
        let limits = Limits::default();
        let mut sent = progress.watch(pending().boxed(), None);
        let error = tokio::select! {
            error = progress.stalled(&limits) => error,
            _ = sent.next() => unreachable!(),
        };
        assert_eq!(error.to_string(), "nothing to send in 60s");
    }

    /// Once every announced byte is taken, the answer is waited for, and nothing else.
    #[tokio::test(start_paused = true)]
    async fn after_the_last_byte_the_answer_is_waited_for() {
        let progress = Progress::start();
        let mut sent = progress.watch_bytes(Bytes::from(vec![0; 2 * PIECE])).unwrap();
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            sent.next().await.unwrap().unwrap();
        }
        let started = Instant::now();
        assert_eq!(progress.stalled(&Limits::default()).await.to_string(), "no answer in 60s");
        assert_eq!(started.elapsed().as_secs(), 60);
    }
}
