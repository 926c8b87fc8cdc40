//! What the modes of ranges and uploads change in requests and answers.

use super::detour::Detours;
use super::mode::{Mode, RangeMode, UploadMode};
use super::serve::Asked;
use super::wire::Head;

/// Changes a request before it is handed on; gives how much of its body the registry is to get, if not all.
pub(super) fn request(asked: &mut Asked) -> Option<u64> {
    match asked.mode {
        // The whole is needed to make something wrong of it.
        Some(Mode::Range(_)) => {
            asked.head.remove("range");
            None
        }
        Some(Mode::Upload(UploadMode::SessionLost)) => {
            let path = asked.head.word(1).split('?').next().unwrap_or_default();
            let lost = path.rsplit_once('/').map_or(path, |(before, _)| before);
            let query = asked.head.word(1).split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
            asked.head.first = format!("{} {lost}/lost{query} HTTP/1.1", asked.head.word(0));
            None
        }
        Some(Mode::Upload(UploadMode::LaggingRange)) => lag(&mut asked.head),
        _ => None,
    }
}

/// Announces less than a chunk, if that is more than the lag itself.
fn lag(head: &mut Head) -> Option<u64> {
    let length: u64 = head.header("content-length")?.parse().ok()?;
    let kept = length.checked_sub(LAG).filter(|kept| *kept > 0)?;
    head.set("content-length", kept.to_string());
    let start: Option<u64> = head.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
    if let Some(start) = start {
        head.set("content-range", format!("{start}-{}", start + kept - 1));
    }
    Some(kept)
}

/// How much of a chunk is not kept.
const LAG: u64 = 1000;

/// Another answer to a range than the right one; `body` is the whole.
pub(super) fn range(mode: RangeMode, mut head: Head, body: Vec<u8>) -> (Head, Vec<u8>) {
    if head.status() != 200 {
        return (head, body);
    }
    let total = body.len();
    let part = |head: &mut Head, start: usize, total: usize| {
        head.set_status(206);
        head.set("content-range", format!("bytes {start}-{}/{total}", body.len().saturating_sub(1)));
        body.get(start..).unwrap_or_default().to_vec()
    };
    let body = match mode {
        RangeMode::Whole => body,
        RangeMode::WrongStart => part(&mut head, 1, total),
        RangeMode::WrongTotal => part(&mut head, ASKED_FROM, total + 1),
        RangeMode::NoContentRange => {
            let body = part(&mut head, ASKED_FROM, total);
            head.remove("content-range");
            body
        }
        RangeMode::Multipart => {
            head.set_status(206);
            head.set("content-type", "multipart/byteranges; boundary=b");
            let mut text =
                format!("--b\r\ncontent-range: bytes {ASKED_FROM}-{}/{total}\r\n\r\n", total.saturating_sub(1));
            text.extend(body.iter().skip(ASKED_FROM).map(|_| 'x'));
            (text + "\r\n--b--\r\n").into_bytes()
        }
        RangeMode::NotSatisfiable => {
            head.set_status(416);
            head.set("content-range", format!("bytes */{total}"));
            Vec::new()
        }
        RangeMode::AcceptRangesNone => {
            head.set("accept-ranges", "none");
            body
        }
    };
    (head, body)
}

/// Where a range begins that is asked for after a cut of the matrix.
const ASKED_FROM: usize = 100;

/// Changes the answer to a request of an upload.
pub(super) fn upload(mode: UploadMode, asked: &Asked, answer: &mut Head, detours: &Detours, secure: bool) {
    let path = |answer: &Head| {
        let location = answer.header("location").unwrap_or_default().to_owned();
        match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|at| rest[at..].to_owned()).unwrap_or_default(),
            None => location,
        }
    };
    match mode {
        UploadMode::StaleRange => {
            let start: u64 = asked
                .head
                .header("content-range")
                .and_then(|range| range.split('-').next()?.parse().ok())
                .unwrap_or_default();
            answer.set("range", format!("0-{}", start.saturating_sub(1)));
        }
        UploadMode::ChunkCreated if answer.status() == 202 => answer.set_status(201),
        UploadMode::NoLocation => answer.remove("location"),
        UploadMode::LocationElsewhere => {
            let to = detours.signed(path(answer), &asked.head, secure);
            answer.set("location", to);
        }
        UploadMode::LocationDowngrade => {
            let to = format!("http://{}{}", asked.head.header("host").unwrap_or_default(), path(answer));
            answer.set("location", to);
        }
        _ => {}
    }
}
