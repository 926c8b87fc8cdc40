//! What is owed to a host by all who ask it: how many requests it sees at a time, the gate that its `Retry-After` closes for
//! everybody (H8), and the tries that it is spared (H25).
//!
//! Two lanes: whoever holds a permit of the light lane waits for nothing else; a request that streams a body may be waiting
//! for the light lane (a copy within one host reads while it writes), never the other way round, so no circle of waiting
//! can close. A lane's permit ends when the head of the answer is in; the place that a request takes, when its body ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantri_core::{Error, Limits, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use url::Url;

use super::budget::Budget;
use super::retry::{Decision, roll};

/// The pace that is kept with each host, by all who share this value: requests and connections at a time, the pauses that
/// hosts ask for, and a budget of tries.
///
/// Each [`Remote`](crate::Remote) has its own, unless [`RemoteBuilder::throttle`](crate::RemoteBuilder::throttle) says
/// otherwise. Two registries may lead to the same storage, and two clients ask the same registry: give them clones of one.
/// Hosts are told apart by name and port.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<Hosts>);

#[derive(Debug)]
struct Hosts {
    bounds: Bounds,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    requests: usize,
    connections: usize,
    patience: Duration,
    budget: u32,
}

impl Throttle {
    /// More hosts than this are looked through for idle ones when another comes: registries name them.
    const MANY: usize = 256;

    /// A pace of these bounds (`concurrent_requests`, `connections`, `first_byte`, `retry_budget`), whatever the limits of
    /// those who share it.
    pub fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            requests: limits.concurrent_requests.clamp(1, Semaphore::MAX_PERMITS),
            connections: limits.connections.clamp(1, Semaphore::MAX_PERMITS),
            patience: limits.first_byte,
            budget: limits.retry_budget,
        };
        Self(Arc::new(Hosts { bounds, hosts: Mutex::default() }))
    }

    /// What is kept of the host of a URL.
    pub(crate) fn host(&self, url: &Url) -> Arc<Host> {
        let name =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= Self::MANY && !hosts.contains_key(&name) {
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || !host.is_idle());
        }
        Arc::clone(hosts.entry(name).or_insert_with_key(|name| Arc::new(Host::new(name, self.0.bounds))))
    }
}

/// Which lane a request takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lane {
    /// No body, or one that lies in memory.
    Light,
    /// A body that is read from somewhere while it is sent.
    Streamed,
}

/// Those who waited for a gate come within this many milliseconds after it has opened.
const SPREAD_MS: u64 = 250;
const SPREAD: Duration = Duration::from_millis(SPREAD_MS);

/// Where a request stands among those that wait for the gate. Whose time is running goes first: otherwise the last of a
/// large herd would still be served while the first run out of theirs (H8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Queue {
    /// It was sent before, or is for a token that others wait for.
    Front,
    /// It was not.
    Back,
}

/// The lanes, the gate and the budget of one host.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    bounds: Bounds,
    light: Arc<Semaphore>,
    streamed: Arc<Semaphore>,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    closed_until: Option<Instant>,
    budget: Budget,
    /// Requests that got through.
    passed: u64,
}

/// Leave to send a request.
#[derive(Debug)]
pub(crate) struct Pass {
    _lane: OwnedSemaphorePermit,
    place: Place,
}

/// One of so many requests whose answers are not at their end.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit);

impl Pass {
    /// The head of the answer is in: only the place is kept, until its body ends.
    pub(crate) fn answered(self) -> Place {
        self.place
    }
}

impl Host {
    fn new(name: &str, bounds: Bounds) -> Self {
        let lane = || Arc::new(Semaphore::new(bounds.requests));
        let state = State { closed_until: None, budget: Budget::full(bounds.budget, Instant::now()), passed: 0 };
        Self {
            name: name.to_owned(),
            bounds,
            light: lane(),
            streamed: lane(),
            places: Arc::new(Semaphore::new(bounds.connections)),
            state: Mutex::new(state),
        }
    }

    /// Waits for the gate, a turn in the lane, and a place.
    ///
    /// # Errors
    /// `LimitExceeded` if no place comes free in time: then whoever reads the answers that hold them does not read on.
    pub(crate) async fn enter(&self, lane: Lane, queue: Queue) -> Result<Pass> {
        let lane = match lane {
            Lane::Light => &self.light,
            Lane::Streamed => &self.streamed,
        };
        loop {
            self.gate(queue).await;
            let Ok(turn) = Arc::clone(lane).acquire_owned().await else { return Err(self.no_room()) };
            let Ok(Ok(place)) = timeout(self.bounds.patience, Arc::clone(&self.places).acquire_owned()).await else {
                return Err(self.no_room());
            };
            if self.closed(queue).is_none() {
                return Ok(Pass { _lane: turn, place: Place(place) });
            }
        }
    }

