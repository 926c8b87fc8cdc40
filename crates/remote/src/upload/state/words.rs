//! What the machine says, and what it is told.

use gantri_core::{Error, ErrorKind, Retry};
use gantri_spec::wire::UploadRange;

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Open a session (end-4a, end-4c).
    Start,
    /// Send these bytes (end-5).
    Send { from: u64, to: u64 },
    /// Ask where the upload stands (end-13).
    Ask,
    /// End it, with the bytes from `from` on (end-6).
    Commit { from: u64 },
    /// Ask whether the blob is there (end-2).
    Look,
    /// Nothing.
    Rest,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Started,
    /// Bytes were taken; the registry may have said how many it holds.
    Accepted(Option<UploadRange>),
    Committed,
    /// Sending, or the commit, was not answered or refused.
    Refused(Refusal),
    /// The registry says what it holds, or answers without saying.
    Stands(Option<UploadRange>),
    /// The registry does not say where the upload stands.
    Untold(Refusal),
    Present,
    Missing,
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// No answer, or one that leaves open what was done; it may go well another time.
    Lost,
    OutOfRange,
    TooLarge,
    Gone,
    WrongDigest,
    /// This way is not offered.
    Unsupported,
    /// The registry says no, and it will not say anything else.
    Denied,
    /// It did not come to the registry, or to nothing there, or its answer leads where it may not lead.
    Failed,
}

/// Why the upload does not go on, or not with these bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// The last refusal is the last word.
    Final,
    /// The session is gone, and so are bytes that it held.
    Unknown,
    /// It stands where there is nothing to go on with.
    Elsewhere(u64),
}

impl Refusal {
    /// What a registry's refusal means for an upload.
    pub(crate) fn of(error: &Error) -> Self {
        match (error.kind(), error.status().map(|status| status.as_u16())) {
            (_, Some(413)) => Self::TooLarge,
            (_, Some(405 | 411 | 501)) | (ErrorKind::Unsupported, _) => Self::Unsupported,
            (ErrorKind::RangeInvalid | ErrorKind::UploadInvalid, _) | (_, Some(416)) => Self::OutOfRange,
            (ErrorKind::DigestMismatch, _) => Self::WrongDigest,
            (ErrorKind::UploadUnknown, _) | (_, Some(404)) => Self::Gone,
            (ErrorKind::Unauthorized | ErrorKind::Denied, _) => Self::Denied,
            // Nothing was done, and it was tried as often as is decent already (H25).
            (ErrorKind::RateLimited, _) => Self::Failed,
            _ if error.retry() != Retry::Never => Self::Lost,
            (_, Some(_)) => Self::Denied,
            (_, None) => Self::Failed,
        }
    }
}

/// What is known of bytes in doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sign {
    None,
    /// They were taken, but the answer names another end than theirs.
    Taken,
    /// They were refused for where they begin or how many they are.
    Refused,
}
