//! What the command was asked to do.

use test_support::fault::{Mode, Operation};

use crate::cell::Times;

pub(crate) const USAGE: &str = "usage: cargo xtask faults [OPTIONS]

  --only MODE         only modes whose names begin like this
  --operation OP      only this operation
  --verbose           show the requests of each cell
  --write             write docs/faults.md instead of holding it to what is expected
  --serve HOST:PORT   a proxy before that registry, until standard input ends, which does --mode MODE to each request
                      of --operation OP, or to all; to the first alone with --once

modes and operations are those of docs/faults.md";

/// The command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) only: Option<String>,
    pub(crate) operation: Option<Operation>,
    pub(crate) verbose: bool,
    pub(crate) write: bool,
    pub(crate) serve: Option<String>,
    pub(crate) mode: Option<Mode>,
    pub(crate) once: bool,
    /// Words that choose tests by their names, as those of other test programs.
    pub(crate) words: Vec<String>,
}

impl Options {
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word}: which one?"));
            match word.as_str() {
                "--only" => options.only = Some(value()?),
                "--operation" => options.operation = Some(operation(&value()?)?),
                "--mode" => options.mode = Some(mode(&value()?)?),
                "--serve" => options.serve = Some(value()?),
                "--help" => return Err(USAGE.to_owned()),
                "--verbose" => options.verbose = true,
                "--write" => options.write = true,
                "--once" => options.once = true,
                // What is said to all test programs at once.
                "--nocapture" | "--no-capture" | "--quiet" | "-q" => {}
                other if other.starts_with('-') => return Err(format!("{other}: no such option\n\n{USAGE}")),
                _ => options.words.push(word),
            }
        }
        Ok(options)
    }

    /// Whether some cells are left out.
    pub(crate) fn is_partial(&self) -> bool {
        self.only.is_some() || self.operation.is_some()
    }

    /// Whether a cell is wanted.
    pub(crate) fn wants(&self, mode: Mode, operation: Operation) -> bool {
        self.only.as_ref().is_none_or(|only| mode.to_string().starts_with(only.as_str()))
            && self.operation.is_none_or(|only| only == operation)
    }

    /// How often the proxy does harm.
    pub(crate) fn times(&self) -> Times {
        if self.once { Times::Once } else { Times::Always }
    }
}

fn operation(name: &str) -> Result<Operation, String> {
    let known = || Operation::ALL.map(Operation::name).join(", ");
    let found = Operation::ALL.into_iter().find(|operation| operation.name() == name);
    found.ok_or_else(|| format!("{name}: not one of {}", known()))
}

fn mode(name: &str) -> Result<Mode, String> {
    let known = || Mode::all().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Mode::named(name).ok_or_else(|| format!("{name}: not one of {}", known()))
}
