//! What is expected of each cell: by rule for a mode and an operation, with the exceptions named. The rows of the checklist
//! that say so stand in brackets.
//!
//! What makes no sense is no cell: a body that is cut where there is none, an answer to a range where none is asked for.

#![expect(
    clippy::enum_glob_use,
    clippy::match_same_arms,
    reason = "a table is read by its words, a line for each rule"
)]

use std::fmt;

use gantri::ErrorKind::{self, *};
use test_support::fault::Operation::{self, *};
use test_support::fault::{Detour, ErrorPage, FramingMode, Mode, Pause, TlsMode, UploadMode};

use crate::cell::Times::{self, Always, Once};

/// What is to come of a cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// S: it succeeds, and what was given or stored is right.
    Succeeds,
    /// S, and no byte that has arrived goes again, but for a chunk that was not acknowledged.
    Resumes,
    /// F: it fails at once or after its tries, with this kind.
    Fails(ErrorKind),
    /// R: it is not done, because it must not be.
    Refuses(ErrorKind),
}

use Class::{Fails, Refuses, Resumes, Succeeds};

/// What is expected; `None` where there is no such cell.
pub(crate) fn expected(mode: Mode, operation: Operation, times: Times) -> Option<Class> {
    match mode {
        Mode::Refuse | Mode::Tls(TlsMode::CutInHandshake) => Some(passing(times, Connect)),
        // What is only asked beforehand may fail in any way: the work itself goes over the next connection.
        Mode::Tls(_) if times == Once && matches!(operation, PushMonolithic | PushChunked | Delete) => Some(Succeeds),
        // Nothing helps against these, and nothing else is tried (A13).
        Mode::Tls(_) => Some(Fails(Connect)),
        Mode::AcceptThenClose | Mode::ResetBeforeHeaders | Mode::ResetMidHeaders | Mode::HalfClose => {
            Some(passing(times, Unavailable))
        }
        Mode::Hang => Some(passing(times, Timeout)),
        Mode::TruncateAt(_) | Mode::ResetAt(_) => broken(operation, times, Unavailable),
        Mode::StallAt(_) | Mode::Dribble => broken(operation, times, Timeout),
        Mode::FlipAt(_) => flipped(operation),
        Mode::Framing(framing) => misframed(framing, operation, times),
        Mode::Status(status, page) => Some(refused(status, page, operation, times)),
        Mode::RetryAfter(status, pause) => {
            let kind = if status == 429 { RateLimited } else { Unavailable };
            // Nobody waits for that long; the error says until when (H8).
            Some(if pause == Pause::Year9999 { Fails(kind) } else { passing(times, kind) })
        }
        Mode::Redirect(detour) => Some(led(detour, operation, times)),
        // The right range, or the whole of which what is here is thrown away, or once more from the start (H3, H4, H5).
        Mode::Range(_) => (operation == PullBlob).then_some(Succeeds),
        Mode::Upload(upload) => uploaded(upload, operation, times),
        _ => None,
    }
}

/// What passes is tried again (H1, H9, H11).
fn passing(times: Times, kind: ErrorKind) -> Class {
    if times == Once { Succeeds } else { Fails(kind) }
}

/// Whether the answer has a body that means something.
fn answers(operation: Operation) -> bool {
    matches!(operation, Token | PullManifest | PullBlob | Tags | Referrers)
}

/// Whether the request has a body.
fn carries(operation: Operation) -> bool {
    matches!(operation, PushMonolithic | PushChunked | PushManifest)
}

/// A body that breaks off or stands still (H2, H11, H14).
fn broken(operation: Operation, times: Times, kind: ErrorKind) -> Option<Class> {
    if !answers(operation) && !carries(operation) {
        return None;
    }
    Some(match (operation, times) {
        (PullBlob | PushMonolithic | PushChunked, Once) => Resumes,
        // What the first request did not bring goes on in steps, and those are left alone here.
        (PushMonolithic, Always) => Resumes,
        _ => passing(times, kind),
    })
}

/// A byte that is another one: where a digest stands over the bytes, it is found out. Lists and tokens have none.
fn flipped(operation: Operation) -> Option<Class> {
    match operation {
        PullManifest | PullBlob | PushMonolithic | PushChunked => Some(Fails(DigestMismatch)),
        PushManifest => Some(Fails(ManifestInvalid)),
        _ => None,
    }
}

/// Where an answer ends (M7), what it is recoded with (M8), and whether it is one at all (M9).
fn misframed(mode: FramingMode, operation: Operation, times: Times) -> Option<Class> {
    let has_body = answers(operation);
    Some(match mode {
        // They belong to no answer; the connection is not used again.
        FramingMode::ExtraBytes => Succeeds,
        FramingMode::LengthAbsent => Succeeds,
        // The size of a blob is what its first answer says, and that was a lie.
        FramingMode::LengthTooBig if operation == PullBlob => {
            Fails(if times == Once { Protocol } else { SizeMismatch })
        }
        FramingMode::LengthTooBig | FramingMode::ChunkedWithoutEnd | FramingMode::BadChunkSize if !has_body => Succeeds,
        // Every byte of the blob is here: its end is not waited for (H11).
        FramingMode::ChunkedWithoutEnd if operation == PullBlob => Succeeds,
        FramingMode::LengthTooBig | FramingMode::ChunkedWithoutEnd | FramingMode::BadChunkSize => {
            passing(times, Unavailable)
        }
        FramingMode::LengthTooSmall => match operation {
            Token => Fails(Protocol),
            PullManifest | PullBlob => Fails(DigestMismatch),
            Tags => Fails(NotARegistry),
            Referrers => Fails(ManifestInvalid),
            // The size that HEAD tells is believed until the bytes come.
            Resolve | Ping => Succeeds,
            _ => return None,
        },
        // Two lengths are how requests are smuggled: that is no HTTP. A body that does not come has none.
        FramingMode::LengthTwice if operation == Resolve => Succeeds,
        // The list that is kept under the tag is as good (H10).
        FramingMode::LengthTwice | FramingMode::Empty200 if operation == Referrers => Succeeds,
        // Who may not mount, may still push.
        FramingMode::LengthTwice if operation == Mount => Succeeds,
        FramingMode::LengthTwice => Fails(NotARegistry),
        FramingMode::Gzip if has_body => Fails(Protocol),
        FramingMode::Gzip => Succeeds,
        FramingMode::Empty200 => match operation {
            Token => Fails(Protocol),
            PullManifest | Tags => Fails(NotARegistry),
            PullBlob => Fails(DigestMismatch),
            // HEAD leaves out what GET then tells; any success will do for what was sent (H16).
            _ => Succeeds,
        },
    })
}

