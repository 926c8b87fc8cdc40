//! The steps that are cargo's: formatting, lints, tests, docs, cargo-deny. Their output goes straight to the terminal.

use std::process::{Command, Stdio};

use super::Done;
use crate::tool::{Result, command, workspace_root};

pub(super) fn fmt() -> Result<Done> {
    cargo(&["fmt", "--all", "--check"])
}

/// Twice: with every feature and with none.
pub(super) fn clippy() -> Result<Done> {
    let lint = |features| cargo(&["clippy", "--workspace", "--all-targets", features, "--", "-D", "warnings"]);
    lint("--all-features")?;
    lint("--no-default-features")
}

pub(super) fn test() -> Result<Done> {
    cargo(&["test", "--workspace"])
}

/// Private items too. The command goes apart: its documentation has the same file name as that of the library.
pub(super) fn docs() -> Result<Done> {
    let document = ["doc", "--no-deps", "--document-private-items", "--all-features"];
    let rest = ["--workspace", "--exclude", "gantri-cli"];
    for packages in [&["--package", "gantri-cli"][..], &rest] {
        finish(Command::new("cargo").args(document).args(packages).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(Done::Held(String::new()))
}

/// Advisories need cargo-deny; its licences and bans are part of `deps` in any case.
pub(super) fn deny() -> Result<Done> {
    let installed = command("cargo", ["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        return Ok(Done::Skipped("cargo-deny is not installed, so advisories go unread (bans and licences: see deps)"));
    }
    cargo(&["deny", "check"])
}

fn cargo(arguments: &[&str]) -> Result<Done> {
    finish(Command::new("cargo").args(arguments))?;
    Ok(Done::Held(String::new()))
}

fn finish(command: &mut Command) -> Result {
    let command = command.current_dir(workspace_root()).stdin(Stdio::null());
    let status = command.status().map_err(|error| format!("run {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
