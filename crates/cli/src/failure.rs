//! One error becomes one line, at most one hint, and one exit code.

use std::error::Error as _;
use std::fmt::Write as _;
use std::process::ExitCode;

use gantri::{Error, ErrorKind};

use crate::signal::Cause;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line says what can't be.
    Usage(Error),
    /// The job failed.
    Job(Error),
    /// A signal ended it.
    Interrupted {
        /// What was under way.
        job: String,
        /// Which signal.
        cause: Cause,
    },
    /// Nobody reads standard output any more, which is no failure.
    BrokenPipe,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Job(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Job(Error::io("write to standard output", error))
        }
    }
}

impl Failure {
    /// What to say on standard error; nothing for a broken pipe.
    pub(crate) fn message(&self) -> Option<String> {
        let error = match self {
            Self::Usage(error) | Self::Job(error) => error,
            Self::Interrupted { job, cause } => {
                return Some(one_line(&format!("error: {job}: interrupted by {}", cause.name())));
            }
            Self::BrokenPipe => return None,
        };
        let mut text = format!("error: {}", told(error));
        if let Some(hint) = error.hint() {
            let _ = write!(text, "\nhint: {}", one_line(hint));
        }
        Some(text)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::BrokenPipe => 0,
            Self::Usage(_) => 2,
            Self::Interrupted { cause, .. } => cause.exit_code(),
            Self::Job(error) => match error.kind() {
                ErrorKind::RepositoryUnknown
                | ErrorKind::ManifestUnknown
                | ErrorKind::BlobUnknown
                | ErrorKind::PlatformUnknown => 3,
                ErrorKind::Unauthorized | ErrorKind::Denied => 4,
                _ => 1,
            },
        })
    }
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        // Some causes repeat what their wrapper said.
        if !text.ends_with(&cause) {
            let _ = write!(text, ": {cause}");
        }
    }
    one_line(&text)
}

/// What lies below an error, unless the error has said itself what lies at the bottom: the way there is of no interest then.
fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut below = error.source();
    while let Some(cause) = below {
        causes.push(cause.to_string());
        below = cause.source();
    }
    let bottom = causes.last().map(|cause| cause.split(" (os error").next().unwrap_or_default().to_lowercase());
    let said = bottom.is_some_and(|bottom| error.to_string().to_lowercase().contains(&bottom));
    if said { Vec::new() } else { causes }
}

/// Causes come from many hands and may hold anything; an error stays one line that no terminal obeys (M15).
pub(crate) fn one_line(text: &str) -> String {
    gantri::display_untrusted(&text.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_causes_and_a_hint() {
        let error = Error::new(ErrorKind::Connect, "connect to 127.0.0.1:1")
            .with_source(std::io::Error::other("refused\n\u{1b}[2J"))
            .with_hint("start it")
            .during("pull x");
        let message = Failure::Job(error).message();
        assert_eq!(
            message.as_deref(),
            Some("error: pull x: connect to 127.0.0.1:1: refused \\u{1b}[2J\nhint: start it")
        );
    }

    #[test]
    fn what_lies_at_the_bottom_is_said_once() {
        let refused = || std::io::Error::from_raw_os_error(111);
        let cases = [
            ("connection refused", "error: connection refused"),
            ("closed", "error: closed: Connection refused (os error 111)"),
        ];
        for (what, expected) in cases {
            let error = Error::new(ErrorKind::Connect, what).with_source(refused());
            assert_eq!(Failure::Job(error).message().as_deref(), Some(expected));
        }
    }
}
