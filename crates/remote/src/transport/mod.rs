//! The whole life of a request, on one screen.
//!
//! The order of the concerns *is* the protocol: a challenge must not eat a retry, a redirect must drop the authorization, a
//! `Retry-After` must hold for the whole host. So the loop is written out, and every decision it takes is a pure function in
//! a file beside it. Nothing here knows of blobs, manifests or tags.

mod budget;
mod expired;
mod notes;
mod outcome;
mod paced;
mod quota;
mod redirect;
mod refusal;
mod request;
mod response;
mod retry;
mod said;
mod sending;
mod sent;
mod throttle;
mod waits;

use std::sync::Arc;

use gantri_core::{Error, Limits, Observer, Result, Retry};
use gantri_spec::wire::{Challenge, Scope};
use http::StatusCode;
use http::header::{AUTHORIZATION, EXPECT, HeaderValue, USER_AGENT};
use tokio::time::{Instant, sleep};

use self::notes::Notes;
use self::outcome::Outcome;
pub(crate) use self::outcome::retry_after;
pub(crate) use self::paced::Paced;
pub use self::quota::RateLimit;
use self::redirect::Trail;
pub(crate) use self::refusal::Unchallenged;
use self::request::About;
pub(crate) use self::request::{Payload, Replay, Request};
pub(crate) use self::response::{Bound, Response, Whole};
pub(crate) use self::retry::{Attempt, backoff, is_passing, roll};
use self::retry::{Decision, Policy, certainly_not_done, decide};
pub(crate) use self::said::{said, said_by_the_spec};
use self::sending::Progress;
pub(crate) use self::sent::Sent;
pub use self::throttle::Throttle;
use self::throttle::{Host, Lane};
use self::waits::bounded;
use crate::auth::{Authorizer, Learned};
use crate::http::policy::Supplier;
use crate::http::url::Redacted;
use crate::http::{Body, Destination, HttpClient, LedBack, failure};

/// Sends requests to one registry, and to where it leads.
#[derive(Debug)]
pub(crate) struct Transport {
    http: Arc<dyn HttpClient>,
    auth: Authorizer,
    throttle: Throttle,
    limits: Arc<Limits>,
    supplier: Arc<Supplier>,
    user_agent: HeaderValue,
    policy: Policy,
    notes: Notes,
}

