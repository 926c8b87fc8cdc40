//! `push`: an image from an image layout directory to registries.

use serde_json::json;

use crate::args::{Global, PlatformArg};
use crate::context::{Context, layout, reference};
use crate::failure::Failure;

/// Pushes the image under each reference, one after the other, and prints its digest.
pub(crate) async fn run(
    global: &Global,
    source: &str,
    targets: &[String],
    platform: &PlatformArg,
) -> Result<(), Failure> {
    let source = layout(source)?;
    let references = targets.iter().map(|target| reference(target)).collect::<Result<Vec<_>, _>>()?;
    let context = Context::new(global, Some(platform))?;
    let from = source.clone().into();
    let mut pushed = None;
    for target in &references {
        pushed = Some(context.outcome(&from, context.client.push(&source, target).await).await?);
    }
    let Some(manifest) = pushed else { return Ok(()) };
    let json = json!({ "source": source.to_string(), "targets": targets, "digest": manifest.digest });
    Ok(context.output.value(manifest.digest.as_str(), &json).await?)
}
