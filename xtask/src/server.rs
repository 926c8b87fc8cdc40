//! Registry servers under test: started on a free loopback port, ended by their own process id.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tool::{self, Result};

/// Time that a server may take to answer.
const START: Duration = Duration::from_secs(20);

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) host: String,
}

impl Server {
    /// Debian's `docker-registry` with its store in `dir`; its log, one JSON line a request, goes to `dir/log`.
    pub(crate) fn docker_registry(dir: &Path) -> Result<Self> {
        tool::need_debian(&[("docker-registry", "docker-registry")])?;
        std::fs::create_dir_all(dir).map_err(|error| format!("create {}: {error}", dir.display()))?;
        let port = free_port()?;
        let config = dir.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\n  formatter: json\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n",
            dir.join("store").display()
        );
        std::fs::write(&config, text).map_err(|error| format!("write {}: {error}", config.display()))?;
        let log = std::fs::File::create(dir.join("log")).map_err(|error| format!("create the log: {error}"))?;
        let errors = log.try_clone().map_err(|error| format!("open the log: {error}"))?;
        let mut command = tool::command("docker-registry", ["serve"]);
        command.arg(&config).stdout(log).stderr(errors);
        Self::start(&mut command, port)
    }

    /// Our own server over the directory, or in memory.
    pub(crate) fn gantri(program: &Path, dir: Option<&Path>) -> Result<Self> {
        let mut command = tool::command(program, ["serve", "--listen", "127.0.0.1:0"]);
        let mut child =
            command.args(dir).stdout(Stdio::piped()).spawn().map_err(|error| format!("start {command:?}: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            // A URL is short; a server that says more than this is not ours.
            BufReader::new(stdout.take(1024)).read_line(&mut line).map_err(|error| format!("read the URL: {error}"))?;
        }
        match line.trim().strip_prefix("http://") {
            Some(host) => Ok(Self { child, host: host.to_owned() }),
            None => Err(format!("gantri serve printed {line:?}, not a URL")),
        }
    }

    fn start(command: &mut Command, port: u16) -> Result<Self> {
        let child = command.spawn().map_err(|error| format!("start {command:?}: {error}"))?;
        let mut server = Self { child, host: format!("127.0.0.1:{port}") };
        let since = Instant::now();
        while since.elapsed() < START {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{command:?} ended: {status}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{command:?} did not listen within {START:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("find a free port: {error}"))?;
    Ok(listener.local_addr().map_err(|error| format!("find a free port: {error}"))?.port())
}
