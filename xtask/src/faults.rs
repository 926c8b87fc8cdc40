//! `cargo xtask faults`: the fault matrix, which is a test program of `gantri`; what is asked of it is handed on.

use std::process::Command;

use crate::tool::{Result, workspace_root};

pub(crate) fn faults(words: &[&str]) -> Result {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--package", "gantri", "--test", "faults", "--"]).args(words);
    let status = cargo.current_dir(workspace_root()).status().map_err(|error| format!("run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("faults: not as it should be".to_owned()) }
}
