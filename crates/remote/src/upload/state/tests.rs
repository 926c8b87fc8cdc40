//! The machine by tables, one line a rule; `model` holds it against registries as they are.

mod model;

use gantri_core::{Error, ErrorKind, Limits};
use gantri_spec::wire::UploadRange;

use super::*;

const MIB: u64 = 1 << 20;
const TRIES: u32 = 5;

fn chunks() -> Chunks {
    Chunks::new(&Limits::default(), None)
}

fn whole(size: u64) -> Machine {
    Machine::whole(Party::Alone, size, chunks(), TRIES)
}

/// What a registry says that holds so many bytes: `0-0` for none, and for one.
fn holds(count: u64) -> Option<UploadRange> {
    UploadRange::received(count).to_string().parse().ok()
}

/// Runs a machine through what it is expected to do and what becomes of that; gives what it does, or says, after that.
fn after(name: &str, mut machine: Machine, steps: &[(Action, Event)]) -> Result<Action, Stop> {
    for (at, (expected, event)) in steps.iter().enumerate() {
        assert_eq!(machine.next(), *expected, "{name}, step {at}");
        if let Err(stop) = machine.on(*event) {
            assert_eq!(at, steps.len() - 1, "{name}: {stop:?}");
            return Err(stop);
        }
    }
    Ok(machine.next())
}

/// A name, what is done and what becomes of it, and what is done or said after that.
type Case<'a> = (&'a str, &'a [(Action, Event)], Result<Action, Stop>);

const fn send(from: u64, to: u64) -> Action {
    Action::Send { from, to }
}

const fn commit(from: u64) -> Action {
    Action::Commit { from }
}

const fn no(refusal: Refusal) -> Event {
    Event::Refused(refusal)
}

const BIG: u64 = 100 * MIB;
const FULL: Action = send(0, BIG);
const START: (Action, Event) = (Action::Start, Event::Started);
const LOST: Event = no(Refusal::Lost);

#[test]
fn a_whole_blob_goes_in_as_few_steps_as_its_size_allows() {
    let small: &[_] = &[START, (commit(0), Event::Committed)];
    assert_eq!(after("small", whole(10), small), Ok(Action::Rest));
    assert_eq!(after("empty", whole(0), small), Ok(Action::Rest));
    let with_the_start: &[_] = &[(Action::Start, Event::Committed)];
    assert_eq!(after("in one", whole(10), with_the_start), Ok(Action::Rest));
    let large: &[_] = &[START, (FULL, Event::Accepted(holds(BIG))), (commit(BIG), Event::Committed)];
    assert_eq!(after("large", whole(BIG), large), Ok(Action::Rest));
}

/// H15, H16: what an answer to a chunk says, against what is true.
#[test]
fn what_is_said_of_a_chunk_is_asked_again_unless_it_is_all() {
    let cases = [
        ("nothing is said", None, None, commit(BIG)),
        ("all of it", holds(BIG), None, commit(BIG)),
        ("stale, and then all", holds(1), Some(holds(BIG)), commit(BIG)),
        ("0-0, and then all", holds(0), Some(holds(BIG)), commit(BIG)),
        ("stale, and never a word", holds(1), Some(None), commit(BIG)),
        ("one too many", holds(BIG + 1), Some(holds(BIG + 1)), commit(BIG)),
        ("less, and that is true", holds(BIG / 2), Some(holds(BIG / 2)), send(BIG / 2, BIG)),
        ("less, and even less", holds(BIG / 2), Some(holds(7)), send(7, BIG)),
        ("less, and more", holds(7), Some(holds(9)), send(9, BIG)),
    ];
    for (name, said, told, expected) in cases {
        let mut steps = vec![START, (FULL, Event::Accepted(said))];
        steps.extend(told.map(|told| (Action::Ask, Event::Stands(told))));
        assert_eq!(after(name, whole(BIG), &steps), Ok(expected), "{name}");
    }
    let untold = [START, (FULL, Event::Accepted(holds(1))), (Action::Ask, Event::Untold(Refusal::Unsupported))];
    assert_eq!(after("can't be asked", whole(BIG), &untold), Ok(commit(BIG)));
}

