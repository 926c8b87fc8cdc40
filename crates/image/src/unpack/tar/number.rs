//! Reads the numbers of tar: octal and base-256 header fields, decimal PAX values, times.
//!
//! Strict on purpose (T6): what two parsers might read differently is refused. The callers know where the number stood
//! and put the offset into the error.

use rustix::fs::Timespec;

/// What is wrong with a number, to follow the name of its field.
pub(super) type Rule = &'static str;

const NANOS: i64 = 1_000_000_000;

/// A number of a header block: octal, or base-256 (two's complement) when the first bit is set. An empty field is 0.
pub(super) fn field(bytes: &[u8]) -> Result<i64, Rule> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base_256(bytes),
        _ => octal(bytes),
    }
}

/// A decimal number of a PAX record: digits and nothing else.
pub(super) fn decimal(bytes: &[u8]) -> Result<u64, Rule> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return Err("is not a decimal number");
    }
    bytes
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or("is a number too large")
}

/// A time of a PAX record: `[-]seconds[.fraction]`; what is finer than a nanosecond is cut off.
pub(super) fn time(bytes: &[u8]) -> Result<Timespec, Rule> {
    let (negative, digits) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (seconds, fraction) = point.map_or((digits, &[][..]), |at| (&digits[..at], &digits[at + 1..]));
    let seconds = i64::try_from(decimal(seconds)?).map_err(|_| "is a time too far away")?;
    let nanos = nanoseconds(fraction)?;
    Ok(match (negative, nanos) {
        (false, _) => Timespec { tv_sec: seconds, tv_nsec: nanos },
        (true, 0) => Timespec { tv_sec: -seconds, tv_nsec: 0 },
        (true, _) => Timespec { tv_sec: -seconds - 1, tv_nsec: NANOS - nanos },
    })
}

fn nanoseconds(fraction: &[u8]) -> Result<i64, Rule> {
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err("is not a time");
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    Ok(digits.fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

fn octal(bytes: &[u8]) -> Result<i64, Rule> {
    let start = bytes.iter().position(|byte| *byte != b' ').unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let end = bytes.iter().position(|byte| matches!(byte, b' ' | 0)).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at(end);
    if !digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) || !rest.iter().all(|byte| matches!(byte, b' ' | 0)) {
        return Err("is not an octal number");
    }
    // Twelve digits of three bits at most: cannot overflow.
    Ok(digits.iter().fold(0, |value, digit| value << 3 | i64::from(digit - b'0')))
}

fn base_256(bytes: &[u8]) -> Result<i64, Rule> {
    let negative = bytes[0] & 0x40 != 0;
    let first = if negative { i64::from(bytes[0]) - 0x100 } else { i64::from(bytes[0] & 0x7f) };
    bytes[1..]
        .iter()
        .try_fold(first, |value, byte| value.checked_mul(256)?.checked_add(i64::from(*byte)))
        .ok_or("is a number too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_strict_octal_or_base_256() {
        let cases: [(&str, &[u8], Option<i64>); 16] = [
            ("plain", b"0000644\0", Some(0o644)),
            ("space ended", b"000644 \0", Some(0o644)),
            ("leading spaces", b"   644 \0", Some(0o644)),
            ("full width", b"777777777777", Some(0o777_777_777_777)),
            ("empty", b"\0\0\0\0\0\0\0\0", Some(0)),
            ("blanks", b"        ", Some(0)),
            ("digit nine", b"0000649\0", None),
            ("sign", b"-000644\0", None),
            ("hex", b"0x00644\0", None),
            ("digits after the end", b"644\0\x30644", None),
            ("digits after a space", b"644 0644", None),
            ("base 256", b"\x80\0\0\0\0\0\x01\0", Some(256)),
            ("base 256 of 12 bytes", b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(0x2_0000_0000)),
            ("base 256 minus one", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            ("base 256 too large", b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            ("base 256 too small", b"\xc0\0\0\x01\0\0\0\0\0\0\0\0", None),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(field(bytes).ok(), expected, "{name}");
        }
    }

    #[test]
    fn pax_times_keep_nanoseconds_and_go_below_zero() {
        let cases: [(&str, Option<(i64, i64)>); 12] = [
            ("1350244992", Some((1_350_244_992, 0))),
            ("1350244992.5", Some((1_350_244_992, 500_000_000))),
            ("1.000000001", Some((1, 1))),
            ("1.9999999999", Some((1, 999_999_999))),
            ("7.", Some((7, 0))),
            ("-1", Some((-1, 0))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("", None),
            ("+1", None),
            ("1e9", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            let time = time(text.as_bytes()).ok().map(|time| (time.tv_sec, time.tv_nsec));
            assert_eq!(time, expected, "{text}");
        }
    }

    #[test]
    fn pax_numbers_are_digits_only() {
        assert_eq!(decimal(b"18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616"] {
            assert!(decimal(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
