//! `doctor`: every place that an image may be read from is reached step by step. Ends well if one of them has it, as a pull
//! would; else as the last of them failed.

use gantri::Reference;
use gantri::client::{Examined, ExaminedStep};
use gantri::config::Stop;
use serde_json::{Value, json};

use crate::args::Global;
use crate::context::{Context, Settings, reference};
use crate::failure::{Failure, told as told_in_line};
use crate::output;

/// Prints each step as it is done, or all as one document.
pub(crate) async fn run(global: &Global, typed: &str) -> Result<(), Failure> {
    let context = Context::new(global, Settings::default())?;
    let named = context.configuration.short_name(typed)?;
    let typed = reference(typed)?;
    let meant = named.as_ref().and_then(|name| name.candidates.first()).unwrap_or(&typed);
    let route = context.configuration.route(meant)?;
    let (mut places, mut found, mut failed) = (Vec::new(), false, None);
    let mut advice = None;
    for stop in route.mirrors.iter().chain([&route.origin]) {
        let steps = context.client.examine(stop, meant).await;
        if context.output.streams() {
            output::raw(told(stop, meant, &steps)).await?;
        }
        places.push(document(stop, &steps));
        match steps.into_iter().last() {
            Some(Examined { outcome: Err(error), .. }) => {
                advice = advice.or_else(|| error.hint().map(str::to_owned));
                failed = Some(error);
            }
            // A place that is not asked for the image does not have it for all we know.
            last => found |= last.is_some_and(|last| last.step == ExaminedStep::Manifest),
        }
    }
    context.output.only_json(&json!({ "reference": meant.to_string(), "places": places, "hint": advice })).await?;
    match failed {
        // Of several failures the first is the one to begin with.
        Some(error) if !found => Err(Failure::Job(match advice {
            Some(advice) => error.with_hint(advice),
            None => error,
        })),
        _ => {
            if let (Some(advice), true) = (advice, context.output.streams()) {
                output::line(&format!("hint: {advice}")).await?;
            }
            Ok(())
        }
    }
}

fn at(stop: &Stop, reference: &Reference) -> String {
    let repository = stop.repository.as_ref().unwrap_or_else(|| reference.repository());
    format!("{}/{repository}", stop.endpoint.host.as_str())
}

fn told(stop: &Stop, reference: &Reference, steps: &[Examined]) -> String {
    let mut lines = vec![at(stop, reference)];
    for Examined { step, outcome, .. } in steps {
        let (mark, words) = match outcome {
            Ok(words) => ("ok", words.clone()),
            Err(error) => ("FAILED", told_in_line(error)),
        };
        lines.push(format!("  {mark:<6} {:<9} {words}", step.name()));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn document(stop: &Stop, steps: &[Examined]) -> Value {
    let told = |examined: &Examined| match &examined.outcome {
        Ok(words) => json!({ "step": examined.step.name(), "ok": true, "what": words }),
        Err(error) => json!({
            "step": examined.step.name(), "ok": false, "what": told_in_line(error), "hint": error.hint(),
        }),
    };
    json!({
        "host": stop.endpoint.host.as_str(),
        "repository": stop.repository.as_ref().map(ToString::to_string),
        "steps": steps.iter().map(told).collect::<Vec<_>>(),
    })
}
