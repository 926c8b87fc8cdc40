//! The machine against a model of a registry that does what registries do: whatever that is, it ends, and no byte is sent
//! twice that was acknowledged.

use gantri_core::Limits;
use gantri_spec::wire::UploadRange;
use proptest::prelude::*;

use super::super::*;
use super::{LOST, TRIES, holds, no};

/// A registry as they are: it keeps what it is sent, and goes wrong as it is told.
struct Model {
    /// The bytes of the open session, each as its place in the blob.
    session: Option<Vec<u64>>,
    stored: bool,
    size: u64,
    faults: Vec<u8>,
    /// What the registry has acknowledged, in words.
    acknowledged: u64,
}

impl Model {
    fn fault(&mut self) -> u8 {
        self.faults.pop().unwrap_or(0)
    }

    fn held(&self) -> u64 {
        self.session.as_ref().map_or(0, |session| session.len() as u64)
    }

    fn take(&mut self, from: u64, to: u64) {
        assert!(from >= self.acknowledged, "{from}..{to} sent, {} acknowledged", self.acknowledged);
        self.session.get_or_insert_default().extend(from..to);
    }

    fn accepted(&mut self, said: Option<UploadRange>, to: u64) -> Event {
        if said.is_none_or(|said| said.end == to) {
            self.acknowledged = to;
        }
        Event::Accepted(said)
    }

    fn send(&mut self, from: u64, to: u64) -> Event {
        if self.session.is_none() {
            return no(Refusal::Gone);
        }
        if from != self.held() {
            return no(Refusal::OutOfRange);
        }
        match self.fault() {
            1 => LOST,
            2 => {
                self.take(from, from + (to - from) / 2);
                LOST
            }
            3 => {
                self.take(from, to);
                LOST
            }
            4 => no(Refusal::OutOfRange),
            5 => {
                self.take(from, from + (to - from) / 2);
                self.accepted(holds(self.held()), to)
            }
            6 => {
                self.take(from, to);
                self.accepted(holds(from), to)
            }
            7 => {
                self.take(from, to);
                self.accepted(holds(to - from), to)
            }
            8 => {
                self.take(from, to);
                self.accepted(None, to)
            }
            9 => {
                self.session = None;
                no(Refusal::Gone)
            }
            10 if to - from >= 32 => no(Refusal::TooLarge),
            11 => {
                self.take(from, to);
                self.accepted(holds(0), to)
            }
            12 => {
                self.take(from, to);
                self.accepted(holds(to + 1), to)
            }
            _ => {
                self.take(from, to);
                self.accepted(holds(to), to)
            }
        }
    }

    fn ask(&mut self) -> Event {
        if self.session.is_none() {
            return Event::Untold(Refusal::Gone);
        }
        match self.fault() {
            // Distribution, when it was cut off.
            4 => {
                self.session = None;
                Event::Untold(Refusal::OutOfRange)
            }
            8 => Event::Stands(None),
            9 => {
                self.session = None;
                Event::Untold(Refusal::Gone)
            }
            _ => {
                // One byte can't be told from none.
                self.acknowledged = if self.held() == 1 { 0 } else { self.held() };
                Event::Stands(holds(self.held()))
            }
        }
    }

    fn commit(&mut self, from: u64) -> Event {
        if self.session.is_none() {
            return no(Refusal::Gone);
        }
        let fault = self.fault();
        match fault {
            1 => return LOST,
            2 => {
                self.take(from, from + (self.size - from) / 2);
                return LOST;
            }
            10 if self.size - from >= 32 => return no(Refusal::TooLarge),
            _ => self.take(from, self.size),
        }
        let is_right = self.session.take().is_some_and(|bytes| bytes.iter().copied().eq(0..self.size));
        self.stored |= is_right;
        match (is_right, fault) {
            (false, _) => no(Refusal::WrongDigest),
            (true, 3 | 5) => LOST,
            (true, _) => Event::Committed,
        }
    }

    fn answer(&mut self, action: Action) -> Event {
        match action {
            Action::Start => {
                (self.session, self.acknowledged) = (Some(Vec::new()), 0);
                Event::Started
            }
            Action::Send { from, to } => self.send(from, to),
            Action::Ask => self.ask(),
            Action::Commit { from } => self.commit(from),
            Action::Look if self.stored => Event::Present,
            Action::Look => Event::Missing,
            Action::Rest => panic!("rests"),
        }
    }
}

fn against_the_model(party: Party, size: u64, faults: &[u8]) -> (Result<(), Stop>, bool) {
    // Small numbers, so that every edge is met.
    let mut limits = Limits::default();
    (limits.chunk, limits.monolithic_put) = (16, 50);
    let chunks = Chunks::new(&limits, None);
    let chunks = if party == Party::Alone { chunks } else { chunks.held() };
    let mut machine = Machine::whole(party, size, chunks, TRIES);
    let mut model = Model { session: None, stored: false, size, faults: faults.to_vec(), acknowledged: 0 };
    let mut held_from = 0;
    for _ in 0..500 {
        let action = machine.next();
        match action {
            Action::Rest => return (Ok(()), model.stored),
            Action::Send { from, to } if party == Party::AloneOnce => {
                assert!(from >= held_from && to - from <= 16, "{from}..{to} held from {held_from}");
                held_from = from;
            }
            _ => {}
        }
        let event = model.answer(action);
        if let Err(stop) = machine.on(event) {
            return (Err(stop), model.stored);
        }
    }
    panic!("it never ends");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the registry does: it ends, what it says it did was done, and no byte is sent twice that was acknowledged.
    #[test]
    fn the_machine_ends_and_never_lies(size in 0_u64..100, faults in prop::collection::vec(0_u8..=12, 0..24)) {
        for party in [Party::Alone, Party::AloneOnce] {
            let (end, stored) = against_the_model(party, size, &faults);
            if end.is_ok() {
                prop_assert!(stored, "{party:?}: done, but not stored");
            }
        }
    }

    /// Two faults in a row, of any kind, stop nobody whose body can be read again.
    #[test]
    fn two_faults_are_mended(size in 0_u64..100, faults in prop::collection::vec(0_u8..=12, 0..=2), quiet in 0..4_usize) {
        let mut faults = faults;
        faults.extend(vec![0; quiet]);
        prop_assert_eq!(against_the_model(Party::Alone, size, &faults), (Ok(()), true), "{:?}", faults);
    }
}
