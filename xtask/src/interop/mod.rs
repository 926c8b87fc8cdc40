//! Our client and server against other people's, each step loud when it fails.

mod compare;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::server::Server;
use crate::tool::{self, Result, Scratch, command, run, text};

use self::compare::As;

/// The user who stands for everybody that is not root.
const NOBODY: &str = "65534";

/// Runs every check; the last line counts them.
pub(crate) fn interop() -> Result {
    tool::need_debian(&[
        ("docker-registry", "docker-registry"),
        ("skopeo", "skopeo"),
        ("umoci", "umoci"),
        ("setfattr", "attr"),
        ("setpriv", "util-linux"),
    ])?;
    let scratch = Scratch::new(Path::new("/var/tmp"), "interop")?;
    // The ordinary user has to reach what lies below.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    let stage = Stage::set_up(scratch.path())?;
    let checks: [(&str, Check); 6] = [
        ("unpack from docker-registry equals umoci unpack, as root", Stage::unpack_as_root),
        ("unpack from docker-registry equals umoci unpack, as an ordinary user", Stage::unpack_as_user),
        ("skopeo and umoci read our layout", Stage::layout_is_read_by_others),
        ("skopeo pushes into gantri serve and pulls the same bytes", Stage::skopeo_against_memory),
        ("skopeo pushes into gantri serve DIR and pulls the same bytes", Stage::skopeo_against_layout),
        ("docker-registry is asked once for each manifest and blob", Stage::one_request_each),
    ];
    let mut failed = 0;
    for (name, check) in &checks {
        match check(&stage) {
            Ok(detail) => println!("ok      {name}: {detail}"),
            Err(reason) => {
                failed += 1;
                println!("FAILED  {name}: {reason}");
            }
        }
    }
    println!("interop: {} passed, {failed} failed", checks.len() - failed);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} interop checks failed")) }
}

/// A check; what it says when it holds is for a person to read.
type Check = fn(&Stage) -> Result<String>;

/// What the checks share: our command, their registry, and the image in it.
struct Stage {
    gantri: PathBuf,
    registry: Server,
    scratch: PathBuf,
}

const NAME: &str = "interop/image";

impl Stage {
    fn set_up(scratch: &Path) -> Result<Self> {
        let gantri = scratch.join("gantri");
        fs::copy(tool::gantri()?, &gantri).map_err(|error| format!("copy gantri: {error}"))?;
        let trees = scratch.join("trees");
        fs::create_dir_all(&trees).map_err(|error| error.to_string())?;
        tool::shell(include_str!("fixture.sh"), &trees)?;
        let mut tarballs: Vec<PathBuf> = fs::read_dir(&trees)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
            .collect();
        tarballs.sort();
        layout::write(&scratch.join("made"), "v1", &tarballs)?;
        let registry = Server::start(crate::server::Kind::DockerRegistry, &scratch.join("registry"))?;
        let stage = Self { gantri, registry, scratch: scratch.to_owned() };
        let to = format!("docker://{}", stage.image());
        stage.skopeo(&["copy", "--dest-tls-verify=false", &format!("oci:{}:v1", text(&scratch.join("made"))), &to])?;
        let from = format!("oci:{}:v1", text(&scratch.join("reference")));
        stage.skopeo(&["copy", "--src-tls-verify=false", &to, &from])?;
        Ok(stage)
    }

    fn image(&self) -> String {
        format!("{}/{NAME}:v1", self.registry.host)
    }

    fn skopeo(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        run(command("skopeo", ["--insecure-policy"]).args(arguments).current_dir(&self.scratch))
    }

    fn unpack_as_root(&self) -> Result<String> {
        let (ours, theirs) = (self.scratch.join("root-ours"), self.scratch.join("root-theirs"));
        run(command(&self.gantri, ["unpack", "--quiet", &self.image()]).arg(&ours))?;
        let image = format!("{}:v1", text(&self.scratch.join("reference")));
        run(command("umoci", ["unpack", "--image", &image]).arg(&theirs))?;
        Self::compared(&ours, &theirs.join("rootfs"), As::Root)
    }

