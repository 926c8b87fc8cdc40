//! Which files of the ecosystem say how registries are spoken to.

use std::path::PathBuf;

use clap::Args;
use gantri::config::Configuration;

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
    pub(crate) fn configuration(&self) -> Configuration {
        let mut configuration =
            if self.no_config { Configuration::default() } else { Configuration::from_environment() };
        if let Some(file) = &self.registries_conf {
            configuration = configuration.registries_conf(file);
        }
        if let Some(dir) = &self.hosts_dir {
            configuration = configuration.hosts_dir(dir);
        }
        if let Some(dir) = &self.cert_dir {
            configuration = configuration.cert_dir(dir);
        }
        configuration
    }
}
