//! Headers of answers and requests: whatever a registry puts there is understood or left alone, and what we print ourselves
//! we understand.

use gantri_spec::ByteRange;
use gantri_spec::wire::{Challenge, ContentRange, RequestedRange, Scope, UnsatisfiedRange, UploadRange, link};

use crate::{can_be_shown, lines, text};

/// `WWW-Authenticate`, a header a line (A17): what is printed is one header that reads back, and holds nothing that could
/// begin another.
pub fn challenge(data: &[u8]) {
    let Some(lines) = lines(data) else { return };
    let challenges = Challenge::parse_all(lines.iter().copied());
    assert!(challenges.len() <= data.len());
    for challenge in challenges.iter().take(8) {
        let printed = challenge.to_string();
        can_be_shown(&printed);
        let reread = Challenge::parse_all([printed.as_str()]);
        let [reread] = reread.as_slice() else { panic!("{printed:?} is not one challenge: {reread:?}") };
        assert_eq!(reread.scheme(), challenge.scheme());
        // What was left out in printing is left out for good.
        assert_eq!(reread.to_string(), printed);
        if !data.iter().any(u8::is_ascii_control) && !text(data).is_some_and(|text| text.contains(char::is_control)) {
            assert_eq!(reread, challenge);
        }
        if let Some(scope) = challenge.scope() {
            let narrowed = challenge.clone().for_scope(&scope);
            assert_eq!(narrowed.scope().as_ref(), Some(&scope));
            assert_eq!((narrowed.realm(), narrowed.service()), (challenge.realm(), challenge.service()));
        }
    }
}

/// `Link`, a header a line (A6): what was found is found again where we print it.
pub fn link(data: &[u8]) {
    let Some(lines) = lines(data) else { return };
    let Some(target) = link::next(lines.iter().copied()) else { return };
    assert!(lines.iter().any(|line| line.contains(&target)));
    assert_eq!(link::next([link::format_next(&target).as_str()]), Some(target));
}

/// `Range`, both kinds of `Content-Range`, and the dialect of uploads (R7, H15), for blobs of many sizes.
pub fn range(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let requested = RequestedRange::parse(text);
    let told = text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).take(4);
    for size in told.chain([0, 1, 10, u64::MAX]) {
        served(requested, size);
    }
    if let RequestedRange::Range(range) = requested {
        printed(range);
    }
    match text.parse::<ContentRange>() {
        Ok(range) => {
            assert!(range.start < range.end && range.total.is_none_or(|total| range.end <= total));
            assert_eq!(range.to_string().parse(), Ok(range));
            printed((range.start..range.end).into());
        }
        Err(error) => can_be_shown(&error),
    }
    if let Ok(range) = text.parse::<UnsatisfiedRange>() {
        assert_eq!(range.to_string().parse(), Ok(range));
    }
    if let Ok(range) = text.parse::<UploadRange>() {
        assert!(range.start <= range.end);
        let empty = range.start == range.end;
        assert!(empty || range.to_string().parse() == Ok(range), "{range:?}");
    }
}

/// Scopes, a few lines of one each (A9, A17): equal ones print alike, and a union holds both of its halves and no more.
pub fn scope(data: &[u8]) {
    let Some(lines) = lines(data) else { return };
    let mut all = Scope::default();
    for line in lines.into_iter().take(3) {
        match line.parse::<Scope>() {
            Ok(scope) => {
                assert_eq!(scope.to_string().parse(), Ok(scope.clone()));
                assert_eq!(scope.is_empty(), scope.iter().next().is_none());
                assert!(scope.contains(&scope) && scope.contains(&Scope::default()));
                let both = all.union(&scope);
                assert!(both.contains(&all) && both.contains(&scope));
                assert_eq!(both, scope.union(&all));
                let granted = both.granted(|_, _, action| action.len() % 2 == 0);
                assert!(both.contains(&granted));
                all = both;
            }
            Err(error) => {
                assert!(error.offset() < line.len(), "{error}");
                can_be_shown(&error);
            }
        }
    }
}

/// What is served lies within the blob, and is served only if it was asked for.
fn served(requested: RequestedRange, size: u64) {
    let Ok(Some(served)) = requested.resolve(size) else { return };
    assert!(served.start < served.end && served.end <= size, "{requested:?} of {size}: {served:?}");
    match requested {
        RequestedRange::Range(range) => assert_eq!(range.start(), served.start),
        RequestedRange::Suffix(length) => assert!(served.end == size && served.end - served.start <= length),
        RequestedRange::Whole | RequestedRange::Invalid => panic!("a part was served that nobody asked for"),
    }
}

/// The header that asks for these bytes asks for these bytes.
fn printed(range: ByteRange) {
    let Some(header) = range.header() else { return };
    let reread = RequestedRange::parse(&header);
    for size in [1, range.start(), range.start().saturating_add(1), u64::MAX] {
        assert_eq!(reread.resolve(size).ok().flatten(), range.resolve(size), "{header} of {size}");
    }
}
