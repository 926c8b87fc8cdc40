//! What extended headers say of the member behind them: its names and its size, in PAX records or GNU's long names.
//!
//! Everything else that they may say is passed over. Two that say the same thing are an error (T6).

use std::str;

use tar_core::{Header, PAX_GNU_SPARSE, PAX_LINKPATH, PAX_PATH, PAX_SIZE};

/// The rule of the format that is broken.
type Rule = &'static str;

/// What was said of the next member.
#[derive(Debug, Default)]
pub(super) struct Records {
    path: Option<String>,
    link: Option<String>,
    pub(super) size: Option<u64>,
    /// It has holes, and its contents are not what they seem.
    pub(super) is_sparse: bool,
    said: bool,
}

impl Records {
    pub(super) fn is_empty(&self) -> bool {
        !self.said
    }

    /// Takes PAX records in.
    pub(super) fn pax(&mut self, mut data: &[u8]) -> Result<(), Rule> {
        self.said = true;
        while !data.is_empty() {
            let (key, value, rest) = record(data).ok_or("a malformed PAX record")?;
            data = rest;
            match key {
                PAX_PATH => once(&mut self.path, text(value)?)?,
                PAX_LINKPATH => once(&mut self.link, text(value)?)?,
                PAX_SIZE => once(&mut self.size, decimal(value).ok_or("a PAX size that is no number")?)?,
                _ => self.is_sparse |= key.starts_with(PAX_GNU_SPARSE),
            }
        }
        Ok(())
    }

    pub(super) fn long_name(&mut self, name: Result<String, Rule>) -> Result<(), Rule> {
        self.said = true;
        once(&mut self.path, name?)
    }

    pub(super) fn long_link(&mut self, name: Result<String, Rule>) -> Result<(), Rule> {
        self.said = true;
        once(&mut self.link, name?)
    }

    /// A header for all members behind it may not say what only one can have.
    pub(super) fn check_global(mut data: &[u8]) -> Result<(), Rule> {
        while !data.is_empty() {
            let (key, _, rest) = record(data).ok_or("a malformed PAX record")?;
            if [PAX_PATH, PAX_LINKPATH, PAX_SIZE].contains(&key) || key.starts_with(PAX_GNU_SPARSE) {
                return Err("a global header that names or measures a file");
            }
            data = rest;
        }
        Ok(())
    }

    /// The names of the member with this header: its own, and that of what it links to.
    pub(super) fn names(&self, header: &Header) -> Result<(String, String), Rule> {
        let name = match (&self.path, header.prefix().unwrap_or_default()) {
            (Some(path), _) => path.clone(),
            (None, b"") => text(header.path_bytes())?,
            (None, prefix) => text(&[prefix, b"/", header.path_bytes()].concat())?,
        };
        let link = match &self.link {
            Some(link) => link.clone(),
            None => text(header.link_name_bytes())?,
        };
        Ok((name, link))
    }
}

/// The text of a GNU long name: NULs may only end it.
pub(super) fn long_text(data: &[u8]) -> Result<String, Rule> {
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    text(&data[..end])
}

/// Splits off the first record, `<length> <key>=<value>\n`, into key, value and what follows.
fn record(data: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((str::from_utf8(&record[..equals]).ok()?, &record[equals + 1..], rest))
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Rule> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("two extended headers that say the same of one entry"),
    }
}

fn text(bytes: &[u8]) -> Result<String, Rule> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a name that is not UTF-8")
}

fn decimal(bytes: &[u8]) -> Option<u64> {
    let is_number = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    str::from_utf8(bytes).ok().filter(|_| is_number)?.parse().ok()
}
