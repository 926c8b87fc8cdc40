//! The records of a PAX extended header: `LENGTH KEY=VALUE\n`, one after the other.
//!
//! Decides which keys mean something to an unpacker and refuses what is malformed or said twice (T6). An empty value
//! means *not given*, except for an extended attribute, which may be empty.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use gantri_core::{Error, Limits, Result};
use rustix::fs::Timespec;

use super::member::Xattr;
use super::sparse::PaxSparse;
use super::{invalid, number};

/// libarchive writes no padding, others do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What one extended header says about the member that follows it.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Timespec>,
    pub(super) accessed: Option<Timespec>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) sparse: PaxSparse,
    /// Attributes in libarchive's spelling, which counts only where star's is absent.
    archived: Vec<Xattr>,
}

impl Records {
    /// Reads all records of an extended header whose data begins at `offset`.
    pub(super) fn parse(data: &[u8], offset: u64, limits: &Limits) -> Result<Self> {
        let mut records = Self::default();
        each(data, offset, |at, key, value| {
            records.take(key, value).map_err(|rule| invalid(at, format!("the record {} {rule}", shown(key))))?;
            records.check_xattrs(limits)
        })?;
        records.sparse.end().map_err(|rule| invalid(offset, rule))?;
        for xattr in std::mem::take(&mut records.archived) {
            if records.xattrs.iter().all(|known| known.name != xattr.name) {
                records.xattrs.push(xattr);
            }
        }
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), number::Rule> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return add(&mut self.xattrs, name.to_vec(), value.to_vec());
        }
        if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let value = BASE64.decode(value).map_err(|_| "is not base64")?;
            return add(&mut self.archived, percent_decoded(name)?, value);
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(key, value);
        }
        match key {
            b"path" => once(&mut self.path, text(value)?),
            b"linkpath" => once(&mut self.link, text(value)?),
            b"size" => once(&mut self.size, given(value, number::decimal)?),
            b"uid" => once(&mut self.uid, given(value, number::decimal)?),
            b"gid" => once(&mut self.gid, given(value, number::decimal)?),
            b"mtime" => once(&mut self.modified, given(value, number::time)?),
            b"atime" => once(&mut self.accessed, given(value, number::time)?),
            _ => Ok(()),
        }
    }

    fn check_xattrs(&self, limits: &Limits) -> Result<()> {
        let all = || self.xattrs.iter().chain(&self.archived);
        let bytes: usize = all().map(|xattr| xattr.name.len() + xattr.value.len()).sum();
        // Each may stand there in both spellings.
        if all().count() > limits.xattrs * 2 || self.xattrs.len() > limits.xattrs {
            return Err(Error::limit("extended attributes of one entry", "xattrs", limits.xattrs));
        }
        if bytes > limits.xattr_bytes * 2 {
            return Err(Error::limit("bytes of extended attributes of one entry", "xattr_bytes", limits.xattr_bytes));
        }
        Ok(())
    }
}

/// Checks the records of a global header. They are not applied, as Go's readers do not; one that would change which
/// file is written, or where, is refused, for readers that do apply it would see another tree (T6).
pub(super) fn check_global(data: &[u8], offset: u64) -> Result<()> {
    each(data, offset, |at, key, _| {
        let decisive = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid")
            || [&b"GNU."[..], b"SCHILY.", b"LIBARCHIVE."].iter().any(|family| key.starts_with(family));
        if decisive {
            return Err(invalid(at, format!("a global header sets {} for all entries", shown(key))));
        }
        Ok(())
    })
}

/// Calls `visit` with offset, key and value of each record.
fn each(data: &[u8], offset: u64, mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<()>) -> Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let at = offset + (data.len() - rest.len()) as u64;
        let (key, value, next) = record(rest).ok_or_else(|| invalid(at, "a malformed record in an extended header"))?;
        visit(at, key, value)?;
        rest = next;
    }
    Ok(())
}

/// Splits off one record: key, value, what follows.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number::decimal(&data[..space]).ok()?).ok()?;
    if length <= space + 1 || length > data.len() {
        return None;
    }
    let (record, next) = data.split_at(length);
    let body = record[space + 1..].strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    let named = !key.is_empty() && !key.contains(&0);
    named.then_some((key, value, next))
}

/// Puts a value where there was none; said twice is an error, for readers disagree on which one counts.
pub(super) fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), number::Rule> {
    match (slot.is_some(), value) {
        (_, None) => Ok(()),
        (true, Some(_)) => Err("is there twice"),
        (false, value) => {
            *slot = value;
            Ok(())
        }
    }
}

/// A number or time, unless the record is empty.
pub(super) fn given<T>(value: &[u8], parse: fn(&[u8]) -> Result<T, number::Rule>) -> Result<Option<T>, number::Rule> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

/// A name, unless the record is empty.
pub(super) fn text(value: &[u8]) -> Result<Option<Vec<u8>>, number::Rule> {
    match value {
        [] => Ok(None),
        _ if value.contains(&0) => Err("holds a NUL"),
        _ => Ok(Some(value.to_vec())),
    }
}

fn add(xattrs: &mut Vec<Xattr>, name: Vec<u8>, value: Vec<u8>) -> Result<(), number::Rule> {
    if name.is_empty() || name.contains(&0) {
        return Err("names no attribute");
    }
    if xattrs.iter().any(|known| known.name == name) {
        return Err("is there twice");
    }
    xattrs.push(Xattr { name, value });
    Ok(())
}

/// libarchive escapes what is not printable in an attribute's name as `%XX`.
fn percent_decoded(name: &[u8]) -> Result<Vec<u8>, number::Rule> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let (byte, next) = match (first, tail) {
            (b'%', [high, low, next @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let value = digit(high).zip(digit(low)).map(|(high, low)| high * 16 + low);
                (value.and_then(|value| u8::try_from(value).ok()).ok_or("has a bad escape")?, next)
            }
            (b'%', _) => return Err("has a bad escape"),
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = next;
    }
    Ok(decoded)
}

fn shown(key: &[u8]) -> String {
    crate::unpack::path::shown(key)
}