/// Aliyun counts each chunk from its own beginning (H15).
#[test]
fn a_range_that_counts_the_chunk_alone_is_looked_into() {
    let mut machine = Machine::whole(Party::AloneOnce, 20 * MIB, chunks().held(), TRIES);
    let second = Event::Accepted(holds(8 * MIB));
    let steps = [
        START,
        (send(0, 8 * MIB), Event::Accepted(holds(8 * MIB))),
        (send(8 * MIB, 16 * MIB), second),
        (Action::Ask, Event::Stands(holds(16 * MIB))),
    ];
    assert_eq!(after("asked", machine.clone(), &steps), Ok(send(16 * MIB, 20 * MIB)));
    // Where the status is as wrong as that, the registry's refusals show it; it never moves, and that ends.
    for (_, event) in &steps[..3] {
        machine.next();
        machine.on(*event).unwrap();
    }
    for _ in 0..TRIES - 1 {
        assert_eq!(machine.next(), Action::Ask);
        machine.on(Event::Stands(holds(8 * MIB))).unwrap();
        machine.next();
        machine.on(second).unwrap();
    }
    assert_eq!(machine.next(), Action::Ask);
    assert_eq!(machine.on(Event::Stands(holds(8 * MIB))), Err(Stop::Final));
}

/// H13, H14, H17, H18: what follows a step that failed.
#[test]
fn a_failed_step_is_looked_into_before_anything_is_sent_again() {
    let cut = (FULL, LOST);
    let missing = (Action::Look, Event::Missing);
    let cases: &[Case<'_>] = &[
        ("cut", &[START, cut], Ok(Action::Ask)),
        ("cut, some arrived", &[START, cut, (Action::Ask, Event::Stands(holds(7)))], Ok(send(7, BIG))),
        ("cut, all arrived", &[START, cut, (Action::Ask, Event::Stands(holds(BIG)))], Ok(commit(BIG))),
        ("cut, none arrived", &[START, cut, (Action::Ask, Event::Stands(holds(0)))], Ok(FULL)),
        ("cut, and never a word", &[START, cut, (Action::Ask, Event::Stands(None))], Ok(Action::Start)),
        ("cut, more than was sent", &[START, cut, (Action::Ask, Event::Stands(holds(BIG + 2)))], Ok(Action::Start)),
        ("cut, can't be asked", &[START, cut, (Action::Ask, Event::Untold(Refusal::OutOfRange))], Ok(Action::Start)),
        ("cut, no answer", &[START, cut, (Action::Ask, Event::Untold(Refusal::Lost))], Err(Stop::Final)),
        ("cut, session gone", &[START, cut, (Action::Ask, Event::Untold(Refusal::Gone))], Ok(Action::Look)),
        ("gone", &[START, (FULL, no(Refusal::Gone))], Ok(Action::Look)),
        ("gone, blob there", &[START, (FULL, no(Refusal::Gone)), (Action::Look, Event::Present)], Ok(Action::Rest)),
        ("gone, anew", &[START, (FULL, no(Refusal::Gone)), missing], Ok(Action::Start)),
        ("refused", &[START, (FULL, no(Refusal::Denied))], Err(Stop::Final)),
        ("416", &[START, (FULL, no(Refusal::OutOfRange))], Ok(Action::Ask)),
        (
            "416, elsewhere",
            &[START, (FULL, no(Refusal::OutOfRange)), (Action::Ask, Event::Stands(holds(9)))],
            Ok(send(9, BIG)),
        ),
        (
            "416 for size",
            &[START, (FULL, no(Refusal::OutOfRange)), (Action::Ask, Event::Stands(holds(0)))],
            Ok(send(0, 4 * MIB)),
        ),
        ("413", &[START, (FULL, no(Refusal::TooLarge)), (Action::Ask, Event::Stands(holds(0)))], Ok(send(0, 4 * MIB))),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(after(name, whole(BIG), steps), *expected, "{name}");
    }
}

