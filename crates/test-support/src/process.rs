//! The real binary, run as a user runs it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program with these arguments, in `dir`, with no configuration of the machine's user.
pub fn command(program: &str, dir: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("HOME", dir)
        .env_remove("DOCKER_CONFIG");
    command
}

/// Runs it to its end.
pub fn run(program: &str, dir: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    command(program, dir, arguments).output().expect("the program can be run").into()
}

/// All names below a directory, sorted: what a failed command must not have changed.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir_now) = open.pop() {
        for entry in std::fs::read_dir(&dir_now).expect("a directory that can be listed") {
            let entry = entry.expect("an entry that can be read");
            if entry.file_type().expect("an entry with a type").is_dir() {
                open.push(entry.path());
            }
            let path = entry.path();
            names.push(path.strip_prefix(dir).expect("below the directory").display().to_string());
        }
    }
    names.sort();
    names
}
