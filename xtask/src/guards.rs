//! The proof that the tests of `docs/security.md` can fail: each guard listed in `docs/guards.toml` is taken out of a copy
//! of the tree, and the tests beside it have to go red. They all run once before, with every guard in place and held to the
//! same limits: a test that is not green then proves nothing by being red.
//!
//! Whether the list still fits the tree (each guard stands where it says, once) is part of `check`; taking the guards out
//! is for a person to start, for it builds once for each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;

use crate::tool::{self, Result, command, workspace_root};

/// Longer than any of the tests takes. A test that hangs without its guard has failed.
const PATIENCE_S: &str = "180";
/// What one test may claim, in KiB: without its guard it may want everything.
const MEMORY_KIB: &str = "8000000";

#[derive(Deserialize)]
struct List {
    guard: Vec<Guard>,
}

/// One guard, and what shows that it is needed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Guard {
    /// The row of `docs/security.md`.
    row: String,
    /// Where it stands; more than one place where either of them would do.
    cuts: Vec<Cut>,
    /// The tests that go red then, named as in `docs/security.md`.
    tests: Vec<String>,
}

/// A place that a guard is taken out of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    /// Below `crates/`.
    file: String,
    /// Its text, as it stands in the file.
    with: String,
    /// What stands there when it is taken out.
    without: String,
}

/// What became of a test without its guard.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Outcome {
    Red,
    Green,
    NotBuilt,
    NotRun,
    /// It was not asked, for it did not pass with the guard in place.
    NotGreen,
}

/// The words for cargo that name a binary of tests.
type Binary = Vec<String>;

/// Each test that is green with all guards in place, and what its binary calls it. A rule that several registries are held
/// to has several names there.
type Sound = BTreeMap<String, Vec<String>>;

/// Takes out each guard of these rows, or of all.
pub(crate) fn guards(rows: &[&str]) -> Result {
    let guards = read()?;
    let wanted = |guard: &&Guard| rows.is_empty() || rows.contains(&guard.row.as_str());
    let guards: Vec<&Guard> = guards.iter().filter(wanted).collect();
    let tree = Copy::of_the_tree()?;
    let (mut red, mut other) = (0, Vec::new());
    let started = Instant::now();
    let sound = tree.with_all(&guards)?;
    println!("{} tests are green with every guard, {:.0} s", sound.len(), started.elapsed().as_secs_f64());
    for guard in guards {
        for (test, outcome) in tree.without(guard, &sound)? {
            println!("{:<4} {:<8} {test}", guard.row, outcome.word());
            match outcome {
                Outcome::Red => red += 1,
                _ => other.push(format!("{} {test}: {}", guard.row, outcome.word())),
            }
        }
    }
    println!("guards: {red} red, {} not, {:.0} s", other.len(), started.elapsed().as_secs_f64());
    if other.is_empty() { Ok(()) } else { Err(other.join("\n")) }
}

/// Whether each guard of the list stands in its file, once; how many there are.
pub(crate) fn fit() -> Result<usize> {
    let guards = read()?;
    let astray: Vec<String> = guards.iter().filter_map(|guard| guard.taken_out().err()).collect();
    if astray.is_empty() { Ok(guards.len()) } else { Err(astray.join("\n")) }
}

fn read() -> Result<Vec<Guard>> {
    let path = workspace_root().join("docs/guards.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let list: List = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(list.guard)
}

impl Guard {
    /// Its files without it.
    fn taken_out(&self) -> Result<BTreeMap<&str, String>> {
        let mut files = BTreeMap::new();
        for Cut { file, with, without } in &self.cuts {
            let path = workspace_root().join("crates").join(file);
            let text = match files.remove(file.as_str()) {
                Some(text) => text,
                None => fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))?,
            };
            match text.matches(with).count() {
                1 => files.insert(file.as_str(), text.replacen(with, without, 1)),
                found => return Err(format!("guards.toml, {}: {file} holds it {found} times: {with:?}", self.row)),
            };
        }
        Ok(files)
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "GREEN",
            Self::NotBuilt => "NOBUILD",
            Self::NotRun => "NOTRUN",
            Self::NotGreen => "NOTGREEN",
        }
    }
}

