//! Push from a layout and copy from registry to registry: into an empty registry (cold), and into one that has everything
//! already (warm).

use std::fs;

use super::measure::Cost;
use super::race::Runner;
use super::{Bench, Result};
use crate::server::{Kind, Server};
use crate::tool::text;

/// What ours may hold at once, however large a layer is.
const PEAK_MIB: f64 = 32.0;

const IMAGES: [(&str, &str); 2] = [("ten", "ten layers"), ("large", "a layer of 1 GB")];

pub(super) fn push(bench: &mut Bench) -> Result {
    for (image, size) in IMAGES {
        let layout = text(&bench.images.layout(image));
        let to = format!("$TO/bench/{image}:v1");
        let runners = [
            Runner { name: "gantri", line: format!("$GANTRI push --quiet oci:{layout}:v1 {to}") },
            Runner { name: "crane", line: format!("$CRANE push --insecure {layout} {to}") },
            Runner { name: "skopeo", line: skopeo(&format!("oci:{layout}:v1"), &to) },
        ];
        let name = format!("push of {size}, cold");
        let costs = bench.race(&name, &runners, || empty(bench))?;
        judge_push(bench, &name, &costs);
        let there = empty(bench)?;
        bench.alone(&runners[1].line, &there.host)?;
        let name = format!("push of {size}, warm");
        let costs = bench.race(&name, &runners, || Ok(&there))?;
        judge_push(bench, &name, &costs);
    }
    Ok(())
}

fn judge_push(bench: &mut Bench, name: &str, costs: &[Cost]) {
    let [ours, crane, skopeo] = costs else { return };
    bench.judge(&format!("{name}: wall time against the faster"), ours.wall / crane.wall.min(skopeo.wall), 1.0);
    bench.judge(&format!("{name}: CPU time against skopeo"), ours.cpu / skopeo.cpu, 0.3);
    bench.judge(&format!("{name}: peak MiB"), ours.peak_mib, PEAK_MIB);
}

pub(super) fn copy(bench: &mut Bench) -> Result {
    for (image, size) in IMAGES {
        let from = bench.images.push(&bench.source, image)?;
        let to = format!("$TO/bench/{image}:v1");
        let runners = [
            Runner { name: "gantri", line: format!("$GANTRI copy --quiet {from} {to}") },
            Runner { name: "crane", line: format!("$CRANE copy --insecure {from} {to}") },
            Runner { name: "skopeo", line: skopeo(&format!("docker://{from}"), &to) },
        ];
        let name = format!("copy of {size}, cold");
        let costs = bench.race(&name, &runners, || empty(bench))?;
        bench.judge(&format!("{name}: wall time against crane"), costs[0].wall / costs[1].wall, 0.9);
        bench.judge(&format!("{name}: CPU time against crane"), costs[0].cpu / costs[1].cpu, 0.8);
        bench.judge(&format!("{name}: peak MiB"), costs[0].peak_mib, PEAK_MIB);
        let there = empty(bench)?;
        bench.alone(&runners[1].line, &there.host)?;
        let name = format!("copy of {size}, warm");
        let costs = bench.race(&name, &runners, || Ok(&there))?;
        bench.judge(&format!("{name}: wall time against crane"), costs[0].wall / costs[1].wall, 0.6);
        bench.judge(&format!("{name}: peak MiB"), costs[0].peak_mib, PEAK_MIB);
        let ours = requests(bench, &runners[0], &there)?;
        let theirs = requests(bench, &runners[1], &there)?;
        bench.judge(&format!("{name}: requests; crane's are the bound"), ours, theirs);
    }
    Ok(())
}

fn skopeo(from: &str, to: &str) -> String {
    format!("skopeo --insecure-policy copy -q --src-tls-verify=false --dest-tls-verify=false {from} docker://{to}")
}

/// How many requests one run sends, to both registries.
fn requests(bench: &Bench, runner: &Runner, to: &Server) -> Result<f64> {
    let before = bench.source.requests()?.len() + to.requests()?.len();
    bench.alone(&runner.line, &to.host)?;
    let mut sent = bench.source.requests()?;
    sent.extend(to.requests()?);
    let count = u32::try_from(sent.len() - before).map_err(|error| error.to_string())?;
    println!("{}: {count} requests", runner.name);
    Ok(count.into())
}

/// A new registry with nothing in it, in the place of the last.
fn empty(bench: &Bench) -> Result<Server> {
    let dir = bench.scratch.path().join("target");
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(|error| format!("remove {}: {error}", dir.display()))?;
    }
    Server::start(Kind::Distribution, &dir)
}
