//! Byte ranges: [`ByteRange`] as the code speaks of them, and the three ways HTTP and the spec spell them.
//!
//! Our ranges are half-open; the inclusive forms exist in this file only. `Range` and `Content-Range` of blob reads
//! follow RFC 9110, section 14; uploads have a dialect of their own ([`UploadRange`]). Whether a range that was
//! answered is the one that was asked for is for the reader to judge.

use std::fmt;
use std::ops::{Range, RangeFrom, RangeFull, RangeTo};
use std::str::FromStr;

use crate::text::{Fault, invalid};

/// Which bytes of a blob are meant: half-open, counted from 0.
#[expect(clippy::exhaustive_enums, reason = "closed: every reader must serve each of them")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// All of it.
    #[default]
    Full,
    /// From this offset to the end.
    From(u64),
    /// From `start` up to, but without, `end`.
    Span {
        /// The first byte.
        start: u64,
        /// The byte after the last one.
        end: u64,
    },
}

impl ByteRange {
    /// The offset of the first byte.
    pub fn start(&self) -> u64 {
        match *self {
            Self::Full => 0,
            Self::From(start) | Self::Span { start, .. } => start,
        }
    }

    /// The bytes meant in a blob of `size` bytes, cut at its end; `None` if there is not one of them to give.
    ///
    /// A range from 0 without an end is the whole blob, even of an empty one.
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::Full | Self::From(0) => Some(0..size),
            Self::From(start) => (start < size).then_some(start..size),
            Self::Span { start, end } => (start < end && start < size).then_some(start..end.min(size)),
        }
    }

    /// Whether this asks for no byte at all. HTTP has no words for that, so it can't be sent.
    pub fn is_empty(&self) -> bool {
        matches!(*self, Self::Span { start, end } if start >= end)
    }

    /// The value of a `Range` header; `None` where none is due: for the whole, and for an empty range.
    pub fn header(self) -> Option<String> {
        match self {
            Self::Full | Self::From(0) => None,
            Self::From(start) => Some(format!("bytes={start}-")),
            Self::Span { start, end } => (start < end).then(|| format!("bytes={start}-{}", end - 1)),
        }
    }
}

impl From<RangeFull> for ByteRange {
    fn from(_: RangeFull) -> Self {
        Self::Full
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::From(range.start)
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::Span { start: range.start, end: range.end }
    }
}

impl From<RangeTo<u64>> for ByteRange {
    fn from(range: RangeTo<u64>) -> Self {
        Self::Span { start: 0, end: range.end }
    }
}

/// What a request's `Range` header asks for, before the size of the blob is known (R7).
#[expect(clippy::exhaustive_enums, reason = "closed by RFC 9110")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedRange {
    /// The whole: several ranges at once, or a unit that is not bytes.
    Whole,
    /// One range with a start.
    Range(ByteRange),
    /// The last so many bytes.
    Suffix(u64),
    /// Something that can't be served: no number, an end before its start.
    Invalid,
}

impl RequestedRange {
    /// Reads the value of a `Range` header. Never fails: what is wrong is [`Invalid`](Self::Invalid).
    pub fn parse(header: &str) -> Self {
        let Some((unit, set)) = header.split_once('=') else { return Self::Invalid };
        if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
            return Self::Whole;
        }
        let Some((first, last)) = set.trim().split_once('-') else { return Self::Invalid };
        match (number(first), number(last)) {
            (Some(start), Some(last)) if start <= last => {
                Self::Range(ByteRange::Span { start, end: last.saturating_add(1) })
            }
            (Some(start), None) if last.is_empty() => Self::Range(ByteRange::From(start)),
            (None, Some(length)) if first.is_empty() => Self::Suffix(length),
            _ => Self::Invalid,
        }
    }

    /// The bytes to serve from a blob of `size` bytes; `None` is the whole of it, with status 200.
    ///
    /// # Errors
    /// [`UnsatisfiedRange`], to be printed into the `Content-Range` of a 416.
    pub fn resolve(self, size: u64) -> Result<Option<Range<u64>>, UnsatisfiedRange> {
        let unsatisfied = UnsatisfiedRange { total: Some(size) };
        match self {
            Self::Whole => Ok(None),
            Self::Range(_) | Self::Suffix(_) if size == 0 => Err(unsatisfied),
            Self::Range(range) => range.resolve(size).map(Some).ok_or(unsatisfied),
            Self::Suffix(0) | Self::Invalid => Err(unsatisfied),
            Self::Suffix(length) => Ok(Some(size.saturating_sub(length)..size)),
        }
    }
}

/// The `Content-Range` of a 206: which bytes these are, and of how many.
#[expect(clippy::exhaustive_structs, reason = "closed by RFC 9110")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one; greater than `start`.
    pub end: u64,
    /// The size of the whole, in bytes; `None` if it was not said (`*`).
    pub total: Option<u64>,
}

