//! What can go wrong: every mode by its name. What each does on the wire is in `serve.rs`, `forward.rs` and `canned.rs`.

use std::fmt;
use std::time::Duration;

/// One way to go wrong. Where a body is cut, stopped or changed, it is the request's if that has one, else the answer's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Nobody listens. Of connections: the n-th is refused. On a socket, which must listen, it is reset at once.
    Refuse,
    /// The connection is taken and closed.
    AcceptThenClose,
    /// The request is read, and the connection reset.
    ResetBeforeHeaders,
    /// The connection is reset in the middle of the answer's head.
    ResetMidHeaders,
    /// The other side says that it will send no more, and says nothing, but goes on reading.
    HalfClose,
    /// The request is read, and nothing comes.
    Hang,
    /// What goes wrong with TLS, by connection.
    Tls(TlsMode),
    /// So many bytes of the body, then the connection is closed in order.
    TruncateAt(u64),
    /// So many bytes of the body, then the connection is reset.
    ResetAt(u64),
    /// So many bytes of the body, then nothing more, and nothing more is read.
    StallAt(u64),
    /// A byte a second.
    Dribble,
    /// The byte at this place is another one.
    FlipAt(u64),
    /// Some number of bytes between the two, drawn anew each time from the seed; then closed or reset, as is drawn too.
    CutBetween(u64, u64),
    /// What is wrong with how the answer says where it ends.
    Framing(FramingMode),
    /// This status, with this body, and the registry behind is not asked.
    Status(u16, ErrorPage),
    /// This status with a `Retry-After`.
    RetryAfter(u16, Pause),
    /// To another place.
    Redirect(Detour),
    /// What is wrong with the answer to a range; requests without one are left alone.
    Range(RangeMode),
    /// What is wrong with an upload's answers.
    Upload(UploadMode),
}

/// What goes wrong with TLS.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the five of the checklist")]
pub enum TlsMode {
    /// The connection is closed in the middle of the handshake.
    CutInHandshake,
    /// The certificate is another host's.
    WrongName,
    /// The certificate was good until yesterday.
    Expired,
    /// The certificate vouches for itself.
    SelfSigned,
    /// Plain HTTP is spoken.
    PlainHttp,
}

/// What is wrong with how an answer says where it ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the nine of the checklist")]
pub enum FramingMode {
    /// More bytes come than were announced.
    ExtraBytes,
    /// More bytes are announced than come; then the connection is closed.
    LengthTooBig,
    /// Fewer bytes are announced than come.
    LengthTooSmall,
    /// No length; the body ends with the connection.
    LengthAbsent,
    /// Two lengths that differ.
    LengthTwice,
    /// Chunks, of which none is the last, and the connection is closed.
    ChunkedWithoutEnd,
    /// A chunk whose size is no number.
    BadChunkSize,
    /// Recoded with gzip, which nobody asked for.
    Gzip,
    /// 200, and nothing else.
    Empty200,
}

/// The body of a refusal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the four of the checklist")]
pub enum ErrorPage {
    /// An error as the spec wants it, with a code that no registry knows.
    Json,
    /// A web page.
    Html,
    /// None.
    Empty,
    /// A mebibyte of text.
    Large,
}

/// How long one is asked to wait.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the four of the checklist, and the hours of Docker Hub")]
pub enum Pause {
    /// So many seconds.
    Seconds(u64),
    /// Until a date, so many seconds from now.
    Date(u64),
    /// Until the last second of the year 9999.
    Year9999,
    /// What is no time at all.
    Junk,
}

/// Where a redirect leads.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the nine of the checklist, and the hops that are allowed")]
pub enum Detour {
    /// Another path of the same origin.
    SameOrigin,
    /// Another port of the same host.
    OtherPort,
    /// Another host.
    OtherHost,
    /// Another host, by plain http.
    ToHttp,
    /// `169.254.169.254`.
    LinkLocal,
    /// Where it came from.
    Loop,
    /// So many hops, then all is well.
    Hops(u32),
    /// Another host, whose address is good once and breaks off in the middle of the body.
    ExpiredPresign,
    /// Another host that answers 400 to whoever brings an `Authorization`.
    RejectsAuthorization,
}

