//! What a line of shell costs, all its processes counted: times by bash, to the millisecond, and the largest memory that
//! one of them held by GNU time.

use std::fs;
use std::path::Path;

use crate::tool::{Result, command};

/// The cost of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak_mib: f64,
}

/// Runs `$LINE`, and leaves its own standard error alone. One command needs no shell of its own, whose start would count
/// for more than many a command.
const ONE: &str = r#"TIMEFORMAT='%R %U %S'
{ eval "time /usr/bin/time -f %M -o memory $LINE 2>&3"; } 3>&2 2>times"#;
const SEVERAL: &str = r#"TIMEFORMAT='%R %U %S'
{ time /usr/bin/time -f %M -o memory bash -euo pipefail -c "$LINE" 2>&3; } 3>&2 2>times"#;

/// Runs the line in `dir`, with these variables.
pub(crate) fn measure(line: &str, dir: &Path, variables: &[(&str, &str)]) -> Result<Cost> {
    let script = if line.contains(['|', '&', ';', '\n']) { SEVERAL } else { ONE };
    let mut timed = command("bash", ["-c", script]);
    timed.current_dir(dir).env("LINE", line).envs(variables.iter().copied());
    crate::tool::run(&mut timed).map_err(|error| format!("{line}\n{error}"))?;
    let mut numbers = Vec::new();
    for file in ["times", "memory"] {
        let text = fs::read_to_string(dir.join(file)).map_err(|error| format!("read the {file}: {error}"))?;
        numbers.extend(text.split_whitespace().filter_map(|word| word.parse::<f64>().ok()));
    }
    match numbers[..] {
        [wall, user, system, peak_kib] => Ok(Cost { wall, cpu: user + system, peak_mib: peak_kib / 1024.0 }),
        _ => Err(format!("the times and the memory are {numbers:?}")),
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
