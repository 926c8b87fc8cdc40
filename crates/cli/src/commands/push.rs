//! `push`: an image from an image layout or an archive to registries.

use gantri::Location;

use crate::args::{CopyArgs, Global};
use crate::commands::copy::{self, Job};
use crate::context::{local, reference};
use crate::failure::Failure;

/// Pushes the image under each reference, all in one job, and prints its digest.
pub(crate) async fn run(global: &Global, source: &str, targets: &[String], args: &CopyArgs) -> Result<(), Failure> {
    let source = local(source)?;
    let targets = targets.iter().map(|target| Ok(reference(target)?.into()));
    let targets = targets.collect::<Result<Vec<Location>, Failure>>()?;
    copy::job(global, &Job { source, targets, args }).await
}
