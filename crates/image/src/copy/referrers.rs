//! What refers to what was copied, and what refers to that.

use std::collections::HashSet;

use futures_util::TryStreamExt;
use gantri_core::{ErrorKind, Event, Result};
use gantri_spec::{Descriptor, Digest};

use super::trip::{Reason, Trip};
use crate::place::Place;
use crate::transfer::at_side;

/// Copies the referrers of every manifest that the trip has come past; each is a graph of its own, held to the same bounds.
pub(super) async fn follow(trip: &Trip<'_>) -> Result<()> {
    let mut asked: HashSet<Digest> = HashSet::new();
    loop {
        let next = trip.seen().manifests.iter().find(|digest| !asked.contains(digest)).cloned();
        let Some(subject) = next else { return Ok(()) };
        for referrer in list(trip, &subject).await? {
            if trip.seen().graph.enter(&referrer)? {
                trip.node(&referrer, Reason::RefersTo(&subject)).await?;
            }
        }
        asked.insert(subject);
    }
}

async fn list(trip: &Trip<'_>, subject: &Digest) -> Result<Vec<Descriptor>> {
    let Place { registry, repo, .. } = &trip.item.source;
    match registry.referrers(repo, subject, None).try_collect::<Vec<Descriptor>>().await {
        Ok(referrers) => Ok(referrers),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let what = format!("the source lists no referrers: those of {subject} are left out");
            trip.job.options.observer.event(&Event::Notice(&what));
            Ok(Vec::new())
        }
        Err(error) => Err(at_side("source", "referrers of", subject, error)),
    }
}
