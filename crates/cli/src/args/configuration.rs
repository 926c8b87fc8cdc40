//! Which files of the ecosystem say how registries are spoken to.

use std::path::{Path, PathBuf};

use clap::Args;
use gantri::config::Configuration;
use gantri::{Error, ErrorKind, Result};

/// What stands in for the files that are read by default, or beside them.
#[derive(Args, Debug)]
pub(crate) struct ConfigurationArgs {
    /// Read mirrors and credential-helpers from this registries.conf, and from no other
    #[arg(long, global = true, value_name = "FILE")]
    registries_conf: Option<PathBuf>,
    /// Read containerd's hosts.toml files below this directory, DIR/HOST/hosts.toml
    #[arg(long, global = true, value_name = "DIR", env = "GANTRI_HOSTS_DIR")]
    hosts_dir: Option<PathBuf>,
    /// Read certificates below this directory, DIR/HOST/*.{crt,cert,key}, and below no other
    #[arg(long, global = true, value_name = "DIR", env = "GANTRI_CERT_DIR")]
    cert_dir: Option<PathBuf>,
    /// Read none of registries.conf (nor its credential-helpers), hosts.toml and certs.d but what is named
    #[arg(long, global = true)]
    no_config: bool,
}

impl ConfigurationArgs {
    /// The configuration that is meant. Nothing is read yet.
    ///
    /// # Errors
    /// `Config` if a directory that was named is not there.
    pub(crate) fn configuration(&self) -> Result<Configuration> {
        let mut configuration =
            if self.no_config { Configuration::default() } else { Configuration::from_environment() };
        if let Some(file) = &self.registries_conf {
            configuration = configuration.registries_conf(file);
        }
        if let Some(dir) = &self.hosts_dir {
            configuration = configuration.hosts_dir(there("--hosts-dir", dir)?);
        }
        if let Some(dir) = &self.cert_dir {
            configuration = configuration.cert_dir(there("--cert-dir", dir)?);
        }
        Ok(configuration)
    }
}

/// What somebody has named has to be there: without it, hosts would be spoken to otherwise than he thinks.
fn there<'a>(option: &str, dir: &'a Path) -> Result<&'a Path> {
    if dir.is_dir() {
        return Ok(dir);
    }
    let what = if dir.exists() { "not a directory" } else { "no such directory" };
    Err(Error::new(ErrorKind::Config, format!("{option} {}: {what}", dir.display())))
}
