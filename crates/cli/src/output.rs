//! Data on standard output, as text or as JSON. Nothing else prints there.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::Format;

/// Where a command's data goes, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// One value: its text, or its JSON.
    pub(crate) fn value(self, text: &str, json: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Text => line(text.as_bytes()),
            Format::Json => document(json),
        }
    }

    /// A document that is JSON already: its bytes as they are, or wrapped.
    pub(crate) fn document(self, bytes: &[u8], json: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Text => raw(bytes),
            Format::Json => document(json),
        }
    }

    /// Whether items are to be printed as they come, line by line.
    pub(crate) fn streams(self) -> bool {
        self.format == Format::Text
    }
}

fn document(value: &impl Serialize) -> io::Result<()> {
    line(&serde_json::to_vec_pretty(value)?)
}

/// A part of many bytes as they are. A reader that has stopped reading holds up a thread of its own and not this one, so
/// that a signal still ends the command.
pub(crate) async fn chunk(bytes: impl AsRef<[u8]> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(move || raw(bytes.as_ref())).await.map_err(io::Error::other)?
}

/// Bytes as they are.
fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Bytes, and an end of line.
pub(crate) fn line(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
