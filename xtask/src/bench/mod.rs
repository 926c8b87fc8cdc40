//! Speed and memory as ratios against peers in the same run: release builds, a local registry, everything in memory.

mod images;
mod measure;
mod race;
mod reading;
mod writing;

use crate::go;
use crate::server::{Kind, Server};
use crate::tool::{self, Result, Scratch, text};

use self::images::Images;
use self::race::Sides;

/// Runs of each side of a race; they alternate.
const RUNS: usize = 7;

/// Prints each figure with its bound, of the parts named or of all; fails if one is over it.
pub(crate) fn bench(words: &[&str]) -> Result {
    let (parts, runs) = match words {
        [parts @ .., "--runs", runs] => (parts, runs.parse().map_err(|error| format!("--runs {runs}: {error}"))?),
        parts => (parts, RUNS),
    };
    if let Some(unknown) = parts.iter().find(|part| !PARTS.iter().any(|(name, _)| name == *part)) {
        return Err(format!("no part {unknown:?}; there are {}", PARTS.map(|(name, _)| name).join(", ")));
    }
    tool::need_debian(&[("skopeo", "skopeo"), ("time", "time")])?;
    let scratch = Scratch::in_memory("bench")?;
    let sides = Sides { gantri: text(&tool::gantri()?), crane: text(&go::CRANE.need()?) };
    let images = Images::in_cache()?;
    println!("image: {}", images.describe("ten")?);
    let source = scratch.path().join("source");
    let source = Server::start(Kind::Distribution, &source)?;
    let mut bench = Bench { sides, images, source, scratch, runs, over: Vec::new() };
    for (name, part) in PARTS {
        if parts.is_empty() || parts.contains(&name) {
            part(&mut bench)?;
        }
    }
    let [crane, registry] = [go::CRANE.version, go::DISTRIBUTION.version];
    println!("crane {crane}, Debian's skopeo, distribution {registry}; {runs} runs each, alternating, medians");
    if bench.over.is_empty() { Ok(()) } else { Err(format!("over the bound: {}", bench.over.join("; "))) }
}

type Part = fn(&mut Bench) -> Result;

const PARTS: [(&str, Part); 4] =
    [("unpack", reading::unpack), ("pull", reading::pull), ("push", writing::push), ("copy", writing::copy)];

/// What the parts share: a registry to read from, and what was over its bound.
struct Bench {
    sides: Sides,
    images: Images,
    source: Server,
    scratch: Scratch,
    runs: usize,
    over: Vec<String>,
}

impl Bench {
    /// Says a figure with its bound, and remembers if it is over it.
    fn judge(&mut self, name: &str, figure: f64, bound: f64) {
        let verdict = if figure <= bound { "ok" } else { "OVER" };
        println!("{verdict:4} {name}: {figure:.2} (bound {bound})");
        if figure > bound {
            self.over.push(name.to_owned());
        }
    }
}
