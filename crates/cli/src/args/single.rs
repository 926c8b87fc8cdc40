//! What is done with single manifests and blobs, other than printing them.

use std::path::PathBuf;

use clap::Subcommand;

/// What is done with a manifest, other than printing it.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestAction {
    /// Put a manifest, byte for byte, and move the tag to it
    Put {
        /// Where to; a digest is held against the bytes
        #[arg(value_name = "REF")]
        target: String,
        /// The manifest; - is standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// What it is [default: what it says itself]
        #[arg(long, value_name = "TYPE")]
        media_type: Option<String>,
    },
}

/// What is done with a blob, other than printing it.
#[derive(Debug, Subcommand)]
pub(crate) enum BlobAction {
    /// Put a blob and print its digest
    Put {
        /// Where to; a digest is held against the bytes
        #[arg(value_name = "REPO[@DIGEST]")]
        target: String,
        /// The bytes; - is standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Remove a blob
    Delete {
        /// The blob
        #[arg(value_name = "REPO@DIGEST")]
        target: String,
    },
}
