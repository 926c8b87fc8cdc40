//! Who is faster: the same job by each side in turn, so that whatever else the machine does meets all of them.

use super::measure::{Cost, measure, median};
use super::{Bench, Result};

/// The commands that race. In a line of shell they are `$GANTRI` and `$CRANE`; skopeo is on the path.
pub(super) struct Sides {
    pub(super) gantri: String,
    pub(super) crane: String,
}

/// One side's line of shell.
pub(super) struct Runner {
    pub(super) name: &'static str,
    pub(super) line: String,
}

impl Bench {
    /// The medians of the runners, in their order; before each run `ready` makes the place ready. What it gives lives as
    /// long as the run, and its host is `$TO`.
    pub(super) fn race<T: Target>(
        &self,
        name: &str,
        runners: &[Runner],
        mut ready: impl FnMut() -> Result<T>,
    ) -> Result<Vec<Cost>> {
        let mut costs = vec![Vec::new(); runners.len()];
        for _ in 0..self.runs {
            for (runner, costs) in runners.iter().zip(&mut costs) {
                let target = ready()?;
                costs.push(self.alone(&runner.line, target.host())?);
            }
        }
        let medians: Vec<Cost> = costs.iter().map(|costs| median(costs)).collect();
        let told = runners.iter().zip(&medians).map(|(runner, cost)| {
            let Cost { wall, cpu, peak_mib } = cost;
            format!("{} {wall:.3} s wall, {cpu:.3} s CPU, {peak_mib:.0} MiB", runner.name)
        });
        println!("{name}: {}", told.collect::<Vec<_>>().join("; "));
        Ok(medians)
    }

    /// One run.
    pub(super) fn alone(&self, line: &str, to: &str) -> Result<Cost> {
        let variables = [("GANTRI", self.sides.gantri.as_str()), ("CRANE", &self.sides.crane), ("TO", to)];
        measure(line, self.scratch.path(), &variables)
    }
}

/// Where a run writes to.
pub(super) trait Target {
    /// The registry's host and port; empty for a directory.
    fn host(&self) -> &str;
}

impl Target for () {
    fn host(&self) -> &'static str {
        ""
    }
}

impl Target for crate::server::Server {
    fn host(&self) -> &str {
        &self.host
    }
}

impl Target for &crate::server::Server {
    fn host(&self) -> &str {
        &self.host
    }
}