/// What is wrong with the answer to a range.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the seven of the checklist")]
pub enum RangeMode {
    /// 200 with everything.
    Whole,
    /// 206 that says, and has, another start.
    WrongStart,
    /// 206 that says another total.
    WrongTotal,
    /// 206 that does not say what it is.
    NoContentRange,
    /// 206 in several parts.
    Multipart,
    /// 416.
    NotSatisfiable,
    /// `Accept-Ranges: none` and everything.
    AcceptRangesNone,
}

/// What is wrong with an upload's answers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the nine of the checklist")]
pub enum UploadMode {
    /// 404 from now on for this session.
    SessionLost,
    /// A `Range` that is one chunk behind.
    StaleRange,
    /// A chunk is kept but for its last thousand bytes, and the `Range` says so.
    LaggingRange,
    /// A chunk is answered with 201.
    ChunkCreated,
    /// No `Location`.
    NoLocation,
    /// A `Location` on another host.
    LocationElsewhere,
    /// A `Location` with `http:` on the same host.
    LocationDowngrade,
    /// It is done, and answered with 500.
    CommitThen500,
    /// It is done, and the connection is reset.
    CommitThenReset,
}

/// What belongs together in the matrix.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the seven of the checklist")]
pub enum Group {
    /// Before an answer begins.
    Connection,
    /// In a body, or in how it says where it ends.
    Body,
    /// A status that refuses.
    Status,
    /// `Retry-After`.
    Retry,
    /// Redirects.
    Redirect,
    /// Answers to ranges.
    Range,
    /// Answers to uploads.
    Upload,
}

/// How slow a connection is, each way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to a line")]
pub struct SlowLink {
    /// Before the first byte of each answer.
    pub latency: Duration,
    /// Bytes a second.
    pub rate: u64,
}

impl Mode {
    /// Every mode of the checklist, with numbers that content of 64 KiB reaches.
    pub fn all() -> Vec<Self> {
        use FramingMode as F;
        use TlsMode as T;
        let mut all = vec![
            Self::Refuse,
            Self::AcceptThenClose,
            Self::ResetBeforeHeaders,
            Self::ResetMidHeaders,
            Self::HalfClose,
            Self::Hang,
        ];
        all.extend([T::CutInHandshake, T::WrongName, T::Expired, T::SelfSigned, T::PlainHttp].map(Self::Tls));
        all.extend([Self::TruncateAt(AT), Self::ResetAt(AT), Self::StallAt(AT), Self::Dribble, Self::FlipAt(AT)]);
        let lengths = [F::ExtraBytes, F::LengthTooBig, F::LengthTooSmall, F::LengthAbsent, F::LengthTwice];
        all.extend(lengths.map(Self::Framing));
        all.extend([F::ChunkedWithoutEnd, F::BadChunkSize, F::Gzip, F::Empty200].map(Self::Framing));
        for status in STATUSES {
            all.extend(ErrorPage::ALL.map(|page| Self::Status(status, page)));
        }
        for status in [429, 503] {
            let pauses = [Pause::Seconds(5), Pause::Date(5), Pause::Year9999, Pause::Junk];
            all.extend(pauses.map(|pause| Self::RetryAfter(status, pause)));
        }
        all.extend(Detour::ALL.map(Self::Redirect));
        all.extend(RangeMode::ALL.map(Self::Range));
        all.extend(UploadMode::ALL.map(Self::Upload));
        all
    }

    /// What it belongs to.
    pub fn group(self) -> Group {
        match self {
            Self::Refuse
            | Self::AcceptThenClose
            | Self::ResetBeforeHeaders
            | Self::ResetMidHeaders
            | Self::HalfClose
            | Self::Hang
            | Self::Tls(_) => Group::Connection,
            Self::TruncateAt(_)
            | Self::ResetAt(_)
            | Self::StallAt(_)
            | Self::Dribble
            | Self::FlipAt(_)
            | Self::CutBetween(..)
            | Self::Framing(_) => Group::Body,
            Self::Status(..) => Group::Status,
            Self::RetryAfter(..) => Group::Retry,
            Self::Redirect(_) => Group::Redirect,
            Self::Range(_) => Group::Range,
            Self::Upload(_) => Group::Upload,
        }
    }

    /// Whether it befalls a connection before anybody has asked anything.
    pub(super) fn is_of_connections(self) -> bool {
        matches!(self, Self::Refuse | Self::AcceptThenClose | Self::Tls(_))
    }

