//! An upload as a state machine: what has happened goes in ([`Event`]), what to do next comes out ([`Action`]). It holds no
//! socket, no byte and no clock.
//!
//! ```text
//!             Start                 Send
//!  Unstarted -------> Ready ----------------> InDoubt
//!      ^               | ^       Accepted        |
//!      |        Commit | '-----------------------+
//!      |               |         Stands (Ask)    |
//!      |               v                         |
//!      |          Committing --- Missing (Look) -'
//!      |               | Committed, Present
//!      |               v
//!      '--- Gone ---> Done
//! ```
//!
//! Doubt is recorded *before* the socket is touched: [`Machine::next`] leaves `Ready` when it says what to send. Whoever
//! drops the future in the middle, or gets no answer, is told to ask the registry where it stands before the next byte is
//! sent (H14, H18). What is told is believed as far as it can be true; the digest is the judge of the rest (H15).

mod chunks;
#[cfg(test)]
mod tests;
mod words;

use gantri_spec::wire::UploadRange;

pub(crate) use self::chunks::Chunks;
pub(crate) use self::words::{Action, Event, Refusal, Sign, Stop};

/// Where an upload stands, and what has been tried.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    state: State,
    party: Party,
    /// How far is to be sent: to the end of the blob, or of what the caller has given.
    goal: u64,
    /// The first byte that can be sent again.
    floor: u64,
    /// The most that this session has acknowledged.
    best: u64,
    chunks: Chunks,
    /// Steps in a row that failed, with next to nothing between them, after which it is given up.
    tries: u32,
    stalls: u32,
    /// The most that was acknowledged at the last of them.
    stalled_at: u64,
    restarts: u32,
    /// Whether the session was taken up after a break: a wrong digest may then be the joint's fault.
    mended: bool,
    /// Whether what is at the goal is to be committed.
    commits: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Unstarted,
    /// The registry holds the bytes up to `offset`.
    Ready {
        offset: u64,
    },
    /// Bytes were sent, and it is not known how many of them arrived.
    InDoubt {
        from: u64,
        to: u64,
        sign: Sign,
    },
    /// The end was sent, with the bytes from `from` on, and it is not known whether it arrived.
    Committing {
        from: u64,
    },
    /// The registry knows the session no more.
    Gone,
    Done,
}

/// Who may write to the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Party {
    /// Only we: it is ours from its start, and can be given up for another one. The body can be read from any byte.
    Alone,
    /// Only we, but what was acknowledged can't be read again.
    AloneOnce,
    /// Others too; it can't be replaced. The bytes come one chunk at a time.
    Shared,
}

/// New sessions for one blob, after those that were lost (H13).
const RESTARTS: u32 = 2;

/// One in so many bytes of a blob is progress, and so are this many whatever its size: as for downloads.
const PROGRESS: u64 = 256;
const PROGRESS_BYTES: u64 = 1 << 20;

impl Machine {
    /// An upload from its start to its commit: `size` bytes.
    pub(crate) fn whole(party: Party, size: u64, chunks: Chunks, tries: u32) -> Self {
        Self { commits: true, goal: size, ..Self::at(State::Unstarted, party, 0, chunks, tries) }
    }

    /// A session to which chunks are added as they come.
    pub(crate) fn shared(offset: u64, chunks: Chunks, tries: u32) -> Self {
        Self::at(State::Ready { offset }, Party::Shared, offset, chunks, tries)
    }

    /// A session that somebody left at `offset`, or further on.
    pub(crate) fn resumed(offset: u64, chunks: Chunks, tries: u32) -> Self {
        let state = State::InDoubt { from: offset, to: u64::MAX, sign: Sign::None };
        Self { floor: 0, ..Self::at(state, Party::Shared, offset, chunks, tries) }
    }

    fn at(state: State, party: Party, offset: u64, chunks: Chunks, tries: u32) -> Self {
        Self {
            state,
            party,
            goal: offset,
            floor: offset,
            best: offset,
            chunks,
            tries,
            stalls: 0,
            stalled_at: offset,
            restarts: 0,
            mended: false,
            commits: false,
        }
    }

    /// So many more bytes are to be sent.
    pub(crate) fn extend(&mut self, count: u64) {
        self.goal = self.offset().saturating_add(count);
        self.stalls = 0;
    }

    /// What is there is all there is.
    pub(crate) fn finish(&mut self) {
        self.goal = self.offset();
        self.floor = self.goal;
        self.commits = true;
        self.stalls = 0;
    }

    /// The registry asks for chunks of at least so many bytes (`OCI-Chunk-Min-Length`).
    pub(crate) fn ask_least(&mut self, bytes: u64) {
        self.chunks.ask_least(bytes);
    }