/// A copy of the tree with a build directory of its own, so that nobody's tree is ever without its guards.
struct Copy {
    scratch: tool::Scratch,
    target: PathBuf,
}

impl Copy {
    fn of_the_tree() -> Result<Self> {
        let cache = tool::cache_dir()?;
        let scratch = tool::Scratch::new(&cache, "guards")?;
        // As new as now: what an earlier run left built of a file without its guard is newer than the file itself.
        let files = "git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xmf - -C ";
        tool::shell(&format!("{files}'{}'", tool::text(scratch.path())), &workspace_root())?;
        Ok(Self { scratch, target: cache.join("guards-target") })
    }

    /// Which of the tests pass with all guards in place; tells of the others at once.
    fn with_all(&self, guards: &[&Guard]) -> Result<Sound> {
        let mut sound = Sound::new();
        for (binary, tests) in self.by_binary(guards) {
            let said = self.run(&binary, tests.iter().map(|test| function(test)))?;
            for test in tests {
                let names = said.as_deref().map_or_else(Vec::new, |said| called(said, test));
                if !names.is_empty() && judge(said.as_deref(), &names) == Outcome::Green {
                    sound.insert(test.to_owned(), names);
                } else {
                    println!("     {:<8} {test}", Outcome::NotGreen.word());
                }
            }
        }
        Ok(sound)
    }

    /// What each test says without the guard.
    fn without(&self, guard: &Guard, sound: &Sound) -> Result<Vec<(String, Outcome)>> {
        let mut whole = Vec::new();
        for (file, text) in guard.taken_out()? {
            let file = self.scratch.path().join("crates").join(file);
            whole.push((file.clone(), fs::read(&file).map_err(|error| format!("read {}: {error}", file.display()))?));
            write(&file, text.as_bytes())?;
        }
        let mut outcomes = Vec::new();
        for (binary, tests) in self.by_binary(&[guard]) {
            let names = |test: &&str| sound.get(*test).map_or(&[][..], Vec::as_slice);
            let asked: Vec<&str> = tests.iter().flat_map(names).map(String::as_str).collect();
            let said = if asked.is_empty() { None } else { self.run(&binary, ["--exact"].into_iter().chain(asked))? };
            outcomes.extend(tests.iter().map(|test| ((*test).to_owned(), judge(said.as_deref(), names(test)))));
        }
        for (file, bytes) in whole {
            write(&file, &bytes)?;
        }
        Ok(outcomes)
    }

