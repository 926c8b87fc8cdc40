//! `tags`, `repositories`, `referrers`: what there is.

use futures_util::TryStreamExt;
use gantri::spec::{Descriptor, MediaType, RepositoryName, Tag};
use gantri::{Digest, Location, display_untrusted};
use serde_json::json;

use crate::args::{Global, PlatformArg};
use crate::context::{Context, Settings, host as parsed, location, usage};
use crate::failure::Failure;
use crate::output;

/// The tags, line by line as they come, or as one document.
pub(crate) async fn tags(global: &Global, repository: &str) -> Result<(), Failure> {
    let source = location(repository)?;
    if names_an_image(&source) {
        return Err(usage(format!(
            "{repository:?}: a repository is wanted here, HOST/NAME or oci:DIR, without tag or digest"
        )));
    }
    let context = Context::new(global, Settings::default())?;
    let mut tags = context.outcome(&source, context.client.tags(&source).await).await?;
    if context.output.streams() {
        while let Some(tag) = context.outcome(&source, tags.try_next().await).await? {
            output::line(tag.as_str()).await?;
        }
        return Ok(());
    }
    let tags: Vec<Tag> = context.outcome(&source, tags.try_collect().await).await?;
    Ok(context.output.value("", &json!({ "repository": source.to_string(), "tags": tags })).await?)
}

/// The repositories of a registry.
pub(crate) async fn repositories(global: &Global, host: &str) -> Result<(), Failure> {
    let host = parsed(host)?;
    let context = Context::new(global, Settings::default())?;
    let mut repositories = context.client.repositories(&host)?;
    if context.output.streams() {
        while let Some(repository) = repositories.try_next().await? {
            output::line(repository.as_str()).await?;
        }
        return Ok(());
    }
    let repositories: Vec<RepositoryName> = repositories.try_collect().await?;
    Ok(context.output.value("", &json!({ "registry": host, "repositories": repositories })).await?)
}

/// What refers to an image: digest and artifact type, line by line as they come, or as one document.
pub(crate) async fn referrers(
    global: &Global,
    source: &str,
    artifact_type: Option<&str>,
    platform: &PlatformArg,
) -> Result<(), Failure> {
    let source = location(source)?;
    let context = Context::new(global, Settings::platform(platform))?;
    let subject = subject(&context, &source, platform).await?;
    let artifact_type = artifact_type.map(MediaType::from);
    let listing = context.client.referrers(&source, &subject, artifact_type.as_ref()).await;
    let mut listing = context.outcome(&source, listing).await?;
    if context.output.streams() {
        while let Some(referrer) = context.outcome(&source, listing.try_next().await).await? {
            let artifact_type = referrer.artifact_type.as_ref().map_or("-", MediaType::as_str);
            output::line(&format!("{} {}", referrer.digest, display_untrusted(artifact_type))).await?;
        }
        return Ok(());
    }
    let listing: Vec<Descriptor> = context.outcome(&source, listing.try_collect().await).await?;
    Ok(context.output.value("", &json!({ "subject": subject, "referrers": listing })).await?)
}

/// What is referred to. A digest need not be asked for, and its manifest need not be there.
async fn subject(context: &Context, source: &Location, platform: &PlatformArg) -> Result<Digest, Failure> {
    if platform.platform.is_some() {
        let image = context.outcome(source, context.client.image(source).await).await?;
        return Ok(image.manifest.digest().clone());
    }
    match source.digest() {
        Some(digest) => Ok(digest.clone()),
        None => Ok(context.outcome(source, context.client.resolve(source).await).await?.digest),
    }
}

fn names_an_image(source: &Location) -> bool {
    source.tag().is_some() || source.digest().is_some()
}
