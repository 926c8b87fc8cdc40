//! Their clients against our server, over memory and over a directory: each pushes, copies within, lists, attaches,
//! deletes and pulls, and what it moved is held against the source byte for byte.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::peers::{Artifacts, PEERS, Peer};
use super::stage::{self, NAME, Stage, same};
use super::{Check, check};
use crate::server::Server;
use crate::tool::{Result, command, run, text};

/// Where the image is copied to.
const COPY: &str = "interop/copy";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (place, dir) in [("gantri serve", false), ("gantri serve DIR", true)] {
        for peer in &PEERS {
            // The steps of one client are of one server, started by the first.
            let visit = Rc::new(OnceCell::new());
            for (what, step) in STEPS {
                if *what == "attaches to" && peer.artifacts.is_none() {
                    continue;
                }
                let visit = visit.clone();
                checks.push(check(format!("{} {what} {place}", peer.name), move |stage| {
                    if visit.get().is_none() {
                        let _ = visit.set(Visit::start(stage, peer, dir)?);
                    }
                    visit.get().map_or_else(|| Err("no server".to_owned()), step)
                }));
            }
        }
    }
    checks
}

type Step = fn(&Visit) -> Result<String>;

/// In this order: each builds on those before it.
const STEPS: &[(&str, Step)] = &[
    ("pushes into", Visit::push),
    ("pulls from", Visit::pull),
    ("copies within", Visit::copy),
    ("lists", Visit::list),
    ("attaches to", Visit::attach),
    ("deletes from", Visit::delete),
];

/// One client at one server of ours.
struct Visit {
    peer: &'static Peer,
    server: Server,
    gantri: PathBuf,
    made: PathBuf,
    dir: PathBuf,
    digest: String,
}

impl Visit {
    fn start(stage: &Stage, peer: &'static Peer, over_a_directory: bool) -> Result<Self> {
        let name = if over_a_directory { "layout" } else { "memory" };
        let dir = stage.fresh(&format!("{}-{name}", peer.name))?;
        let store = over_a_directory.then(|| dir.join("served"));
        let server = Server::gantri(&stage.gantri, store.as_deref())?;
        let digest =
            run(command("skopeo", ["inspect", "--format", "{{.Digest}}"])
                .arg(format!("oci:{}:v1", text(&stage.made()))))?;
        let digest = String::from_utf8_lossy(&digest).trim().to_owned();
        Ok(Self { peer, server, gantri: stage.gantri.clone(), made: stage.made(), dir, digest })
    }

    fn push(&self) -> Result<String> {
        self.type_in(self.peer.push, &[])?;
        let manifest = run(&mut command(&self.gantri, ["manifest", &self.at(NAME, "v1")]))?;
        same(self.peer.name, gantri_spec::Digest::of(&manifest).as_str(), &self.digest)?;
        Ok(self.digest.clone())
    }

    fn pull(&self) -> Result<String> {
        self.pulled(self.peer.pull, "back")
    }

    fn copy(&self) -> Result<String> {
        self.type_in(self.peer.copy, &[])?;
        self.pulled(self.peer.pull_copy, "copied")
    }

    fn pulled(&self, line: &str, name: &str) -> Result<String> {
        let back = self.dir.join(name);
        self.type_in(line, &[("BACK", &text(&back))])?;
        stage::same_blobs(&self.made, &back)
    }

    fn list(&self) -> Result<String> {
        let listed = self.type_in(self.peer.list, &[])?;
        let listed: Vec<&str> = listed.lines().collect();
        let mut expected = vec!["v1", "v2"];
        if self.peer.lists_repositories {
            expected.extend([COPY, NAME]);
        }
        if listed == expected { Ok(listed.join(" ")) } else { Err(format!("{listed:?}, not {expected:?}")) }
    }

    /// A file goes in as an artifact that refers to the image, is found by that, and comes out as it was.
    fn attach(&self) -> Result<String> {
        let Some(Artifacts { attach, discover, fetch }) = self.peer.artifacts else {
            return Err("attaches nothing".to_owned());
        };
        let io = |error: std::io::Error| format!("write the note: {error}");
        fs::write(self.dir.join("note"), "what was attached\n").map_err(io)?;
        fs::create_dir(self.dir.join("fetched")).map_err(io)?;
        self.type_in(attach, &[])?;
        let found = self.type_in(discover, &[])?;
        let artifact = digests(&found).find(|digest| *digest != self.digest);
        let artifact = artifact.ok_or_else(|| format!("nothing refers to the image:\n{found}"))?;
        self.type_in(fetch, &[("ARTIFACT", artifact)])?;
        run(command("cmp", ["note", "fetched/note"]).current_dir(&self.dir))?;
        Ok(artifact.to_owned())
    }

    fn delete(&self) -> Result<String> {
        self.type_in(self.peer.delete, &[])?;
        let mut gone = vec![self.at(COPY, "v1")];
        if self.peer.deletes_tags {
            gone.push(self.at(NAME, "v2"));
        }
        for reference in &gone {
            let looked = command(&self.gantri, ["manifest", reference]).output().map_err(|error| error.to_string())?;
            if looked.status.code() != Some(NOT_FOUND) {
                return Err(format!("{reference} is still there: {}", looked.status));
            }
        }
        let back = self.dir.join("left");
        run(&mut command(&self.gantri, ["pull", "--quiet", &self.at(NAME, "v1"), &format!("oci:{}", text(&back))]))?;
        stage::same_blobs(&self.made, &back)?;
        Ok(format!("{} gone, {NAME}:v1 whole", gone.len()))
    }

    fn at(&self, name: &str, tag: &str) -> String {
        format!("{}/{name}:{tag}", self.server.host)
    }

    /// Runs a line of shell with what it may ask for; its output.
    fn type_in(&self, line: &str, more: &[(&str, &str)]) -> Result<String> {
        let mut shell = command("bash", ["-euo", "pipefail", "-c", line]);
        shell.current_dir(&self.dir).envs(more.iter().copied());
        let host = &self.server.host;
        shell.env("HOST", host).env("IMAGE", format!("{host}/{NAME}")).env("COPY", format!("{host}/{COPY}"));
        shell.env("MADE", &self.made).env("DIGEST", &self.digest);
        // No one's credentials, and what they write down goes with the rest.
        shell.env("HOME", &self.dir).env("DOCKER_CONFIG", &self.dir).env("REGCTL_CONFIG", self.dir.join("regctl.json"));
        if let Some(program) = &self.peer.program {
            shell.env("PATH", with_program(&program.need()?)?);
        }
        Ok(String::from_utf8_lossy(&run(&mut shell)?).into_owned())
    }
}

/// The exit code of ours for what is not there.
const NOT_FOUND: i32 = 3;

fn with_program(program: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = program.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(dirs).map_err(|error| format!("PATH: {error}"))
}

/// Each SHA-256 digest in a text, in order.
fn digests(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("sha256:").filter_map(|(start, _)| text.get(start..start + 71))
}
