//! Speed and memory as ratios against a peer in the same run: release builds, a local registry, output in memory.

mod measure;

use std::fs;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::server::Server;
use crate::tool::{self, Result, Scratch, command, run, text};

use self::measure::{Cost, measure, median};

/// Runs of each side; they alternate.
const RUNS: usize = 7;
/// The peer: the fast one.

/// Prints each figure with its bound; fails if one is over it.
pub(crate) fn bench(_parts: &[&str]) -> Result {
    tool::need_debian(&[("docker-registry", "docker-registry"), ("skopeo", "skopeo"), ("time", "time")])?;
    let gantri = tool::gantri()?;
    let crane = crate::go::CRANE.need()?;
    let images = Images::in_cache()?;
    let scratch = Scratch::in_memory("bench")?;
    let registry = Server::start(crate::server::Kind::Distribution, &scratch.path().join("registry"))?;
    let ten = images.push(&registry, "ten")?;
    println!("image: {}", images.describe("ten")?);

    let mut over = Vec::new();
    let mut judge = |name: &str, figure: f64, bound: f64| {
        let verdict = if figure <= bound { "ok" } else { "OVER" };
        println!("{verdict:4} {name}: {figure:.2} (bound {bound})");
        if figure > bound {
            over.push(name.to_owned());
        }
    };
    let dir = scratch.path();
    let crane_version = crate::go::CRANE.version;
    let (gantri, crane) = (text(&gantri), text(&crane));

    let ours = format!("{gantri} unpack --quiet {ten} out");
    let theirs = format!("mkdir out && {crane} export --insecure {ten} - | tar -x -C out");
    let (ours, theirs) = duel("unpack", dir, &ours, &theirs)?;
    judge("unpack, wall time against crane export | tar -x", ours.wall / theirs.wall, 0.6);
    judge("unpack, CPU time against crane export | tar -x", ours.cpu / theirs.cpu, 0.7);

    let ours = format!("{gantri} pull --quiet {ten} oci:out");
    let theirs = format!("{crane} pull --insecure --format=oci {ten} out");
    let (ours, theirs) = duel("pull", dir, &ours, &theirs)?;
    judge("pull, wall time against crane pull", ours.wall / theirs.wall, 1.1);
    judge("pull, CPU time against crane pull", ours.cpu / theirs.cpu, 1.0);

    for (name, size) in [("small", "50 MB"), ("large", "1 GB")] {
        let image = images.push(&registry, name)?;
        let pull = alone(dir, &format!("{gantri} pull --quiet {image} oci:out"))?;
        judge(&format!("pull, peak MiB for a layer of {size}"), pull.peak_mib, 24.0);
        let unpack = alone(dir, &format!("{gantri} unpack --quiet {image} out"))?;
        judge(&format!("unpack, peak MiB for a layer of {size}"), unpack.peak_mib, 64.0);
    }
    println!("peer: crane {crane_version}; {RUNS} runs each, alternating, medians; output on {}", dir.display());
    if over.is_empty() { Ok(()) } else { Err(format!("over the bound: {}", over.join("; "))) }
}

/// Both sides in turn, so that whatever else the machine does meets both.
fn duel(name: &str, dir: &Path, ours: &str, theirs: &str) -> Result<(Cost, Cost)> {
    let (mut our_costs, mut their_costs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        our_costs.push(alone(dir, ours)?);
        their_costs.push(alone(dir, theirs)?);
    }
    let (ours, theirs) = (median(&our_costs), median(&their_costs));
    println!(
        "{name}: ours {:.2} s wall, {:.2} s CPU, {:.0} MiB; theirs {:.2} s wall, {:.2} s CPU, {:.0} MiB",
        ours.wall, ours.cpu, ours.peak_mib, theirs.wall, theirs.cpu, theirs.peak_mib
    );
    Ok((ours, theirs))
}

/// One run into a fresh `out`.
fn alone(dir: &Path, line: &str) -> Result<Cost> {
    let cost = measure(line, dir)?;
    fs::remove_dir_all(dir.join("out")).map_err(|error| format!("remove the output: {error}"))?;
    Ok(cost)
}

/// The images, made once and kept in the cache.
struct Images(PathBuf);

impl Images {
    fn in_cache() -> Result<Self> {
        let images = Self(tool::cache_dir()?.join("bench-1"));
        images.need("ten", include_str!("fixture.sh"))?;
        // Data that does not compress: what counts here is how much of it is held.
        images.need("small", "head -c 50M /dev/urandom >data; tar --create --file 0.tar --remove-files data")?;
        images.need("large", "head -c 1G /dev/urandom >data; tar --create --file 0.tar --remove-files data")?;
        Ok(images)
    }

    fn need(&self, name: &str, script: &str) -> Result {
        let done = self.0.join(name);
        if done.join("index.json").is_file() {
            return Ok(());
        }
        println!("making the image {name}");
        let scratch = Scratch::new(Path::new("/var/tmp"), name)?;
        tool::shell(script, scratch.path())?;
        let mut tarballs: Vec<PathBuf> = fs::read_dir(scratch.path())
            .map_err(|error| error.to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        tarballs.sort();
        layout::write(&done, "v1", &tarballs)
    }

    fn push(&self, registry: &Server, name: &str) -> Result<String> {
        let image = format!("{}/bench/{name}:v1", registry.host);
        let from = format!("oci:{}:v1", text(&self.0.join(name)));
        let mut skopeo = command("skopeo", ["--insecure-policy", "copy", "--dest-tls-verify=false"]);
        run(skopeo.args([&from, &format!("docker://{image}")]))?;
        Ok(image)
    }

    fn describe(&self, name: &str) -> Result<String> {
        let mut sizes = Vec::new();
        for entry in fs::read_dir(self.0.join(name).join("blobs/sha256")).map_err(|error| error.to_string())? {
            sizes.push(entry.and_then(|entry| entry.metadata()).map_err(|error| error.to_string())?.len());
        }
        let total: u64 = sizes.iter().sum();
        Ok(format!("{} blobs, {} MB compressed", sizes.len(), total / 1_000_000))
    }
}
