//! `blob put`, `manifest put`, `mount`: single things into a repository.

use std::path::Path;

use gantri::spec::{Descriptor, MediaType, RawManifest};
use gantri::{Error, ErrorKind, Limits, Mounted};
use serde_json::json;

use crate::args::Global;
use crate::commands::inspect::blob_digest;
use crate::context::{Context, Settings, location, reference, usage};
use crate::failure::Failure;
use crate::input::{self, Input};

/// Puts a file, or what standard input brings, as a blob and prints its digest.
pub(crate) async fn blob(global: &Global, target: &str, file: &Path) -> Result<(), Failure> {
    let location = location(target)?;
    if location.tag().is_some() {
        return Err(usage(format!("{target:?}: a blob has no tag, its repository is wanted here, REPO[@DIGEST]")));
    }
    let context = Context::new(global, Settings::default())?;
    let input = Input::open(file, location.digest()).await;
    let stored = match input.map_err(|error| error.during(format_args!("blob put {location}")))? {
        Input::File(blob, body) => context.client.put_blob(&location, &blob, body).await.map(|()| *blob),
        Input::Stream(chunks) => context.client.put_stream(&location, location.digest(), chunks).await,
    };
    let Descriptor { digest, size, .. } = context.outcome(&location, stored).await?;
    let json = json!({ "repository": location.repository().to_string(), "digest": digest, "size": size });
    Ok(context.output.value(digest.as_str(), &json).await?)
}

/// Puts a manifest as it is and prints its digest.
pub(crate) async fn manifest(
    global: &Global,
    target: &str,
    file: &Path,
    media_type: Option<&str>,
) -> Result<(), Failure> {
    let location = location(target)?;
    let context = Context::new(global, Settings::default())?;
    let bytes = input::whole(file, "manifest", Limits::default().manifest).await;
    let bytes = bytes.map_err(|error| error.during(format_args!("manifest put {location}")))?;
    let media_type = media_type.map_or(MediaType::OCTET_STREAM, MediaType::from);
    let manifest = match location.digest() {
        // By the algorithm that the digest names.
        Some(digest) => RawManifest::expect_digest(digest, media_type, bytes.into()).map_err(|error| {
            Error::new(ErrorKind::DigestMismatch, format!("manifest put {location}: {}", file.display()))
                .with_source(error)
        })?,
        None => RawManifest::new(media_type, bytes.into()),
    };
    check(&manifest, file).map_err(|error| error.during(format_args!("manifest put {location}")))?;
    let put = context.outcome(&location, context.client.put_manifest(&location, &manifest).await).await?;
    let Descriptor { media_type, digest, size, .. } = manifest.descriptor();
    let json = json!({
        "target": location.to_string(),
        "digest": digest,
        "mediaType": media_type,
        "size": size,
        "tags": put.tags,
        "subject": put.subject,
    });
    Ok(context.output.value(digest.as_str(), &json).await?)
}

/// Mounts a blob and prints its digest.
pub(crate) async fn mount(global: &Global, source: &str, target: &str) -> Result<(), Failure> {
    let (from, to) = (reference(source)?, reference(target)?);
    let location = from.clone().into();
    let digest = blob_digest(source, &location)?;
    if to.tag().is_some() || to.digest().is_some() {
        return Err(usage(format!("{target:?}: a repository is wanted here, HOST/NAME, without tag or digest")));
    }
    if from.host() != to.host() {
        let what = format!(
            "{source:?}, {target:?}: a blob is mounted within one registry; gantri copy goes from one to another"
        );
        return Err(usage(what));
    }
    let context = Context::new(global, Settings::default())?;
    let mounted = context.outcome(&location, context.client.mount(&from, digest, &to).await).await?;
    let json = json!({
        "source": location.repository().to_string(),
        "target": to.to_string(),
        "digest": digest,
        "mounted": mounted == Mounted::Mounted,
    });
    Ok(context.output.value(digest.as_str(), &json).await?)
}

/// What is no manifest is refused before it is sent: a registry might take it.
fn check(manifest: &RawManifest, file: &Path) -> gantri::Result<()> {
    let invalid = |what: String| Error::new(ErrorKind::ManifestInvalid, format!("{}: {what}", file.display()));
    if manifest.media_type().is_generic() {
        let what = "it does not say what it is".to_owned();
        return Err(invalid(what).with_hint("say it with --media-type"));
    }
    manifest.parse().map(|_| ()).map_err(|error| invalid(error.to_string()))
}
