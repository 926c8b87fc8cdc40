//! A TOML file whose every value knows its line, so that a message can name file, line and key, and `explain` can say who
//! said so. What the keys mean is left to the formats.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use gantri_core::error::{display_place, display_untrusted};
use gantri_core::{Error, ErrorKind, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::regular;

/// Bytes of one file of configuration.
const FILE: u64 = 1 << 20;

/// Where a configuration says something.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Said {
    /// The file, or the directory.
    pub file: PathBuf,
    /// The line, from 1 on; `None` where it is the file's being there that says it.
    pub line: Option<usize>,
}

impl Said {
    /// By the being there of this file or directory.
    pub(super) fn by(file: &Path) -> Self {
        Self { file: file.to_owned(), line: None }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A value with who said so; equal to the same value that somebody else said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Told<T> {
    /// What was said.
    pub value: T,
    /// Where; `None` for what nobody had to say.
    pub said: Option<Said>,
}

impl<T> Told<T> {
    pub(super) fn new(value: T, said: Said) -> Self {
        Self { value, said: Some(said) }
    }

    /// What holds where nothing is said.
    pub(super) fn unsaid(value: T) -> Self {
        Self { value, said: None }
    }
}

impl<T: PartialEq> PartialEq for Told<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Told<T> {}

impl<T: Hash> Hash for Told<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// The text of a file, which may hold secrets and is wiped when it is dropped; `None` if there is no such file.
///
/// # Errors
/// `Config`, naming the file, if it can't be read or is larger than such files are.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let Some(mut bytes) = bytes(path)? else { return Ok(None) };
    // The same memory: a copy would stay behind when this is wiped.
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(Error::new(ErrorKind::Config, format!("read {}: not text", path.display())))
        }
    }
}

/// The bytes of a file; `None` if there is no such file.
///
/// # Errors
/// As [`read`].
pub(super) fn bytes(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match regular::read(path, FILE)? {
        Some(bytes) if bytes.len() as u64 > FILE => {
            Err(Error::new(ErrorKind::Config, format!("read {}: more than {FILE} bytes", path.display())))
        }
        bytes => Ok(bytes),
    }
}

/// A file and its text, to say where in it something stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'d> {
    pub(super) path: &'d Path,
    pub(super) text: &'d str,
}

impl<'d> Source<'d> {
    /// What stands in it.
    ///
    /// # Errors
    /// `Config` if it is no TOML.
    pub(super) fn parse(self) -> Result<Spanned<DeTable<'d>>> {
        DeTable::parse(self.text).map_err(|error| {
            let said = self.said(error.span().map_or(0, |span| span.start));
            let what = display_untrusted(&error.message().replace('\n', " "));
            Error::new(ErrorKind::Config, format!("{said}: not toml: {what}"))
                .with_hint("check the quotes and brackets of that line and the one above")
        })
    }

    fn said(self, offset: usize) -> Said {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Said { file: self.path.to_owned(), line: Some(line) }
    }
}

/// A table of a file, read key by key.
#[derive(Clone, Debug)]
pub(super) struct Fields<'t> {
    source: Source<'t>,
    table: &'t DeTable<'t>,
    /// What its keys are called in messages, with the dot behind.
    name: String,
    said: Said,
}

impl<'t> Fields<'t> {
    pub(super) fn root(source: Source<'t>, table: &'t Spanned<DeTable<'t>>) -> Self {
        Self { source, table: table.get_ref(), name: String::new(), said: source.said(0) }
    }

    /// Where the table begins.
    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// An error about a value; `what` is wrong with it, and `hint` says what to do.
    pub(super) fn wrong(&self, key: &str, said: &Said, what: impl fmt::Display, hint: &str) -> Error {
        let key = format!("{}{}", self.name, display_place(key));
        let what = display_untrusted(&format!("{}: {what}", key.trim_end_matches('.')));
        Error::new(ErrorKind::Config, format!("{said}: {what}")).with_hint(hint)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<Told<&'t str>>> {
        self.typed(key, DeValue::as_str, "a string", "write it in quotes")
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<Told<bool>>> {
        self.typed(key, DeValue::as_bool, "true or false", "write true or false, without quotes")
    }

    /// An array of strings.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Told<Vec<Told<&'t str>>>>> {
        let hint = "write [\"one\", \"another\"]";
        let Some(array) = self.typed(key, DeValue::as_array, "an array of strings", hint)? else { return Ok(None) };
        let said = array.said;
        let texts = array.value.iter().map(|item| match item.get_ref().as_str() {
            Some(text) => Ok(Told::new(text, self.source.said(item.span().start))),
            None => Err(self.wrong(key, &self.source.said(item.span().start), "not a string", hint)),
        });
        Ok(Some(Told { value: texts.collect::<Result<_>>()?, said }))
    }