    /// Closes the gate for everybody (H8).
    pub(crate) fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        state.closed_until = Some(state.closed_until.map_or(until, |already| already.max(until)));
    }

    /// A request got through: whatever the host said, it did not say that it could not.
    pub(crate) fn let_through(&self) {
        let mut state = self.lock();
        state.passed += 1;
        state.budget.answered();
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many requests got through so far.
    pub(crate) fn passed(&self) -> u64 {
        self.lock().passed
    }

    /// Decides about another try with the time in mind that the budget has to be waited for, and takes from it what is
    /// decided.
    pub(crate) fn spend(&self, decide: impl FnOnce(Duration) -> Decision) -> Decision {
        let now = Instant::now();
        let mut state = self.lock();
        let decision = decide(state.budget.wait(now));
        if matches!(decision, Decision::Again(_) | Decision::Hold(_)) {
            state.budget.take(now);
        }
        decision
    }

    /// Waits until the gate is open, and then a little: whoever waited there must not start together.
    async fn gate(&self, queue: Queue) {
        while let Some(until) = self.closed(queue) {
            sleep_until(until).await;
            sleep(Duration::from_millis(roll() % SPREAD_MS)).await;
        }
    }

    /// Until when the gate is closed for who stands there in the queue; it opens for the front first.
    fn closed(&self, queue: Queue) -> Option<Instant> {
        let mut state = self.lock();
        let until = state.closed_until?;
        let now = Instant::now();
        if until + SPREAD <= now {
            state.closed_until = None;
        }
        let until = match queue {
            Queue::Front => until,
            Queue::Back => until + SPREAD,
        };
        Some(until).filter(|until| *until > now)
    }

    /// Whether nothing would be lost with it.
    fn is_idle(&self) -> bool {
        self.closed(Queue::Back).is_none() && self.lock().budget.is_full(Instant::now())
    }

    fn no_room(&self) -> Error {
        let what = format!("requests to {} whose answers are not read to their end", self.name);
        Error::limit(what, "connections", self.bounds.connections)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registry that names one host after the other does not fill the memory; a host that asked to be left alone is kept.
    #[tokio::test(start_paused = true)]
    async fn hosts_that_nobody_waits_for_are_forgotten() {
        let throttle = Throttle::new(&Limits::default());
        let url = |number: u32| Url::parse(&format!("https://h{number}.test/")).unwrap();
        throttle.host(&url(0)).hold(Duration::from_secs(60));
        for number in 1..10_000 {
            throttle.host(&url(number)).let_through();
        }
        assert!(throttle.0.hosts.lock().unwrap().len() <= Throttle::MANY);
        assert!(throttle.host(&url(0)).closed(Queue::Front).is_some());
    }

    /// H8: who comes for the first time when the gate has just opened does not go before those who waited there.
    #[tokio::test(start_paused = true)]
    async fn a_gate_opens_first_for_those_whose_time_runs() {
        let host = Throttle::new(&Limits::default()).host(&Url::parse("https://a.test/").unwrap());
        let start = Instant::now();
        host.hold(Duration::from_secs(5));
        sleep(Duration::from_secs(5)).await;
        drop(host.enter(Lane::Light, Queue::Front).await.unwrap());
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        drop(host.enter(Lane::Light, Queue::Back).await.unwrap());
        assert!(start.elapsed() >= Duration::from_secs(5) + SPREAD, "{:?}", start.elapsed());
    }

    /// The same name and port is the same host, whatever the scheme's default left out.
    #[tokio::test]
    async fn hosts_are_told_apart_by_name_and_port() {
        let throttle = Throttle::new(&Limits::default());
        let same = |one: &str, other: &str| {
            Arc::ptr_eq(&throttle.host(&Url::parse(one).unwrap()), &throttle.host(&Url::parse(other).unwrap()))
        };
        assert!(same("https://a.test/x", "https://A.test:443/y?z"));
        assert!(!same("https://a.test/", "https://a.test:444/"));
        assert!(!same("https://a.test/", "https://b.test/"));
    }
}