    /// Goes on with a session that an earlier process left, and of which the registry says this.
    ///
    /// # Errors
    /// [`Stop`], if it can neither go on with it nor begin anew.
    pub(crate) fn inherit(&mut self, stands: Option<UploadRange>) -> Result<(), Stop> {
        self.state = State::InDoubt { from: 0, to: self.goal, sign: Sign::None };
        self.on(Event::Stands(stands))
    }

    /// What to do next.
    pub(crate) fn next(&mut self) -> Action {
        match self.state {
            State::Unstarted => Action::Start,
            State::Ready { offset } if offset == self.goal && !self.commits => Action::Rest,
            State::Ready { offset } if offset == self.goal || self.goes_at_once(offset) => {
                self.state = State::Committing { from: offset };
                Action::Commit { from: offset }
            }
            State::Ready { offset: from } => {
                let to = self.chunks.end(from, self.goal);
                if self.party != Party::Alone {
                    self.floor = from;
                }
                self.state = State::InDoubt { from, to, sign: Sign::None };
                Action::Send { from, to }
            }
            State::InDoubt { .. } => Action::Ask,
            State::Committing { .. } | State::Gone => Action::Look,
            State::Done => Action::Rest,
        }
    }

    /// Takes in what happened.
    ///
    /// # Errors
    /// [`Stop`]: the upload does not go on. Where it stands is kept.
    pub(crate) fn on(&mut self, event: Event) -> Result<(), Stop> {
        match (self.state, event) {
            (State::Unstarted, Event::Started) => {
                (self.best, self.stalled_at, self.mended) = (0, 0, false);
                self.state = State::Ready { offset: 0 };
                Ok(())
            }
            (State::Unstarted | State::Committing { .. }, Event::Committed)
            | (State::Committing { .. } | State::Gone, Event::Present) => {
                self.state = State::Done;
                Ok(())
            }
            (State::InDoubt { from, to, .. }, Event::Accepted(said)) => {
                match said {
                    Some(said) if said.end != to => self.state = State::InDoubt { from, to, sign: Sign::Taken },
                    _ => self.advance(to),
                }
                Ok(())
            }
            (State::InDoubt { from, to, .. }, Event::Refused(refusal)) => self.refused(from, to, refusal),
            (State::InDoubt { from, to, sign }, Event::Stands(said)) => self.stands(from, to, sign, said),
            (State::InDoubt { to, sign, .. }, Event::Untold(refusal)) => self.untold(to, sign, refusal),
            (State::Committing { from }, Event::Refused(refusal)) => self.commit_refused(from, refusal),
            (State::Committing { from }, Event::Missing) => {
                self.state = State::InDoubt { from, to: self.goal, sign: Sign::None };
                Ok(())
            }
            (State::Gone, Event::Missing) => self.restart(Stop::Unknown),
            _ => Err(Stop::Final),
        }
    }

    /// Bytes that the registry has acknowledged.
    pub(crate) fn offset(&self) -> u64 {
        match self.state {
            State::Ready { offset } => offset,
            State::InDoubt { from, .. } | State::Committing { from } => from,
            State::Unstarted | State::Gone => 0,
            State::Done => self.goal,
        }
    }

    /// Whether it has to be asked where the upload stands.
    pub(crate) fn in_doubt(&self) -> bool {
        matches!(self.state, State::InDoubt { .. })
    }

    /// Whether the registry may still hold the session.
    pub(crate) fn session_is_open(&self) -> bool {
        !matches!(self.state, State::Unstarted | State::Gone | State::Done)
    }

    /// Whether the registry has said that it does not know the session.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// Steps in a row that brought nothing.
    pub(crate) fn stalls(&self) -> u32 {
        self.stalls
    }

    /// So many bytes between two failures are progress: a registry that takes a byte a step would else be sent as many steps
    /// as the blob has bytes.
    pub(crate) fn worth(&self) -> u64 {
        (self.goal / PROGRESS).clamp(1, PROGRESS_BYTES)
    }

    /// The largest chunk that this registry takes, if it has refused larger ones.
    pub(crate) fn learned(&self) -> Option<u64> {
        self.chunks.learned()
    }

    fn refused(&mut self, from: u64, to: u64, refusal: Refusal) -> Result<(), Stop> {
        match refusal {
            Refusal::Lost => self.stall(),
            Refusal::OutOfRange => {
                self.state = State::InDoubt { from, to, sign: Sign::Refused };
                if self.stall().is_err() { self.restart_at_once() } else { Ok(()) }
            }
            // That ends by itself: there is a smallest size.
            Refusal::TooLarge if self.chunks.shrink(to - from) => {
                self.state = State::InDoubt { from, to, sign: Sign::None };
                Ok(())
            }
            Refusal::Gone => self.gone(),
            Refusal::TooLarge | Refusal::WrongDigest | Refusal::Unsupported | Refusal::Denied | Refusal::Failed => {
                Err(Stop::Final)
            }
        }
    }