#[test]
fn a_failed_commit_is_looked_into_before_anything_is_sent_again() {
    let lost = (commit(0), LOST);
    let missing = (Action::Look, Event::Missing);
    let refused = (commit(0), no(Refusal::TooLarge));
    let cases: &[Case<'_>] = &[
        ("lost", &[START, lost], Ok(Action::Look)),
        ("lost, but there", &[START, lost, (Action::Look, Event::Present)], Ok(Action::Rest)),
        ("lost, missing", &[START, lost, missing], Ok(Action::Ask)),
        ("lost, none arrived", &[START, lost, missing, (Action::Ask, Event::Stands(holds(0)))], Ok(commit(0))),
        ("lost, some arrived", &[START, lost, missing, (Action::Ask, Event::Stands(holds(7)))], Ok(send(7, 10 * MIB))),
        (
            "lost, all arrived",
            &[START, lost, missing, (Action::Ask, Event::Stands(holds(10 * MIB)))],
            Ok(commit(10 * MIB)),
        ),
        ("lost, gone", &[START, lost, missing, (Action::Ask, Event::Untold(Refusal::Gone))], Ok(Action::Look)),
        ("too large", &[START, refused, (Action::Ask, Event::Stands(holds(0)))], Ok(send(0, 4 * MIB))),
        (
            "not so",
            &[START, (commit(0), no(Refusal::Unsupported)), (Action::Ask, Event::Stands(holds(0)))],
            Ok(send(0, 10 * MIB)),
        ),
        ("wrong", &[START, (commit(0), no(Refusal::WrongDigest))], Err(Stop::Final)),
        ("refused", &[START, (commit(0), no(Refusal::Denied))], Err(Stop::Final)),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(after(name, whole(10 * MIB), steps), *expected, "{name}");
    }
}

/// The joint of two halves may be the fault; a blob that went in one piece is just wrong.
#[test]
fn a_wrong_digest_after_a_mended_break_is_tried_anew_and_then_believed() {
    let mut machine = whole(BIG);
    for _ in 0..=RESTARTS {
        assert_eq!(machine.next(), Action::Start);
        machine.on(Event::Started).unwrap();
        machine.next();
        machine.on(LOST).unwrap();
        machine.next();
        machine.on(Event::Stands(holds(7))).unwrap();
        machine.next();
        machine.on(Event::Accepted(None)).unwrap();
        assert_eq!(machine.next(), commit(BIG));
        if machine.on(no(Refusal::WrongDigest)).is_err() {
            assert_eq!(machine.restarts, RESTARTS);
            return;
        }
    }
    panic!("for ever");
}

/// H14: a registry that never moves is given the whole at once, and then it is over.
#[test]
fn a_registry_that_never_moves_gets_the_whole_at_once() {
    let mut machine = whole(BIG);
    let mut starts = 0;
    let end = loop {
        let event = match machine.next() {
            Action::Start => {
                starts += 1;
                Event::Started
            }
            Action::Send { .. } | Action::Commit { .. } => Event::Refused(Refusal::OutOfRange),
            Action::Ask => Event::Stands(holds(0)),
            other => panic!("{other:?}"),
        };
        if let Err(stop) = machine.on(event) {
            break stop;
        }
    };
    assert_eq!((end, starts), (Stop::Final, 2));
    assert!(machine.chunks.go_at_once(BIG));
}

/// What can be read once only can be sent again from what is still held, and not begun anew after that.
#[test]
fn a_body_read_once_goes_on_from_what_is_held() {
    let once = || Machine::whole(Party::AloneOnce, 20 * MIB, chunks().held(), TRIES);
    let (first, second) = (send(0, 8 * MIB), send(8 * MIB, 16 * MIB));
    let accepted = (first, Event::Accepted(None));
    let gone = no(Refusal::Gone);
    let missing = (Action::Look, Event::Missing);
    let cases: &[Case<'_>] = &[
        (
            "some arrived",
            &[START, accepted, (second, LOST), (Action::Ask, Event::Stands(holds(9 * MIB)))],
            Ok(send(9 * MIB, 17 * MIB)),
        ),
        (
            "less than before",
            &[START, accepted, (second, LOST), (Action::Ask, Event::Stands(holds(MIB)))],
            Err(Stop::Elsewhere(MIB)),
        ),
        ("gone at first", &[START, (first, gone), missing], Ok(Action::Start)),
        ("gone later", &[START, accepted, (second, gone), missing], Err(Stop::Unknown)),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(after(name, once(), steps), *expected, "{name}");
    }
}