    fn unpack_as_user(&self) -> Result<String> {
        let home = self.scratch.join("user");
        fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        run(command("cp", ["-r"]).arg(self.scratch.join("reference")).arg(home.join("reference")))?;
        run(command("chown", ["-R", NOBODY]).arg(&home))?;
        let (ours, theirs) = (home.join("ours"), home.join("theirs"));
        run(as_user(&self.gantri, &home).args(["unpack", "--quiet", &self.image()]).arg(&ours))?;
        let image = format!("{}:v1", text(&home.join("reference")));
        run(as_user(Path::new("umoci"), &home).args(["unpack", "--rootless", "--image", &image]).arg(&theirs))?;
        Self::compared(&ours, &theirs.join("rootfs"), As::User)
    }

    fn compared(ours: &Path, theirs: &Path, unpacked_as: As) -> Result<String> {
        let differences = compare::trees(ours, theirs, unpacked_as)?;
        if differences.is_empty() {
            return Ok(format!("{} entries, 0 differences", compare::count(ours)?));
        }
        let shown: Vec<String> = differences.iter().take(40).map(|line| format!("\n    {line}")).collect();
        Err(format!("{} differences{}", differences.len(), shown.concat()))
    }

    fn layout_is_read_by_others(&self) -> Result<String> {
        let layout = self.scratch.join("pulled");
        let target = format!("oci:{}:v1", text(&layout));
        let ours = run(&mut command(&self.gantri, ["pull", "--quiet", &self.image(), &target]))?;
        let ours = String::from_utf8_lossy(&ours).trim().to_owned();
        let inspected = self.skopeo(&["inspect", "--format", "{{.Digest}}", &target])?;
        same("skopeo inspect", &String::from_utf8_lossy(&inspected), &ours)?;
        let tags = run(command("umoci", ["list", "--layout"]).arg(&layout))?;
        same("umoci list", &String::from_utf8_lossy(&tags), "v1")?;
        run(command("umoci", ["stat", "--image", &format!("{}:v1", text(&layout))]).arg("--json"))?;
        Ok(ours)
    }

    fn skopeo_against_memory(&self) -> Result<String> {
        self.skopeo_round_trip(None, "memory")
    }

    fn skopeo_against_layout(&self) -> Result<String> {
        self.skopeo_round_trip(Some(&self.scratch.join("served")), "layout")
    }

    fn skopeo_round_trip(&self, dir: Option<&Path>, name: &str) -> Result<String> {
        let server = Server::gantri(&self.gantri, dir)?;
        let there = format!("docker://{}/{NAME}:v1", server.host);
        let made = self.scratch.join("made");
        let back = self.scratch.join(format!("back-{name}"));
        self.skopeo(&["copy", "--dest-tls-verify=false", &format!("oci:{}:v1", text(&made)), &there])?;
        self.skopeo(&["copy", "--src-tls-verify=false", &there, &format!("oci:{}:v1", text(&back))])?;
        run(command("diff", ["-r"]).arg(made.join("blobs")).arg(back.join("blobs")))?;
        let blobs = fs::read_dir(back.join("blobs/sha256")).map_err(|error| error.to_string())?.count();
        Ok(format!("{blobs} blobs identical"))
    }

    fn one_request_each(&self) -> Result<String> {
        let log = self.scratch.join("registry/log");
        let before = requests(&log)?.len();
        let target = format!("oci:{}:v1", text(&self.scratch.join("counted")));
        run(&mut command(&self.gantri, ["pull", "--quiet", &self.image(), &target]))?;
        let mut asked = requests(&log)?.split_off(before);
        let blobs = fs::read_dir(self.scratch.join("counted/blobs/sha256")).map_err(|error| error.to_string())?.count();
        let total = asked.len();
        asked.sort();
        asked.dedup();
        if asked.len() == total && total == blobs && asked.iter().all(|request| request.starts_with("GET ")) {
            return Ok(format!("{total} requests for {blobs} blobs"));
        }
        Err(format!("{total} requests for {blobs} blobs:\n    {}", asked.join("\n    ")))
    }
}

fn as_user(program: &Path, home: &Path) -> std::process::Command {
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()];
    let mut command = command("setpriv", ids);
    command.arg(program).env("HOME", home).current_dir(home);
    command
}

fn same(what: &str, theirs: &str, ours: &str) -> Result {
    if theirs.trim() == ours { Ok(()) } else { Err(format!("{what} says {:?}, we say {ours:?}", theirs.trim())) }
}

/// Each request that docker-registry has answered: method and path.
fn requests(log: &Path) -> Result<Vec<String>> {
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
