//! What all connections of a proxy share: the script and how far it is, the records, the seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::detour::Detours;
use super::link::Upstream;
use super::mode::{Mode, SlowLink};
use super::record::Records;
use super::route::{Operation, Route, When};
use super::tls::Certificates;
use super::wire::Head;

/// What is to go wrong, and how far that has come.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) route: Route,
    pub(super) when: When,
    pub(super) mode: Mode,
    pub(super) seen: u32,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) link: Option<SlowLink>,
    pub(super) detours: Detours,
    pub(super) records: Records,
    authorized_only: bool,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Vec<Fault>,
    connections: u32,
    seed: u64,
    /// Sessions that are lost, by their path.
    lost: Vec<String>,
}

impl Shared {
    pub(super) fn new(plan: super::FaultProxy, detours: Detours) -> Self {
        Self {
            upstream: plan.upstream,
            certificates: plan.certificates,
            link: plan.link,
            detours,
            records: Records::default(),
            authorized_only: plan.authorized_only,
            started: Instant::now(),
            state: Mutex::new(State { script: plan.script, connections: 0, seed: plan.seed, lost: Vec::new() }),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts a connection; gives its number, and what befalls it.
    pub(super) fn connected(&self) -> (u32, Option<Mode>) {
        let mut state = self.state();
        state.connections += 1;
        let number = state.connections;
        let fault = state.script.iter().find(|fault| fault.mode.is_of_connections() && fault.when.is(number));
        (number, fault.map(|fault| fault.mode))
    }

    /// Whether the next connection is refused: where there is a way to say so before it is made.
    pub(super) fn refuses_next(&self) -> bool {
        let mut state = self.state();
        let number = state.connections + 1;
        let refused = state.script.iter().any(|fault| fault.mode == Mode::Refuse && fault.when.is(number));
        state.connections += u32::from(refused);
        refused
    }

    /// Counts a request; gives what befalls it.
    pub(super) fn mode(&self, head: &Head) -> Option<Mode> {
        let (method, target) = (head.word(0), head.word(1));
        let mut state = self.state();
        let unauthorized = self.authorized_only && head.header("authorization").is_none();
        let path = target.split('?').next().unwrap_or_default();
        if !unauthorized && state.lost.iter().any(|lost| lost == path) {
            return Some(Mode::Upload(super::UploadMode::SessionLost));
        }
        let mut found = None;
        for fault in state.script.iter_mut().filter(|fault| !fault.mode.is_of_connections()) {
            let is_token = Route::Operation(Operation::Token).is(method, target);
            let suits = !matches!(fault.mode, Mode::Range(_)) || head.header("range").is_some();
            if !suits || (unauthorized && !is_token) || !fault.route.is(method, target) {
                continue;
            }
            fault.seen += 1;
            if found.is_none() && fault.when.is(fault.seen) {
                found = Some(fault.mode);
            }
        }
        if found == Some(Mode::Upload(super::UploadMode::SessionLost)) {
            state.lost.push(path.to_owned());
        }
        found
    }

    /// A number from the seed, at least `least` and below `end`.
    pub(super) fn draw(&self, least: u64, end: u64) -> u64 {
        let mut state = self.state();
        state.seed = state.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        least + mixed % end.saturating_sub(least).max(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
