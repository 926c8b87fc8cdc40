//! `cargo xtask check`: everything that a change must pass, in one order, here and in CI.
//!
//! A step is a function; what it finds wrong it prints, and one line says how it ended. All steps run, so that one go
//! shows all that is to be mended.

mod cargo;
mod confined;
mod deps;
mod policy;
mod sizes;
mod source;

use std::time::Instant;

use crate::guards;
use crate::tool::Result;

/// How a step ended well.
enum Done {
    /// It held; with what was looked at, if that needs saying.
    Held(String),
    /// It could not be done here, for a reason that is no fault of the change.
    Skipped(&'static str),
}

type Step = fn() -> Result<Done>;

const STEPS: [(&str, Step); 8] = [
    ("fmt", cargo::fmt),
    ("sizes", sizes::sizes),
    ("guards", || guards::fit().map(|guards| Done::Held(format!("{guards} guards stand where they are listed")))),
    ("deps", deps),
    ("clippy", cargo::clippy),
    ("test", cargo::test),
    ("docs", cargo::docs),
    ("deny", cargo::deny),
];

/// Runs the steps that the options leave; the last line counts them.
pub(crate) fn check(options: &[&str]) -> Result {
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for (name, step) in selected(options)? {
        let since = Instant::now();
        let outcome = step();
        let seconds = since.elapsed().as_secs_f32();
        match outcome {
            Ok(Done::Held(what)) => {
                passed += 1;
                println!("ok      {name} ({seconds:.1} s) {what}");
            }
            Ok(Done::Skipped(why)) => {
                skipped += 1;
                println!("skipped {name}: {why}");
            }
            Err(reason) => {
                println!("FAILED  {name} ({seconds:.1} s): {reason}");
                failed.push(name);
            }
        }
    }
    println!("check: {passed} passed, {} failed, {skipped} skipped", failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("check failed: {}", failed.join(", "))) }
}

fn selected(options: &[&str]) -> Result<Vec<(&'static str, Step)>> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    let (pairs, rest) = options.as_chunks();
    for [option, step] in pairs {
        match *option {
            "--only" => only.push(known(step)?),
            "--skip" => skip.push(known(step)?),
            other => return Err(format!("check: {other}: no such option")),
        }
    }
    if let [option] = rest {
        return Err(format!("check: {option}: which step?"));
    }
    let wanted = |name| (only.is_empty() || only.contains(&name)) && !skip.contains(&name);
    Ok(STEPS.into_iter().filter(|(name, _)| wanted(name)).collect())
}

fn known(step: &str) -> Result<&'static str> {
    let names = STEPS.map(|(name, _)| name);
    names
        .into_iter()
        .find(|name| *name == step)
        .ok_or_else(|| format!("check: {step}: not one of {}", names.join(", ")))
}

/// Who depends on whom, who touches files, and what the tree may hold.
fn deps() -> Result<Done> {
    let graph = deps::Graph::read()?;
    let policy = policy::Policy::read()?;
    let mut faults = deps::arrows(&graph);
    faults.extend(confined::faults()?);
    faults.extend(policy.faults(&graph));
    held(&faults, format!("{} packages", graph.packages.len()))
}

/// A list of faults as the end of a step.
fn held(faults: &[String], what: String) -> Result<Done> {
    if faults.is_empty() { Ok(Done::Held(what)) } else { Err(format!("\n  {}", faults.join("\n  "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &[&str]) -> Result<Vec<&'static str>> {
        selected(options).map(|steps| steps.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["--only", "deps", "--only", "fmt"]), Ok(vec!["fmt", "deps"]));
        assert!(!names(&["--skip", "test"]).unwrap().contains(&"test"));
        for wrong in [&["--only", "unheard-of"][..], &["--only"], &["--all", "fmt"]] {
            assert!(names(wrong).is_err(), "{wrong:?}");
        }
    }
}
