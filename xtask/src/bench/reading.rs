//! Pull and unpack: the image of ten layers against crane, and one large layer for the memory.

use std::fs;

use super::race::Runner;
use super::{Bench, Result};

pub(super) fn unpack(bench: &mut Bench) -> Result {
    let image = bench.images.push(&bench.source, "ten")?;
    let runners = [
        Runner { name: "gantri", line: format!("$GANTRI unpack --quiet {image} out") },
        Runner { name: "crane", line: format!("mkdir out && $CRANE export --insecure {image} - | tar -x -C out") },
    ];
    let costs = bench.race("unpack", &runners, || without_out(bench))?;
    bench.judge("unpack, wall time against crane export | tar -x", costs[0].wall / costs[1].wall, 0.6);
    bench.judge("unpack, CPU time against crane export | tar -x", costs[0].cpu / costs[1].cpu, 0.7);
    peaks(bench, "unpack", "$GANTRI unpack --quiet $IMAGE out", 64.0)
}

pub(super) fn pull(bench: &mut Bench) -> Result {
    let image = bench.images.push(&bench.source, "ten")?;
    let runners = [
        Runner { name: "gantri", line: format!("$GANTRI pull --quiet {image} oci:out") },
        Runner { name: "crane", line: format!("$CRANE pull --insecure --format=oci {image} out") },
    ];
    let costs = bench.race("pull", &runners, || without_out(bench))?;
    bench.judge("pull, wall time against crane pull", costs[0].wall / costs[1].wall, 1.1);
    bench.judge("pull, CPU time against crane pull", costs[0].cpu / costs[1].cpu, 1.0);
    peaks(bench, "pull", "$GANTRI pull --quiet $IMAGE oci:out", 24.0)
}

/// The memory that ours takes for one layer, which must not depend on its size.
fn peaks(bench: &mut Bench, what: &str, line: &str, bound: f64) -> Result {
    for (name, size) in [("small", "50 MB"), ("large", "1 GB")] {
        let image = bench.images.push(&bench.source, name)?;
        without_out(bench)?;
        let cost = bench.alone(&line.replace("$IMAGE", &image), "")?;
        bench.judge(&format!("{what}, peak MiB for a layer of {size}"), cost.peak_mib, bound);
    }
    without_out(bench)
}

/// Takes away what the run before made.
fn without_out(bench: &Bench) -> Result {
    let out = bench.scratch.path().join("out");
    match fs::remove_dir_all(&out) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("remove {}: {error}", out.display())),
        _ => Ok(()),
    }
}