    /// One string, or an array of them.
    pub(super) fn text_or_texts(&self, key: &str) -> Result<Vec<Told<&'t str>>> {
        match self.value(key) {
            Some(value) if value.get_ref().is_str() => Ok(self.text(key)?.into_iter().collect()),
            _ => Ok(self.texts(key)?.map(|texts| texts.value).unwrap_or_default()),
        }
    }

    /// An array of what stands there, each a string or an array of strings.
    pub(super) fn lists(&self, key: &str) -> Result<Vec<Told<Vec<&'t str>>>> {
        let hint = "write a path, [\"path\", ..] or [[\"certificate\", \"key\"], ..]";
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let wrong = |value: &Spanned<DeValue<'_>>| {
            self.wrong(key, &self.source.said(value.span().start), "neither a path nor an array of paths", hint)
        };
        let of = |value: &'t Spanned<DeValue<'t>>| {
            let texts = match value.get_ref() {
                DeValue::String(text) => vec![text.as_ref()],
                DeValue::Array(array) => {
                    let texts: Option<Vec<&str>> = array.iter().map(|item| item.get_ref().as_str()).collect();
                    texts.ok_or_else(|| wrong(value))?
                }
                _ => return Err(wrong(value)),
            };
            Ok(Told::new(texts, self.source.said(value.span().start)))
        };
        match value.get_ref() {
            DeValue::Array(array) => array.iter().map(of).collect(),
            _ => Ok(vec![of(value)?]),
        }
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &str) -> Result<Option<Self>> {
        let hint = format!("write it as [{}{}]", self.name, display_place(key));
        let found = self.typed(key, DeValue::as_table, "a table", &hint)?;
        Ok(found.zip(self.value(key)).map(|(table, value)| self.below(key, table.value, value.span().start)))
    }

    /// An array of tables.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<Self>> {
        let hint = format!("write [[{}{key}]] above each", self.name);
        let found = self.typed(key, DeValue::as_array, "an array of tables", &hint)?;
        let tables = found.iter().flat_map(|array| array.value.iter()).map(|item| {
            let at = item.span().start;
            let table = item.get_ref().as_table();
            let wrong = || self.wrong(key, &self.source.said(at), "not a table", &hint);
            Ok(self.below(key, table.ok_or_else(wrong)?, at))
        });
        tables.collect()
    }

    /// The keys with where they stand, in the order of the file.
    pub(super) fn keys(&self) -> Vec<Told<&'t str>> {
        let mut keys: Vec<(usize, &str)> =
            self.table.iter().map(|(key, _)| (key.span().start, key.get_ref().as_ref())).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(at, key)| Told::new(key, self.source.said(at))).collect()
    }

    /// A note on each key that is not among these: a typing error in one is easily taken for a setting that does nothing.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let unknown = self.keys().into_iter().filter(|key| !known.contains(&key.value));
        let note = |key: Told<&str>| {
            let said = key.said.unwrap_or_else(|| self.said.clone());
            format!("{said}: {}{}: not a key that is known here, ignored", self.name, display_place(key.value))
        };
        unknown.map(note).collect()
    }

    fn value(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    fn typed<T: 't>(
        &self,
        key: &str,
        read: impl Fn(&'t DeValue<'t>) -> Option<T>,
        wanted: &str,
        hint: &str,
    ) -> Result<Option<Told<T>>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let said = self.source.said(value.span().start);
        match read(value.get_ref()) {
            Some(read) => Ok(Some(Told::new(read, said))),
            None => Err(self.wrong(key, &said, format_args!("not {wanted}"), hint)),
        }
    }

    fn below(&self, key: &str, table: &'t DeTable<'t>, at: usize) -> Self {
        // A key that is no plain word is shown as it is written.
        let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let name =
            if plain { format!("{}{key}.", self.name) } else { format!("{}\"{}\".", self.name, display_place(key)) };
        Self { source: self.source, table, name, said: self.source.said(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, read: impl Fn(&Fields<'_>) -> Result<()>) -> String {
        let source = Source { path: Path::new("a.conf"), text };
        let error = source.parse().and_then(|root| read(&Fields::root(source, &root))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        format!("{error}; {}", error.hint().unwrap_or_default())
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_key() {
        let cases: &[(&str, &str)] = &[
            ("x = 1\n\nflag = \"yes\"", "a.conf:3: flag: not true or false; write true or false, without quotes"),
            ("text = 3", "a.conf:1: text: not a string; write it in quotes"),
            ("texts = [\n \"a\",\n 3 ]", "a.conf:3: texts: not a string; write [\"one\", \"another\"]"),
            ("tables = 3", "a.conf:1: tables: not an array of tables; write [[tables]] above each"),
            ("\n[[tables]]\nflag = 1", "a.conf:3: tables.flag: not true or false; write true or false, without quotes"),
            (
                "\ntable.\"a.b\".flag = 1",
                "a.conf:2: table.\"a.b\".flag: not true or false; write true or false, without quotes",
            ),
        ];
        for (text, expected) in cases {
            let read = |fields: &Fields<'_>| {
                fields.flag("flag")?;
                fields.text("text")?;
                fields.texts("texts")?;
                fields.tables("tables")?.iter().try_for_each(|table| table.flag("flag").map(drop))?;
                let below = fields.table("table")?.map(|table| table.table("a.b")).transpose()?.flatten();
                below.map_or(Ok(()), |below| below.flag("flag").map(drop))
            };
            assert_eq!(told(text, read), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line_and_without_the_text() {
        let error = told("a = 1\nAuthorization = \"canary\nb = 2", |_| Ok(()));
        assert!(error.starts_with("a.conf:2: not toml: "), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn keys_come_in_the_order_of_the_file() {
        let text = "[z]\n[a]\n[m]\n";
        let source = Source { path: Path::new("a.conf"), text };
        let root = source.parse().unwrap();
        let fields = Fields::root(source, &root);
        let keys: Vec<String> =
            fields.keys().iter().map(|key| format!("{} {}", key.value, key.said.as_ref().unwrap())).collect();
        assert_eq!(keys, ["z a.conf:1", "a a.conf:2", "m a.conf:3"]);
        assert_eq!(fields.unknown(&["z", "m"]), ["a.conf:2: a: not a key that is known here, ignored"]);
    }
}
