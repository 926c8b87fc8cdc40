//! `tag`, `attach`, `fetch`: what is said of an image that is there, and the files of what was attached.

use std::path::Path;

use gantri::spec::{InvalidTag, MediaType};
use gantri::{Artifact, Tag};
use serde_json::json;

use crate::args::{Global, JobsArg, PlatformArg};
use crate::context::{Context, Settings, location, usage};
use crate::failure::Failure;

/// Moves the tags and prints the digest that they point at.
pub(crate) async fn tag(global: &Global, source: &str, tags: &[String]) -> Result<(), Failure> {
    let location = location(source)?;
    let parsed = tags.iter().map(|tag| tag.parse().map_err(|error: InvalidTag| usage(error.to_string())));
    let tags = parsed.collect::<Result<Vec<Tag>, _>>()?;
    let context = Context::new(global, Settings::default())?;
    let tagged = context.outcome(&location, context.client.tag(&location, &tags).await).await?;
    let json = json!({
        "source": location.to_string(),
        "tags": tags,
        "digest": tagged.digest,
        "mediaType": tagged.media_type,
        "size": tagged.size,
    });
    Ok(context.output.value(tagged.digest.as_str(), &json).await?)
}

/// What an artifact is made of, as it was typed.
pub(crate) struct Attachment<'a> {
    pub(crate) artifact_type: &'a str,
    pub(crate) annotations: &'a [String],
    pub(crate) files: &'a [String],
}

/// Puts the artifact beside the image and prints its digest.
pub(crate) async fn attach(
    global: &Global,
    subject: &str,
    attachment: &Attachment<'_>,
    platform: &PlatformArg,
) -> Result<(), Failure> {
    let location = location(subject)?;
    let artifact = artifact(attachment)?;
    let context = Context::new(global, Settings::platform(platform))?;
    let subject = match platform.platform {
        Some(_) => {
            let image = context.outcome(&location, context.client.image(&location).await).await?;
            location.at_digest(image.manifest.digest().clone())
        }
        None => location.clone(),
    };
    let attached = context.outcome(&location, context.client.attach(&subject, artifact).await).await?;
    let json = json!({
        "subject": subject.to_string(),
        "artifactType": attachment.artifact_type,
        "target": location.at_digest(attached.digest.clone()).to_string(),
        "digest": attached.digest,
        "mediaType": attached.media_type,
        "size": attached.size,
    });
    Ok(context.output.value(attached.digest.as_str(), &json).await?)
}

/// Writes the artifact's files and prints its digest.
pub(crate) async fn fetch(global: &Global, source: &str, dir: &Path, jobs: JobsArg) -> Result<(), Failure> {
    let location = location(source)?;
    let context = Context::new(global, Settings::default().jobs(jobs))?;
    let location = context.meant(source, location).await?;
    let fetched = context.outcome(&location, context.client.fetch(&location, dir).await).await?;
    let files: Vec<_> = fetched.files.iter().map(|file| file.to_string_lossy()).collect();
    let json = json!({
        "source": source,
        "target": dir.to_string_lossy(),
        "digest": fetched.manifest.digest,
        "artifactType": fetched.artifact_type,
        "files": files,
    });
    Ok(context.output.value(fetched.manifest.digest.as_str(), &json).await?)
}

fn artifact(attachment: &Attachment<'_>) -> Result<Artifact, Failure> {
    let mut artifact = Artifact::new(media_type(attachment.artifact_type)?);
    for annotation in attachment.annotations {
        let Some((key, value)) = annotation.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(usage(format!("--annotation {annotation:?}: KEY=VALUE is wanted here")));
        };
        artifact = artifact.with_annotation(key, value);
    }
    for file in attachment.files {
        let (path, kind) = file_and_type(file);
        let kind = kind.map(media_type).transpose()?;
        artifact = if Path::new(path).is_dir() {
            artifact.with_directory(path, kind, std::env::temp_dir())
        } else {
            artifact.with_file(path, kind)
        };
    }
    Ok(artifact)
}

/// A media type has a slash with something before it; a colon that no such text follows belongs to the name.
fn file_and_type(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, kind)) if !path.is_empty() && kind.find('/').is_some_and(|slash| slash > 0) => (path, Some(kind)),
        _ => (text, None),
    }
}

fn media_type(text: &str) -> Result<MediaType, Failure> {
    let is_token = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(plain)
    };
    match text.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Ok(MediaType::from(text)),
        _ => Err(usage(format!("{text:?}: a media type is wanted here, such as application/spdx+json"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_told_from_a_name() {
        let cases = [
            ("a.json", ("a.json", None)),
            ("a.json:application/spdx+json", ("a.json", Some("application/spdx+json"))),
            ("./a:b:text/plain", ("./a:b", Some("text/plain"))),
            ("a:b", ("a:b", None)),
            ("dir:/etc/passwd", ("dir:/etc/passwd", None)),
            (":text/plain", (":text/plain", None)),
        ];
        for (text, expected) in cases {
            assert_eq!(file_and_type(text), expected, "{text}");
        }
        for text in ["", "json", "/json", "a/", "a/b/c", "a/b c", "a/b;c=d"] {
            assert!(media_type(text).is_err(), "{text}");
        }
    }
}
