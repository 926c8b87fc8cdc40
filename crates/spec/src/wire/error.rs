//! Error bodies: [`ErrorCode`], the one table from code to status, and [`ErrorBody`].
//!
//! Reading is lenient and the codes are open, for a registry with a code of its own must stay understandable. What
//! kind of error a code and a status amount to is decided in `gantri-core`.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The name of an error on the wire. Open: a code that the spec does not know is carried.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// `BLOB_UNKNOWN`: the repository has no such blob.
    BlobUnknown,
    /// `BLOB_UPLOAD_INVALID`: the upload can't be gone on with.
    BlobUploadInvalid,
    /// `BLOB_UPLOAD_UNKNOWN`: there is no such upload.
    BlobUploadUnknown,
    /// `DIGEST_INVALID`: not a digest, or not that of the content.
    DigestInvalid,
    /// `MANIFEST_BLOB_UNKNOWN`: a manifest refers to what is not there.
    ManifestBlobUnknown,
    /// `MANIFEST_INVALID`: not a manifest.
    ManifestInvalid,
    /// `MANIFEST_UNKNOWN`: the repository has no such manifest or tag.
    ManifestUnknown,
    /// `NAME_INVALID`: not a repository name.
    NameInvalid,
    /// `NAME_UNKNOWN`: there is no such repository.
    NameUnknown,
    /// `SIZE_INVALID`: not as many bytes as were announced.
    SizeInvalid,
    /// `UNAUTHORIZED`: credentials are missing or wrong.
    Unauthorized,
    /// `DENIED`: credentials are right, but not enough.
    Denied,
    /// `UNSUPPORTED`: the registry does not do this.
    Unsupported,
    /// `TOOMANYREQUESTS`: slow down.
    TooManyRequests,
    /// `TAG_INVALID`: not a tag. From the Docker registry.
    TagInvalid,
    /// `RANGE_INVALID`: a range of content that can't be had, or a chunk out of order. From the Docker registry.
    RangeInvalid,
    /// `UNKNOWN`: no reason given. From the Docker registry.
    Unknown,
    /// `UNAVAILABLE`: not now. From the Docker registry.
    Unavailable,
    /// Any other.
    Other(Box<str>),
}

impl ErrorCode {
    /// The code as it is written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(code) => code,
            known => TABLE.iter().find(|(code, ..)| code == known).map_or("UNKNOWN", |(_, name, _)| name),
        }
    }

    /// The status that a server answers with when this is the reason.
    pub fn status(&self) -> StatusCode {
        let row = TABLE.iter().find(|(code, ..)| code == self);
        row.map_or(StatusCode::INTERNAL_SERVER_ERROR, |(.., status)| *status)
    }
}

