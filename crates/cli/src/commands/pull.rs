//! `pull`: an image into an image layout or an archive.

use serde_json::json;

use crate::args::{Global, PlatformArg};
use crate::context::{Context, local_target, location};
use crate::failure::Failure;

/// Fetches the image and prints its digest.
pub(crate) async fn run(global: &Global, source: &str, target: &str, platform: &PlatformArg) -> Result<(), Failure> {
    let (source, target) = (location(source)?, local_target(target)?);
    let context = Context::new(global, Some(platform))?;
    let pulled = context.outcome(&source, context.client.pull(&source, &target).await).await?;
    let digest = pulled.manifest.digest.as_str();
    let json = json!({
        "source": source.to_string(),
        "target": pulled.target.to_string(),
        "digest": digest,
        "mediaType": pulled.manifest.media_type,
        "size": pulled.manifest.size,
    });
    Ok(context.output.value(digest, &json).await?)
}
