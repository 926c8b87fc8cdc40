//! `manifest`, `config`, `digest`, `blob`: what is stored, printed.

use futures_util::TryStreamExt;
use gantri::spec::Descriptor;
use gantri::{Digest, Location};
use serde_json::json;
use serde_json::value::RawValue;

use crate::args::{Format, Global, PlatformArg};
use crate::context::{Context, Settings, location, usage};
use crate::failure::Failure;
use crate::output;

/// The manifest as stored; with `--platform`, the one of that platform.
pub(crate) async fn manifest(global: &Global, source: &str, platform: &PlatformArg) -> Result<(), Failure> {
    let (typed, source) = (source, location(source)?);
    let context = Context::new(global, Settings::platform(platform))?;
    let source = context.meant(typed, source).await?;
    let manifest = match platform.platform {
        Some(_) => context.client.image(&source).await.map(|image| image.manifest),
        None => context.client.manifest(&source).await,
    };
    let manifest = context.outcome(&source, manifest).await?;
    let json = json!({ "descriptor": manifest.descriptor(), "manifest": raw_json(manifest.bytes()) });
    Ok(context.output.document(manifest.bytes().clone(), &json).await?)
}

/// The config of the image for the platform.
pub(crate) async fn config(global: &Global, source: &str, platform: &PlatformArg) -> Result<(), Failure> {
    let (typed, source) = (source, location(source)?);
    let context = Context::new(global, Settings::platform(platform))?;
    let source = context.meant(typed, source).await?;
    let image = context.outcome(&source, context.client.image(&source).await).await?;
    let config = context.client.config(&source, &image).await?;
    let json = json!({ "descriptor": image.image.config, "config": raw_json(&config) });
    Ok(context.output.document(config, &json).await?)
}

/// The digest that the reference names; with `--platform`, that of the platform's manifest.
pub(crate) async fn digest(global: &Global, source: &str, platform: &PlatformArg) -> Result<(), Failure> {
    let (typed, source) = (source, location(source)?);
    let context = Context::new(global, Settings::platform(platform))?;
    let source = context.meant(typed, source).await?;
    let found = match platform.platform {
        Some(_) => context.client.image(&source).await.map(|image| image.manifest.descriptor().clone()),
        None => context.client.resolve(&source).await,
    };
    let Descriptor { media_type, digest, size, .. } = context.outcome(&source, found).await?;
    let json = json!({ "mediaType": media_type, "digest": digest, "size": size });
    Ok(context.output.value(digest.as_str(), &json).await?)
}

/// The blob's bytes; an error at the end if they were not the ones that the digest names.
pub(crate) async fn blob(global: &Global, source: &str) -> Result<(), Failure> {
    let location = location(source)?;
    let digest = blob_digest(source, &location)?;
    if global.format == Format::Json {
        return Err(usage("--format json: a blob is printed byte for byte, as it is"));
    }
    let context = Context::new(global, Settings::default())?;
    let blob = context.client.blob(&location, digest).await;
    let mut chunks = context.outcome(&location, blob).await?.into_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(|error| error.during(format_args!("blob {source}")))? {
        output::raw(chunk).await?;
    }
    Ok(())
}

/// The digest that names a blob; a tag beside it means nothing.
pub(super) fn blob_digest<'a>(typed: &str, blob: &'a Location) -> Result<&'a Digest, Failure> {
    blob.digest().ok_or_else(|| usage(format!("{typed:?}: a blob is named by its digest, REPO@DIGEST")))
}

fn raw_json(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}
