//! Who to be, as the command line says: no secret ever stands there, where every process could read it.

use std::path::PathBuf;

use clap::Args;
use gantri::Credential;
use gantri::spec::Host;

/// Who to be at the registry that a command speaks to.
#[derive(Args, Debug)]
pub(crate) struct CredentialArgs {
    /// Be this user at the registry, with --password-stdin
    #[arg(long, global = true, value_name = "USER", help_heading = "Credentials")]
    pub(crate) username: Option<String>,
    /// Read the user's password from standard input
    #[arg(long, global = true, help_heading = "Credentials")]
    pub(crate) password_stdin: bool,
    /// Read an identity token from standard input, in place of a user and a password
    #[arg(long, global = true, help_heading = "Credentials")]
    pub(crate) token_stdin: bool,
    /// Look for credentials in this file first, and keep them there, in place of `$REGISTRY_AUTH_FILE`
    #[arg(long, global = true, value_name = "FILE", help_heading = "Credentials")]
    pub(crate) auth_file: Option<PathBuf>,
    /// What was read, and where it may be sent.
    #[arg(skip)]
    pub(crate) given: Option<(Host, Credential)>,
}
