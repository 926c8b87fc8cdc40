//! The real binary, run as a user runs it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::trace::{Trace, trace};

/// Time after which a run counts as hung.
const HUNG: Duration = Duration::from_secs(120);

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
        .env_remove("DOCKER_CONFIG")
        .env_remove("XDG_CACHE_HOME")
        .env_remove("DOCKER_AUTH_CONFIG")
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("XDG_CONFIG_HOME")
        // Not unset: files of the machine's user would be found by number.
        .env("XDG_RUNTIME_DIR", dir)
        // An empty file: what this machine says about registries is not for tests.
        .env("CONTAINERS_REGISTRIES_CONF", "/dev/null")
        .env_remove("CONTAINERS_REGISTRIES_CONF_OVERRIDE")
        .env_remove("HTTP_PROXY")
        .env_remove("HTTPS_PROXY")
        .env_remove("ALL_PROXY")
        .env_remove("http_proxy")
        .env_remove("https_proxy")
        .env_remove("all_proxy")
        .env_remove("GANTRI_HOSTS_DIR")
        .env_remove("GANTRI_CERT_DIR");
    command
}

/// Runs it to its end.
pub fn run(program: &str, dir: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    Running::start(&mut command(program, dir, arguments)).end()
}

/// All names below a directory, sorted: what a failed command must not have changed.
pub fn names(dir: &Path) -> Vec<String> {
    trace(dir).into_names()
}

/// A program under way; killed if nobody waits for its end.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    ended: Receiver<Output>,
    over: bool,
}

impl Running {
    /// Starts it and reads what it prints.
    pub fn start(command: &mut Command) -> Self {
        Self::watch(command.spawn().expect("the program can be run"))
    }

    /// Starts it and gives its first line on standard output as soon as it is there.
    pub fn start_and_read_line(command: &mut Command) -> (Self, String) {
        let mut child = command.spawn().expect("the program can be run");
        let mut stdout = BufReader::new(child.stdout.take().expect("a piped standard output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line of text");
        let running = Self::watch_rest(child, stdout);
        (running, line.trim_end_matches('\n').to_owned())
    }

    fn watch(child: Child) -> Self {
        Self::observe(child.id(), move || child.wait_with_output())
    }

    fn watch_rest(child: Child, mut stdout: BufReader<ChildStdout>) -> Self {
        Self::observe(child.id(), move || {
            let mut rest = Vec::new();
            stdout.read_to_end(&mut rest)?;
            // Its standard output is taken; only the other pipe is left to read.
            let output = child.wait_with_output()?;
            Ok(Output { stdout: rest, ..output })
        })
    }

    fn observe(id: u32, end: impl FnOnce() -> std::io::Result<Output> + Send + 'static) -> Self {
        let (tell, ended) = channel();
        thread::spawn(move || {
            if let Ok(output) = end() {
                // The test may have lost interest.
                let _ = tell.send(output);
            }
        });
        let pid = id.try_into().ok().and_then(Pid::from_raw).expect("a process id");
        Self { pid, ended, over: false }
    }

    /// As Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// As `kill` does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Lets it do nothing more, for as long as it lives.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// How it ended, if it does so in this time.
    pub fn ended_within(&mut self, time: Duration) -> Option<Ran> {
        let output = self.ended.recv_timeout(time).ok()?;
        self.over = true;
        Some(output.into())
    }

    /// As `kill -9` does: no word reaches the program. Gives how it ended, once it has: by its own will, with a code, if that
    /// came first.
    pub fn kill(self) -> Ran {
        let _ = kill_process(self.pid, Signal::KILL);
        self.end()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("a process that still runs");
    }

    /// Waits for the end.
    pub fn end(self) -> Ran {
        self.end_within(HUNG)
    }

    /// Waits for the end; panics if it takes longer.
    pub fn end_within(mut self, time: Duration) -> Ran {
        match self.ended.recv_timeout(time) {
            Ok(output) => {
                self.over = true;
                output.into()
            }
            Err(RecvTimeoutError::Timeout) => panic!("the program still runs after {time:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the program's output could not be read"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over && self.ended.try_recv().is_err() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// A place to run the program in: a working directory, a home and a directory for temporary files, all of which can be
/// held against what they were before.
#[derive(Debug)]
pub struct Scene {
    place: TempDir,
    program: String,
}

impl Scene {
    /// An empty place.
    pub fn new(program: &str) -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        for dir in ["here", "home", "tmp"] {
            std::fs::create_dir(place.path().join(dir)).expect("a new directory");
        }
        Self { place, program: program.to_owned() }
    }

    /// A path in the working directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("here").join(name)
    }

    /// A path in the home.
    pub fn home(&self, name: &str) -> PathBuf {
        self.place.path().join("home").join(name)
    }

    /// The program with these arguments.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = command(&self.program, &self.place.path().join("here"), arguments);
        command.env("HOME", self.place.path().join("home")).env("TMPDIR", self.place.path().join("tmp"));
        command
    }

    /// Starts it.
    pub fn start(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        self.start(arguments).end()
    }

    /// The path of the whole place, as text.
    pub(crate) fn place(&self) -> String {
        self.place.path().display().to_string()
    }

    /// All that is there.
    pub fn trace(&self) -> Trace {
        trace(self.place.path())
    }
}
