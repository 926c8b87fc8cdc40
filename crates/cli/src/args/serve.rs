//! What is typed after `serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What a registry is served from, to whom, and how.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: String,
    /// The directory to serve and to keep what is pushed; made if it is not there
    pub(crate) dir: Option<PathBuf>,
    /// Serve only users of this htpasswd file, whose passwords are hashed by bcrypt; each may do everything
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    /// What users are asked for
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Auth::Basic, requires = "htpasswd")]
    pub(crate) auth: Auth,
    /// Where clients reach the server, if not at the address it listens on: they are sent there for tokens
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Listen on an address that other machines reach, and let everybody read and write
    #[arg(long)]
    pub(crate) allow_anonymous_remote: bool,
    #[command(flatten)]
    pub(crate) policy: Policy,
}

/// What may be done to what is served.
#[derive(Args, Debug)]
pub(crate) struct Policy {
    /// Take manifests that name blobs and manifests which are not there
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Only hand out: refuse every push and delete
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Never move or remove a tag that is set, nor what it leads to
    #[arg(long, conflicts_with = "read_only")]
    pub(crate) immutable_tags: bool,
}

/// What users are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Auth {
    /// Name and password with each request
    Basic,
    /// A token, which name and password are exchanged for
    Token,
}
