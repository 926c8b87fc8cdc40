//! What a refusal says in another form than the spec's for errors: a few words from its beginning, fit to be shown. What the
//! refusal amounts to is decided elsewhere, and never by these words.

use gantri_core::error::display_untrusted;
use gantri_spec::wire::ErrorBody;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use url::Url;

use super::outcome::text;
use super::response::is_html;
use super::sent::Sent;
use crate::http::url::Redacted;

/// How much is shown.
const SHOWN: usize = 200;
/// Where JSON of other kinds keeps its words: OAuth2, Docker Hub, and what frameworks make of an error.
const FIELDS: [&str; 6] = ["error", "error_description", "details", "message", "detail", "title"];

/// The words of a refusal's body; `None` where there are none, or nobody would want to read them: a web page's, another
/// document's. What was sent is not among them.
pub(crate) fn said(headers: &HeaderMap, body: &[u8], sent: &Sent) -> Option<String> {
    if text(headers, &CONTENT_TYPE).is_some_and(is_html) {
        return None;
    }
    let body = as_text(body)?.trim();
    // What is a document and not a sentence may hold anything: of S3's errors, what was signed and by whom.
    let words = match body.bytes().next()? {
        b'<' => body.split_once("<Message>")?.1.split_once("</Message>")?.0.to_owned(),
        b'{' | b'[' => words_of(&serde_json::from_str(body).ok()?)?,
        _ => body.to_owned(),
    };
    let shown: String = display_untrusted(&without_secrets(&words, sent)).chars().take(SHOWN).collect();
    (!shown.is_empty()).then_some(shown)
}

/// What is said in the spec's form, without what was sent.
pub(crate) fn said_by_the_spec(body: &[u8], sent: &Sent) -> Option<ErrorBody> {
    let mut body = ErrorBody::parse(body).filter(|body| !body.errors.is_empty())?;
    for error in &mut body.errors {
        error.message = without_secrets(&error.message, sent);
        error.detail = error.detail.take().filter(|detail| !sent.is_in(detail.get()));
    }
    Some(body)
}

/// All of it, but for a character that the bound has cut.
fn as_text(body: &[u8]) -> Option<&str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&body[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

/// Google's and others' stand one object deeper.
fn words_of(document: &Value) -> Option<String> {
    joined(document, |value| if value.is_object() { joined(value, words) } else { words(value) })
}

fn joined(document: &Value, read: impl Fn(&Value) -> Option<String>) -> Option<String> {
    let words: Vec<String> = FIELDS.iter().filter_map(|field| read(&document[*field])).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn words(value: &Value) -> Option<String> {
    value.as_str().map(|words| words.trim().to_owned()).filter(|words| !words.is_empty())
}

/// On one line; URLs without what they keep secret, and no credential, ours or another's, that is given back (A16).
fn without_secrets(words: &str, sent: &Sent) -> String {
    let mut after_scheme = false;
    let words = sent.hidden_in(words);
    let shown = words.split_whitespace().take(SHOWN).map(|word| {
        let is_plain = word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase() || b".,;:".contains(&byte));
        let is_credential = after_scheme && !is_plain;
        after_scheme = ["basic", "bearer"].iter().any(|scheme| word.to_ascii_lowercase().ends_with(scheme));
        if is_credential { "[secret]".to_owned() } else { without_query(word) }
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn without_query(word: &str) -> String {
    let start = word.find("http").unwrap_or_default();
    match Url::parse(&word[start..]) {
        Ok(url) if url.has_host() => format!("{}{}", &word[..start], Redacted(&url)),
        _ => match word.split_once('?') {
            Some((path, query)) if query.contains('=') => format!("{path}?.."),
            _ => word.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_quoted_from_its_beginning_and_harmless() {
        let nothing = Sent::with(None);
        let long = "x".repeat(1_000);
        let shown = "x".repeat(SHOWN);
        let cases: [(&str, &str, Option<&str>); 22] = [
            ("text/plain", "quota exceeded\n", Some("quota exceeded")),
            ("", " over\r\n\tquota ", Some("over quota")),
            ("text/plain", "a\u{1b}[2Jb\u{202e}c", Some("a\\u{1b}[2Jb\\u{202e}c")),
            ("text/plain", &long, Some(&shown)),
            ("text/plain", "", None),
            (
                "application/json",
                r#"{"details":"incorrect username or password"}"#,
                Some("incorrect username or password"),
            ),
            ("application/json", r#"{"error":"invalid_grant","error_description":"old"}"#, Some("invalid_grant old")),
            ("application/json", r#"{"error":{"code":403,"message":"no billing"}}"#, Some("no billing")),
            ("application/json", r#"{"message":7,"errors":[]}"#, None),
            ("application/json", r#"{"token":"canary"}"#, None),
            ("application/json", r#"["canary"]"#, None),
            ("application/json", r#"{"message":"broken"#, None),
            (
                "application/xml",
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>\
                 <StringToSign>canary</StringToSign></Error>",
                Some("Request has expired"),
            ),
            ("application/xml", "<Error><StringToSign>canary</StringToSign></Error>", None),
            ("text/html; charset=utf-8", "log in", None),
            ("", "<!DOCTYPE html><p>log in", None),
            ("text/plain", "GET https://me:canary@a.test/x?sig=canary: no", Some("GET https://a.test/x?.. no")),
            ("text/plain", "Get \"https://a.test/x?sig=canary\": EOF", Some("Get \"https://a.test/x?.. EOF")),
            ("text/plain", "no such path /x?X-Amz-Signature=canary", Some("no such path /x?..")),
            (
                "text/plain",
                "bad header Authorization: Bearer canary1",
                Some("bad header Authorization: Bearer [secret]"),
            ),
            ("text/plain", "basic authentication required", Some("basic authentication required")),
            ("text/plain", "what? no", Some("what? no")),
        ];
        for (content_type, body, expected) in cases {
            let mut headers = HeaderMap::new();
            if !content_type.is_empty() {
                headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
            }
            assert_eq!(said(&headers, body.as_bytes(), &nothing).as_deref(), expected, "{content_type}: {body}");
        }
        assert_eq!(said(&HeaderMap::new(), b"\x1f\x8b\x08", &nothing), None);
        assert_eq!(
            said(&HeaderMap::new(), "na\u{ef}".as_bytes().split_last().unwrap().1, &nothing).as_deref(),
            Some("na")
        );
    }
}
