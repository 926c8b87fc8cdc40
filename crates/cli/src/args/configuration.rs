//! Which files of the ecosystem say how registries are spoken to.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, Args};
use gantri::config::Configuration;
use gantri::{Error, ErrorKind, Result};

/// What stands in for the files that are read by default, or beside them.
#[derive(Args, Debug)]
pub(crate) struct ConfigurationArgs {
    /// Read mirrors and credential-helpers from this registries.conf, and from no other
    #[arg(long, global = true, value_name = "FILE")]
    registries_conf: Option<PathBuf>,
    /// Read containerd's hosts.toml files below this directory, DIR/HOST/hosts.toml
    #[arg(long, global = true, value_name = "DIR", env = "GANTRI_HOSTS_DIR", value_parser = NamedDirParser)]
    hosts_dir: Option<NamedDir>,
    /// Read certificates below this directory, DIR/HOST/*.{crt,cert,key}, and below no other
    #[arg(long, global = true, value_name = "DIR", env = "GANTRI_CERT_DIR", value_parser = NamedDirParser)]
    cert_dir: Option<NamedDir>,
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
            configuration = configuration.hosts_dir(dir.there()?);
        }
        if let Some(dir) = &self.cert_dir {
            configuration = configuration.cert_dir(dir.there()?);
        }
        Ok(configuration)
    }
}

/// A directory, and the option or the variable that names it.
#[derive(Clone, Debug)]
struct NamedDir {
    by: String,
    dir: PathBuf,
}

impl NamedDir {
    /// What somebody has named has to be there: without it, hosts would be spoken to otherwise than he thinks.
    fn there(&self) -> Result<&Path> {
        let Self { by, dir } = self;
        if dir.is_dir() {
            return Ok(dir);
        }
        let what = if dir.exists() { "not a directory" } else { "no such directory" };
        Err(Error::new(ErrorKind::Config, format!("{by} {}: {what}", dir.display())))
    }
}

/// Tells the option from the variable that stands in for it.
#[derive(Clone, Copy, Debug)]
struct NamedDirParser;

impl TypedValueParser for NamedDirParser {
    type Value = NamedDir;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<NamedDir, clap::Error> {
        self.parse_ref_(command, argument, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<NamedDir, clap::Error> {
        let dir = PathBufValueParser::new().parse_ref(command, argument, value)?;
        let variable = argument.and_then(Arg::get_env).filter(|_| source == ValueSource::EnvVariable);
        let option = || argument.and_then(Arg::get_long).map(|long| format!("--{long}"));
        let by = variable.map(|name| name.to_string_lossy().into_owned()).or_else(option);
        Ok(NamedDir { by: by.unwrap_or_default(), dir })
    }
}