impl FromStr for ContentRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let read = || {
            let (span, total) = bytes_unit(text)?.split_once('/')?;
            let (first, last) = span.split_once('-')?;
            let (start, end) = (number(first)?, number(last)?.checked_add(1)?);
            let total = total_size(total).ok()?;
            (start < end && total.is_none_or(|total| end <= total)).then_some(Self { start, end, total })
        };
        read().ok_or_else(|| invalid_range(text))
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.start, self.end.saturating_sub(1))?;
        write_total(f, self.total)
    }
}

/// The `Content-Range` of a 416: `bytes */100`, the size that the range has missed.
#[expect(clippy::exhaustive_structs, reason = "closed by RFC 9110")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsatisfiedRange {
    /// The size of the whole, in bytes, if it was said.
    pub total: Option<u64>,
}

impl FromStr for UnsatisfiedRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let total = bytes_unit(text).and_then(|rest| rest.strip_prefix("*/"));
        let total = total_size(total.ok_or_else(|| invalid_range(text))?)?;
        Ok(Self { total })
    }
}

impl fmt::Display for UnsatisfiedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes */")?;
        write_total(f, self.total)
    }
}

/// The dialect of uploads: `0-99`, inclusive and without a unit.
///
/// As the `Content-Range` of a chunk it says where the chunk belongs; as the `Range` of an answer, what the registry
/// holds by now. Parsing is lenient, for registries disagree here (H15): `bytes=0-9`, `bytes 0-9/*` and `0--1`
/// (nothing yet) are read as meant.
#[expect(clippy::exhaustive_structs, reason = "closed by the spec")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

impl UploadRange {
    /// The range of an upload of which the first `count` bytes have arrived.
    pub fn received(count: u64) -> Self {
        Self { start: 0, end: count }
    }

    /// Whether this is `0-0`: one byte by the letter, but none at all where distribution says it (H15).
    pub fn may_be_empty(&self) -> bool {
        self.start == 0 && self.end <= 1
    }
}

impl FromStr for UploadRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let read = || {
            let bare = text.trim();
            let bare = bare.strip_prefix("bytes").map_or(bare, |rest| rest.trim_start_matches(['=', ' ']));
            let (first, last) = bare.split('/').next()?.split_once('-')?;
            let start = number(first)?;
            let end = if last == "-1" { 0 } else { number(last)?.checked_add(1)? };
            (start <= end).then_some(Self { start, end })
        };
        read().ok_or_else(|| invalid_range(text))
    }
}

impl fmt::Display for UploadRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end.saturating_sub(1).max(self.start))
    }
}

invalid! {
    /// A `Content-Range` or an upload's `Range` that says nothing understandable.
    InvalidRange, "range"
}

fn invalid_range(text: &str) -> InvalidRange {
    InvalidRange::new(text, Fault::at(0, "not a range of bytes"))
}

fn bytes_unit(text: &str) -> Option<&str> {
    let (unit, rest) = text.trim().split_once(' ')?;
    unit.eq_ignore_ascii_case("bytes").then(|| rest.trim())
}

/// The size of the whole, or `*` where it is not said.
fn total_size(text: &str) -> Result<Option<u64>, InvalidRange> {
    if text == "*" {
        return Ok(None);
    }
    number(text).map(Some).ok_or_else(|| invalid_range(text))
}

fn write_total(f: &mut fmt::Formatter<'_>, total: Option<u64>) -> fmt::Result {
    match total {
        Some(total) => write!(f, "{total}"),
        None => f.write_str("*"),
    }
}

