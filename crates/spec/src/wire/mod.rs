//! The wire grammar: how the distribution spec is spelled in HTTP, for both of its sides.
//!
//! The client prints what the server parses and the other way round, so every dialect lives here once: requests
//! ([`Endpoint`]), ranges, errors, challenges, scopes, links, warnings and listing bodies. Nothing here sends, retries or
//! trusts: what to do with what was read is the business of the client and of the server.

mod challenge;
mod endpoint;
mod error;
pub mod link;
mod listing;
mod range;
mod scope;
mod warning;

pub use challenge::{Challenge, Scheme};
pub use endpoint::{Endpoint, EndpointError, Page};
pub use error::{ErrorBody, ErrorCode, WireError};
pub use listing::{RepositoryList, TagList};
pub use range::{ByteRange, ContentRange, InvalidRange, RequestedRange, UnsatisfiedRange, UploadRange};
pub use scope::{InvalidScope, Scope};
pub use warning::warnings;

/// The inside of a quoted string whose opening quote is gone, and what follows its closing one. A string that is
/// never closed ends with the text.
fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}
