//! Our command against other people's: trees like umoci's, layouts that others read, images that others pushed and pull.

use std::fs;
use std::path::Path;

use super::compare::{self, As};
use super::stage::{self, NAME, Stage, same};
use super::{Check, check};
use crate::server::{Kind, Server};
use crate::tool::{Result, command, run, text};

/// The user who stands for everybody that is not root.
const NOBODY: &str = "65534";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        check("unpack from docker-registry equals umoci unpack, as root", unpack_as_root),
        check("unpack from docker-registry equals umoci unpack, as an ordinary user", unpack_as_user),
        check("skopeo and umoci read our layout", layout_is_read_by_others),
        check("docker-registry is asked once for each manifest and blob", one_request_each),
    ];
    for kind in Kind::ALL {
        let name = kind.name();
        checks.push(check(format!("gantri pushes into {name} and skopeo pulls the same bytes"), move |stage| {
            moved(stage, kind, "push", &format!("oci:{}:v1", text(&stage.made())))
        }));
        checks.push(check(format!("gantri copies from docker-registry into {name}, the same bytes"), move |stage| {
            moved(stage, kind, "copy", &stage.image())
        }));
    }
    checks
}

fn unpack_as_root(stage: &Stage) -> Result<String> {
    let (ours, theirs) = (stage.scratch.join("root-ours"), stage.scratch.join("root-theirs"));
    run(command(&stage.gantri, ["unpack", "--quiet", &stage.image()]).arg(&ours))?;
    let image = format!("{}:v1", text(&stage.scratch.join("reference")));
    run(command("umoci", ["unpack", "--image", &image]).arg(&theirs))?;
    compared(&ours, &theirs.join("rootfs"), As::Root)
}

fn unpack_as_user(stage: &Stage) -> Result<String> {
    let home = stage.scratch.join("user");
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    run(command("cp", ["-r"]).arg(stage.scratch.join("reference")).arg(home.join("reference")))?;
    run(command("chown", ["-R", NOBODY]).arg(&home))?;
    let (ours, theirs) = (home.join("ours"), home.join("theirs"));
    run(as_user(&stage.gantri, &home).args(["unpack", "--quiet", &stage.image()]).arg(&ours))?;
    let image = format!("{}:v1", text(&home.join("reference")));
    run(as_user(Path::new("umoci"), &home).args(["unpack", "--rootless", "--image", &image]).arg(&theirs))?;
    compared(&ours, &theirs.join("rootfs"), As::User)
}

fn compared(ours: &Path, theirs: &Path, unpacked_as: As) -> Result<String> {
    let differences = compare::trees(ours, theirs, unpacked_as)?;
    if differences.is_empty() {
        return Ok(format!("{} entries, 0 differences", compare::count(ours)?));
    }
    let shown: Vec<String> = differences.iter().take(40).map(|line| format!("\n    {line}")).collect();
    Err(format!("{} differences{}", differences.len(), shown.concat()))
}

fn layout_is_read_by_others(stage: &Stage) -> Result<String> {
    let layout = stage.scratch.join("pulled");
    let target = format!("oci:{}:v1", text(&layout));
    let ours = run(&mut command(&stage.gantri, ["pull", "--quiet", &stage.image(), &target]))?;
    let ours = String::from_utf8_lossy(&ours).trim().to_owned();
    let inspected = stage.skopeo(&["inspect", "--format", "{{.Digest}}", &target])?;
    same("skopeo inspect", &String::from_utf8_lossy(&inspected), &ours)?;
    let tags = run(command("umoci", ["list", "--layout"]).arg(&layout))?;
    same("umoci list", &String::from_utf8_lossy(&tags), "v1")?;
    run(command("umoci", ["stat", "--image", &format!("{}:v1", text(&layout))]).arg("--json"))?;
    Ok(ours)
}

fn one_request_each(stage: &Stage) -> Result<String> {
    let before = stage.registry.requests()?.len();
    let target = format!("oci:{}:v1", text(&stage.scratch.join("counted")));
    run(&mut command(&stage.gantri, ["pull", "--quiet", &stage.image(), &target]))?;
    let mut asked = stage.registry.requests()?.split_off(before);
    let blobs = fs::read_dir(stage.scratch.join("counted/blobs/sha256")).map_err(|error| error.to_string())?.count();
    let total = asked.len();
    asked.sort();
    asked.dedup();
    if asked.len() == total && total == blobs && asked.iter().all(|request| request.starts_with("GET ")) {
        return Ok(format!("{total} requests for {blobs} blobs"));
    }
    Err(format!("{total} requests for {blobs} blobs:\n    {}", asked.join("\n    ")))
}

/// Ours moves the image from there into an empty registry, skopeo takes it out.
fn moved(stage: &Stage, kind: Kind, verb: &str, from: &str) -> Result<String> {
    let dir = stage.fresh(&format!("{verb}-{}", kind.name()))?;
    let server = Server::start(kind, &dir)?;
    let image = format!("{}/{NAME}:v1", server.host);
    run(&mut command(&stage.gantri, [verb, "--quiet", from, &image]))?;
    let back = dir.join("back");
    let to = format!("oci:{}:v1", text(&back));
    stage.skopeo(&["copy", "--src-tls-verify=false", &format!("docker://{image}"), &to])?;
    stage::same_blobs(&stage.made(), &back)
}

fn as_user(program: &Path, home: &Path) -> std::process::Command {
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()];
    let mut command = command("setpriv", ids);
    command.arg(program).env("HOME", home).current_dir(home);
    command
}
