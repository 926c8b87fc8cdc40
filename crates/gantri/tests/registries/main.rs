//! The behaviour suite against other people's registries, each within a profile that states what it lacks; and what other
//! people's clients make of the same configuration.
//!
//! `cargo xtask interop` installs them and runs this; `cargo xtask serve` starts one. Every rule has a registry of its
//! own: an empty one, for rules tell of everything that is there.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod skopeo;

use std::process::Stdio;

use gantri::Remote;
use gantri_core::registry_suite;
use gantri_core::testkit::{Feature, Profile, Subject};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

registry_suite! {
    docker_registry => async { started("docker-registry").await };
    profile: Profile::FULL
        .without(Feature::CatalogOrder)
        .without(Feature::TagOrder)
        .without(Feature::Untagged)
        .without(Feature::Sha512Manifests)
        .without(Feature::MountAnywhere)
        .without(Feature::EarlierSessions)
        .without(Feature::RefusedCommitEnds)
        .without(Feature::RacingCommits)
        .without(Feature::LayersElsewhere)
        .without(Feature::OddManifests)
        .without(Feature::UntagAtOnce);
}

registry_suite! {
    distribution => async { started("distribution").await };
    profile: Profile::FULL
        .without(Feature::CatalogOrder)
        .without(Feature::Untagged)
        .without(Feature::Sha512Manifests)
        .without(Feature::MountAnywhere)
        .without(Feature::RefusedCommitEnds)
        .without(Feature::RacingCommits)
        .without(Feature::LayersElsewhere);
}

registry_suite! {
    olareg => async { started("olareg").await };
    profile: Profile::FULL
        .without(Feature::Catalog)
        .without(Feature::UnknownRepositories)
        .without(Feature::EndpointNames)
        .without(Feature::MountAnywhere)
        .without(Feature::CommitMismatch)
        .without(Feature::Ambiguity);
}

/// A client of a fresh registry of that kind, which ends when its standard input is closed.
async fn started(kind: &str) -> Subject {
    let xtask = std::env::var_os("GANTRI_XTASK").expect("run by `cargo xtask interop`, which sets GANTRI_XTASK");
    let mut server =
        Command::new(xtask).args(["serve", kind]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let url = BufReader::new(server.stdout.take().unwrap()).lines().next_line().await.unwrap();
    let url = url.unwrap_or_else(|| panic!("{kind} did not start"));
    let remote = Remote::builder(url.strip_prefix("http://").unwrap().parse().unwrap()).build().unwrap();
    Subject::new(remote).holding(server)
}
