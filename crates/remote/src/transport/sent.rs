//! What was sent to be let in: whoever refuses it may give it back in his words, and nobody is shown it (A16).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::HeaderValue;
use zeroize::Zeroizing;

/// The secrets of an `Authorization`.
pub(crate) struct Sent(Vec<Zeroizing<String>>);

impl Sent {
    /// Anything shorter would be found in words that give nothing away.
    const SHORTEST: usize = 4;

    /// What this header holds: the credential as it stands there, and the password in it.
    pub(crate) fn with(authorization: Option<&HeaderValue>) -> Self {
        let mut secrets = Vec::new();
        let credential = authorization.and_then(|value| value.to_str().ok()?.split_once(' '));
        if let Some((scheme, credential)) = credential {
            secrets.push(Zeroizing::new(credential.to_owned()));
            if scheme == "Basic" {
                secrets.extend(password(credential));
            }
        }
        // Some refusals are JSON.
        let escaped = |secret: &Zeroizing<String>| {
            let quoted = Zeroizing::new(serde_json::to_string(secret.as_str()).ok()?);
            Some(Zeroizing::new(quoted.trim_matches('"').to_owned())).filter(|escaped| escaped != secret)
        };
        let escaped: Vec<_> = secrets.iter().filter_map(escaped).collect();
        secrets.extend(escaped);
        secrets.retain(|secret| secret.len() >= Self::SHORTEST);
        Self(secrets)
    }

    /// These words without it.
    pub(crate) fn hidden_in(&self, words: &str) -> String {
        self.0.iter().fold(words.to_owned(), |words, secret| words.replace(secret.as_str(), "[secret]"))
    }

    /// Whether any of it is given back in this text.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }
}

fn password(basic: &str) -> Option<Zeroizing<String>> {
    let pair = Zeroizing::new(BASE64_STANDARD.decode(basic).ok()?);
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(Zeroizing::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_hidden_in_every_form() {
        let cases = [
            (None, "bad canary1", "bad canary1"),
            (Some("Bearer canary1"), "no such token: 'canary1'", "no such token: '[secret]'"),
            // me:canary1
            (Some("Basic bWU6Y2FuYXJ5MQ=="), "me:canary1 as bWU6Y2FuYXJ5MQ==", "me:[secret] as [secret]"),
            // me:a"b\c
            (Some("Basic bWU6YSJiXGM="), r#"a"b\c or a\"b\\c"#, "[secret] or [secret]"),
            // me:pw
            (Some("Basic bWU6cHc="), "pw is no password", "pw is no password"),
            (Some("Basic ???"), "junk ???", "junk ???"),
        ];
        for (sent, words, expected) in cases {
            let header = sent.map(|sent| HeaderValue::from_str(sent).unwrap());
            let sent = Sent::with(header.as_ref());
            assert_eq!(sent.hidden_in(words), expected);
            assert_eq!(sent.is_in(words), words != expected);
        }
    }
}
