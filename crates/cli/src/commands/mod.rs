//! One file a group of commands: take the arguments, call one verb of the client, hand the result to the output.

mod build;
mod inspect;
mod list;
mod pull;
mod push;
mod quickstart;
pub(crate) mod serve;
mod unpack;
mod verify;

use crate::args::{Cli, Command};
use crate::failure::Failure;

/// Runs any command but `serve`, which ends by its own rules.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve { .. } => Ok(()),
        Command::Quickstart { layers } => quickstart::run(&global, layers).await,
        Command::Pull { source, target, platform } => pull::run(&global, &source, &target, &platform).await,
        Command::Unpack { source, dir, platform } => unpack::run(&global, &source, &dir, &platform).await,
        Command::Build { target, layers } => build::run(&global, &target, &layers).await,
        Command::Push { source, targets, platform } => push::run(&global, &source, &targets, &platform).await,
        Command::Tags { repository } => list::tags(&global, &repository).await,
        Command::Manifest { source, platform } => inspect::manifest(&global, &source, &platform).await,
        Command::Config { source, platform } => inspect::config(&global, &source, &platform).await,
        Command::Digest { source, platform } => inspect::digest(&global, &source, &platform).await,
        Command::Blob { source } => inspect::blob(&global, &source).await,
    }
}