/// What a transport is made of.
pub(crate) struct Parts {
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) auth: Authorizer,
    pub(crate) throttle: Throttle,
    pub(crate) limits: Arc<Limits>,
    pub(crate) supplier: Arc<Supplier>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) retry_statuses: Vec<StatusCode>,
    pub(crate) host: String,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Transport {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { http, auth, throttle, limits, supplier, user_agent, retry_statuses, host, observer } = parts;
        let policy = Policy { statuses: retry_statuses };
        Self { http, auth, throttle, limits, supplier, user_agent, policy, notes: Notes::new(host, observer) }
    }

    /// How many requests the registry allows, as it said last.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.notes.rate_limit()
    }

    /// Whether this status may be another one the next time.
    pub(crate) fn is_passing(&self, status: StatusCode) -> bool {
        self.policy.is_passing(status)
    }

    /// Whether the registry has asked who we are.
    pub(crate) fn was_challenged(&self) -> bool {
        self.auth.was_challenged()
    }

    /// Sends a request until it is answered, refused, or not worth another try.
    ///
    /// # Errors
    /// By kind: what the registry said, or why it could say nothing.
    ///
    /// # Cancel safety
    /// Dropping it drops the request; the registry may or may not have acted on it.
    pub(crate) async fn send(&self, request: &mut Request) -> Result<Response> {
        self.send_within(request, &mut Attempt::first()).await
    }

    /// Sends a request that has been through this already, or is one of several that are tried again together (H25).
    pub(crate) async fn send_within(&self, request: &mut Request, attempt: &mut Attempt) -> Result<Response> {
        attempt.authorizations = 0;
        // Where it was led the last time may be stale (H7).
        request.trail = Trail::at(&request.home);
        loop {
            let host = self.throttle.host(&request.trail.url);
            let (authorization, outcome) = self.attempt(request, attempt, &host).await;
            let outcome = match outcome {
                Outcome::Success(response) => return Ok(response),
                Outcome::Redirect(to) if request.body_can_be_sent_again() => {
                    request.trail = self.follow(request, &to)?;
                    continue;
                }
                Outcome::Challenge(challenges, mut refusal)
                    if attempt.may_authorize() && request.body_can_be_sent_again() =>
                {
                    // What it takes may have to be got at the same host, by many at once.
                    refusal.set_aside(self.limits.error_body).await;
                    match self.let_in(&challenges, refusal.head.status, &request.scope, authorization.as_ref()).await {
                        Ok(Learned::Something) => {
                            attempt.authorizations += 1;
                            continue;
                        }
                        Ok(Learned::Nothing) => Outcome::Refused(refusal),
                        Err(error) => Outcome::Unready(error),
                    }
                }
                Outcome::Challenge(_, refusal) => Outcome::Refused(refusal),
                Outcome::Refused(refusal) if wants_no_asking(&refusal, request) => {
                    request.expects = false;
                    continue;
                }
                failed => failed,
            };
            let decision = self.decide(&outcome, request, attempt, &host);
            tracing::debug!(request = request.what(), tries = attempt.tries, ?decision, "request failed");
            request.undone = certainly_not_done(outcome.trouble());
            request.doubted |= decision != Decision::Stop && !request.undone;
            match decision {
                Decision::Stop => {
                    let sent = Sent::with(authorization.as_ref());
                    return Err(self.explain(outcome, request.about(), &sent, attempt).await);
                }
                Decision::Replace => attempt.replaced = true,
                Decision::Again(pause) => {
                    attempt.again();
                    sleep(pause).await;
                }
                Decision::Hold(pause) => {
                    attempt.again();
                    self.notes.waiting(host.name(), pause);
                    host.hold(pause);
                }
            }
            // A redirect's target may be stale by now: ask the registry again (H7).
            request.trail = Trail::at(&request.home);
        }
    }

    /// What is done about a failed try, and paid for by the host that failed.
    fn decide(&self, outcome: &Outcome, request: &Request, attempt: &mut Attempt, host: &Host) -> Decision {
        let unsent = matches!(outcome, Outcome::Unready(_));
        if !unsent && !request.body_can_be_sent_again() {
            return Decision::Stop;
        }
        let trouble = outcome.trouble();
        attempt.queued(trouble, host.passed());
        host.spend(|wait| decide(&self.limits, &self.policy, trouble, attempt, request.replay, roll(), wait))
    }

    /// Waits before the next of `tries` at the registry that are nobody else's business: a body that is taken up again, an
    /// upload that is looked into.
    pub(crate) async fn rest(&self, tries: u32) {
        let longest = self.limits.retry_total;
        let pause = |wait| Decision::Again(backoff(&self.limits, tries, roll()).max(wait).min(longest));
        if let Decision::Again(pause) = self.throttle.host(&self.supplier.origin).spend(pause) {
            sleep(pause).await;
        }
    }

    /// The same, and as long as the other side asked for if it did; `false` if that is longer than anybody waits (H8).
    pub(crate) async fn rest_after(&self, error: &Error, tries: u32) -> bool {
        let Retry::After(pause) = error.retry() else {
            self.rest(tries).await;
            return true;
        };
        if pause > self.limits.retry_after {
            return false;
        }
        let host = self.throttle.host(&self.supplier.origin);
        if let Decision::Hold(pause) = host.spend(|wait| Decision::Hold(pause.max(wait.min(self.limits.retry_total)))) {
            self.notes.waiting(host.name(), pause);
            host.hold(pause);
        }
        true
    }

    /// Sends requests made by `make` until one answer's body has come whole; a small body that breaks off is asked for
    /// anew (H2).
    ///
    /// # Errors
    /// As [`send`](Self::send); `LimitExceeded` over the bound; `NotARegistry` for a web page (M9); `Protocol` for a body
    /// that was recoded (M8).
    pub(crate) async fn fetch(&self, bound: Bound, make: impl Fn() -> Request) -> Result<Whole> {
        // A body that broke off counts as a try of the request it answers: tries do not multiply (H25).
        let mut attempt = Attempt::first();
        loop {
            let mut request = make();
            let what = request.what().to_owned();
            let response = self.send_within(&mut request, &mut attempt).await?;
            if response.is_web_page() {
                return Err(response.not_a_registry(&what).await);
            }
            response.check_encoding().map_err(|error| error.during(&what))?;
            match response.gather(bound).await {
                Ok(whole) => return Ok(whole),
                Err(error) if error.retry() != Retry::Never && attempt.counted < self.limits.request_tries => {
                    self.rest(attempt.tries).await;
                    attempt.again();
                }
                Err(error) => return Err(error.during(what)),
            }
        }
    }

    /// One try: what it was authorized with, and what became of it.
    async fn attempt(
        &self,
        request: &mut Request,
        attempt: &mut Attempt,
        host: &Host,
    ) -> (Option<HeaderValue>, Outcome) {
        // Whoever has left the registry's origin never gets its authorization back (A4).
        let authorization = if request.trail.at_home { self.auth.header(&request.scope).await } else { Ok(None) };
        let authorization = match authorization {
            Ok(authorization) => authorization,
            Err(error) => return (None, Outcome::Unready(error)),
        };
        let outcome = match self.exchange(request, authorization.as_ref(), attempt, host).await {
            Ok(Outcome::Refused(mut answer)) => {
                let sent = authorization.as_ref().filter(|_| request.trail.at_home);
                if expired::is_told(&mut answer, &request.method, sent, &self.limits).await {
                    Outcome::Challenge(Vec::new(), answer)
                } else {
                    Outcome::Refused(answer)
                }
            }
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error),
        };
        (authorization, outcome)
    }

    /// Gets what lets us in, after what was sent was refused with this status.
    async fn let_in(
        &self,
        challenges: &[Challenge],
        status: StatusCode,
        scope: &Scope,
        sent: Option<&HeaderValue>,
    ) -> Result<Learned> {
        match sent {
            Some(expired) if status == StatusCode::FORBIDDEN => self.auth.renew(scope, expired).await,
            _ => self.auth.learn(challenges, scope, sent).await,
        }
    }

    /// Sends and waits for the head of the answer, in its lane and within its time.
    async fn exchange(
        &self,
        request: &mut Request,
        authorization: Option<&HeaderValue>,
        attempt: &mut Attempt,
        host: &Host,
    ) -> Result<Outcome> {
        let pass = host.enter(request.lane(), attempt.queue()).await?;
        attempt.started.get_or_insert_with(Instant::now);
        let progress = Progress::start();
        let sent = self.to_http(request, authorization, &progress)?;
        let answer = tokio::select! {
            answer = self.http.send(sent) => answer,
            stalled = progress.stalled(&self.limits) => {
                return Ok(Outcome::Failed(failure::at(stalled, &request.trail.url)));
            }
        };
        Ok(match answer {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                if !self.policy.is_passing(head.status) {
                    host.let_through();
                }
                if request.trail.destination == Destination::Registry {
                    self.notes.take(&head.headers, &self.limits);
                }
                request.trail.met(head.extensions.get(), &self.supplier);
                let body = bounded(body, &self.limits, Some(pass.answered()));
                let Trail { url, destination, outside, .. } = request.trail.clone();
                let response = Response { head, body, url, destination, outside };
                Outcome::of(response, request)
            }
            // What the body of the request died of says more than the broken connection that followed.
            Err(error) => match progress.failure() {
                Some(failure) => Outcome::Failed(failure),
                None => Outcome::of_failure(error.kind(), failure::told(error, &request.trail.url)),
            },
        })
    }

    fn to_http(
        &self,
        request: &mut Request,
        authorization: Option<&HeaderValue>,
        progress: &Progress,
    ) -> Result<http::Request<Body>> {
        let body = request.open()?;
        let length = body.length();
        let body = match request.lane() {
            Lane::Streamed => Body::stream(progress.watch(body.into_stream(), length), length),
            Lane::Light => match body.into_bytes().map(|bytes| progress.watch_bytes(bytes)) {
                Some(Ok(pieces)) => Body::stream(pieces, length),
                Some(Err(bytes)) => Body::bytes(bytes),
                None => Body::empty(),
            },
        };
        let mut sent = http::Request::builder()
            .method(request.method.clone())
            .uri(request.trail.url.as_str())
            .extension(request.trail.destination)
            .body(body)
            .map_err(|error| Error::new(gantri_core::ErrorKind::Protocol, request.what()).with_source(error))?;
        if !request.trail.at_home {
            sent.extensions_mut().insert(LedBack);
        }
        let headers = sent.headers_mut();
        headers.clone_from(&request.headers);
        headers.insert(USER_AGENT, self.user_agent.clone());
        if request.asks_first(self.limits.expect_from) {
            headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(sent)
    }

    fn follow(&self, request: &Request, to: &str) -> Result<Trail> {
        let trail =
            request.trail.follow(&self.supplier, &self.limits, to).map_err(|error| error.during(request.what()))?;
        tracing::debug!(request = request.what(), to = %Redacted(&trail.url), "redirected");
        Ok(trail)
    }

    async fn explain(&self, outcome: Outcome, request: About<'_>, sent: &Sent, attempt: &Attempt) -> Error {
        let error = match outcome {
            Outcome::Success(refusal) | Outcome::Challenge(_, refusal) | Outcome::Refused(refusal) => {
                return refusal::of_status(refusal, request, sent, &self.limits).await;
            }
            Outcome::Unready(error)
            | Outcome::Closed(error)
            | Outcome::Unsent(error)
            | Outcome::Unreached(error)
            | Outcome::Nowhere(error)
            | Outcome::Failed(error) => error,
            Outcome::Redirect(_) => Error::new(gantri_core::ErrorKind::Protocol, "redirected"),
        };
        match attempt.tries {
            1 => error.during(request.what),
            tries => error.during(format_args!("{} ({tries} tries)", request.what)),
        }
    }
}

/// Whether the request is refused only because it asked for leave.
fn wants_no_asking(refusal: &Response, request: &Request) -> bool {
    refusal.head.status == StatusCode::EXPECTATION_FAILED && request.expects && request.body_can_be_sent_again()
}
