//! The long form of the tests that kill: as many kills, and as large a blob, as a release is held to. Figures are printed.

use std::process::{Command, Stdio};

use crate::tool::Result;

/// Kills of each command.
const KILLS: u32 = 200;
/// MiB of the blob that is cut and killed on its way.
const MIB: u32 = 1024;

/// Kills of each command on one store (`--kills N`), processes that pull at once, and a blob of `--mib N` over a link that
/// is cut, and with its process killed.
pub(crate) fn kill(options: &[&str]) -> Result {
    let (mut kills, mut mib) = (KILLS, MIB);
    for option in options.chunks(2) {
        match option {
            ["--kills", number] => kills = parse(number)?,
            ["--mib", number] => mib = parse(number)?,
            _ => return Err("usage: cargo xtask kill [--kills N] [--mib N]".to_owned()),
        }
    }
    let mut tests = Command::new("cargo");
    tests.args(["test", "-p", "gantri-cli", "--test", "bad_input", "--", "--nocapture", "--test-threads", "1"]);
    tests.args(["kill::", "resume::"]).stdin(Stdio::null());
    tests.env("GANTRI_TEST_KILLS", kills.to_string()).env("GANTRI_TEST_RESUME_MIB", mib.to_string());
    let status = tests.status().map_err(|error| format!("run {tests:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{tests:?}: {status}")) }
}

fn parse(number: &str) -> Result<u32> {
    number.parse().map_err(|error| format!("{number}: {error}"))
}
