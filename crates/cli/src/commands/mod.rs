//! One file a group of commands: take the arguments, call one verb of the client, hand the result to the output.

mod build;
mod copy;
mod delete;
mod doctor;
mod explain;
mod inspect;
mod label;
mod list;
mod login;
mod pull;
mod push;
mod put;
mod quickstart;
pub(crate) mod serve;
mod unpack;
mod verify;

use crate::args::{BlobAction, Cli, Command, Global, ManifestAction};
use crate::context::tell_of_configuration;
use crate::credentials;
use crate::failure::Failure;

/// Runs any command but `serve`, which ends by its own rules.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { mut global, command } = cli;
    credentials::read(&mut global.credentials, &command).await?;
    // It says so itself, in its own place.
    let quiet = global.quiet || matches!(command, Command::Explain { .. });
    let done = perform(global, command).await;
    tell_of_configuration(quiet);
    done
}

async fn perform(global: Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { .. } => Ok(()),
        Command::Quickstart { layers } => quickstart::run(&global, layers).await,
        Command::Login { host } => login::login(&global, &host).await,
        Command::Logout { host } => login::logout(&global, &host).await,
        Command::Pull { source, target, platforms, jobs } => {
            pull::run(&global, &source, &target, &platforms, jobs).await
        }
        Command::Unpack { source, dir, platform, jobs } => unpack::run(&global, &source, &dir, &platform, jobs).await,
        Command::Fetch { source, dir, jobs } => label::fetch(&global, &source, &dir, jobs).await,
        Command::Build { target, layers } => build::run(&global, &target, &layers).await,
        Command::Push { source, targets, copy } => push::run(&global, &source, &targets, &copy).await,
        Command::Copy { source, target, copy } => copy::run(&global, &source, &target, &copy).await,
        Command::Tag { source, tags } => label::tag(&global, &source, &tags).await,
        Command::Attach { subject, artifact_type, annotation, platform, files } => {
            let attachment =
                label::Attachment { artifact_type: &artifact_type, annotations: &annotation, files: &files };
            label::attach(&global, &subject, &attachment, &platform).await
        }
        Command::Tags { repository } => list::tags(&global, &repository).await,
        Command::Repositories { host } => list::repositories(&global, &host).await,
        Command::Referrers { source, artifact_type, platform } => {
            list::referrers(&global, &source, artifact_type.as_deref(), &platform).await
        }
        Command::Delete { target } => delete::run(&global, &target).await,
        Command::Mount { source, target } => put::mount(&global, &source, &target).await,
        Command::Manifest { action: Some(ManifestAction::Put { target, file, media_type }), .. } => {
            put::manifest(&global, &target, &file, media_type.as_deref()).await
        }
        Command::Manifest { source, platform, .. } => {
            inspect::manifest(&global, &source.unwrap_or_default(), &platform).await
        }
        Command::Config { source, platform } => inspect::config(&global, &source, &platform).await,
        Command::Digest { source, platform } => inspect::digest(&global, &source, &platform).await,
        Command::Explain { source } => explain::run(&global, &source).await,
        Command::Doctor { source } => doctor::run(&global, &source).await,
        Command::Blob { action: Some(BlobAction::Put { target, file }), .. } => {
            put::blob(&global, &target, &file).await
        }
        Command::Blob { action: Some(BlobAction::Delete { target }), .. } => delete::blob(&global, &target).await,
        Command::Blob { source, .. } => inspect::blob(&global, &source.unwrap_or_default()).await,
    }
}
