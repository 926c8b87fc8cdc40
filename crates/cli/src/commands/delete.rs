//! `delete`, `blob delete`: less than there was.

use gantri::Location;
use serde_json::json;

use crate::args::Global;
use crate::commands::inspect::blob_digest;
use crate::context::{Context, Settings, location, usage};
use crate::failure::Failure;

/// Removes a tag, or a manifest. What is to go is named in full: no `latest` is filled in.
pub(crate) async fn run(global: &Global, target: &str) -> Result<(), Failure> {
    let location = location(target)?;
    if location.tag().is_some() == location.digest().is_some() {
        let rule =
            "a tag is wanted here, which is removed alone, or a digest, whose manifest is removed with all its tags";
        return Err(usage(format!("{target:?}: {rule}")));
    }
    let context = Context::new(global, Settings::default())?;
    context.outcome(&location, context.client.delete(&location).await).await?;
    deleted(&context, &location).await
}

/// Removes a blob.
pub(crate) async fn blob(global: &Global, target: &str) -> Result<(), Failure> {
    let location = location(target)?;
    let digest = blob_digest(target, &location)?;
    let context = Context::new(global, Settings::default())?;
    context.outcome(&location, context.client.delete_blob(&location, digest).await).await?;
    deleted(&context, &location).await
}

/// That it is gone is all there is to say, and the exit code says it.
async fn deleted(context: &Context, target: &Location) -> Result<(), Failure> {
    Ok(context.output.only_json(&json!({ "deleted": target.to_string() })).await?)
}
