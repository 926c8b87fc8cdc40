//! What the user typed. Nothing is looked up or checked here beyond its form; what it means is `context.rs`' business.
#![expect(rustdoc::broken_intra_doc_links, reason = "help texts, in which brackets mean what may be left out")]

mod configuration;
mod credentials;
mod network;
mod serve;
mod single;

use std::fmt;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::configuration::ConfigurationArgs;
pub(crate) use self::credentials::CredentialArgs;
pub(crate) use self::network::NetworkArgs;
pub(crate) use self::serve::{Auth, ServeArgs};
pub(crate) use self::single::{BlobAction, ManifestAction};

/// Pull, unpack, push, copy and serve OCI images.
#[derive(Debug, Parser)]
#[command(name = "gantri", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
An image is HOST/NAME[:TAG][@DIGEST] in a registry, oci:DIR[:TAG][@DIGEST] in an image layout directory,
oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG]] in an archive.

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
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
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

/// A choice of several platforms of an index.
#[derive(Args, Debug)]
pub(crate) struct PlatformsArg {
    /// Only these platforms of an index, such as linux/arm64/v8; several yield a new index of their images
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',', conflicts_with = "all_platforms")]
    pub(crate) platform: Vec<String>,
    /// Every platform of an index: the index as it is
    #[arg(long)]
    pub(crate) all_platforms: bool,
}

/// How much happens at once.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct JobsArg {
    /// Blobs on their way at once [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
}

