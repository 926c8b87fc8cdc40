//! The pace of the throttle around an [`HttpClient`]: for the token exchange, which has a way of its own to send, so that
//! token servers are spared like every other host (H8, H25).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt;
use gantri_core::{ByteStream, Limits};
use tokio::time::sleep;
use url::Url;

use super::outcome::retry_after;
use super::retry::{Decision, is_passing};
use super::throttle::{Lane, Queue, Throttle};
use crate::http::{Body, HttpClient, SendError, SendErrorKind};

/// Sends as the throttle lets it.
#[derive(Debug)]
pub(crate) struct Paced {
    http: Arc<dyn HttpClient>,
    throttle: Throttle,
    limits: Arc<Limits>,
    /// Whether the last request failed: the next one is another try, and paid for.
    failed: AtomicBool,
}

impl Paced {
    pub(crate) fn new(http: Arc<dyn HttpClient>, throttle: Throttle, limits: Arc<Limits>) -> Self {
        Self { http, throttle, limits, failed: AtomicBool::new(false) }
    }
}

#[async_trait]
impl HttpClient for Paced {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError> {
        let no_request =
            |error: Box<dyn std::error::Error + Send + Sync>| SendError::new(SendErrorKind::Request).with_source(error);
        let url = Url::parse(&request.uri().to_string()).map_err(|error| no_request(error.into()))?;
        let host = self.throttle.host(&url);
        if self.failed.load(Ordering::Relaxed)
            && let Decision::Again(pause) = host.spend(Decision::Again)
            && pause > Duration::ZERO
        {
            sleep(pause).await;
        }
        let pass = host.enter(Lane::Light, Queue::Front).await.map_err(|error| no_request(error.into()))?;
        let answer = self.http.send(request).await;
        let fails = answer.as_ref().map_or(true, |answer| is_passing(answer.status()));
        self.failed.store(fails, Ordering::Relaxed);
        let answer = answer?;
        if !fails {
            host.let_through();
        } else if let Some(pause) = retry_after(answer.headers(), SystemTime::now())
            && pause <= self.limits.retry_after
        {
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