/// Digits only: `str::parse` alone would take `+5`.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn span(start: u64, end: u64) -> ByteRange {
        ByteRange::Span { start, end }
    }

    #[test]
    fn a_range_resolves_within_the_blob_or_not_at_all() {
        let table = [
            (ByteRange::Full, 10, Some(0..10)),
            (ByteRange::Full, 0, Some(0..0)),
            (ByteRange::From(0), 0, Some(0..0)),
            (ByteRange::From(4), 10, Some(4..10)),
            (ByteRange::From(10), 10, None),
            (span(2, 5), 10, Some(2..5)),
            (span(2, 50), 10, Some(2..10)),
            (span(10, 11), 10, None),
            (span(5, 5), 10, None),
            (span(6, 5), 10, None),
        ];
        for (range, size, expected) in table {
            assert_eq!(range.resolve(size), expected, "{range:?} of {size}");
        }
    }

    #[test]
    fn a_range_header_is_inclusive_and_left_out_for_the_whole() {
        assert_eq!(ByteRange::from(..).header(), None);
        assert_eq!(ByteRange::from(0..).header(), None);
        assert_eq!(ByteRange::from(5..).header().as_deref(), Some("bytes=5-"));
        assert_eq!(ByteRange::from(..10).header().as_deref(), Some("bytes=0-9"));
        assert_eq!(ByteRange::from(5..5).header(), None);
        assert!(ByteRange::from(5..5).is_empty());
        assert!(!ByteRange::from(5..6).is_empty());
    }

    #[test]
    fn r7_requested_ranges_single_is_right_several_are_the_whole_bad_is_416() {
        let whole = Ok(None);
        let bad = Err(UnsatisfiedRange { total: Some(10) });
        let table = [
            ("bytes=0-9", Ok(Some(0..10))),
            ("bytes=0-0", Ok(Some(0..1))),
            ("bytes=5-", Ok(Some(5..10))),
            ("bytes=-5", Ok(Some(5..10))),
            ("bytes=-50", Ok(Some(0..10))),
            ("bytes=8-100", Ok(Some(8..10))),
            ("Bytes = 1-2", Ok(Some(1..3))),
            ("bytes=9-18446744073709551615", Ok(Some(9..10))),
            ("bytes=0-1,3-4", whole.clone()),
            ("bytes=0-1,", whole.clone()),
            ("items=0-1", whole),
            ("bytes=5-4", bad.clone()),
            ("bytes=10-", bad.clone()),
            ("bytes=10-12", bad.clone()),
            ("bytes=-0", bad.clone()),
            ("bytes=", bad.clone()),
            ("bytes=-", bad.clone()),
            ("bytes=+1-2", bad.clone()),
            ("bytes=1-2-3", bad.clone()),
            ("bytes=99999999999999999999-", bad.clone()),
            ("bytes 0-9", bad.clone()),
            ("", bad),
        ];
        for (header, expected) in table {
            assert_eq!(RequestedRange::parse(header).resolve(10), expected, "{header:?}");
        }
        let empty = UnsatisfiedRange { total: Some(0) };
        for header in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(RequestedRange::parse(header).resolve(0), Err(empty), "{header:?} of nothing");
        }
    }

    #[test]
    fn a_content_range_that_contradicts_itself_is_refused() {
        let table = [
            ("bytes 0-9/100", Some((0, 10, Some(100)))),
            ("bytes 0-9/*", Some((0, 10, None))),
            ("Bytes  99-99/100", Some((99, 100, Some(100)))),
            ("bytes 0-100/100", None),
            ("bytes 5-4/100", None),
            ("bytes */100", None),
            ("bytes 0-18446744073709551615/*", None),
            ("0-9/100", None),
            ("items 0-9/100", None),
            ("bytes 0-9", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<ContentRange>().ok();
            assert_eq!(read.map(|range| (range.start, range.end, range.total)), expected, "{text:?}");
        }
        let shown = "x".repeat(300).parse::<ContentRange>().unwrap_err().to_string();
        assert!(shown.len() < 200, "{shown}");
    }

    #[test]
    fn h15_upload_ranges_are_read_in_every_dialect_met() {
        let table = [
            ("0-99", Some((0, 100))),
            ("bytes=0-9", Some((0, 10))),
            ("bytes 10-19/*", Some((10, 20))),
            (" 0-9 ", Some((0, 10))),
            ("0--1", Some((0, 0))),
            ("0-0", Some((0, 1))),
            ("5-3", None),
            ("0-", None),
            ("-5", None),
            ("5--1", None),
            ("0-18446744073709551615", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<UploadRange>().ok();
            assert_eq!(read.map(|range| (range.start, range.end)), expected, "{text:?}");
        }
        assert!("0-0".parse::<UploadRange>().unwrap().may_be_empty());
        assert!(!"0-1".parse::<UploadRange>().unwrap().may_be_empty());
        assert_eq!(UploadRange::received(0).to_string(), "0-0");
    }

    proptest! {
        #[test]
        fn content_ranges_print_and_parse(start in 0..u64::MAX / 2, length in 1..u64::MAX / 4, rest: Option<u32>) {
            let end = start + length;
            let range = ContentRange { start, end, total: rest.map(|rest| end + u64::from(rest)) };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
            let missed = UnsatisfiedRange { total: range.total };
            prop_assert_eq!(missed.to_string().parse(), Ok(missed));
        }

        #[test]
        fn upload_ranges_print_and_parse(start in 0..u64::MAX / 2, length in 1..u64::MAX / 4) {
            let range = UploadRange { start, end: start + length };
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn what_is_asked_for_is_what_is_served(start in 0_u64..1000, length in 1_u64..1000, size in 0_u64..1000) {
            for range in [ByteRange::Span { start, end: start + length }, ByteRange::From(start + 1)] {
                let header = range.header().unwrap_or_default();
                prop_assert_eq!(RequestedRange::parse(&header).resolve(size).ok().flatten(), range.resolve(size));
            }
        }

        #[test]
        fn no_text_makes_a_range_panic(text in ".{0,40}", size: u64) {
            let _ = RequestedRange::parse(&text).resolve(size);
            let _ = RequestedRange::parse(&format!("bytes={text}")).resolve(size);
            let _ = (text.parse::<ContentRange>(), text.parse::<UploadRange>(), text.parse::<UnsatisfiedRange>());
        }
    }
}
