//! The behaviour suite against their registries, whose profiles are in `crates/gantri/tests/registries`, and skopeo's
//! understanding of configuration files against ours.

use std::process::Command;

use super::stage::Stage;
use super::{Check, check};
use crate::server::Kind;
use crate::tool::{self, Result, command};

pub(super) fn checks() -> Vec<Check> {
    let checks = Kind::ALL.map(|kind| {
        let name = format!("our client keeps the contract with {}, within its profile", kind.name());
        check(name, move |_: &Stage| suite(&kind.name().replace('-', "_")))
    });
    let skopeo = check("our client reads registries.conf as skopeo does", |_: &Stage| suite("skopeo"));
    checks.into_iter().chain([skopeo]).collect()
}

/// The rules of one module.
fn suite(module: &str) -> Result<String> {
    let output = cargo_test(module)?.output().map_err(|error| format!("run cargo test: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let counted = said.lines().find_map(|line| line.strip_prefix("test result: "));
    match counted.and_then(|counted| counted.strip_prefix("ok. ")?.split(" passed").next()) {
        Some(passed) if output.status.success() && passed != "0" => Ok(format!("{passed} rules")),
        _ => Err(format!("{}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

/// With the whole workspace's features, so that what `cargo test --workspace` built is used again.
fn cargo_test(module: &str) -> Result<Command> {
    let xtask = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
    let module = format!("{module}::");
    let mut test = command("cargo", ["test", "--quiet", "--workspace", "--test", "registries", "--", &module]);
    // Each rule waits for a server of its own more than it computes.
    test.arg("--test-threads=4").env("GANTRI_XTASK", xtask).current_dir(tool::workspace_root());
    Ok(test)
}
