//! Other people's Go programs, built at pinned versions from the module proxy into the cache, and the Go that builds them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tool::{self, Result, Scratch, command, run};

/// The fast peer of the benchmarks, and a client like the others.
pub(crate) const CRANE: Program = Program {
    name: "crane",
    module: "github.com/google/go-containerregistry",
    package: "github.com/google/go-containerregistry/cmd/crane",
    version: "v0.22.1",
};
pub(crate) const REGCTL: Program = Program {
    name: "regctl",
    module: "github.com/regclient/regclient",
    package: "github.com/regclient/regclient/cmd/regctl",
    version: "v0.11.7",
};
pub(crate) const ORAS: Program =
    Program { name: "oras", module: "oras.land/oras", package: "oras.land/oras/cmd/oras", version: "v1.3.3" };
/// What Docker Hub and many others run, in its third version.
pub(crate) const DISTRIBUTION: Program = Program {
    name: "registry",
    module: "github.com/distribution/distribution/v3",
    package: "github.com/distribution/distribution/v3/cmd/registry",
    version: "v3.1.2",
};
pub(crate) const OLAREG: Program = Program {
    name: "olareg",
    module: "github.com/olareg/olareg",
    package: "github.com/olareg/olareg/cmd/olareg",
    version: "v0.2.2",
};

/// The least that all of them ask for, and what is fetched where there is none or an older one.
const MINOR: u32 = 26;
const TOOLCHAIN: &str = "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64";

/// A program in a Go module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    module: &'static str,
    package: &'static str,
    pub(crate) version: &'static str,
}

impl Program {
    /// Its path; built if the cache has it not.
    pub(crate) fn need(&self) -> Result<PathBuf> {
        let Self { name, module, package, version } = self;
        let bin = tool::cache_dir()?.join("bin").join(format!("{name}-{version}"));
        let program = bin.join(name);
        if program.is_file() {
            return Ok(program);
        }
        println!("building {name} {version}");
        // `go install` of a package at a version asks for the list of all versions too, which not every proxy gives.
        let scratch = Scratch::new(Path::new("/var/tmp"), name)?;
        let module_file = scratch.path().join("go.mod");
        let text = format!("module xtask\n\ngo 1.{MINOR}.0\n\nrequire {module} {version}\n");
        fs::write(&module_file, text).map_err(|error| format!("write {}: {error}", module_file.display()))?;
        let made = scratch.path().join(name);
        let mut build = go()?;
        build.args(["build", "-mod=mod", "-trimpath", "-buildvcs=false", "-o"]).arg(&made).arg(package);
        run(build.current_dir(scratch.path()))?;
        fs::create_dir_all(&bin).map_err(|error| format!("create {}: {error}", bin.display()))?;
        // Beside its place first, so that a half copied program is never taken for a whole one.
        let copy = bin.join(format!("{name}.{}", std::process::id()));
        fs::copy(&made, &copy).map_err(|error| format!("copy {name}: {error}"))?;
        fs::rename(&copy, &program).map_err(|error| format!("rename {name}: {error}"))?;
        Ok(program)
    }
}

/// A Go that is new enough: this machine's, or one from the module proxy, which any Go can fetch and check.
pub(crate) fn go() -> Result<Command> {
    tool::need_debian(&[("go", "golang-go")])?;
    let version = run(command("go", ["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"))?;
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    let mut go = if minor(&version).is_some_and(|minor| minor >= MINOR) {
        command("go", [""; 0])
    } else {
        let root = fetched()?;
        let mut go = command(root.join("bin/go"), [""; 0]);
        go.env("GOROOT", root);
        go
    };
    go.env("GOTOOLCHAIN", "local");
    Ok(go)
}

fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("go1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Where the Go of the module proxy is unpacked. Debian's is older, and too old to switch to it by itself.
fn fetched() -> Result<PathBuf> {
    let mut download = command("go", ["mod", "download", "-json", TOOLCHAIN]);
    let told = run(download.env("GOTOOLCHAIN", "local").current_dir(std::env::temp_dir()))?;
    let told: Value = serde_json::from_slice(&told).map_err(|error| format!("go mod download: {error}"))?;
    let root = PathBuf::from(told["Dir"].as_str().ok_or_else(|| format!("go mod download says {told}"))?);
    // Modules have no executable files.
    for dir in [root.join("bin"), root.join("pkg/tool/linux_amd64")] {
        let io = |error: std::io::Error| format!("make {} executable: {error}", dir.display());
        for entry in fs::read_dir(&dir).map_err(io)? {
            fs::set_permissions(entry.map_err(io)?.path(), fs::Permissions::from_mode(0o755)).map_err(io)?;
        }
    }
    Ok(root)
}