    fn by_binary<'a>(&self, guards: &[&'a Guard]) -> BTreeMap<Binary, BTreeSet<&'a str>> {
        let mut by_binary: BTreeMap<Binary, BTreeSet<&str>> = BTreeMap::new();
        for test in guards.iter().flat_map(|guard| &guard.tests) {
            by_binary.entry(binary(self.scratch.path(), test)).or_default().insert(test);
        }
        by_binary
    }

    /// What the tests said, if they could be built.
    fn run<'a>(&self, binary: &Binary, tests: impl Iterator<Item = &'a str>) -> Result<Option<String>> {
        // The build has all the time it wants; only the tests are hurried.
        let mut build = self.in_the_copy(command("cargo", ["test", "--no-run", "--quiet"]));
        if tool::run(build.args(binary)).is_err() {
            return Ok(None);
        }
        let limits = format!("ulimit -v {MEMORY_KIB}; exec \"$@\"");
        let hurried = ["-c", &limits, "bash", "timeout", PATIENCE_S, "cargo", "test", "--no-fail-fast"];
        let mut cargo = self.in_the_copy(command("bash", hurried));
        cargo.args(binary).arg("--").args(tests);
        let output = cargo.output().map_err(|error| format!("run {cargo:?}: {error}"))?;
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Builds as quickly as can be: the same files are built over and over, each time with one of them changed.
    fn in_the_copy(&self, mut command: Command) -> Command {
        command.current_dir(self.scratch.path()).env("CARGO_TARGET_DIR", &self.target).env("RUSTFLAGS", "-Awarnings");
        command.env("CARGO_INCREMENTAL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result {
    fs::write(path, bytes).map_err(|error| format!("write {}: {error}", path.display()))
}

/// Which binary of tests holds it, as words for cargo.
fn binary(root: &Path, test: &str) -> Binary {
    let mut parts = test.split("::");
    let (name, first) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let dir = root.join("crates").join(name);
    let package = if name == "gantri" { name.to_owned() } else { format!("gantri-{name}") };
    let mut words = vec!["-p".to_owned(), package];
    if name == "core" && first == "testkit" {
        // The rules are run by whoever has a registry; the one in memory is nearest.
        words.extend(["--test".to_owned(), "behaviour".to_owned()]);
    } else if dir.join("tests").join(first).is_dir() || dir.join("tests").join(format!("{first}.rs")).is_file() {
        words.extend(["--test".to_owned(), first.to_owned()]);
    } else {
        words.push(if dir.join("src/lib.rs").is_file() { "--lib" } else { "--bins" }.to_owned());
    }
    words
}

fn function(test: &str) -> &str {
    test.rsplit("::").next().unwrap_or(test)
}

/// The module it stands in; `tests` says no more than that it is a test, and is not always named.
fn module(test: &str) -> Option<&str> {
    test.rsplit("::").skip(1).find(|part| *part != "tests")
}

/// What a run calls this test: by its function, and where several go by that, by the module before it too. A rule of the
/// testkit goes by the names of all registries that are held to it.
fn called(said: &str, test: &str) -> Vec<String> {
    let mut names: Vec<&str> =
        endings(said).map(|(name, _)| name).filter(|name| function(name) == function(test)).collect();
    if names.len() > 1 && !test.starts_with("core::testkit::") {
        names.retain(|name| module(name) == module(test));
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Each test of a run, and the end of the line about it.
fn endings(said: &str) -> impl Iterator<Item = (&str, &str)> {
    said.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "))
}

/// A test that never said how it ended, in a run that did not come to its end, hung or took the process down with it.
fn judge(said: Option<&str>, names: &[String]) -> Outcome {
    if names.is_empty() {
        return Outcome::NotGreen;
    }
    let Some(said) = said else { return Outcome::NotBuilt };
    let ended = |how: &str| {
        let it = |name: &String| endings(said).any(|(test, end)| test == name && end.ends_with(how));
        names.iter().filter(|name| it(name)).count()
    };
    if ended("FAILED") > 0 {
        Outcome::Red
    } else if ended("ok") == names.len() {
        Outcome::Green
    } else if said.contains("test result") {
        Outcome::NotRun
    } else {
        Outcome::Red
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_test_ended_is_read_from_what_the_run_said() {
        let cases = [
            (None, "NOBUILD"),
            (Some("running 1 test\ntest a::guarded ... FAILED\ntest result: FAILED."), "red"),
            (Some("running 1 test\ntest a::guarded ... ok\ntest result: ok."), "GREEN"),
            (
                Some("running 2 tests\ntest a::guarded ... ok\ntest a::unguarded ... FAILED\ntest result: FAILED."),
                "GREEN",
            ),
            (Some("running 0 tests\n\ntest result: ok. 0 passed"), "NOTRUN"),
            (Some("running 1 test\n"), "red"),
            (Some("running 1 test\ntest a::guarded has been running for over 60 seconds\n"), "red"),
        ];
        for (said, expected) in cases {
            assert_eq!(judge(said, &["a::guarded".to_owned()]).word(), expected, "{said:?}");
        }
        assert!(judge(None, &[]) == Outcome::NotGreen, "what was not asked");
        let both = ["a::rule".to_owned(), "b::rule".to_owned()];
        assert!(
            judge(Some("test a::rule ... ok\ntest b::rule ... FAILED\ntest result: FAILED."), &both) == Outcome::Red
        );
    }

    #[test]
    fn a_test_is_found_by_its_whole_name() {
        let said = "test a::tests::kept ... ok\ntest b::kept ... ok\ntest b::unkept ... FAILED\ntest b::kept_on ... ok";
        let cases = [
            ("remote::a::kept", vec!["a::tests::kept"]),
            ("remote::x::b::tests::kept", vec!["b::kept"]),
            ("remote::somewhere::unkept", vec!["b::unkept"]),
            ("remote::c::kept", vec![]),
            ("remote::b::ept", vec![]),
            ("core::testkit::suite::c::kept", vec!["a::tests::kept", "b::kept"]),
        ];
        for (test, expected) in cases {
            assert_eq!(called(said, test), expected, "{test}");
        }
    }
}
