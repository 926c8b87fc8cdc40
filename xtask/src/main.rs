//! The project's own chores. Each is a module, and a line in `main`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

mod bench;
mod check;
mod faults;
mod fuzz;
mod go;
mod guards;
mod interop;
mod kill;
mod layout;
mod server;
mod tool;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  check [--only STEP]... [--skip STEP]...   everything a change must pass
  guards [ROW]...                           the tests of docs/security.md, each without its guard
  interop [WORD]...                         our client and server against other people's
  faults [OPTION]...                        the fault matrix; --help says more
  bench [push|copy|pull|unpack]...          speed and memory against a peer in the same run
  kill [--kills N] [--mib N]                commands killed at random, a large blob cut and killed on its way
  fuzz [TARGET]... [--runs N | --seconds S] [--keep]
                                            what holds for any bytes, under libFuzzer; `--keep` grows the corpora
  serve docker-registry|distribution|olareg a registry of that kind, until standard input ends";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["check", options @ ..] => check::check(options),
        ["guards", rows @ ..] => guards::guards(rows),
        ["interop", words @ ..] => interop::interop(words),
        ["faults", words @ ..] => faults::faults(words),
        ["bench", parts @ ..] => bench::bench(parts),
        ["kill", options @ ..] => kill::kill(options),
        ["fuzz", words @ ..] => fuzz::fuzz(words),
        ["serve", kind] => server::serve(kind),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