/// A status that refuses (H9, H10). A page of HTML is nobody's registry (M9).
fn refused(status: u16, page: ErrorPage, operation: Operation, times: Times) -> Class {
    let html = page == ErrorPage::Html;
    match (status, operation) {
        // Without a reason of its own, a token server refuses, or is away.
        (400.., Token) if page != ErrorPage::Json && !matches!(status, 403 | 405 | 408 | 429 | 500..=503) => {
            match status {
                504 => passing(times, Unavailable),
                _ => Fails(Unauthorized),
            }
        }
        (408 | 504, _) => passing(times, Timeout),
        (429, _) => passing(times, RateLimited),
        (500.., _) => passing(times, Unavailable),
        // Whoever may not mount, may still push (A11).
        (401 | 403 | 404 | 405, Mount) => Succeeds,
        (400 | 406, Mount) if html => Succeeds,
        // Smaller ones may be taken (H17); chunks are as small here as they get.
        (413, PushMonolithic) if times == Once => Succeeds,
        (413, PushManifest) => Fails(LimitExceeded),
        // Without the API, the tag (H10).
        (400 | 404 | 405 | 406, Referrers) => Succeeds,
        (401, _) => Fails(Unauthorized),
        (403, _) => Fails(Denied),
        // Who does not know HEAD knows GET; and so it is asked for a token once more.
        (405, Resolve) => Succeeds,
        (405, Token) if times == Once => Succeeds,
        (405, Token) if page != ErrorPage::Json => Fails(Unauthorized),
        // Who takes no end with a body takes it without.
        (405, PushMonolithic) if times == Once => Succeeds,
        // A session that is not found is lost, whatever is said of it (H13).
        (404, PushMonolithic | PushChunked) if times == Once => Succeeds,
        (405, Delete) => Fails(Unsupported),
        (400 | 404 | 405 | 406, _) if html => Fails(NotARegistry),
        (405, _) => Fails(Unsupported),
        // A code that nobody knows says less than none.
        (404, _) if page == ErrorPage::Json && operation != Resolve => Fails(RepositoryUnknown),
        (404, Ping) => Fails(NotARegistry),
        (404, Resolve | PullManifest | Delete) => Fails(ManifestUnknown),
        (404, PullBlob) => Fails(BlobUnknown),
        (404, PushMonolithic | PushChunked) => Fails(UploadUnknown),
        (404, _) => Fails(RepositoryUnknown),
        _ => Fails(Protocol),
    }
}

/// Where a redirect leads (A3, A4, A7).
fn led(detour: Detour, operation: Operation, times: Times) -> Class {
    match detour {
        Detour::LinkLocal | Detour::ToHttp => Refuses(Protocol),
        Detour::Loop | Detour::Hops(6..) => Fails(LimitExceeded),
        Detour::SameOrigin | Detour::Hops(_) => Succeeds,
        // A token server leads nobody away with a password (A3).
        _ if operation == Token => Refuses(Protocol),
        // The registry is asked for another one (H7), as long as that helps.
        Detour::ExpiredPresign if answers(operation) || operation == PushManifest => passing(times, Unavailable),
        Detour::ExpiredPresign if operation == PushChunked => passing(times, Unavailable),
        _ => Succeeds,
    }
}

/// What registries say of uploads (A5, H13 to H18).
fn uploaded(mode: UploadMode, operation: Operation, times: Times) -> Option<Class> {
    let writes = carries(operation) || matches!(operation, Mount | Delete);
    match (mode, operation) {
        (UploadMode::SessionLost, PushMonolithic | PushChunked) => Some(passing(times, UploadUnknown)),
        (UploadMode::StaleRange | UploadMode::LaggingRange | UploadMode::ChunkCreated, PushChunked) => Some(Succeeds),
        // Where the upload goes on is nowhere said.
        (UploadMode::NoLocation, PushMonolithic) => Some(Fails(Protocol)),
        // Where it went on before.
        (UploadMode::NoLocation, PushChunked) => Some(Succeeds),
        (UploadMode::LocationElsewhere | UploadMode::LocationDowngrade, PushMonolithic | PushChunked) => Some(Succeeds),
        // It is looked for before it is sent again (H18).
        (UploadMode::CommitThen500 | UploadMode::CommitThenReset, PushMonolithic | PushChunked | PushManifest) => {
            Some(Succeeds)
        }
        (UploadMode::CommitThen500 | UploadMode::CommitThenReset, _) if writes => Some(passing(times, Unavailable)),
        _ => None,
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Succeeds => f.write_str("S"),
            Resumes => f.write_str("S, resumes"),
            Fails(kind) => write!(f, "F {kind:?}"),
            Refuses(kind) => write!(f, "R {kind:?}"),
        }
    }
}
