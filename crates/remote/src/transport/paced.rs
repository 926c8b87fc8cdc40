//! The pace of the throttle for the token exchange, which has a way of its own to send, so that token servers are spared
//! like every other host (H8, H25).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use gantri_core::{ByteStream, Error, ErrorKind, Limits, Observer, Result};
use tokio::time::{sleep, timeout};
use url::Url;

use super::notes::waiting;
use super::outcome::retry_after;
use super::retry::{Decision, is_passing};
use super::throttle::{Lane, Queue, Throttle};
use crate::http::{Body, HttpClient, failure};

/// Sends as the throttle lets it.
#[derive(Debug)]
pub(crate) struct Paced {
    http: Arc<dyn HttpClient>,
    throttle: Throttle,
    limits: Arc<Limits>,
    observer: Arc<dyn Observer>,
    /// Whether the last request failed: the next one is another try, and paid for.
    failed: AtomicBool,
}

impl Paced {
    pub(crate) fn new(
        http: Arc<dyn HttpClient>,
        throttle: Throttle,
        limits: Arc<Limits>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { http, throttle, limits, observer, failed: AtomicBool::new(false) }
    }

    /// Sends a request to this URL once it may be sent, and waits for the head of the answer for `first_byte` from then on.
    ///
    /// # Errors
    /// `LimitExceeded` if there is no room for it; else why there is no answer.
    pub(crate) async fn send(&self, url: &Url, request: http::Request<Body>) -> Result<http::Response<ByteStream>> {
        let host = self.throttle.host(url);
        if self.failed.load(Ordering::Relaxed)
            && let Decision::Again(pause) = host.spend(Decision::Again)
            && pause > Duration::ZERO
        {
            sleep(pause).await;
        }
        let pass = host.enter(Lane::Light, Queue::Front).await?;
        let answer = match timeout(self.limits.first_byte, self.http.send(request)).await {
            Ok(answer) => answer.map_err(|error| failure::told(error, url)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer in time")),
        };
        let fails = answer.as_ref().map_or(true, |answer| is_passing(answer.status()));
        self.failed.store(fails, Ordering::Relaxed);
        let answer = answer?;
        if !fails {
            host.let_through();
        } else if let Some(pause) = retry_after(answer.headers(), SystemTime::now())
            && pause <= self.limits.retry_after
        {
            waiting(&*self.observer, host.name(), pause);
            host.hold(pause);
        }
        let place = pass.answered();
        Ok(answer.map(|body| {
            body.map(move |chunk| {
                let _as_long_as_this = &place;
                chunk
            })
            .boxed()
        }))
    }
}
