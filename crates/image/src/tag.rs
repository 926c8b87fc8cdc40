//! Other names for a manifest that is there.

use gantri_core::Result;
use gantri_spec::{Descriptor, Selector, Tag};

use crate::place::Place;

/// Moves `tags` to the manifest that `at` names; says which one that is. Its bytes are put as they came.
///
/// # Errors
/// Those of [`Pull::manifest`](gantri_core::Pull::manifest) and [`Push::put_manifest`](gantri_core::Push::put_manifest):
/// `Conflict` for a tag that never moves.
///
/// # Cancel safety
/// Atomic for each tag.
pub async fn tag(place: &Place, at: &Selector, tags: &[Tag]) -> Result<Descriptor> {
    let manifest = place.registry.manifest(&place.repo, at).await?;
    let put = place.registry.put_manifest(&place.repo, &manifest, tags).await;
    put?;
    Ok(manifest.descriptor().clone())
}
