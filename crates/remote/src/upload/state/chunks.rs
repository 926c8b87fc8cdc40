//! How many bytes go into one request: all that is left, as long as nobody minds.
//!
//! A registry, or a proxy before it, may refuse large bodies (H17); then the size is halved until it passes, and remembered
//! by whoever keeps the [`Lessons`](crate::upload::Lessons). It may also ask for chunks of a least size.

use gantri_core::Limits;

/// The sizes that go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    /// The largest that was not refused, once one was.
    most: Option<u64>,
    /// The least that the registry asked for; the last chunk may be smaller.
    least: u64,
    /// The most that is asked for as the least.
    least_bound: u64,
    /// What can be held in memory, for a body that can't be read again.
    window: Option<u64>,
    /// The largest that is held in memory to be sent again.
    memory: u64,
    /// Blobs up to this size go in one request, with the commit.
    at_once: u64,
    forced: bool,
}

/// What a registry is asked to take that has refused a larger one: GHCR takes 4 MiB at the most.
const FIRST_CAP: u64 = 4 << 20;

/// Nobody refuses less for its size.
const SMALLEST: u64 = 64 << 10;

impl Chunks {
    /// Sizes within `limits`, for a registry that has refused more than `most` before.
    pub(crate) fn new(limits: &Limits, most: Option<u64>) -> Self {
        Self {
            most,
            least: 0,
            least_bound: limits.chunk_min,
            window: None,
            memory: limits.chunk,
            at_once: limits.monolithic_put,
            forced: false,
        }
    }

    /// The same, for bytes that have to be held in memory until they are acknowledged.
    pub(crate) fn held(self) -> Self {
        Self { window: Some(self.memory), ..self }
    }

    /// Where the chunk ends that begins at `from`, of a blob of which there are bytes up to `goal`.
    pub(super) fn end(&self, from: u64, goal: u64) -> u64 {
        let left = goal - from;
        // What is too large to be held goes in one stream, as far as there are bytes.
        let window = self.window.filter(|window| *window >= self.least);
        let most = [self.most, window].into_iter().flatten().min().unwrap_or(left);
        from + most.max(self.least).clamp(1, left.max(1))
    }

    pub(super) fn ask_least(&mut self, bytes: u64) {
        self.least = bytes.min(self.least_bound);
    }

    /// Takes a size for refused. `false` if there is no smaller one worth trying.
    pub(super) fn shrink(&mut self, refused: u64) -> bool {
        let smallest = SMALLEST.min(self.memory);
        let smaller = (refused / 2).min(FIRST_CAP).min(self.memory).max(smallest);
        if refused <= smallest || smaller < self.least {
            return false;
        }
        self.most = Some(smaller);
        true
    }

    pub(super) fn learned(&self) -> Option<u64> {
        self.most
    }

    pub(super) fn never_at_once(&mut self) {
        self.at_once = 0;
    }

    /// `false` if it was forced before.
    pub(super) fn force_at_once(&mut self) -> bool {
        !std::mem::replace(&mut self.forced, true)
    }

    /// Whether a whole blob goes with its commit.
    pub(super) fn go_at_once(&self, size: u64) -> bool {
        let fits = [self.most, self.window].into_iter().flatten().all(|most| size <= most);
        self.forced || (size <= self.at_once && fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn chunks(set: impl FnOnce(&mut Chunks)) -> Chunks {
        let mut chunks = Chunks::new(&Limits::default(), None);
        set(&mut chunks);
        chunks
    }

    #[test]
    fn a_chunk_is_all_that_is_left_unless_somebody_minds() {
        let cases = [
            ("nobody minds", chunks(|_| {}), 10 * MIB, 100 * MIB, 100 * MIB),
            ("learned", chunks(|chunks| chunks.most = Some(4 * MIB)), 10 * MIB, 100 * MIB, 14 * MIB),
            ("the rest", chunks(|chunks| chunks.most = Some(4 * MIB)), 99 * MIB, 100 * MIB, 100 * MIB),
            ("held in memory", chunks(|_| {}).held(), 10 * MIB, 100 * MIB, 18 * MIB),
            ("at least", chunks(|chunks| chunks.least = 6 * MIB).held(), 10 * MIB, 100 * MIB, 18 * MIB),
            ("at least, against a refusal", chunks(|c| (c.least, c.most) = (6 * MIB, Some(MIB))), 0, 9 * MIB, 6 * MIB),
            ("at least more than memory", chunks(|chunks| chunks.least = 16 * MIB).held(), 0, 100 * MIB, 100 * MIB),
        ];
        for (name, chunks, from, goal, end) in cases {
            assert_eq!(chunks.end(from, goal), end, "{name}");
        }
    }

    /// H17: 413 and 416 halve what is sent, down to what nobody refuses.
    #[test]
    fn a_refused_size_is_halved_and_ends_somewhere() {
        let mut chunks = chunks(|_| {});
        let mut sizes = Vec::new();
        let mut refused = 1024 * MIB;
        while chunks.shrink(refused) {
            refused = chunks.learned().unwrap();
            sizes.push(refused >> 10);
        }
        assert_eq!(sizes, [4096, 2048, 1024, 512, 256, 128, 64]);
        assert!(chunks.shrink(100 << 10), "half of it is less than what nobody refuses");
        assert_eq!(chunks.learned(), Some(64 << 10));
    }

    /// Nobody allocates by what a registry asks for (rule 2).
    #[test]
    fn the_least_chunk_that_is_asked_for_is_bounded() {
        let mut chunks = chunks(|_| {});
        chunks.ask_least(u64::MAX);
        assert_eq!(chunks.least, Limits::default().chunk_min);
    }

    #[test]
    fn a_blob_goes_at_once_if_it_is_small_enough_for_everybody() {
        let small = chunks(|_| {});
        assert!(small.go_at_once(64 * MIB) && !small.go_at_once(64 * MIB + 1));
        assert!(!small.held().go_at_once(9 * MIB) && small.held().go_at_once(8 * MIB));
        let capped = chunks(|chunks| chunks.most = Some(4 * MIB));
        assert!(capped.go_at_once(4 * MIB) && !capped.go_at_once(5 * MIB));
        let mut forced = chunks(|chunks| chunks.most = Some(4 * MIB));
        assert!(forced.force_at_once() && !forced.force_at_once());
        assert!(forced.go_at_once(500 * MIB));
    }
}