    fn commit_refused(&mut self, from: u64, refusal: Refusal) -> Result<(), Stop> {
        let with_body = from < self.goal;
        match refusal {
            // It may have been done all the same: look before anything is sent again (H18).
            Refusal::Lost => self.stall(),
            Refusal::WrongDigest if self.mended => self.restart(Stop::Final),
            Refusal::Unsupported if with_body => {
                self.chunks.never_at_once();
                self.state = State::InDoubt { from, to: self.goal, sign: Sign::None };
                self.stall()
            }
            refusal => self.refused(from, self.goal, refusal),
        }
    }

    fn stands(&mut self, from: u64, to: u64, sign: Sign, said: Option<UploadRange>) -> Result<(), Stop> {
        let stands = match (said, sign) {
            (Some(said), _) => told(said, from, to, sign),
            (None, Sign::Taken) => to,
            // Whoever does not know where to go on begins anew, if he can.
            (None, Sign::None) if self.can_begin_anew() => return self.restart(Stop::Final),
            (None, Sign::None | Sign::Refused) => from,
        };
        self.mended = true;
        if sign == Sign::Taken && stands >= to {
            self.advance(to);
            return Ok(());
        }
        let not_ours = self.party == Party::Shared && sign == Sign::Refused && stands != from;
        if stands > to || stands < self.floor || not_ours {
            return self.elsewhere(stands);
        }
        if sign == Sign::Refused && stands == from {
            // The place was right, so the size was not (GHCR says 416 to more than 4 MiB, H17).
            let smaller = self.chunks.shrink(to - from);
            if !smaller && self.party == Party::Shared {
                self.state = State::Ready { offset: from };
                return Err(Stop::Final);
            }
        }
        let moved = stands > self.best;
        self.advance(stands);
        if sign == Sign::Taken && !moved && self.stall().is_err() {
            return self.restart_at_once();
        }
        Ok(())
    }

    fn untold(&mut self, to: u64, sign: Sign, refusal: Refusal) -> Result<(), Stop> {
        match refusal {
            // Who takes bytes and does not say how many has taken what was sent.
            Refusal::Unsupported | Refusal::Denied if sign == Sign::Taken => {
                self.advance(to);
                Ok(())
            }
            Refusal::Gone => self.gone(),
            Refusal::Lost | Refusal::Failed => Err(Stop::Final),
            // Distribution drops an upload that it was cut off from, and says 416 when it is asked.
            _ => self.restart(Stop::Final),
        }
    }

    fn advance(&mut self, offset: u64) {
        self.best = self.best.max(offset);
        self.state = State::Ready { offset };
    }

    /// Counts a step that failed, anew if what came since the last one was worth it.
    fn stall(&mut self) -> Result<(), Stop> {
        let worth = self.worth();
        if self.best.saturating_sub(self.stalled_at) >= worth {
            self.stalls = 0;
        }
        self.stalled_at = self.best;
        self.stalls += 1;
        if self.stalls < self.tries { Ok(()) } else { Err(Stop::Final) }
    }

    fn gone(&mut self) -> Result<(), Stop> {
        self.state = State::Gone;
        if self.party == Party::Shared { Err(Stop::Unknown) } else { Ok(()) }
    }

    fn elsewhere(&mut self, stands: u64) -> Result<(), Stop> {
        if self.party == Party::Shared {
            self.state = State::Ready { offset: stands };
        }
        self.restart(Stop::Elsewhere(stands))
    }

    /// Begins a session anew, or stops for this reason if it can't.
    fn restart(&mut self, stop: Stop) -> Result<(), Stop> {
        if !self.can_begin_anew() || self.restarts >= RESTARTS {
            return Err(stop);
        }
        self.restarts += 1;
        self.stalls = 0;
        self.state = State::Unstarted;
        Ok(())
    }

    /// A registry that never moves in steps is given the whole in one (H14).
    fn restart_at_once(&mut self) -> Result<(), Stop> {
        if self.party != Party::Alone || !self.chunks.force_at_once() {
            return Err(Stop::Final);
        }
        self.restart(Stop::Final)
    }

    fn can_begin_anew(&self) -> bool {
        self.party != Party::Shared && self.floor == 0
    }

    fn goes_at_once(&self, offset: u64) -> bool {
        self.commits && offset == 0 && self.chunks.go_at_once(self.goal)
    }
}

/// How many bytes a registry says it holds. `0-0` is one byte by the letter, and none where distribution says it (H15).
fn told(said: UploadRange, from: u64, to: u64, sign: Sign) -> u64 {
    let one = from == 1 || (to == 1 && sign == Sign::Taken);
    if said.may_be_empty() && !one { 0 } else { said.end }
}
