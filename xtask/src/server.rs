//! Registry servers under test: they pick a free loopback port themselves, and end when they are dropped.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::go;
use crate::tool::{self, Result, Scratch};

/// Time that a server may take to answer.
const START: Duration = Duration::from_secs(20);

/// Other people's registries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Debian's distribution 2.8.2.
    DockerRegistry,
    /// Distribution v3.
    Distribution,
    Olareg,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::DockerRegistry, Self::Distribution, Self::Olareg];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DockerRegistry => "docker-registry",
            Self::Distribution => "distribution",
            Self::Olareg => "olareg",
        }
    }

    /// Installs it.
    pub(crate) fn need(self) -> Result {
        match self {
            Self::DockerRegistry => tool::need_debian(&[("docker-registry", "docker-registry")]),
            Self::Distribution => go::DISTRIBUTION.need().map(drop),
            Self::Olareg => go::OLAREG.need().map(drop),
        }
    }

    /// Its command line, with its store in `dir`.
    fn command(self, dir: &Path) -> Result<Command> {
        let store = dir.join("store");
        fs::create_dir_all(&store).map_err(|error| format!("create {}: {error}", store.display()))?;
        let mut command = match self {
            Self::DockerRegistry => tool::command("docker-registry", ["serve"]),
            Self::Distribution => tool::command(go::DISTRIBUTION.need()?, ["serve"]),
            Self::Olareg => {
                let options = ["serve", "--addr", "127.0.0.1", "--port", "0", "--api-delete", "--api-blob-delete"];
                let mut command = tool::command(go::OLAREG.need()?, options);
                command.arg("--dir").arg(store);
                return Ok(command);
            }
        };
        let config = dir.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\n  formatter: json\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n",
            store.display()
        );
        fs::write(&config, text).map_err(|error| format!("write {}: {error}", config.display()))?;
        command.arg(&config);
        Ok(command)
    }
}

/// A registry of the kind of that name, until standard input ends; its URL is the only output. For tests that are not
/// ours to start from here.
pub(crate) fn serve(name: &str) -> Result {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind =
        kind.ok_or_else(|| format!("no registry {name:?}; there are {}", Kind::ALL.map(Kind::name).join(", ")))?;
    let scratch = Scratch::in_memory("serve")?;
    let server = Server::start(kind, scratch.path())?;
    println!("http://{}", server.host);
    let waited = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    waited.map(drop).map_err(|error| format!("wait for the end of standard input: {error}"))
}

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) host: String,
    log: PathBuf,
}

impl Server {
    /// One with its store in `dir`; its log, for distribution one JSON line a request, goes to `dir/log`.
    pub(crate) fn start(kind: Kind, dir: &Path) -> Result<Self> {
        let mut command = kind.command(dir)?;
        let path = dir.join("log");
        let log = File::create(&path).map_err(|error| format!("create the log: {error}"))?;
        let errors = log.try_clone().map_err(|error| format!("open the log: {error}"))?;
        let child = command.stdout(log).stderr(errors).spawn();
        let child = child.map_err(|error| format!("start {command:?}: {error}"))?;
        let mut server = Self { child, host: String::new(), log: path };
        let since = Instant::now();
        while since.elapsed() < START {
            if let Some(port) = listening_port(server.child.id()) {
                server.host = format!("127.0.0.1:{port}");
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                let said = fs::read_to_string(&server.log).unwrap_or_default();
                return Err(format!("{command:?} ended: {status}\n{}", said.trim_end()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{command:?} did not listen within {START:?}"))
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
            Some(host) => Ok(Self { child, host: host.to_owned(), log: PathBuf::new() }),
            None => Err(format!("gantri serve printed {line:?}, not a URL")),
        }
    }

    /// Each request that distribution, which logs them, has answered: method and path.
    pub(crate) fn requests(&self) -> Result<Vec<String>> {
        let mut seen = usize::MAX;
        loop {
            let requests = logged(&self.log)?;
            if requests.len() == seen {
                return Ok(requests);
            }
            // A line may be written after the answer that it tells of has arrived.
            seen = requests.len();
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The loopback port that a process listens on, once it does. The kernel knows: not every registry tells, and a port that
/// is picked beforehand may be another's by then.
fn listening_port(process: u32) -> Option<u16> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let sockets: HashSet<String> = open
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, socket) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (address, port) = local.split_once(':')?;
        let ours = address == LOOPBACK && *state == LISTENING && sockets.contains(*socket);
        ours.then(|| u16::from_str_radix(port, 16).ok())?
    })
}

/// 127.0.0.1 and the state, as `/proc/net/tcp` spells them.
const LOOPBACK: &str = "0100007F";
const LISTENING: &str = "0A";

fn logged(log: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(log).map_err(|error| format!("read {}: {error}", log.display()))?;
    let field = |line: &serde_json::Value, name: &str| line[name].as_str().map(str::to_owned);
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["msg"] == "response completed")
        .filter_map(|line| {
            Some(format!("{} {}", field(&line, "http.request.method")?, field(&line, "http.request.uri")?))
        })
        .collect())
}
