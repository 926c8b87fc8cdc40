//! What containers' tools (podman, skopeo, buildah) say about credentials: the helpers that `registries.conf` lists, and
//! where their `auth.json` is. Which files are a `registries.conf` is the [`Configuration`]'s business. See
//! containers-registries.conf(5), containers-auth.json(5).

use std::path::{Path, PathBuf};

use gantri_core::Result;

use super::helper::Helper;
use crate::config::configuration::Configuration;
use crate::config::document::Told;
use crate::config::environment::Environment;

/// The name in that list that stands for the files of credentials.
const AUTH_FILES: &str = "containers-auth.json";

/// One of the list.
#[derive(Debug)]
pub(super) enum Listed {
    /// The files of credentials stand here.
    AuthFiles,
    /// A helper.
    Helper(Helper),
}

/// The files of credentials, in their order, whether or not they are there. A file that was named elsewhere stands in for the
/// first.
pub(super) fn auth_files(environment: &Environment, root: &Path, is_named: bool) -> Vec<PathBuf> {
    let containers = |dir: PathBuf| dir.join("containers");
    let session = environment.path("XDG_RUNTIME_DIR").map(containers).or_else(|| sessionless(root));
    let user = environment.path("XDG_CONFIG_HOME").or_else(|| Some(environment.path("HOME")?.join(".config")));
    let dirs = session.filter(|_| !is_named).into_iter().chain(user.map(containers));
    dirs.map(|dir| dir.join("auth.json")).collect()
}

/// Where podman and skopeo keep them on Linux for whoever has no session. `/run/containers` may be closed to all but root:
/// then nothing of this user's is in it.
fn sessionless(root: &Path) -> Option<PathBuf> {
    let dir = root.join(format!("run/containers/{}", rustix::process::getuid().as_raw()));
    (cfg!(target_os = "linux") && dir.is_dir()).then_some(dir)
}

/// What is asked for credentials, in this order, and the file that says so; only the files where none does.
///
/// # Errors
/// `Config` if a file is not what it should be, or lists what no helper can be called (A14).
pub(super) fn credential_helpers(configuration: &Configuration) -> Result<(Vec<Listed>, PathBuf)> {
    let read = configuration.read()?;
    let Some(Told { value: names, said: Some(said) }) = &read.registries.credential_helpers else {
        return Ok((vec![Listed::AuthFiles], PathBuf::new()));
    };
    let listed = names.iter().map(|name| match name.as_str() {
        AUTH_FILES => Ok(Listed::AuthFiles),
        name => Helper::new(name).map(Listed::Helper),
    });
    let listed = listed.collect::<Result<_>>().map_err(|error| error.during(said))?;
    Ok((listed, said.file.clone()))
}
