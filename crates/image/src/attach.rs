//! Artifacts that say something of a manifest: signatures, bills of material, attestations.

use gantri_core::Result;
use gantri_spec::{Descriptor, Selector};

use crate::artifact::Artifact;
use crate::place::Place;
use crate::push::{PushOptions, push};

/// Packs an artifact that refers to the manifest that `subject` names, and puts it beside it, under its digest; says what
/// it is.
///
/// The subject is fetched, so that its type and size in the artifact are those of its bytes. That it will be listed among
/// the subject's referrers is the registry's business.
///
/// # Errors
/// As [`Artifact::pack`] and [`push`]; `ManifestUnknown` if the subject is not there.
///
/// # Cancel safety
/// Blobs that were sent stay; the artifact is there with all its content, or not at all.
pub async fn attach(
    place: &Place,
    subject: &Selector,
    artifact: Artifact,
    options: &PushOptions,
) -> Result<Descriptor> {
    let subject = place.registry.manifest(&place.repo, subject).await?;
    let Descriptor { media_type, digest, size, .. } = subject.descriptor().clone();
    let image = artifact.with_subject(Descriptor::new(media_type, digest, size)).pack().await?;
    let attached = image.manifest.descriptor().clone();
    push(image, place, &[], options).await?;
    Ok(attached)
}
