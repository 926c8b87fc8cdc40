//! What a command costs: wall time, CPU time, peak resident memory. Taken by GNU time, so that a pipeline counts whole.

use std::path::Path;
use std::time::Instant;

use crate::tool::{Result, command};

/// The cost of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak_mib: f64,
}

/// Runs a line of shell in `dir`; all its processes count.
pub(crate) fn measure(line: &str, dir: &Path, variables: &[(&str, &str)]) -> Result<Cost> {
    let report = dir.join("time");
    let mut timed = command("/usr/bin/time", ["-f", "%U %S %M", "-o"]);
    timed.arg(&report).args(["bash", "-euo", "pipefail", "-c", line]).current_dir(dir);
    timed.envs(variables.iter().copied());
    let start = Instant::now();
    crate::tool::run(&mut timed)?;
    let wall = start.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(&report).map_err(|error| format!("read the times: {error}"))?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [user, system, peak_kib] => Ok(Cost { wall, cpu: user + system, peak_mib: peak_kib / 1024.0 }),
        _ => Err(format!("GNU time wrote {text:?}")),
    }
}

/// The middle of the runs, each figure by itself.
pub(crate) fn median(costs: &[Cost]) -> Cost {
    let middle = |figure: fn(&Cost) -> f64| {
        let mut figures: Vec<f64> = costs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost { wall: middle(|cost| cost.wall), cpu: middle(|cost| cost.cpu), peak_mib: middle(|cost| cost.peak_mib) }
}
