//! The fault matrix: every way to go wrong that the proxy of `test-support` knows, done to every operation, each cell held
//! to what is expected of it. A program of its own, so that people can look at one cell: `cargo xtask faults`.

#![expect(clippy::unwrap_used, reason = "a harness that can't be set up ends the run")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the person who runs it")]

mod bounds;
mod cell;
mod expect;
mod options;
mod play;
mod run;
mod serve;
mod table;
mod world;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::options::Options;

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| match &options.serve {
        Some(upstream) => {
            serve::serve(upstream, &options);
            Ok(())
        }
        None if options.write => write_docs(),
        // Words choose tests by name: this is one.
        None if !options.words.is_empty() && !options.words.iter().any(|word| NAME.contains(word.as_str())) => Ok(()),
        None => every_cell_is_as_classed(&options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

const NAME: &str = "every_cell_is_as_classed";

/// The matrix, and that the docs say the same.
fn every_cell_is_as_classed(options: &Options) -> Result<(), String> {
    let since = Instant::now();
    let ran = run::run(options)?;
    print!("{}", table::seen(&ran));
    let mut wrong = 0;
    for ran in &ran {
        if options.verbose || !ran.wrong.is_empty() {
            println!("\n{}: {} expected, {} seen", ran.cell.name(), ran.expected, ran.seen);
            ran.story.iter().take(STORY).for_each(|line| println!("  {line}"));
        }
        ran.wrong.iter().for_each(|why| println!("  NOT AS CLASSED: {why}"));
        wrong += usize::from(!ran.wrong.is_empty());
    }
    if !options.is_partial() {
        stale()?;
    }
    let (count, seconds) = (ran.len(), since.elapsed().as_secs());
    println!("\ntest {NAME} ... {}", if wrong == 0 { "ok" } else { "FAILED" });
    println!("faults: {count} cells, {} as classed, {wrong} not, {seconds} s", count - wrong);
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} cells are not as classed")) }
}

/// As much of a cell's story as anybody reads.
const STORY: usize = 60;

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md")
}

fn write_docs() -> Result<(), String> {
    fs::write(docs(), table::docs()).map_err(|error| format!("docs/faults.md: {error}"))
}

fn stale() -> Result<(), String> {
    let written = fs::read_to_string(docs()).unwrap_or_default();
    if written == table::docs() {
        Ok(())
    } else {
        Err("docs/faults.md is stale: cargo xtask faults --write".to_owned())
    }
}