/// How much of what is copied, and whether it is at all.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
#[derive(Args, Debug)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    pub(crate) platforms: PlatformsArg,
    /// Bring along what refers to the image: signatures, attestations, bills of material
    #[arg(long)]
    pub(crate) referrers: bool,
    /// Bring every tag of the repository
    #[arg(long)]
    pub(crate) all_tags: bool,
    /// Bring layers that are marked as not to be handed on
    #[arg(long)]
    pub(crate) foreign_layers: bool,
    /// Say what would be sent, mounted and skipped, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) jobs: JobsArg,
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
    /// Try a credential at a registry and keep it: in a credential helper if one is configured, else in a file
    Login {
        /// The registry
        #[arg(value_name = "HOST")]
        host: String,
    },
    /// Forget the credential for a registry
    Logout {
        /// The registry, or those of its repositories that a credential is kept for
        #[arg(value_name = "HOST[/PATH]")]
        host: String,
    },
    /// Fetch an image into an image layout or an archive
    Pull {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        /// Where to: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]; without a tag, under the
        /// image's own
        #[arg(value_name = "TARGET")]
        target: String,
        #[command(flatten)]
        platforms: PlatformsArg,
        #[command(flatten)]
        jobs: JobsArg,
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
        #[command(flatten)]
        jobs: JobsArg,
    },
    /// Fetch an artifact and write its files
    Fetch {
        /// The artifact
        #[arg(value_name = "REF")]
        source: String,
        /// Where to; must not exist, or be empty
        dir: PathBuf,
        #[command(flatten)]
        jobs: JobsArg,
    },
    /// Pack directories into an image, one layer each
    Build {
        /// Where to: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]
        #[arg(value_name = "TARGET")]
        target: String,
        /// The directories, lowest layer first
        #[arg(required = true, value_name = "DIR")]
        layers: Vec<PathBuf>,
    },
    /// Push an image, or an index whole, from an image layout or an archive
    Push {
        /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]
        #[arg(value_name = "SOURCE")]
        source: String,
        /// Where to, once or more; what the targets share is sent once
        #[arg(required = true, value_name = "REF")]
        targets: Vec<String>,
        #[command(flatten)]
        copy: CopyArgs,
    },
    /// Copy an image, or an index whole, from anywhere to anywhere
    Copy {
        /// The image
        #[arg(value_name = "SOURCE")]
        source: String,
        /// Where to
        #[arg(value_name = "TARGET")]
        target: String,
        #[command(flatten)]
        copy: CopyArgs,
    },
    /// Give an image more tags, or move them to it
    Tag {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
        /// The tags
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Pack files as an artifact that refers to an image: a signature, a bill of material
    Attach {
        /// The image
        #[arg(value_name = "REF")]
        subject: String,
        /// What the artifact is
        #[arg(long, value_name = "TYPE")]
        artifact_type: String,
        /// Says something of the artifact; may be given several times
        #[arg(long, value_name = "KEY=VALUE")]
        annotation: Vec<String>,
        #[command(flatten)]
        platform: PlatformArg,
        /// The files and directories, each with its media type
        #[arg(required = true, value_name = "FILE[:MEDIATYPE]")]
        files: Vec<String>,
    },
    /// List the tags of a repository
    Tags {
        /// The repository: HOST/NAME, or oci:DIR
        #[arg(value_name = "REPO")]
        repository: String,
    },
    /// List the repositories of a registry
    Repositories {
        /// The registry
        #[arg(value_name = "HOST")]
        host: String,
    },
    /// List what refers to an image: signatures, attestations, bills of material
    Referrers {
        /// The image, or any content by its digest
        #[arg(value_name = "REF")]
        source: String,
        /// Only those of this type
        #[arg(long, value_name = "TYPE")]
        artifact_type: Option<String>,
        #[command(flatten)]
        platform: PlatformArg,
    },
    /// Remove a tag alone, or, named by its digest, a manifest with all its tags
    Delete {
        /// What to remove
        #[arg(value_name = "REF")]
        target: String,
    },
    /// Make a blob of one repository available in another of the same registry, without sending it
    Mount {
        /// The blob
        #[arg(value_name = "REPO@DIGEST")]
        source: String,
        /// Where it is wanted
        #[arg(value_name = "REPO")]
        target: String,
    },
    /// Print a manifest, byte for byte as it is stored, or put one
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Manifest {
        #[command(subcommand)]
        action: Option<ManifestAction>,
        /// The image; one that is called `put` is written put:TAG
        #[arg(value_name = "REF", required = true)]
        source: Option<String>,
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
    /// Say where an image would be read from and written to, how, and which file says so; sends nothing
    Explain {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
    },
    /// Try to reach an image step by step, and say what fails and what to do about it
    Doctor {
        /// The image
        #[arg(value_name = "REF")]
        source: String,
    },
    /// Print a blob, put one or delete one
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Blob {
        #[command(subcommand)]
        action: Option<BlobAction>,
        /// The blob
        #[arg(value_name = "REPO@DIGEST", required = true)]
        source: Option<String>,
    },
}

/// The verb and what it works on, for messages.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quickstart { .. } => f.write_str("quickstart"),
            Self::Serve(_) => f.write_str("serve"),
            Self::Login { host } => write!(f, "login {host}"),
            Self::Logout { host } => write!(f, "logout {host}"),
            Self::Pull { source, .. } => write!(f, "pull {source}"),
            Self::Unpack { source, .. } => write!(f, "unpack {source}"),
            Self::Build { target, .. } => write!(f, "build {target}"),
            Self::Fetch { source, .. } => write!(f, "fetch {source}"),
            Self::Push { source, .. } => write!(f, "push {source}"),
            Self::Copy { source, target, .. } => write!(f, "copy {source} -> {target}"),
            Self::Tag { source, .. } => write!(f, "tag {source}"),
            Self::Attach { subject, .. } => write!(f, "attach to {subject}"),
            Self::Tags { repository } => write!(f, "tags of {repository}"),
            Self::Repositories { host } => write!(f, "repositories of {host}"),
            Self::Referrers { source, .. } => write!(f, "referrers of {source}"),
            Self::Delete { target } => write!(f, "delete {target}"),
            Self::Mount { source, target } => write!(f, "mount {source} in {target}"),
            Self::Manifest { action: Some(ManifestAction::Put { target, .. }), .. } => {
                write!(f, "manifest put {target}")
            }
            Self::Manifest { source, .. } => write!(f, "manifest {}", source.as_deref().unwrap_or_default()),
            Self::Config { source, .. } => write!(f, "config {source}"),
            Self::Digest { source, .. } => write!(f, "digest {source}"),
            Self::Explain { source } => write!(f, "explain {source}"),
            Self::Doctor { source } => write!(f, "doctor {source}"),
            Self::Blob { action: Some(BlobAction::Put { target, .. }), .. } => write!(f, "blob put {target}"),
            Self::Blob { action: Some(BlobAction::Delete { target }), .. } => write!(f, "blob delete {target}"),
            Self::Blob { source, .. } => write!(f, "blob {}", source.as_deref().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command line says, or clap's word for what is wrong with it.
    fn said(line: &str) -> String {
        let arguments = std::iter::once("gantri").chain(line.split_whitespace());
        Cli::try_parse_from(arguments).map_or_else(|error| format!("{:?}", error.kind()), |cli| cli.command.to_string())
    }

    /// `put` and `delete` stand where a reference stands: what is called so can be named in another way.
    #[test]
    fn a_verb_of_blobs_and_manifests_is_told_from_a_reference() {
        let digest = format!("put@sha256:{}", "0".repeat(64));
        let cases = [
            ("blob put h/a file", "blob put h/a"),
            ("blob put h/a - --quiet", "blob put h/a"),
            ("blob delete h/a", "blob delete h/a"),
            ("blob h/a", "blob h/a"),
            (&format!("blob {digest}"), &format!("blob {digest}")),
            ("blob h/a file", "ArgumentConflict"),
            ("blob put h/a", "MissingRequiredArgument"),
            ("blob put", "MissingRequiredArgument"),
            ("blob", "MissingRequiredArgument"),
            ("manifest put h/a file --media-type x", "manifest put h/a"),
            ("manifest put:latest", "manifest put:latest"),
            ("manifest docker.io/library/put --platform linux/arm64", "manifest docker.io/library/put"),
            ("manifest --platform linux/arm64 h/a", "manifest h/a"),
            ("manifest put h/a file --platform linux/arm64", "UnknownArgument"),
        ];
        for (line, expected) in cases {
            assert_eq!(said(line), expected, "{line}");
        }
    }
}
