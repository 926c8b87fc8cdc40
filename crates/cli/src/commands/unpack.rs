//! `unpack`: an image to a root file system.

use std::path::Path;

use serde_json::json;

use crate::args::{Global, JobsArg, PlatformArg};
use crate::context::{Context, Settings, location};
use crate::failure::Failure;

/// Fetches and unpacks the image and prints its digest.
pub(crate) async fn run(
    global: &Global,
    source: &str,
    dir: &Path,
    platform: &PlatformArg,
    jobs: JobsArg,
) -> Result<(), Failure> {
    let location = location(source)?;
    let context = Context::new(global, Settings::platform(platform).jobs(jobs))?;
    let location = context.meant(source, location).await?;
    let unpacked = context.outcome(&location, context.client.unpack(&location, dir).await).await?;
    let json = json!({
        "source": source,
        "target": dir.to_string_lossy(),
        "digest": unpacked.manifest,
        "entries": unpacked.entries,
        "bytes": unpacked.bytes,
        "notices": unpacked.notices,
    });
    Ok(context.output.value(unpacked.manifest.as_str(), &json).await?)
}
