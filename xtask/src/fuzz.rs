//! `cargo xtask fuzz`: the targets under `fuzz/`, one after the other under libFuzzer.
//!
//! They are built by the toolchain of the project itself: what `cargo fuzz` adds is a handful of flags, and they are
//! `FLAGS`. What a run finds new stays in the target directory until `--keep` merges it into the corpus, which takes only
//! what reaches code that nothing reached before.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use crate::tool::{Result, Scratch, command, run, target_dir, text, workspace_root};

/// Counts edges, as libFuzzer wants it. The values of comparisons are left out: they halve the pace, and the words that
/// parsers look for stand in the corpora.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table";
/// Seconds that one input may take, and MiB that a run may.
const BOUNDS: [&str; 2] = ["-timeout=5", "-rss_limit_mb=512"];

/// How long each target runs, and what becomes of what it finds.
struct Plan {
    limit: String,
    keep: bool,
    targets: Vec<String>,
}

/// Runs the targets that are named, or all; prints a row of a table for each.
pub(crate) fn fuzz(words: &[&str]) -> Result {
    let plan = Plan::read(words, &all()?)?;
    let programs = build()?;
    println!("{:<12} {:>11} {:>8} {:>8} {:>7}  result", "target", "executions", "seconds", "exec/s", "corpus");
    let mut found = Vec::new();
    let scratch = Scratch::in_memory("fuzz")?;
    for target in &plan.targets {
        let place = Place::of(target, &programs)?;
        let row = place.run(&plan.limit, scratch.path())?;
        println!("{row}");
        if row.ended_well && plan.keep {
            place.keep()?;
        }
        if !row.ended_well {
            found.push(format!("{target}: see {} and {}", place.log.display(), place.found.display()));
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

impl Plan {
    fn read(words: &[&str], known: &[String]) -> Result<Self> {
        let mut plan = Self { limit: "-max_total_time=60".to_owned(), keep: false, targets: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().and_then(|value| value.parse::<u64>().ok()).filter(|value| *value > 0);
                value.ok_or_else(|| format!("fuzz: {word}: how many?"))
            };
            match *word {
                "--runs" => plan.limit = format!("-runs={}", number()?),
                "--seconds" => plan.limit = format!("-max_total_time={}", number()?),
                "--keep" => plan.keep = true,
                target if known.iter().any(|name| name == target) => plan.targets.push(target.to_owned()),
                other => return Err(format!("fuzz: {other}: not one of {}", known.join(", "))),
            }
        }
        if plan.targets.is_empty() {
            plan.targets = known.to_vec();
        }
        Ok(plan)
    }
}

/// The names of all targets.
fn all() -> Result<Vec<String>> {
    let dir = workspace_root().join("fuzz/fuzz_targets");
    let failed = |error: std::io::Error| format!("list {}: {error}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Builds all targets; where they are.
fn build() -> Result<PathBuf> {
    let triple = run(&mut command("rustc", ["-vV"]))?;
    let triple = String::from_utf8_lossy(&triple);
    let triple = triple.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV names no host")?;
    let dir = target_dir().join("fuzz");
    // A target of its own, even if it is the host's, keeps the flags away from build scripts.
    let words = ["build", "--release", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--bins", "--target", triple];
    let mut cargo = command("cargo", words);
    run(cargo.current_dir(workspace_root()).env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &dir))?;
    Ok(dir.join(triple).join("release"))
}

/// Where a target's program and files are.
struct Place {
    target: String,
    program: PathBuf,
    /// Inputs that came with the project.
    corpus: PathBuf,
    /// Inputs that runs have added.
    grown: PathBuf,
    /// Inputs that something did not hold for.
    found: PathBuf,
    log: PathBuf,
}

impl Place {
    fn of(target: &str, programs: &Path) -> Result<Self> {
        let below = |dir: &str| -> Result<PathBuf> {
            let dir = target_dir().join("fuzz").join(dir).join(target);
            fs::create_dir_all(&dir).map_err(|error| format!("create {}: {error}", dir.display()))?;
            Ok(dir)
        };
        let found = below("found")?;
        Ok(Self {
            target: target.to_owned(),
            program: programs.join(target),
            corpus: workspace_root().join("fuzz/corpus").join(target),
            grown: below("grown")?,
            log: found.with_extension("log"),
            found,
        })
    }

    /// Trees that are unpacked and the like go to `scratch`.
    fn run(&self, limit: &str, scratch: &Path) -> Result<Row> {
        let mut words =
            vec![text(&self.grown), text(&self.corpus), limit.to_owned(), "-print_final_stats=1".to_owned()];
        words.extend(BOUNDS.map(str::to_owned));
        words.push(format!("-artifact_prefix={}/", self.found.display()));
        let log = File::create(&self.log).map_err(|error| format!("create {}: {error}", self.log.display()))?;
        let since = Instant::now();
        let mut program = command(&self.program, words);
        let status = program.env("TMPDIR", scratch).stdout(Stdio::null()).stderr(log).status();
        let status = status.map_err(|error| format!("run {}: {error}", self.program.display()))?;
        let said = fs::read(&self.log).map_err(|error| format!("read {}: {error}", self.log.display()))?;
        Ok(Row {
            target: self.target.clone(),
            executions: stat(&String::from_utf8_lossy(&said), "number_of_executed_units"),
            seconds: since.elapsed().as_secs_f64(),
            corpus: count(&self.corpus) + count(&self.grown),
            ended_well: status.success(),
        })
    }

    /// Adds to the corpus what reaches more than it does.
    fn keep(&self) -> Result {
        // How often an edge was taken does not count: it would keep ten times as many files.
        let words = ["-merge=1".to_owned(), "-use_counters=0".to_owned(), text(&self.corpus), text(&self.grown)];
        run(&mut command(&self.program, words)).map(drop)
    }
}

struct Row {
    target: String,
    executions: u64,
    seconds: f64,
    corpus: usize,
    ended_well: bool,
}

impl std::fmt::Display for Row {
    #[expect(clippy::cast_precision_loss, reason = "a pace is told roughly")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, executions, seconds, corpus, .. } = self;
        let pace = *executions as f64 / seconds.max(0.001);
        let result = if self.ended_well { "holds" } else { "DOES NOT HOLD" };
        write!(f, "{target:<12} {executions:>11} {seconds:>8.0} {pace:>8.0} {corpus:>7}  {result}")
    }
}

/// A number of libFuzzer's last words; 0 if it did not come to them.
fn stat(log: &str, name: &str) -> u64 {
    let line = log.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_known_targets_and_one_limit() {
        let known = ["digest".to_owned(), "link".to_owned()];
        let plan = Plan::read(&["link", "--runs", "7"], &known).unwrap();
        assert_eq!((plan.targets, plan.limit.as_str(), plan.keep), (vec!["link".to_owned()], "-runs=7", false));
        let plan = Plan::read(&["--seconds", "5", "--keep"], &known).unwrap();
        assert_eq!((plan.targets.len(), plan.limit.as_str(), plan.keep), (2, "-max_total_time=5", true));
        for wrong in [&["unheard-of"][..], &["--runs"], &["--runs", "0"], &["--seconds", "x"]] {
            assert!(Plan::read(wrong, &known).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn executions_are_read_from_the_last_words() {
        let log = "#12\tDONE\nDone 12 runs in 0 second(s)\nstat::number_of_executed_units: 12\nstat::peak_rss_mb: 28\n";
        assert_eq!(stat(log, "number_of_executed_units"), 12);
        assert_eq!(stat("==1== ERROR", "number_of_executed_units"), 0);
    }
}
