//! What the user typed. Nothing is looked up or checked here beyond its form; what it means is `context.rs`' business.

use std::fmt;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Pull, unpack, push and serve OCI images.
#[derive(Debug, Parser)]
#[command(name = "gantri", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
An image is HOST/NAME[:TAG][@DIGEST] in a registry, or oci:DIR[:TAG] in an image layout directory.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unauthorized or denied, 130 and 143 interrupted.";

/// What every command understands.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// How data is printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Say nothing but errors on standard error
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say what is decided and why; twice for every detail
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to speak http to a registry and not https
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = Http::Auto,
        default_missing_value = "always"
    )]
    pub(crate) plain_http: Http,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people and for line-wise tools.
    Text,
    /// One JSON document.
    Json,
}

/// When to speak http to a registry and not https.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Http {
    /// To loopback hosts
    Auto,
    /// To every host
    Always,
    /// To none
    Never,
}

/// A choice among the platforms of an index.
#[derive(Args, Debug)]
pub(crate) struct PlatformArg {
    /// The platform to choose from an index, such as linux/arm64/v8 [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
}

/// One verb each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the whole job happen, against a registry of its own
    Quickstart {
        /// The directories to pack, one layer each [default: two of this repository]
        #[arg(value_name = "DIR")]
        layers: Vec<PathBuf>,
    },
    /// Serve a registry: in memory, or from a directory
    Serve(ServeArgs),
    /// Fetch an image into an image layout directory
    Pull {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        /// Where to; without a tag, under the image's own
        #[arg(value_name = "oci:DIR[:TAG]")]
        target: String,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// Fetch an image and unpack it to a root file system
    Unpack {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        /// Where to; must not exist, or be empty
        dir: PathBuf,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// Pack directories into an image, one layer each
    Build {
        /// Where to
        #[arg(value_name = "oci:DIR[:TAG]")]
        target: String,
        /// The directories, lowest layer first
        #[arg(required = true, value_name = "DIR")]
        layers: Vec<PathBuf>,
    },
    /// Push an image from an image layout directory
    Push {
        /// The image
        #[arg(value_name = "oci:DIR[:TAG]")]
        source: String,
        /// Where to, once or more
        #[arg(required = true, value_name = "REF")]
        targets: Vec<String>,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// List the tags of a repository
    Tags {
        /// The repository: HOST/NAME, or oci:DIR
        #[arg(value_name = "REPO")]
        repository: String,
    },
    /// Print a manifest, byte for byte as it is stored
    Manifest {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// Print an image's config
    Config {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// Print the digest that a reference names
    Digest {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// Print a blob
    Blob {
        /// The blob
        #[arg(value_name = "REPO@DIGEST")]
        source: String,
    },
}

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
    /// Take manifests that name blobs and manifests which are not there
    #[arg(long)]
    pub(crate) allow_missing: bool,
}

/// What users are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Auth {
    /// Name and password with each request
    Basic,
    /// A token, which name and password are exchanged for
    Token,
}

/// The verb and what it works on, for messages.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quickstart { .. } => f.write_str("quickstart"),
            Self::Serve(_) => f.write_str("serve"),
            Self::Pull { source, .. } => write!(f, "pull {source}"),
            Self::Unpack { source, .. } => write!(f, "unpack {source}"),
            Self::Build { target, .. } => write!(f, "build {target}"),
            Self::Push { source, .. } => write!(f, "push {source}"),
            Self::Tags { repository } => write!(f, "tags of {repository}"),
            Self::Manifest { source, .. } => write!(f, "manifest {source}"),
            Self::Config { source, .. } => write!(f, "config {source}"),
            Self::Digest { source, .. } => write!(f, "digest {source}"),
            Self::Blob { source } => write!(f, "blob {source}"),
        }
    }
}