    /// The mode of this name, as [`Display`](fmt::Display) writes it.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|mode| mode.to_string() == name)
    }
}

/// Where bodies are cut, unless somebody says otherwise.
const AT: u64 = 100;

/// The statuses that refuse.
pub const STATUSES: [u16; 13] = [400, 401, 403, 404, 405, 406, 408, 413, 429, 500, 502, 503, 504];

impl ErrorPage {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Json, Self::Html, Self::Empty, Self::Large];
}

impl Detour {
    /// Each, with as many hops as are too many, and one fewer.
    pub const ALL: [Self; 10] = [
        Self::SameOrigin,
        Self::OtherPort,
        Self::OtherHost,
        Self::ToHttp,
        Self::LinkLocal,
        Self::Loop,
        Self::Hops(5),
        Self::Hops(6),
        Self::ExpiredPresign,
        Self::RejectsAuthorization,
    ];
}

impl RangeMode {
    /// Each.
    pub const ALL: [Self; 7] = [
        Self::Whole,
        Self::WrongStart,
        Self::WrongTotal,
        Self::NoContentRange,
        Self::Multipart,
        Self::NotSatisfiable,
        Self::AcceptRangesNone,
    ];
}

impl UploadMode {
    /// Each.
    pub const ALL: [Self; 9] = [
        Self::SessionLost,
        Self::StaleRange,
        Self::LaggingRange,
        Self::ChunkCreated,
        Self::NoLocation,
        Self::LocationElsewhere,
        Self::LocationDowngrade,
        Self::CommitThen500,
        Self::CommitThenReset,
    ];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(mode) => write!(f, "tls-{}", kebab(&format!("{mode:?}"))),
            Self::TruncateAt(AT) => f.write_str("truncate"),
            Self::ResetAt(AT) => f.write_str("reset"),
            Self::StallAt(AT) => f.write_str("stall"),
            Self::FlipAt(AT) => f.write_str("flip"),
            Self::Framing(mode) => f.write_str(&kebab(&format!("{mode:?}"))),
            Self::Status(status, page) => write!(f, "{status}-{}", kebab(&format!("{page:?}"))),
            Self::RetryAfter(status, pause) => {
                let pause = match pause {
                    Pause::Seconds(seconds) => format!("{seconds}s"),
                    Pause::Date(seconds) => format!("date-{seconds}s"),
                    Pause::Year9999 => "year-9999".to_owned(),
                    Pause::Junk => "junk".to_owned(),
                };
                write!(f, "{status}-retry-after-{pause}")
            }
            Self::Redirect(Detour::Hops(hops)) => write!(f, "redirect-{hops}-hops"),
            Self::Redirect(detour) => write!(f, "redirect-{}", kebab(&format!("{detour:?}"))),
            Self::Range(mode) => write!(f, "range-{}", kebab(&format!("{mode:?}"))),
            Self::Upload(mode) => write!(f, "upload-{}", kebab(&format!("{mode:?}"))),
            plain => f.write_str(&kebab(&format!("{plain:?}")).replace(['(', ')', ','], "")),
        }
    }
}

/// `LengthTooBig` as `length-too-big`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (at, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && at > 0 && !kebab.ends_with(['-', '(']) {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab.replace("then500", "then-500").replace("year9999", "year-9999").replace("empty200", "empty-200")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_mode_has_a_name_of_its_own() {
        let all = Mode::all();
        let names: HashSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
        for mode in all {
            assert_eq!(Mode::named(&mode.to_string()), Some(mode));
        }
        assert_eq!(Mode::Framing(FramingMode::LengthTooBig).to_string(), "length-too-big");
        assert_eq!(Mode::Upload(UploadMode::CommitThen500).to_string(), "upload-commit-then-500");
    }

    /// The checklist counts a status once, whatever its body.
    #[test]
    fn the_checklist_is_whole() {
        let count = |group| Mode::all().into_iter().filter(|mode| mode.group() == group).count();
        assert_eq!(count(Group::Connection), 10 + 1);
        assert_eq!(count(Group::Body), 14);
        assert_eq!(count(Group::Status), 13 * 4);
        assert_eq!(count(Group::Retry), 4 * 2);
        assert_eq!(count(Group::Redirect), 9 + 1);
        assert_eq!(count(Group::Range), 7);
        assert_eq!(count(Group::Upload), 9);
    }
}