/// THE table. Statuses are those of the spec where it says one, else those of distribution.
const TABLE: &[(ErrorCode, &str, StatusCode)] = &[
    (ErrorCode::BlobUnknown, "BLOB_UNKNOWN", StatusCode::NOT_FOUND),
    (ErrorCode::BlobUploadInvalid, "BLOB_UPLOAD_INVALID", StatusCode::BAD_REQUEST),
    (ErrorCode::BlobUploadUnknown, "BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND),
    (ErrorCode::DigestInvalid, "DIGEST_INVALID", StatusCode::BAD_REQUEST),
    (ErrorCode::ManifestBlobUnknown, "MANIFEST_BLOB_UNKNOWN", StatusCode::BAD_REQUEST),
    (ErrorCode::ManifestInvalid, "MANIFEST_INVALID", StatusCode::BAD_REQUEST),
    (ErrorCode::ManifestUnknown, "MANIFEST_UNKNOWN", StatusCode::NOT_FOUND),
    (ErrorCode::NameInvalid, "NAME_INVALID", StatusCode::BAD_REQUEST),
    (ErrorCode::NameUnknown, "NAME_UNKNOWN", StatusCode::NOT_FOUND),
    (ErrorCode::SizeInvalid, "SIZE_INVALID", StatusCode::BAD_REQUEST),
    (ErrorCode::Unauthorized, "UNAUTHORIZED", StatusCode::UNAUTHORIZED),
    (ErrorCode::Denied, "DENIED", StatusCode::FORBIDDEN),
    (ErrorCode::Unsupported, "UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED),
    (ErrorCode::TooManyRequests, "TOOMANYREQUESTS", StatusCode::TOO_MANY_REQUESTS),
    (ErrorCode::TagInvalid, "TAG_INVALID", StatusCode::BAD_REQUEST),
    (ErrorCode::RangeInvalid, "RANGE_INVALID", StatusCode::RANGE_NOT_SATISFIABLE),
    (ErrorCode::Unknown, "UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
    (ErrorCode::Unavailable, "UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
];

impl From<&str> for ErrorCode {
    fn from(code: &str) -> Self {
        let row = TABLE.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(code));
        row.map_or_else(|| Self::Other(code.into()), |(known, ..)| known.clone())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The body of a failure: `{"errors":[…]}`.
#[expect(clippy::exhaustive_structs, reason = "closed by the spec")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct ErrorBody {
    /// What went wrong, at least one thing in a body that was read.
    pub errors: Vec<WireError>,
}

/// One thing that went wrong.
#[expect(clippy::exhaustive_structs, reason = "closed by the spec")]
#[derive(Clone, Debug, Serialize)]
pub struct WireError {
    /// Which thing.
    pub code: ErrorCode,
    /// The registry's own words, for humans; without control characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Evidence in a shape of the registry's own, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<RawValue>>,
}

impl ErrorBody {
    /// A body with one error.
    pub fn one(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![WireError { code, message: message.into(), detail: None }] }
    }

    /// Reads what can be understood; `None` if that is not a single error.
    ///
    /// Entries without a code count as [`Unknown`](ErrorCode::Unknown), as Artifactory writes them.
    pub fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            errors: Option<Vec<&'a RawValue>>,
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let entries = serde_json::from_slice::<Body<'_>>(body).ok()?.errors?;
        let errors: Vec<_> = entries.into_iter().filter_map(WireError::parse).collect();
        (!errors.is_empty()).then_some(Self { errors })
    }

    /// The body as it is sent.
    pub fn to_bytes(&self) -> Bytes {
        // Strings and raw JSON always serialise; an empty object would still be an honest body.
        serde_json::to_vec(self).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
    }
}

impl WireError {
    fn parse(entry: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Entry<'a> {
            #[serde(borrow)]
            code: Option<&'a RawValue>,
            #[serde(borrow)]
            message: Option<&'a RawValue>,
            detail: Option<Box<RawValue>>,
        }
        let entry: Entry<'_> = serde_json::from_str(entry.get()).ok()?;
        let code = entry.code.map(text).filter(|code| !code.is_empty());
        Some(Self {
            code: code.map_or(ErrorCode::Unknown, |code| ErrorCode::from(code.as_str())),
            message: entry.message.map(text).unwrap_or_default(),
            detail: entry.detail.filter(|detail| detail.get() != "null"),
        })
    }
}

/// A string's content, or any other value as it is written. Control characters become spaces: this ends up on
/// terminals and in logs.
fn text(value: &RawValue) -> String {
    let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn every_code_of_the_table_reads_back_in_either_case() {
        for (code, name, status) in TABLE {
            assert_eq!(ErrorCode::from(*name), *code);
            assert_eq!(ErrorCode::from(name.to_ascii_lowercase().as_str()), *code);
            assert_eq!((code.as_str(), code.status()), (*name, *status));
        }
        let own = ErrorCode::from("QUOTA_Exceeded");
        assert_eq!((own.as_str(), own.status().as_u16()), ("QUOTA_Exceeded", 500));
    }

    #[test]
    fn an_error_body_is_read_as_far_as_it_can_be_understood() {
        // Each error as code|message|detail, with a line end after it.
        let table = [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"gone","detail":{"Tag": "v1"}}]}"#,
                "MANIFEST_UNKNOWN|gone|{\"Tag\": \"v1\"}\n",
            ),
            (r#"{"errors":[{"code":"OWN"},{"code":"DENIED","message":null,"detail":null}]}"#, "OWN||\nDENIED||\n"),
            // Artifactory: a status instead of a code.
            (r#"{"errors":[{"status":404,"message":"Not Found"}]}"#, "UNKNOWN|Not Found|\n"),
            (r#"{"errors":[{"code":404,"message":["x"]}],"extra":1}"#, "404|[\"x\"]|\n"),
            (r#"{"errors":[7,null,{"code":"DENIED"}]}"#, "DENIED||\n"),
            ("\u{feff}{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED||\n"),
            // Escape sequences would drive the terminal that shows them.
            (r#"{"errors":[{"code":"\u001b[2J","message":"a\u001b[31m\nb"}]}"#, " [2J|a [31m b|\n"),
            (r#"{"errors":[]}"#, ""),
            (r#"{"errors":null}"#, ""),
            (r#"{"errors":{"code":"X"}}"#, ""),
            (r#"{"details":"incorrect username or password"}"#, ""),
            (r#"{"errors":[{"code":"X"}]"#, ""),
            ("<html>404</html>", ""),
            ("", ""),
        ];
        for (text, expected) in table {
            let mut read = String::new();
            for error in ErrorBody::parse(text.as_bytes()).into_iter().flat_map(|body| body.errors) {
                let detail = error.detail.as_deref().map_or("", RawValue::get);
                writeln!(read, "{}|{}|{detail}", error.code, error.message).unwrap();
            }
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn m10_deep_nesting_is_carried_without_descending_into_it() {
        let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(r#"{{"errors":[{{"code":"DENIED","detail":{nested}}}]}}"#);
        let read = ErrorBody::parse(body.as_bytes()).unwrap();
        assert_eq!(read.errors[0].detail.as_ref().unwrap().get(), nested);
        assert!(ErrorBody::parse(b"{\"errors\":[{\"code\":\"\xff\"}]}").is_none());
    }

    #[test]
    fn what_is_written_reads_back() {
        let detail = RawValue::from_string(r#"{"size":  1}"#.to_owned()).unwrap();
        let mut body = ErrorBody::one(ErrorCode::SizeInvalid, "too short");
        body.errors[0].detail = Some(detail);
        let bytes = body.to_bytes();
        assert_eq!(bytes, r#"{"errors":[{"code":"SIZE_INVALID","message":"too short","detail":{"size":  1}}]}"#);
        let read = ErrorBody::parse(&bytes).unwrap();
        assert_eq!(read.errors[0].code, ErrorCode::SizeInvalid);
    }
}
