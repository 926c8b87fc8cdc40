//! What a page of a listing means for the next step: pure, a table at the foot.

use gantri_core::{Error, ErrorKind, Result};
use http::StatusCode;

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Where the link leads.
    Link,
    /// Behind the last entry.
    Behind,
    Nowhere,
}

/// Whether a registry took notice of where to begin.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Heed {
    /// It did, or was not asked to: what it lists is wanted.
    #[default]
    Taken,
    /// It begins at the beginning.
    Ignored,
    /// It lists in no order (ECR Public), so that "behind" says nothing about what comes after.
    InNoOrder,
}

impl Heed {
    /// What the first page shows that was asked for behind `after`. Some registries sort by case and some do not, so only
    /// what comes before in both orders is out of place.
    pub(super) fn shown<'a>(after: &str, keys: impl Iterator<Item = &'a str>) -> Self {
        let folded = after.to_ascii_lowercase();
        let keys: Vec<&str> = keys.collect();
        if !keys.is_sorted() && !keys.is_sorted_by_key(|key| key.to_ascii_lowercase()) {
            return Self::InNoOrder;
        }
        let ignored = keys.iter().any(|key| *key <= after && key.to_ascii_lowercase() <= folded);
        if ignored { Self::Ignored } else { Self::Taken }
    }
}

/// What follows a page: one to which a link leads or none, asked for with `n` entries at most, with so many entries, so
/// many of them not on the pages before.
///
/// # Errors
/// `Protocol` for a page that adds nothing and still leads on: it would do so for ever (M11).
pub(super) fn after(link: bool, n: Option<u32>, entries: usize, fresh: usize) -> Result<Step> {
    match (link, n) {
        (true, _) if fresh == 0 => {
            Err(Error::new(ErrorKind::Protocol, "listing: a page with nothing new leads to another one"))
        }
        (true, _) => Ok(Step::Link),
        // A longer page is of a registry that takes no notice of `n` (GCR): it has told all. A shorter one is the last.
        (false, Some(n)) if entries == n as usize && fresh > 0 => Ok(Step::Behind),
        (false, _) => Ok(Step::Nowhere),
    }
}

/// The length of page to ask for once `n` was refused with this status; inner `None`: leave it to the registry. `None` if
/// the refusal is about something else.
#[expect(clippy::option_option, reason = "no length is a length to ask for")]
pub(super) fn shorter(n: u32, status: Option<StatusCode>) -> Option<Option<u32>> {
    if !matches!(status, Some(StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE)) {
        return None;
    }
    // What most registries allow, and what even the strictest do.
    Some([1_000, 100].into_iter().find(|shorter| *shorter < n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_listing_goes_on() {
        use Step::{Behind, Link, Nowhere};
        let cases = [
            ("no link, none asked for", false, None, 5, 5, Some(Nowhere)),
            ("no link, a full page", false, Some(5), 5, 5, Some(Behind)),
            ("no link, a short page", false, Some(5), 4, 4, Some(Nowhere)),
            ("no link, more than asked for", false, Some(5), 6, 6, Some(Nowhere)),
            ("no link, the same full page again", false, Some(5), 5, 0, Some(Nowhere)),
            ("no link, partly the same", false, Some(5), 5, 1, Some(Behind)),
            ("no link, nothing", false, Some(5), 0, 0, Some(Nowhere)),
            ("a link behind a short page", true, Some(5), 1, 1, Some(Link)),
            ("a link behind a long page", true, None, 9, 9, Some(Link)),
            ("a link behind the same page", true, None, 9, 0, None),
            ("a link behind nothing", true, Some(5), 0, 0, None),
        ];
        for (name, link, n, entries, fresh, expected) in cases {
            assert_eq!(after(link, n, entries, fresh).ok(), expected, "{name}");
        }
    }

    #[test]
    fn a_page_size_that_is_refused_shrinks_and_is_then_left_out() {
        let status = |status: u16| Some(StatusCode::from_u16(status).unwrap());
        let cases = [
            (10_000, status(400), Some(Some(1_000))),
            (1_001, status(413), Some(Some(1_000))),
            (1_000, status(400), Some(Some(100))),
            (100, status(413), Some(None)),
            (7, status(400), Some(None)),
            (10_000, status(404), None),
            (10_000, status(401), None),
            (10_000, None, None),
        ];
        for (n, status, expected) in cases {
            assert_eq!(shorter(n, status), expected, "{n} {status:?}");
        }
    }

    #[test]
    fn whether_a_registry_begins_where_it_was_told() {
        let cases: [(&[&str], Heed); 8] = [
            (&["c", "d"], Heed::Taken),
            (&[], Heed::Taken),
            (&["d", "c"], Heed::InNoOrder),
            // In the order of bytes it comes before, in that of letters after: the registry knows.
            (&["C", "d"], Heed::Taken),
            (&["a", "b", "c"], Heed::Ignored),
            (&["b"], Heed::Ignored),
            (&["A", "b", "C"], Heed::Ignored),
            (&["d", "a"], Heed::InNoOrder),
        ];
        for (keys, expected) in cases {
            assert_eq!(Heed::shown("b", keys.iter().copied()), expected, "{keys:?}");
        }
    }
}
