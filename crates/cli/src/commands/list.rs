//! `tags`: what a repository holds.

use futures_util::TryStreamExt;
use gantri::Location;
use gantri::spec::Tag;
use serde_json::json;

use crate::args::Global;
use crate::context::{Context, location, usage};
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
    let context = Context::new(global, None)?;
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

fn names_an_image(source: &Location) -> bool {
    match source {
        Location::Registry(reference) => reference.tag().is_some() || reference.digest().is_some(),
        Location::Layout(layout) => layout.tag().is_some(),
        _ => false,
    }
}
