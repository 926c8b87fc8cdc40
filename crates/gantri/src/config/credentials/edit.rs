//! A file of credentials with one entry more or less. What is not ours to change keeps its place and its bytes.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantri_core::{Error, ErrorKind, Result};
use gantri_remote::Credential;
use gantri_spec::{Host, RepositoryName};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::file::CredentialFile;
use super::helper::TOKEN_USER;
use super::key::Key;
use super::source::CredentialPlace;

/// The bytes of a file.
pub(super) type Text = Zeroizing<Vec<u8>>;

/// The text of an entry that holds a credential, as docker and podman write and read it.
///
/// # Errors
/// `Unsupported` for what has no place in such a file.
pub(super) fn entry(credential: &Credential) -> Result<Zeroizing<String>> {
    let encode = |user: &str, password: &str| {
        let plain = Zeroizing::new(format!("{user}:{password}"));
        Zeroizing::new(STANDARD.encode(plain.as_bytes()))
    };
    let quoted = |text: &str| serde_json::to_string(text).map(Zeroizing::new).map_err(unwritten);
    match credential {
        Credential::Basic { username, .. } if username.contains(':') => {
            let what = format!("the user name {username:?}: one that is sent with a password holds no colon");
            Err(Error::new(ErrorKind::Unsupported, what))
        }
        Credential::Basic { username, password } => {
            let auth = encode(username, password.expose());
            Ok(Zeroizing::new(format!("{{\n\t\t\t\"auth\": \"{}\"\n\t\t}}", *auth)))
        }
        Credential::IdentityToken(token) => {
            // Some take an entry without a user for none.
            let (auth, token) = (encode(TOKEN_USER, ""), quoted(token.expose())?);
            Ok(Zeroizing::new(format!(
                "{{\n\t\t\t\"auth\": \"{}\",\n\t\t\t\"identitytoken\": {}\n\t\t}}",
                *auth, *token
            )))
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "only passwords and identity tokens can be kept")),
    }
}

/// The file with this entry under this key, in place of all that it has for the host as a whole.
///
/// # Errors
/// `Config` if it is no such file.
pub(super) fn with(path: &Path, text: Option<&[u8]>, host: &Host, key: &str, entry: &str) -> Result<Option<Text>> {
    let mut file = read(path, text)?;
    let mut auths = file.auths(path)?;
    let entry = RawValue::from_string(entry.to_owned()).map_err(unwritten)?;
    let at = auths.0.iter().position(|(key, _)| is_for(key, host, None));
    auths.0.retain(|(key, _)| !is_for(key, host, None));
    // It stands where the one before it stood.
    let at = at.unwrap_or(auths.0.len()).min(auths.0.len());
    auths.0.insert(at, (key.to_owned(), entry));
    file.set_auths(&auths)?;
    file.text(0).map(Some)
}

/// The file without what it has for the host as a whole, or for these repositories of it; `None` if it has nothing.
///
/// # Errors
/// `Config` if it is no such file.
pub(super) fn without(
    path: &Path,
    text: Option<&[u8]>,
    host: &Host,
    repositories: Option<&RepositoryName>,
) -> Result<Option<Text>> {
    let mut file = read(path, text)?;
    let mut auths = file.auths(path)?;
    let before = auths.0.len();
    auths.0.retain(|(key, _)| !is_for(key, host, repositories));
    if auths.0.len() == before {
        return Ok(None);
    }
    file.set_auths(&auths)?;
    file.text(0).map(Some)
}

fn is_for(key: &str, host: &Host, repositories: Option<&RepositoryName>) -> bool {
    Key::parse(key).is_some_and(|key| key.is_for(host, repositories))
}

fn read(path: &Path, text: Option<&[u8]>) -> Result<Object> {
    let Some(text) = text.filter(|text| !text.trim_ascii().is_empty()) else { return Ok(Object::default()) };
    // Whatever could not be read again is not written to.
    CredentialFile::parse(CredentialPlace::File(path.to_owned()), text)?;
    serde_json::from_slice(text).map_err(unwritten)
}

/// The parser's own words could quote a secret (A16).
#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn unwritten(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Config, format!("json, line {} column {}: can't be written", error.line(), error.column()))
}

/// An object whose members keep their order and their bytes.
#[derive(Default)]
struct Object(Vec<(String, Box<RawValue>)>);

const AUTHS: &str = "auths";

impl Object {
    fn auths(&self, path: &Path) -> Result<Self> {
        let Some((_, auths)) = self.0.iter().find(|(key, _)| key == AUTHS) else { return Ok(Self::default()) };
        let auths: Option<Self> =
            serde_json::from_str(auths.get()).map_err(|error| unwritten(error).during(path.display()))?;
        Ok(auths.unwrap_or_default())
    }

    fn set_auths(&mut self, auths: &Self) -> Result<()> {
        let text = auths.text(1)?;
        let text = std::str::from_utf8(&text).map_err(|_| Error::new(ErrorKind::Config, "json is utf-8"))?;
        let value = RawValue::from_string(text.to_owned()).map_err(unwritten)?;
        match self.0.iter_mut().find(|(key, _)| key == AUTHS) {
            Some((_, old)) => *old = value,
            None => self.0.insert(0, (AUTHS.to_owned(), value)),
        }
        Ok(())
    }

    /// A member a line, indented by tabs as docker does it.
    fn text(&self, depth: usize) -> Result<Text> {
        let indent = "\t".repeat(depth);
        let mut text = Zeroizing::new(String::from("{"));
        for (position, (key, value)) in self.0.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            let key = serde_json::to_string(key).map_err(unwritten)?;
            for part in [comma, "\n\t", &indent, &key, ": ", value.get()] {
                text.push_str(part);
            }
        }
        if !self.0.is_empty() {
            text.push('\n');
            text.push_str(&indent);
        }
        text.push('}');
        if depth == 0 {
            text.push('\n');
        }
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests;
