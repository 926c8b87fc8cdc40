//! `pull`: an image into an image layout or an archive.

use gantri::{Error, ErrorKind, Location};
use serde_json::json;

use crate::args::{Global, JobsArg, PlatformsArg};
use crate::commands::copy::extent_of;
use crate::context::{Context, Settings, local_target, location};
use crate::failure::Failure;

/// Fetches the image for this machine, or what of an index was asked for, and prints its digest.
pub(crate) async fn run(
    global: &Global,
    source: &str,
    target: &str,
    platforms: &PlatformsArg,
    jobs: JobsArg,
) -> Result<(), Failure> {
    let (typed, source, target) = (source, location(source)?, local_target(target)?);
    let one = match platforms.platform.as_slice() {
        [] if platforms.all_platforms => None,
        [] => Some(None),
        [one] => Some(Some(one.as_str())),
        _ => None,
    };
    let platform = one.flatten();
    let context = Context::new(global, Settings { platform, ..Settings::default() }.jobs(jobs))?;
    let source = context.meant(typed, source).await?;
    let (manifest, target) = if one.is_some() {
        let pulled = context.outcome(&source, context.client.pull(&source, &target).await).await?;
        (pulled.manifest, pulled.target)
    } else {
        let extent = extent_of(platforms)?;
        let copied = context.client.copy(&[(source.clone(), target.clone())], &extent).await;
        let copied = context.outcome(&source, copied).await?.into_iter().next().ok_or_else(nothing)?;
        let tagged = copied.tags.first().map(|tag| tagged(&target, tag));
        (copied.manifest, tagged.unwrap_or(target))
    };
    let json = json!({
        "source": source.to_string(),
        "target": target.to_string(),
        "digest": manifest.digest,
        "mediaType": manifest.media_type,
        "size": manifest.size,
    });
    Ok(context.output.value(manifest.digest.as_str(), &json).await?)
}

fn tagged(target: &Location, tag: &gantri::Tag) -> Location {
    if target.tag().is_some() { target.clone() } else { target.at_tag(tag.clone()) }
}

fn nothing() -> Error {
    Error::new(ErrorKind::Protocol, "nothing was copied")
}