/// A session that others may write to is never replaced, and what they wrote is not taken for ours.
#[test]
fn a_shared_session_is_never_taken_for_our_own() {
    let at = |offset, count| {
        let mut machine = Machine::shared(offset, chunks(), TRIES);
        machine.extend(count);
        machine
    };
    let sent = send(5, 15);
    let refused = (sent, no(Refusal::OutOfRange));
    let cases: &[Case<'_>] = &[
        ("taken", &[(sent, Event::Accepted(holds(15)))], Ok(Action::Rest)),
        ("cut, some arrived", &[(sent, LOST), (Action::Ask, Event::Stands(holds(7)))], Ok(send(7, 15))),
        ("cut, all arrived", &[(sent, LOST), (Action::Ask, Event::Stands(holds(15)))], Ok(Action::Rest)),
        ("cut, never a word", &[(sent, LOST), (Action::Ask, Event::Stands(None))], Ok(sent)),
        ("cut, behind", &[(sent, LOST), (Action::Ask, Event::Stands(holds(3)))], Err(Stop::Elsewhere(3))),
        ("cut, beyond", &[(sent, LOST), (Action::Ask, Event::Stands(holds(16)))], Err(Stop::Elsewhere(16))),
        ("416, another's bytes", &[refused, (Action::Ask, Event::Stands(holds(15)))], Err(Stop::Elsewhere(15))),
        ("416, in its place", &[refused, (Action::Ask, Event::Stands(holds(5)))], Err(Stop::Final)),
        ("gone", &[(sent, no(Refusal::Gone))], Err(Stop::Unknown)),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(after(name, at(5, 10), steps), *expected, "{name}");
    }
}

#[test]
fn a_step_that_was_dropped_is_in_doubt() {
    let mut machine = whole(BIG);
    machine.next();
    machine.on(Event::Started).unwrap();
    assert!(!machine.in_doubt());
    assert_eq!(machine.next(), FULL);
    assert!(machine.in_doubt(), "before the socket is touched");
    assert_eq!(machine.next(), Action::Ask, "nothing is sent before the registry was asked");
    machine.on(Event::Stands(holds(BIG))).unwrap();
    assert_eq!(machine.next(), commit(BIG));
    assert_eq!(machine.next(), Action::Look, "nor committed before the blob was looked for");
}

/// H15: `0-0` is none where distribution says it, and one byte where there is one.
#[test]
fn an_upload_of_one_byte_or_none() {
    for (offset, stands) in [(0, 0), (1, 1), (5, 0)] {
        let mut machine = Machine::resumed(offset, chunks(), TRIES);
        assert_eq!(machine.next(), Action::Ask);
        machine.on(Event::Stands(holds(0))).unwrap();
        assert_eq!(machine.offset(), stands, "{offset}");
    }
    let mut machine = Machine::shared(0, chunks(), TRIES);
    machine.extend(1);
    machine.next();
    machine.on(Event::Accepted(holds(1))).unwrap();
    assert_eq!(machine.offset(), 1);
}

#[test]
fn refusals_by_what_a_registry_says() {
    let error = |kind, status: u16| Error::new(kind, "x").with_status(http::StatusCode::from_u16(status).unwrap());
    let cases = [
        (error(ErrorKind::Protocol, 413), Refusal::TooLarge),
        (error(ErrorKind::RangeInvalid, 416), Refusal::OutOfRange),
        (error(ErrorKind::UploadInvalid, 400), Refusal::OutOfRange),
        (error(ErrorKind::UploadUnknown, 404), Refusal::Gone),
        (error(ErrorKind::RepositoryUnknown, 404), Refusal::Gone),
        (error(ErrorKind::DigestMismatch, 400), Refusal::WrongDigest),
        (error(ErrorKind::Unsupported, 405), Refusal::Unsupported),
        (error(ErrorKind::Unauthorized, 401), Refusal::Denied),
        (error(ErrorKind::Denied, 403), Refusal::Denied),
        (error(ErrorKind::Protocol, 400), Refusal::Denied),
        (error(ErrorKind::Unavailable, 503), Refusal::Lost),
        (Error::new(ErrorKind::Timeout, "x"), Refusal::Lost),
        (Error::new(ErrorKind::LimitExceeded, "x"), Refusal::Failed),
        (Error::new(ErrorKind::Protocol, "location"), Refusal::Failed),
    ];
    for (error, expected) in cases {
        assert_eq!(Refusal::of(&error), expected, "{error}");
    }
}

/// H25: what arrives between two breaks has to be worth it.
#[test]
fn next_to_nothing_between_two_breaks_is_no_progress() {
    let breaks = |gain: u64| {
        let mut machine = whole(BIG);
        assert_eq!(machine.next(), Action::Start);
        assert_eq!(machine.on(Event::Started), Ok(()));
        let mut breaks = 0;
        while let Action::Send { from, .. } = machine.next() {
            breaks += 1;
            if machine.on(LOST).is_err() {
                return Err(breaks);
            }
            assert_eq!(machine.next(), Action::Ask);
            assert_eq!(machine.on(Event::Stands(holds(from + gain))), Ok(()));
        }
        Ok(breaks)
    };
    assert_eq!(breaks(1000), Err(TRIES));
    assert_eq!(breaks(MIB), Ok(100));
}
