//! Our client and server against other people's, each step loud when it fails.

mod clients;
mod compare;
mod credentials;
mod ours;
mod peers;
mod stage;
mod suite;

use std::path::Path;
use std::time::Instant;

use crate::go;
use crate::server::Kind;
use crate::tool::{self, Result, Scratch};

use self::stage::Stage;

/// Runs every check, or those whose names hold all the words; the last line counts them.
pub(crate) fn interop(words: &[&str]) -> Result {
    tool::need_debian(&[("skopeo", "skopeo"), ("umoci", "umoci"), ("setfattr", "attr"), ("setpriv", "util-linux")])?;
    for kind in Kind::ALL {
        kind.need()?;
    }
    for program in [go::CRANE, go::REGCTL, go::ORAS] {
        program.need()?;
    }
    let scratch = Scratch::new(Path::new("/var/tmp"), "interop")?;
    let stage = Stage::set_up(scratch.path())?;
    let mut checks: Vec<Check> =
        [ours::checks(), clients::checks(), credentials::checks(), suite::checks()].into_iter().flatten().collect();
    checks.retain(|check| words.iter().all(|word| check.name.contains(word)));
    let mut failed = 0;
    for Check { name, run } in &checks {
        let since = Instant::now();
        match run(&stage) {
            Ok(detail) => println!("ok      {name}: {detail} ({:.1} s)", since.elapsed().as_secs_f64()),
            Err(reason) => {
                failed += 1;
                println!("FAILED  {name}: {reason}");
            }
        }
    }
    println!("interop: {} passed, {failed} failed", checks.len() - failed);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} interop checks failed")) }
}

/// A named check; what it says when it holds is for a person to read.
struct Check {
    name: String,
    run: Box<Run>,
}

type Run = dyn Fn(&Stage) -> Result<String>;

fn check(name: impl Into<String>, run: impl Fn(&Stage) -> Result<String> + 'static) -> Check {
    Check { name: name.into(), run: Box::new(run) }
}
