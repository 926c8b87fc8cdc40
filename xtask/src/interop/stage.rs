//! What the checks share: our command, an image made by hand, and docker-registry that holds it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::server::{Kind, Server};
use crate::tool::{self, Result, command, run, text};

/// The image's repository, on every registry.
pub(super) const NAME: &str = "interop/image";

pub(super) struct Stage {
    pub(super) gantri: PathBuf,
    pub(super) registry: Server,
    pub(super) scratch: PathBuf,
}

impl Stage {
    pub(super) fn set_up(scratch: &Path) -> Result<Self> {
        // The ordinary user has to reach what lies below.
        fs::set_permissions(scratch, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
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
        let registry = Server::start(Kind::DockerRegistry, &scratch.join("registry"))?;
        let stage = Self { gantri, registry, scratch: scratch.to_owned() };
        let to = format!("docker://{}", stage.image());
        stage.skopeo(&["copy", "--dest-tls-verify=false", &format!("oci:{}:v1", text(&stage.made())), &to])?;
        let from = format!("oci:{}:v1", text(&scratch.join("reference")));
        stage.skopeo(&["copy", "--src-tls-verify=false", &to, &from])?;
        Ok(stage)
    }

    /// The image in docker-registry.
    pub(super) fn image(&self) -> String {
        format!("{}/{NAME}:v1", self.registry.host)
    }

    /// The layout that the image was made in.
    pub(super) fn made(&self) -> PathBuf {
        self.scratch.join("made")
    }

    /// A new directory for one check.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let dir = self.scratch.join(name);
        fs::create_dir(&dir).map_err(|error| format!("create {}: {error}", dir.display()))?;
        Ok(dir)
    }

    pub(super) fn skopeo(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        run(command("skopeo", ["--insecure-policy"]).args(arguments).current_dir(&self.scratch))
    }
}

/// Two layouts with the same blobs, byte for byte.
pub(super) fn same_blobs(one: &Path, other: &Path) -> Result<String> {
    run(command("diff", ["-r"]).arg(one.join("blobs")).arg(other.join("blobs")))?;
    let blobs = fs::read_dir(other.join("blobs/sha256")).map_err(|error| error.to_string())?.count();
    Ok(format!("{blobs} blobs identical"))
}

pub(super) fn same(what: &str, theirs: &str, ours: &str) -> Result {
    if theirs.trim() == ours { Ok(()) } else { Err(format!("{what} says {:?}, we say {ours:?}", theirs.trim())) }
}
