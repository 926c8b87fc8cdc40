//! Other people's programs: found, run, and their failures told whole.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every chore returns: the reason is for a person to read.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// A command line, built word by word.
pub(crate) fn command<I, S>(program: impl AsRef<OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end; its standard output, or what it said when it failed.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().map_err(|error| format!("run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{}", output.status, said.trim_end()))
}

/// Runs a line of shell, which fails at its first failing command.
pub(crate) fn shell(script: &str, dir: &Path) -> Result<Vec<u8>> {
    run(command("bash", ["-euo", "pipefail", "-c", script]).current_dir(dir))
}

/// Where a program is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|candidate| candidate.is_file())
}

/// Installs Debian packages for the programs that are missing.
pub(crate) fn need_debian(programs: &[(&str, &str)]) -> Result {
    let missing: Vec<&str> =
        programs.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    run(&mut command("apt-get", ["update", "-qq"]))?;
    run(command("apt-get", ["install", "-y", "-qq", "--no-install-recommends"]).args(&missing))?;
    match programs.iter().find(|(program, _)| find(program).is_none()) {
        Some((program, package)) => Err(format!("{program} is still missing after installing {package}")),
        None => Ok(()),
    }
}

/// Where tools and fixtures that take long to make are kept between runs, outside the clone.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let dir = std::env::var_os("GANTRI_CACHE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/gantri")));
    let dir = dir.ok_or("neither GANTRI_CACHE nor HOME is set")?;
    std::fs::create_dir_all(&dir).map_err(|error| format!("create {}: {error}", dir.display()))?;
    Ok(dir)
}

/// Builds our command; its path.
pub(crate) fn gantri() -> Result<PathBuf> {
    let root = workspace_root();
    run(command("cargo", ["build", "--release", "--quiet", "--package", "gantri-cli"]).current_dir(&root))?;
    Ok(target_dir().join("release/gantri"))
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from)
}

/// The top of the source tree.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// A path as text for another program's command line.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A directory that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new directory below `parent`.
    pub(crate) fn new(parent: &Path, name: &str) -> Result<Self> {
        let dir = parent.join(format!("gantri-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|error| format!("create {}: {error}", dir.display()))?;
        Ok(Self(dir))
    }

    /// A new directory where files are made in memory, if there is such a place.
    pub(crate) fn in_memory(name: &str) -> Result<Self> {
        let shm = Path::new("/dev/shm");
        Self::new(if shm.is_dir() { shm } else { Path::new("/tmp") }, name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
