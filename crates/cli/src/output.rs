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
    pub(crate) async fn value(self, text: &str, json: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Text => line(text).await,
            Format::Json => pretty(json).await,
        }
    }

    /// Lines, each with its end, or their JSON.
    pub(crate) async fn text_or(self, lines: &str, json: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Text => raw(lines.to_owned()).await,
            Format::Json => pretty(json).await,
        }
    }

    /// What is to be told to programs only.
    pub(crate) async fn only_json(self, json: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => pretty(json).await,
        }
    }

    /// A document that is JSON already: its bytes as they are, or wrapped.
    pub(crate) async fn document(
        self,
        bytes: impl AsRef<[u8]> + Send + 'static,
        json: &impl Serialize,
    ) -> io::Result<()> {
        match self.format {
            Format::Text => raw(bytes).await,
            Format::Json => pretty(json).await,
        }
    }

    /// Whether items are to be printed as they come, line by line.
    pub(crate) fn streams(self) -> bool {
        self.format == Format::Text
    }
}

async fn pretty(value: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    raw(bytes).await
}

/// The text, and an end of line.
pub(crate) async fn line(text: &str) -> io::Result<()> {
    raw(format!("{text}\n")).await
}

/// Bytes as they are. A reader that has stopped reading holds up a thread of its own and not this one, so that a signal
/// still ends the command.
pub(crate) async fn raw(bytes: impl AsRef<[u8]> + Send + 'static) -> io::Result<()> {
    let write = move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes.as_ref())?;
        stdout.flush()
    };
    tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
}
