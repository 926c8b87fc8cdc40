//! The signals that end a command, and the exit codes that shells expect then.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, listened for from the start.
#[derive(Debug)]
pub(crate) struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    /// Waits for the first of them.
    pub(crate) async fn cause(&mut self) -> Cause {
        tokio::select! {
            _ = self.int.recv() => Cause::Interrupt,
            _ = self.term.recv() => Cause::Terminate,
        }
    }
}

/// The signal that came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Cause {
    /// 128 and its number.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}
