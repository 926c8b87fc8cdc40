//! What must hold for any bytes whatsoever: one function for each fuzz target, which panics where something does not.
//!
//! The same functions run under libFuzzer (`fuzz/fuzz_targets`, by `cargo xtask fuzz`) and, with every file of
//! `fuzz/corpus` and what a property runner makes of it, in the tests of this crate. None of them panics on bytes that are
//! merely bad: those are refused, and what was refused must be said in a way that can be shown.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    reason = "to panic is how a target says that something does not hold"
)]

mod client;
mod documents;
mod headers;
mod names;
mod route;
mod runtime;
mod sandbox;
mod serve;
mod stored;
mod unpack;

pub use client::{answers, retry_after, token};
pub use documents::{config, descriptor, error_body, index, listing, manifest};
pub use headers::{challenge, link, range, scope};
pub use names::{digest, host, platform, reference};
pub use route::route;
pub use serve::{requests, upload};
pub use stored::{archive, layout};
pub use unpack::{compressed, layers, tar};

/// The bytes as text, if they are; what is read from a header or a file as text never reaches a parser otherwise.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// The text as lines, a header each, say.
fn lines(data: &[u8]) -> Option<Vec<&str>> {
    text(data).map(|text| text.split('\n').collect())
}

/// What is said about bad input stands on one line and holds nothing that a terminal would obey (M15).
fn can_be_shown(said: &impl std::fmt::Display) {
    let said = said.to_string();
    assert!(!said.contains(char::is_control), "{said:?}");
}
