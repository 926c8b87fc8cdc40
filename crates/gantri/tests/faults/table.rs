//! The matrix as a table: on the terminal as it was seen, in the docs as it is expected.

use std::fmt::Write;

use test_support::fault::{Group, Mode, Operation};

use crate::cell::Times;
use crate::expect::{Class, expected};
use crate::run::{Ran, cells};

/// The table of one group of modes: mode, then one word for each operation.
fn row(mode: Mode, word: impl Fn(Mode, Operation) -> String) -> Vec<String> {
    let mut row = vec![mode.to_string()];
    row.extend(Operation::ALL.map(|operation| word(mode, operation)));
    row
}

/// Everything that was run, with `!` where it is not as classed.
pub(crate) fn seen(ran: &[Ran]) -> String {
    let word = |mode: Mode, operation: Operation| {
        let of = |times| ran.iter().find(|ran| ran.cell == crate::cell::Cell { mode: Some(mode), operation, times });
        let told = |ran: &Ran| format!("{}{}", if ran.wrong.is_empty() { "" } else { "!" }, ran.seen);
        joined(of(Times::Once).map(told), of(Times::Always).map(told))
    };
    let modes: Vec<_> =
        Mode::all().into_iter().filter(|mode| ran.iter().any(|ran| ran.cell.mode == Some(*mode))).collect();
    let mut rows = vec![row_of_names()];
    rows.extend(modes.into_iter().map(|mode| row(mode, word)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..=Operation::ALL.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn row_of_names() -> Vec<String> {
    let names = Operation::ALL.map(|operation| operation.name().to_owned());
    [vec!["mode".to_owned()], names.to_vec()].concat()
}

/// The two of a pair, once if they are alike.
fn joined(once: Option<String>, always: Option<String>) -> String {
    match (once, always) {
        (Some(once), Some(always)) if once == always => once,
        (Some(once), Some(always)) => format!("{once} / {always}"),
        (Some(alone), None) | (None, Some(alone)) => alone,
        (None, None) => "-".to_owned(),
    }
}

const GROUPS: [(Group, &str, &str); 7] = [
    (Group::Connection, "Connections", "Before an answer begins. `hang` is beyond the checklist's ten."),
    (
        Group::Body,
        "Bodies",
        "Cut, stopped or changed at byte 100 or in the middle of what is shorter: the request's body if it has one, else the \
         answer's. Then the ways to say wrongly where an answer ends.",
    ),
    (Group::Status, "Statuses", "With a body of JSON, HTML, nothing, or 1 MiB of text."),
    (Group::Retry, "Retry-After", "A 429 or 503 that says when to come back."),
    (Group::Redirect, "Redirects", "A 307 to each of these places. Five hops are allowed, six are not."),
    (
        Group::Range,
        "Ranges",
        "The first body is cut at byte 100; this is what is answered to the range that is asked for then.",
    ),
    (Group::Upload, "Uploads", "What is answered to the requests of an upload, and to whatever else writes."),
];

/// The docs.
pub(crate) fn docs() -> String {
    let mut text = String::from(HEAD);
    let count = cells().len();
    let _ = writeln!(text, "\n{count} cells.");
    for (group, title, about) in GROUPS {
        let _ = writeln!(text, "\n## {title}\n\n{about}\n");
        let names = row_of_names().join(" | ");
        let _ = writeln!(text, "| {names} |\n|{}", " --- |".repeat(Operation::ALL.len() + 1));
        let mut last: Option<(String, Vec<String>)> = None;
        let modes = Mode::all().into_iter().filter(|mode| mode.group() == group);
        for row in modes.map(|mode| row(mode, said)) {
            let (name, cells) =
                row.split_first().map(|(name, cells)| (name.clone(), cells.to_vec())).unwrap_or_default();
            last = Some(match last.take() {
                // Bodies that make no difference share a row.
                Some((names, before)) if before == cells && group == Group::Status && alike(&names, &name) => {
                    (format!("{names}, {}", name.split('-').next_back().unwrap_or_default()), before)
                }
                Some((names, before)) => {
                    line(&mut text, &names, &before);
                    (name, cells)
                }
                None => (name, cells),
            });
        }
        if let Some((names, cells)) = last {
            line(&mut text, &names, &cells);
        }
    }
    text
}

fn alike(names: &str, name: &str) -> bool {
    names.split('-').next() == name.split('-').next()
}

fn line(text: &mut String, name: &str, cells: &[String]) {
    let _ = writeln!(text, "| `{name}` | {} |", cells.join(" | "));
}

fn said(mode: Mode, operation: Operation) -> String {
    let of = |times| expected(mode, operation, times).map(|class: Class| class.to_string());
    joined(of(Times::Once), of(Times::Always))
}

const HEAD: &str = "# The fault matrix

<!-- Generated: `cargo xtask faults --write`. -->

What becomes of an operation when something goes wrong with the request that is the heart of it. Each cell is run by
`cargo xtask faults`, which is part of `cargo test`: our client against our server over a proxy that breaks things on
purpose, in memory, by a clock that is paused, so that nothing is waited for in earnest.

| | |
| --- | --- |
| S | it succeeds, and what was given or stored is right to the byte |
| S, resumes | the same, and no byte that has arrived goes again, but for a chunk of an upload that was not acknowledged |
| F *kind* | it fails with an error of this kind, at once where nothing helps, else after its tries |
| R *kind* | it is refused, because it must not be done |
| *x* / *y* | *x* if it goes wrong once and is well then, *y* if it always goes wrong |
| - | there is no such thing |

Every cell is also held to a number of requests and to a time (`crates/gantri/tests/faults/bounds.rs`), to ending at all
and without a panic, and to this: no password, and no token, is seen by anybody but the registry that it is for. The
registry wants tokens; what goes wrong befalls the authorized request. What is expected is written down, with its
reasons, in `crates/gantri/tests/faults/expect.rs`.

To look closer: `cargo xtask faults --only truncate --operation pull-blob --verbose`. To try a mode on some other client:
`cargo xtask faults --serve 127.0.0.1:5000 --mode truncate --operation pull-blob`.
";
