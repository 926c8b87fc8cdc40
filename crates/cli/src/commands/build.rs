//! `build`: directories as the layers of an image.

use std::path::{Path, PathBuf};

use gantri::Location;
use serde_json::json;

use crate::args::Global;
use crate::context::{Context, Settings, local_target, usage};
use crate::failure::Failure;

/// Packs each directory as a layer, puts the image into the layout and prints its digest.
pub(crate) async fn run(global: &Global, target: &str, layers: &[PathBuf]) -> Result<(), Failure> {
    let target = local_target(target)?;
    refuse_inside(layers, home(&target))?;
    let context = Context::new(global, Settings::default())?;
    let manifest = context.client.build(layers, &target).await?;
    let json = json!({
        "target": target.to_string(),
        "digest": manifest.digest,
        "mediaType": manifest.media_type,
        "size": manifest.size,
    });
    Ok(context.output.value(manifest.digest.as_str(), &json).await?)
}

/// Where a local place is written: files appear in a layout, and beside an archive.
fn home(target: &Location) -> &Path {
    match target {
        Location::Layout(layout) => layout.dir(),
        Location::Archive(archive) => archive.file(),
        _ => Path::new("."),
    }
}

/// What is packed may not hold what it is packed into, which grows while it is read.
pub(super) fn refuse_inside(layers: &[PathBuf], target: &Path) -> Result<(), Failure> {
    // The target itself need not be there yet; what is not there lies in no directory.
    let there = |dir: &Path| std::path::absolute(dir).ok()?.ancestors().find_map(|dir| dir.canonicalize().ok());
    let Some(home) = there(target) else { return Ok(()) };
    let holds_home = |dir: &&PathBuf| dir.canonicalize().is_ok_and(|dir| home.starts_with(dir));
    match layers.iter().find(holds_home) {
        Some(dir) => Err(usage(format!("{} lies in {}, which is to be packed", target.display(), dir.display()))),
        None => Ok(()),
    }
}
