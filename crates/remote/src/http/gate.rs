//! The gate before a request's streamed body: it opens with the registry's leave (`100 Continue`) if that was asked for, and
//! closes with a refusal, so that nothing more is read and sent of what nobody wants (H12).
//!
//! Two things are left alone: an answer of success, for the server may well read on; and HTTP/2, where a server that wants
//! no more resets the stream, and which has no leave to wait for in hyper.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{StreamExt, TryStreamExt, try_unfold};
use gantri_core::{ByteStream, Error, ErrorKind};
use http::StatusCode;
use http::header::EXPECT;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Body;

/// What is known about whether the body is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    /// Nothing yet, and somebody waits for it.
    Awaited,
    Go,
    /// Answered with success: whatever is left may go.
    Taken,
    Refused,
}

/// The registry's side of the gate. While it lives, a refused body stands still, so that the reason can be read to its end;
/// then the body fails, and with it the connection, which is of no more use.
#[derive(Debug)]
pub(super) struct Gate(Arc<watch::Sender<Word>>);

/// Puts a gate before the body of a request. `None` if there is no stream to hold back. With `Expect: 100-continue` the
/// body waits for it, `wait` at the longest.
pub(super) fn before(request: http::Request<Body>, wait: Option<Duration>) -> (http::Request<Body>, Option<Gate>) {
    let (mut head, body) = request.into_parts();
    let asks = wait.filter(|_| head.headers.contains_key(EXPECT));
    if asks.is_none() {
        // Whoever does not wait must not ask.
        head.headers.remove(EXPECT);
    }
    if !body.is_stream() {
        return (http::Request::from_parts(head, body), None);
    }
    let (length, start) = (body.length(), if asks.is_some() { Word::Awaited } else { Word::Go });
    let (sender, receiver) = watch::channel(start);
    let gate = Gate(Arc::new(sender));
    let body = Body::stream(gated(body.into_stream(), receiver, asks.unwrap_or_default()), length);
    let mut request = http::Request::from_parts(head, body);
    if asks.is_some() {
        // Weak: the connection keeps this for as long as it likes, but the gate is gone when nobody reads the answer.
        let sender = Arc::downgrade(&gate.0);
        hyper::ext::on_informational(&mut request, move |answer| {
            if let (StatusCode::CONTINUE, Some(sender)) = (answer.status(), sender.upgrade()) {
                sender.send_if_modified(|word| *word == Word::Awaited && std::mem::replace(word, Word::Go) != Word::Go);
            }
        });
    }
    (request, Some(gate))
}

impl Gate {
    /// Whether the leave has come, or was never asked for.
    pub(super) fn is_open(&self) -> bool {
        *self.0.borrow() != Word::Awaited
    }

    /// What the head of the answer says.
    pub(super) fn answered(&self, status: StatusCode) {
        self.0.send_replace(if status.is_success() { Word::Taken } else { Word::Refused });
    }

    /// The body of the answer, with which the gate ends.
    pub(super) fn with(self, answer: ByteStream) -> ByteStream {
        answer
            .map(move |chunk| {
                let _as_long_as_this = &self;
                chunk
            })
            .boxed()
    }
}

fn gated(chunks: ByteStream, word: watch::Receiver<Word>, wait: Duration) -> ByteStream {
    try_unfold((chunks, word, Some(wait)), |(mut chunks, mut word, wait)| async move {
        if let Some(wait) = wait {
            // As curl does: who says nothing in time, is sent the body.
            let _ = timeout(wait, word.wait_for(|word| *word != Word::Awaited)).await;
        }
        tokio::select! {
            biased;
            () = refused(&mut word) => {
                // The other side is gone when the reason has been read.
                while word.changed().await.is_ok() {}
                Err(Error::new(ErrorKind::Protocol, "the rest of the body is not wanted"))
            }
            chunk = chunks.try_next() => Ok(chunk?.map(|chunk| (chunk, (chunks, word, None)))),
        }
    })
    .boxed()
}

/// Comes back when the body is refused, or when nobody waits for an answer any more.
async fn refused(word: &mut watch::Receiver<Word>) {
    let is_refused = word.wait_for(|word| *word == Word::Refused).await.is_ok();
    if !is_refused && *word.borrow() == Word::Taken {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;
    use futures_util::stream::iter;
    use gantri_core::Result;

    use super::*;

    fn request(asks: bool) -> http::Request<Body> {
        let chunks: ByteStream = iter(["ab", "cd"].map(|chunk| Ok(Bytes::from(chunk)))).boxed();
        let mut request = http::Request::new(Body::stream(chunks, Some(4)));
        if asks {
            request.headers_mut().insert(EXPECT, http::HeaderValue::from_static("100-continue"));
        }
        request
    }

    async fn all(body: ByteStream) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = body.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_leave_and_goes_without_it_in_the_end() {
        let wait = Duration::from_secs(1);
        let started = tokio::time::Instant::now();
        let (request, gate) = before(request(true), Some(wait));
        assert!(!gate.as_ref().unwrap().is_open());
        assert_eq!(all(request.into_body().into_stream()).await.unwrap(), b"abcd");
        assert_eq!(started.elapsed(), wait);
        drop(gate);
    }

    #[tokio::test]
    async fn a_refused_body_stands_still_until_the_reason_is_read() {
        let (request, gate) = before(request(true), Some(Duration::from_secs(60)));
        let gate = gate.unwrap();
        gate.answered(StatusCode::PAYLOAD_TOO_LARGE);
        let mut reason = gate.with(iter([Ok(Bytes::from_static(b"reason"))]).boxed());
        let mut body = request.into_body().into_stream();
        assert!(body.next().now_or_never().is_none(), "neither a chunk nor an end");
        assert_eq!(reason.next().await.unwrap().unwrap(), "reason");
        drop(reason);
        assert!(body.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_body_that_is_not_waited_for_does_not_ask_and_stops_when_it_is_refused() {
        let (request, gate) = before(request(true), None);
        assert!(!request.headers().contains_key(EXPECT));
        let mut body = request.into_body().into_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "ab");
        gate.unwrap().answered(StatusCode::FORBIDDEN);
        assert!(body.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn success_lets_the_rest_through_whoever_is_gone() {
        let (request, gate) = before(request(false), Some(Duration::from_secs(1)));
        let gate = gate.unwrap();
        gate.answered(StatusCode::ACCEPTED);
        drop(gate);
        assert_eq!(all(request.into_body().into_stream()).await.unwrap(), b"abcd");
    }
}
