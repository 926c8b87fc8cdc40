//! `build`: directories as the layers of an image.

use std::path::PathBuf;

use serde_json::json;

use crate::args::Global;
use crate::context::{Context, layout};
use crate::failure::Failure;

/// Packs each directory as a layer, puts the image into the layout and prints its digest.
pub(crate) async fn run(global: &Global, target: &str, layers: &[PathBuf]) -> Result<(), Failure> {
    let target = layout(target)?;
    let context = Context::new(global, None)?;
    let manifest = context.client.build(layers, &target).await?;
    let json = json!({
        "target": target.to_string(),
        "digest": manifest.digest,
        "mediaType": manifest.media_type,
        "size": manifest.size,
    });
    Ok(context.output.value(manifest.digest.as_str(), &json)?)
}
