//! `copy`, and what `push` has in common with it: images from anywhere to anywhere.

use std::fmt::Write as _;

use gantri::spec::RepositoryName;
use gantri::{Action, Copied, Extent, Foreign, Location, Plan, Platforms, Referrers, Step, Tally, display_untrusted};
use serde_json::{Value, json};

use crate::args::{CopyArgs, Global, PlatformsArg};
use crate::context::{Context, Settings, location, parse_platform, usage};
use crate::failure::Failure;

/// Copies the image and prints its digest.
pub(crate) async fn run(global: &Global, source: &str, target: &str, args: &CopyArgs) -> Result<(), Failure> {
    let (source, targets) = (location(source)?, vec![location(target)?]);
    job(global, &Job { source, targets, args }).await
}

/// One image, or one repository, and where it goes.
pub(super) struct Job<'a> {
    pub(super) source: Location,
    pub(super) targets: Vec<Location>,
    pub(super) args: &'a CopyArgs,
}

/// Does it, or says what it would do.
pub(super) async fn job(global: &Global, job: &Job<'_>) -> Result<(), Failure> {
    let Job { source, targets, args } = job;
    let extent = extent_of(&args.platforms)?
        .referrers(if args.referrers { Referrers::Follow } else { Referrers::Leave })
        .foreign(if args.foreign_layers { Foreign::Bring } else { Foreign::Leave });
    let context = Context::new(global, Settings::default().jobs(args.jobs))?;
    let copies = copies(&context, job).await?;
    if args.dry_run {
        let plan = context.client.plan(&copies, &extent).await;
        let plan = context.outcome(told_of(source, targets, plan.as_ref().err()), plan).await?;
        return Ok(context.output.text_or(&planned(&copies, &plan), &plan_json(&copies, &plan)).await?);
    }
    let outcome = context.client.copy(&copies, &extent).await;
    let outcome = context.outcome(told_of(source, targets, outcome.as_ref().err()), outcome).await?;
    let text = if args.all_tags { each(&copies, &outcome) } else { digests(&outcome) };
    Ok(context.output.text_or(&text, &json!({ "copies": all(&copies, &outcome) })).await?)
}

/// What is chosen of an index.
pub(super) fn extent_of(platforms: &PlatformsArg) -> Result<Extent, Failure> {
    let chosen = platforms.platform.iter().map(|platform| parse_platform(platform)).collect::<Result<Vec<_>, _>>()?;
    Ok(Extent::default().platforms(if chosen.is_empty() { Platforms::All } else { Platforms::Only(chosen) }))
}

/// From where to where, each image by itself.
async fn copies(context: &Context, job: &Job<'_>) -> Result<Vec<(Location, Location)>, Failure> {
    let Job { source, targets, args } = job;
    if !args.all_tags {
        return Ok(targets.iter().map(|target| (source.clone(), target.clone())).collect());
    }
    for place in std::iter::once(source).chain(targets) {
        if place.tag().is_some() || place.digest().is_some() {
            return Err(usage(format!("--all-tags: {:?} names one of them", place.to_string())));
        }
    }
    let mut copies = Vec::new();
    for target in targets {
        copies.extend(context.outcome(source, context.client.every_tag(source, target).await).await?);
    }
    Ok(copies)
}

/// Whose names might help: those of the side that the error speaks of.
fn told_of<'a>(source: &'a Location, targets: &'a [Location], error: Option<&gantri::Error>) -> &'a Location {
    let at_target = error.is_some_and(|error| error.to_string().contains(": target: "));
    targets.first().filter(|_| at_target).unwrap_or(source)
}

/// One image has one digest, wherever it goes.
fn digests(outcome: &[Copied]) -> String {
    outcome.first().map(|one| format!("{}\n", one.manifest.digest)).unwrap_or_default()
}

fn each(copies: &[(Location, Location)], outcome: &[Copied]) -> String {
    let lines = copies.iter().zip(outcome);
    lines.fold(String::new(), |mut text, ((_, target), one)| {
        let _ = writeln!(text, "{} {target}", one.manifest.digest);
        text
    })
}

fn all(copies: &[(Location, Location)], outcome: &[Copied]) -> Vec<Value> {
    let tally = |Tally { count, bytes, .. }: Tally| json!({ "count": count, "bytes": bytes });
    let one = |((source, target), done): (&(Location, Location), &Copied)| {
        json!({
            "source": source.to_string(),
            "target": target.to_string(),
            "digest": done.manifest.digest,
            "mediaType": done.manifest.media_type,
            "size": done.manifest.size,
            "tags": done.tags,
            "sent": tally(done.sent),
            "mounted": tally(done.mounted),
            "skipped": tally(done.skipped),
            "manifests": tally(done.manifests),
        })
    };
    copies.iter().zip(outcome).map(one).collect()
}

/// A line a blob or manifest, and then one a tag, in the order of the copies.
fn planned(copies: &[(Location, Location)], plan: &Plan) -> String {
    let mut text = String::new();
    for Step { what, repo, action, .. } in &plan.steps {
        let media_type = display_untrusted(what.media_type.as_str());
        let _ = write!(text, "{} {} {} {media_type}", word(*action), what.digest, what.size);
        let _ = writeln!(text, "{}", in_repository(copies, repo).map(|repo| format!(" {repo}")).unwrap_or_default());
    }
    for ((_, target), one) in copies.iter().zip(&plan.items) {
        for tag in &one.tags {
            let _ = writeln!(text, "tag {} {}", one.manifest.digest, target.at_tag(tag.clone()));
        }
    }
    text
}

fn plan_json(copies: &[(Location, Location)], plan: &Plan) -> Value {
    let step = |step: &Step| {
        json!({
            "action": word(step.action),
            "digest": step.what.digest,
            "mediaType": step.what.media_type,
            "size": step.what.size,
            "repository": in_repository(copies, &step.repo),
        })
    };
    let steps: Vec<Value> = plan.steps.iter().map(step).collect();
    json!({ "copies": all(copies, &plan.items), "steps": steps })
}

/// A layout and an archive have no names of repositories.
fn in_repository<'a>(copies: &[(Location, Location)], repo: &'a RepositoryName) -> Option<&'a RepositoryName> {
    copies.iter().any(|(_, target)| matches!(target, Location::Registry(_))).then_some(repo)
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Mount => "mount",
        Action::Skip => "skip",
        _ => "send",
    }
}
